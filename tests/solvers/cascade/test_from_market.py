"""A market's follows as a network, and who may be chosen."""

import numpy as np
import pyarrow as pa
import pytest

from micromega.config.validate import build
from micromega.errors import ConfigError, DataError
from micromega.solvers.cascade.config import CascadeConfig
from micromega.solvers.cascade.from_market import named_needs, social_network


def tables(probability: list[float | None]) -> tuple[pa.Table, pa.Table]:
    accounts = pa.table(
        {
            "account_id": ["b1", "c1", "c2", "c3", "b2"],
            "kind": ["brand", "creator", "creator", "creator", "brand"],
            "name": ["Brand", "Ann", None, "Cy", "Idle"],
        }
    )
    edges = pa.table(
        {
            "source_id": ["c1", "c1", "b1"],
            "target_id": ["c2", "b1", "c2"],
            "probability": pa.array(probability, pa.float64()),
        }
    )
    return accounts, edges


def test_creators_and_whoever_has_an_edge_are_accounts() -> None:
    found = social_network(*tables([0.1, 0.2, 0.3]))
    assert found.account_id == ("b1", "c1", "c2", "c3")  # the brand without an edge is not there
    assert found.name == ("Brand", "Ann", "c2", "Cy")
    assert [found.account_id[v] for v in found.creators] == ["c1", "c2", "c3"]
    edges = {
        (found.account_id[a], found.account_id[b]): p
        for a, b, p in zip(found.network.source, found.network.target, found.network.probability, strict=True)
    }
    assert edges == {("c1", "c2"): 0.1, ("c1", "b1"): 0.2, ("b1", "c2"): 0.3}
    assert found.words == "Activation probabilities are those of the table follows."


def test_readings() -> None:
    accounts, edges = tables([None, None, None])
    assert sorted(social_network(accounts, edges).network.probability) == [0.5, 0.5, 1.0]  # 1 / in-degree
    uniform = social_network(accounts, edges, chances="uniform", chance=0.25)
    assert set(uniform.network.probability) == {0.25}
    degree = social_network(accounts, edges, chances="source_degree", chance=0.4)
    assert sorted(degree.network.probability) == [0.2, 0.4, 0.4]
    drawn = [social_network(accounts, edges, chances="trivalency", seed=seed).network.probability for seed in range(9)]
    assert set(np.concatenate(drawn)) == {0.1, 0.01, 0.001}
    with pytest.raises(ConfigError, match="needs a value"):
        social_network(accounts, edges, chances="uniform")
    with pytest.raises(ConfigError, match="takes no number"):
        social_network(accounts, edges, chances="trivalency", chance=0.2)


def test_probabilities_that_are_not_there() -> None:
    with pytest.raises(DataError, match=r"empty in 3 of 3 rows.*problem.chances=given"):
        social_network(*tables([None, None, None]), chances="given")
    with pytest.raises(DataError, match=r"empty in 1 of 3 rows.*problem.chances=in_degree"):
        social_network(*tables([0.1, None, 0.3]))
    accounts, edges = tables([0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="does not have"):
        social_network(accounts.slice(0, 2), edges)


def test_unavailable_accounts_are_found_by_id() -> None:
    found = social_network(*tables([0.1, 0.2, 0.3]))
    assert found.positions(["c3", "c1"]).tolist() == [3, 1]
    with pytest.raises(ConfigError, match=r"no account 'c33'\. Did you mean 'c3'"):
        found.positions(["c33"])


def test_candidates_are_the_first_by_reach_and_some_of_the_others() -> None:
    many = 40
    accounts = pa.table(
        {"account_id": [f"c{i}" for i in range(many)], "kind": ["creator"] * many, "name": [None] * many},
        schema=pa.schema([("account_id", pa.string()), ("kind", pa.string()), ("name", pa.string())]),
    )
    pairs = [(i, j) for i in range(many) for j in range(i)]  # later accounts reach more
    edges = pa.table(
        {
            "source_id": [f"c{i}" for i, _ in pairs],
            "target_id": [f"c{j}" for _, j in pairs],
            "probability": [0.1] * len(pairs),
        }
    )
    found = social_network(accounts, edges)
    chosen = found.candidates(10, np.array([39])).tolist()
    assert chosen[-5:] == [34, 35, 36, 37, 38]
    assert chosen[0] == 0
    assert len(chosen) == len(set(chosen)) == 10
    assert found.candidates(None, np.array([39])).tolist() == list(range(39))


def test_needs_have_names() -> None:
    assert named_needs([10, 30])[0] == ("need 1", "need 2")
    names, volumes = named_needs({"water": 2, "tents": 0})
    assert names == ("water", "tents")
    assert volumes.tolist() == [2.0, 0.0]


def asked(**settings: object) -> CascadeConfig:
    config: CascadeConfig = build(CascadeConfig, {"needs": [1, 2], **settings}, "problem.", "here")
    return config


@pytest.mark.parametrize("nothing", [None, (), {}])
def test_needs_must_be_said(nothing: object) -> None:
    with pytest.raises(ConfigError, match="nothing is said of what is needed"):
        asked(needs=nothing)


@pytest.mark.parametrize("wrong", [[0, 0], {"a": "x"}, "x", [float("inf")], [True]])
def test_needs_are_volumes(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"^problem\.needs[^\n]*$"):
        asked(needs=wrong)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("seeds", {"seeds": 2}),
        ("budget", {"budget": 9}),
        ("epsilon", {"objective": "competition", "epsilon": 0.2}),
        ("samples", {"samples": 64}),
        ("starts", {"method": "qga", "starts": 3}),
        ("needs", {"objective": "influence"}),
        ("method", {"objective": "influence", "needs": None, "method": "fast"}),
        ("activation", {"objective": "influence", "needs": None, "activation": "monte_carlo"}),
        ("allow_repeats", {"objective": "influence", "needs": None, "allow_repeats": True}),
        ("time_bounds", {"objective": "influence", "needs": None, "time_bounds": [1]}),
        ("candidates", {"objective": "influence", "needs": None, "candidates": 10}),
    ],
)
def test_a_setting_that_is_never_read_is_refused_by_name(name: str, settings: dict) -> None:
    with pytest.raises(ConfigError, match=f"^problem.{name} is for "):
        asked(**settings)


def test_settings_that_are_read_are_taken() -> None:
    asked(activation="monte_carlo", samples=64)
    asked(objective="competition", samples=64, starts=2)
    asked(objective="influence", needs=None, seeds=2, epsilon=0.2, steps=3, unavailable=["a"])


def test_loops_alone_are_no_network() -> None:
    accounts, _ = tables([0.1, 0.2, 0.3])
    loops = pa.table({"source_id": ["c1"], "target_id": ["c1"], "probability": [0.5]})
    with pytest.raises(DataError, match="none of 1 rows links one account with another"):
        social_network(accounts, loops)
