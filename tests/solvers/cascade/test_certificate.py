"""The certificate of creators for needs: it confirms what is true and nothing else."""

import dataclasses
import math

import numpy as np
import pytest

from micromega.solvers.cascade import Network, activation_matrix, match_needs
from micromega.solvers.cascade.activation import network_activation
from micromega.solvers.cascade.answer import plan_table
from micromega.solvers.cascade.awareness import awareness
from micromega.solvers.cascade.certificate import certify
from micromega.solvers.cascade.certificate_influence import certify_influence
from micromega.solvers.cascade.evidence import Evidence, gather
from micromega.solvers.cascade.exact import exact_spread
from micromega.solvers.cascade.influence import maximise_influence
from micromega.solvers.cascade.simulate import simulate
from micromega.solvers.plan import Certificate, Status

NEEDS, NAMES = np.array([4.0, 2.0, 6.5]), ("water", "tents", "food")
ALL = np.arange(20)


@pytest.fixture(scope="module", name="network")
def network_fixture() -> Network:
    rng = np.random.default_rng(2)
    pairs = np.array([(a, b) for a in range(20) for b in range(20) if a != b and rng.random() < 0.15])
    return Network.of(pairs, rng.uniform(0.05, 0.5, len(pairs)), nodes=20)


def certified(network: Network, creators: np.ndarray, claimed: np.ndarray, **more: object) -> Certificate:
    evidence = gather(network, creators, NEEDS, simulations=2_000, seed=9, steps=more.get("steps"))
    return certify(network, creators, NAMES, NEEDS, evidence, claimed=claimed, **{"allowed": ALL, **more})


def broken(certificate: Certificate) -> list[str]:
    return [check.name for check in certificate.checks if not check.ok]


@pytest.mark.parametrize("steps", [None, 0, 1, 2])
def test_a_plan_is_confirmed_by_other_code(network: Network, steps: int | None) -> None:
    activation = network_activation(network, steps=steps)
    match = match_needs(activation, NEEDS)
    evidence = gather(network, match.creators, NEEDS, simulations=4_000, seed=3, steps=steps)
    np.testing.assert_allclose(evidence.closed_form, match.awareness, atol=1e-10)
    assert evidence.cost == pytest.approx(match.cost)
    assert evidence.efficiency == pytest.approx(match.efficiency)
    for j, v in enumerate(match.creators.tolist()):
        sampled = evidence.alone[j] - activation_matrix(
            np.column_stack([network.source, network.target]), network.probability, nodes=20, method="monte_carlo",
            steps=steps, simulations=64_000, sources=[v],
        ).sum()  # fmt: skip
        assert abs(sampled) <= 5 * evidence.alone_error[j] + 0.1
    assert np.all(evidence.process <= evidence.alone + 5 * evidence.alone_error + 1e-9)
    assert evidence.process_cost == pytest.approx(float(np.abs(NEEDS - evidence.process).sum()))
    certificate = certify(
        network, match.creators, NAMES, NEEDS, evidence, claimed=match.awareness, allowed=ALL, steps=steps
    )
    assert certificate.ok
    assert certificate.objective == evidence.cost
    assert certificate.status is Status.FEASIBLE
    assert [check.name for check in certificate.checks][-3:] == ["needs.water", "needs.tents", "needs.food"]
    assert "4 needed" in certificate.checks[-3].words


def test_a_false_claim_a_stranger_and_a_double_are_refused(network: Network) -> None:
    activation = network_activation(network)
    match = match_needs(activation, NEEDS)
    false = match.awareness + np.array([0, 0.001, 0])
    assert broken(certified(network, match.creators, false)) == ["awareness"]
    assert certified(network, match.creators, false).status is Status.ERROR
    gone = np.setdiff1d(ALL, match.creators[:1])
    assert broken(certified(network, match.creators, match.awareness, allowed=gone)) == ["unavailable"]
    twice = np.array([3, 3, 8])
    claimed = awareness(activation, twice)
    assert broken(certified(network, twice, claimed)) == ["allow_repeats"]
    assert certified(network, twice, claimed, allow_repeats=True).ok


