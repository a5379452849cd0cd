"""The control function: ranks and averages against scipy, a known response, and the case that it is not made for."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import integrate as quadrature
from scipy import stats

from micromega.errors import ConfigError
from micromega.models.deepiv import DeepIV
from micromega.models.deepiv.batches import spec_of
from micromega.models.deepiv.config import OutcomeConfig
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.module import OutcomeModule
from micromega.models.deepiv.outcome import ControlFunctionNetwork
from micromega.models.deepiv.rivals import NaiveNetwork
from micromega.models.deepiv.treatment import Mixture

STAGE = {"epochs": 20, "learning_rate": 0.01, "hidden": (32, 16)}
BY_RANK = STAGE | {"estimation": "control_function", "smoothness": 0.0}


def test_a_rank_is_the_normal_score_of_the_mixtures_distribution():
    rng = np.random.default_rng(0)
    weight, mean, deviation = rng.dirichlet(np.ones(3), 5), rng.normal(size=(5, 3)), rng.uniform(0.3, 2, (5, 3))
    t = rng.normal(size=5)
    mixture = Mixture(
        log_weights=torch.from_numpy(np.log(weight))[None],
        means=torch.from_numpy(mean)[None],
        log_deviations=torch.from_numpy(np.log(deviation))[None],
    )
    below = (weight * stats.norm.cdf(t[:, None], mean, deviation)).sum(axis=1)
    np.testing.assert_allclose(mixture.rank(torch.from_numpy(t)[None])[0], stats.norm.ppf(below), atol=1e-9)
    far = mixture.rank(torch.tensor([[-1e9, 1e9, 0, 0, 0]], dtype=torch.float64))[0]
    assert far[:2].tolist() == [-4, 4]


def test_a_treatment_beyond_all_others_has_a_rank():
    """In float32 the shares of a mixture may add up to more than 1, of which there is no normal score."""
    generator = torch.Generator().manual_seed(0)
    scores, means = torch.randn(2, 1, 20_000, 10, generator=generator)
    mixture = Mixture(
        log_weights=torch.log_softmax(scores, dim=-1), means=means, log_deviations=torch.full_like(means, -1.0)
    )
    far = torch.full((1, 20_000), 9.0)
    assert (mixture.cumulative(far[..., None]) > 1).any()
    assert (mixture.rank(far) == 4).all()


def test_the_response_to_an_intervention_averages_over_ranks():
    torch.manual_seed(0)
    network = ControlFunctionNetwork(OutcomeConfig(hidden=(8, 4), confounding=(6,)), 1, 2).double()
    t, x = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[[0.3, -1.0]]], dtype=torch.float64)

    def density(rank):
        observed = network.observed(t, torch.tensor([[rank]], dtype=torch.float64), x)
        return float(observed[0, 0]) * stats.norm.pdf(rank)

    with torch.no_grad():
        average, _ = quadrature.quad(density, -8, 8)
        assert float(network(t[..., None], x)[0, 0, 0]) == pytest.approx(average, abs=1e-6)
        assert abs(average - float(network.observed(t, torch.zeros(1, 1).double(), x))) > 1e-4  # the rank matters


def integrated(model, values, members, outcome):
    given = {name: torch.from_numpy(getattr(members, name)) for name in ("weights", "held_out", "mixed", "draw")}
    return integrate(model.treatment, values, outcome, **given)


def test_ranks_come_from_members_that_have_not_seen_the_row():
    rng = np.random.default_rng(1)
    values = {name: torch.from_numpy(rng.normal(size=(60, 1))).float() for name in ("z", "x")}
    values |= {name: torch.from_numpy(rng.normal(size=60)).float() for name in ("t", "y")}
    tiny = {"epochs": 1, "hidden": (4,)}
    arrays = {name: of.numpy() for name, of in values.items()}
    model = DeepIV(folds=3, treatment=tiny, outcome=tiny | {"estimation": "control_function"}).fit(**arrays)
    members = draw_members(model.config, np.arange(60))
    given = integrated(model, values, members, model.config.outcome)
    rank = given.rows[0, torch.arange(60)].rank
    mixture = model.mixture(x=arrays["x"], z=arrays["z"])
    by_member = mixture.rank(values["t"][None])
    own = members.held_out.argmax(axis=0)  # the fold that leaves the row out
    torch.testing.assert_close(rank[0], by_member[own, torch.arange(60)], atol=1e-4, rtol=1e-4)
    other = integrated(model, values, members, OutcomeConfig(nodes=5)).rows[0, torch.arange(2)]
    assert other.nodes.shape == (1, 2, 5), "the rule is that of the stage 2 at hand, not of the stage 1 it stands on"
    assert other.rank is None
    for batch in given.held_out:
        torch.testing.assert_close(batch.rank, rank[0][batch.row], atol=1e-4, rtol=1e-4)


def test_the_ranks_of_a_draw_pool_its_starts():
    rng = np.random.default_rng(2)
    values = {name: torch.from_numpy(rng.normal(size=(40, 1))).float() for name in ("z", "x")}
    values |= {name: torch.from_numpy(rng.normal(size=40)).float() for name in ("t", "y")}
    tiny = {"epochs": 1, "hidden": (4,)}
    arrays = {name: of.numpy() for name, of in values.items()}
    settings = {"treatment": tiny, "outcome": tiny | {"estimation": "control_function"}}
    model = DeepIV(bootstrap=2, starts=2, **settings).fit(**arrays)
    members = draw_members(model.config, np.arange(40))
    given = integrated(model, values, members, model.config.outcome)
    rank = given.rows[0, torch.arange(len(given.rows))].rank
    below = model.mixture(x=arrays["x"], z=arrays["z"]).cumulative(values["t"][None, :, None])[..., 0]
    pooled = stats.norm.ppf(below.double().view(2, 2, 40).mean(dim=1))
    np.testing.assert_allclose(rank, pooled[:, given.rows.trained], atol=1e-3)
    for batch in given.held_out:
        own = members.draw[:, None]
        inside = batch.weight > 0
        np.testing.assert_allclose(batch.rank[inside], pooled[own, batch.row][inside], atol=1e-3)


def confounded(rows, seed=0):
    """Popularity moves treatment and outcome; the response is bent."""
    rng = np.random.default_rng(seed)
    z, x, shock, noise = rng.normal(size=(4, rows))
    t = z + 0.5 * x + shock
    return {"x": x[:, None], "z": z, "t": t, "y": np.tanh(t) + 0.3 * x + shock + 0.3 * noise}


GRID = np.linspace(-1.5, 1.5, 13)


def test_finds_a_bent_response_that_a_network_without_instrument_misses():
    data, at = confounded(4_000), np.linspace(-1, 1, 5)[:, None]
    model = DeepIV(starts=2, treatment=STAGE, outcome=BY_RANK | {"weight_decay": 0.1}).fit(**data)
    naive = NaiveNetwork(outcome=STAGE | {"smoothness": 0.0}).fit(**data)
    truth = 1 - np.tanh(GRID) ** 2
    error, without = (
        np.abs(of.elasticity(t=GRID, x=at, grid=True) - truth).mean() for of in (model, naive)
    )  # fmt: skip
    assert error < 0.15
    assert without > 0.3
    level = model.predict(t=GRID, x=at, grid=True) - (np.tanh(GRID) + 0.3 * at)
    assert np.abs(level).mean() < 0.12  # λ's average is in the response: E[shock] = 0


def test_two_causes_of_the_treatment_mislead_it_and_not_eq_5():
    """How much the instrument moves a treatment differs, and what makes it differ moves the outcome too.

    Above the instrument's mean a high rank means much of that cause, below it little: ranks do not stand for it.
    """
    rng = np.random.default_rng(0)
    z, cause, shift, noise = rng.normal(size=(4, 4_000))
    t = (1 + 0.8 * cause) * z + 0.5 * shift
    data = {"x": np.zeros((4_000, 0)), "z": z, "t": t, "y": 0.5 * t + cause + 0.1 * noise}

    def bias(outcome):
        model = DeepIV(treatment=STAGE, outcome=outcome).fit(**data)
        return np.abs(model.elasticity(t=GRID, x=np.zeros((1, 0)), grid=True) - 0.5).mean()

    assert bias(STAGE | {"smoothness": 0.0}) < 0.15
    assert bias(BY_RANK) > 0.3


def test_shape_penalties_work_and_monte_carlo_is_refused():
    data, at = confounded(800), np.zeros((1, 1))
    quick = {"epochs": 8, "learning_rate": 0.01, "hidden": (16,)}
    bent, straight = (
        DeepIV(treatment=quick, outcome=quick | {"estimation": "control_function", "smoothness": smoothness})
        .fit(**data)
        .elasticity(t=GRID, x=at, grid=True)[0]
        for smoothness in (0.0, 30.0)
    )
    assert np.ptp(straight) < 0.3 * np.ptp(bent)
    assert np.ptp(bent) > 0.1
    with pytest.raises(ConfigError, match="monte_carlo"):
        DeepIV(outcome={"estimation": "control_function", "rule": "monte_carlo"})


def test_the_network_beside_it_takes_followers_as_they_come():
    config = DeepIV(outcome={"estimation": "control_function"}).config
    values = {"t": torch.randn(9), "z": torch.randn(9, 1), "x": torch.randn(9, 2), "y": torch.randn(9)}
    module = OutcomeModule(config, dataclasses.replace(spec_of(values, torch.ones(9)), treatment="none"))
    assert module.title == "Control function"
    assert module.without_instrument.outcome.estimation == "integral"