def test_the_process_is_cross_checked(network: Network) -> None:
    creators = np.array([1, 5, 7])
    evidence = gather(network, creators, NEEDS, simulations=4_000, seed=3)
    claimed = awareness(network_activation(network), creators)
    wrong = dataclasses.replace(evidence, process=evidence.process + np.array([3.0, 0, 0]))
    assert broken(certify(network, creators, NAMES, NEEDS, wrong, claimed=claimed, allowed=ALL)) == [
        "process",
        "process_total",
    ]
    swapped = dataclasses.replace(evidence, process=evidence.process[[1, 0, 2]])  # the total is right
    assert broken(certify(network, creators, NAMES, NEEDS, swapped, claimed=claimed, allowed=ALL)) == ["process"]
    error = evidence.process_error
    for off, expected in ((0.0, []), (12 * error[1], ["awareness"])):
        found = certify(
            network, creators, NAMES, NEEDS, evidence, claimed=evidence.process + np.array([0, off, 0]),
            claimed_error=error * 0, competition=True, allowed=ALL,
        )  # fmt: skip
        assert broken(found) == expected
        assert found.objective == evidence.process_cost


def test_cascades_are_compared_within_their_errors(network: Network) -> None:
    activation = network_activation(network, method="monte_carlo", simulations=4_096, seed=1)
    match = match_needs(activation, NEEDS)
    evidence = gather(network, match.creators, NEEDS, monte_carlo=True, simulations=4_000, seed=8)
    assert np.all(np.abs(evidence.closed_form - match.awareness) < 0.3)
    found = certify(
        network, match.creators, NAMES, NEEDS, evidence, claimed=match.awareness,
        claimed_error=evidence.alone_error, allowed=ALL,
    )  # fmt: skip
    assert found.ok


def test_the_plan_says_who_spreads_what(network: Network) -> None:
    creators = np.array([1, 5, 7])
    evidence = gather(network, creators, NEEDS, simulations=500, seed=3)
    rows = plan_table(NAMES, NEEDS, ["a", "b", "c"], evidence).to_pylist()
    assert [(row["need"], row["volume"], row["creator_id"]) for row in rows] == [
        ("water", 4.0, "a"), ("tents", 2.0, "b"), ("food", 6.5, "c"),
    ]  # fmt: skip
    for j, row in enumerate(rows):
        assert row["lower"] <= row["mean"] == evidence.process[j] <= row["upper"]
        assert row["upper"] - row["mean"] == pytest.approx(1.959964 * evidence.process_error[j])


def test_seeds_are_confirmed_and_wrong_ones_refused(network: Network) -> None:
    found = maximise_influence(
        np.column_stack([network.source, network.target]), network.probability, 2, nodes=20, seed=1
    )
    common = {"allowed": ALL, "most": 2, "prices": np.full(20, 3.0), "budget": None, "seed": 5}
    certificate = certify_influence(network, found, **common)
    assert certificate.ok
    again = simulate(network, found.seeds, 40_000, 3).mean()
    assert certificate.objective == pytest.approx(again, abs=0.3)
    assert certificate.upper_bound >= certificate.objective - 0.3
    better = dataclasses.replace(found, spread=dataclasses.replace(found.spread, mean=found.spread.mean + 2))
    assert broken(certify_influence(network, better, **common)) == ["spread"]
    proven = dataclasses.replace(found.guarantee, lower=found.spread.mean + 3)
    assert broken(certify_influence(network, dataclasses.replace(found, guarantee=proven), **common)) == ["guarantee"]
    assert "unavailable" in broken(certify_influence(network, found, **{**common, "allowed": ALL[:0]}))
    assert broken(certify_influence(network, found, **{**common, "most": 3})) == ["seeds"]
    assert broken(certify_influence(network, found, **{**common, "budget": 5.0})) == ["budget"]
    assert certify_influence(network, found, **{**common, "budget": 6.0}).spend == 6.0


def test_nothing_needed_of_one_need_is_no_error(network: Network) -> None:
    needs = np.array([0.0, 2.0])
    evidence: Evidence = gather(network, np.array([1, 2]), needs, simulations=100, seed=1)
    assert math.isfinite(evidence.cost)


def test_small_networks_agree_with_all_worlds() -> None:
    network = Network.of([[0, 1], [1, 2], [0, 2]], [0.5, 0.5, 0.3], nodes=3)
    evidence = gather(network, np.array([0]), np.array([2.0]), simulations=20_000, seed=4)
    truth = exact_spread(network, [0])
    assert abs(evidence.alone[0] - truth) <= 5 * evidence.alone_error[0]
    assert abs(evidence.process[0] - truth) <= 5 * evidence.process_error[0]
    assert evidence.closed_form[0] == pytest.approx(1 + 0.5 + 0.3)
