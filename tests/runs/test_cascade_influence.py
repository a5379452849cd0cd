"""`optimize.py problem=cascade problem.objective=influence`: both models, all algorithms, and refusals by name."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from micromega.errors import ConfigError, DataError, InfeasibleError
from micromega.runs import cascade_influence
from micromega.runs.optimize import run
from micromega.solvers.cascade import Network, exact_spread

EDGES = [(0, 1), (0, 2), (0, 3), (4, 5), (4, 6), (3, 4), (1, 3)]
MANY = 8


@pytest.fixture(name="market")
def market_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "village"
    folder.mkdir()
    (folder / "market.yaml").write_text("name: village\ncurrency: EUR\n", encoding="utf-8")
    ids = [f"c{i}" for i in range(MANY)]
    tables = {
        "accounts": {"account_id": ids, "kind": ["creator"] * MANY},
        "follows": {"source_id": [f"c{a}" for a, _ in EDGES], "target_id": [f"c{b}" for _, b in EDGES]},
        "prices": {"creator_id": ids, "content_type": ["post"] * MANY, "price": [10.0 + i for i in range(MANY)]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


@pytest.fixture(name="optimize")
def optimize_fixture(request_of, market):
    def optimize(*overrides: str) -> tuple[float | None, Path]:
        asked = request_of(
            "problem=cascade", "optimized_metric=objective", "problem.objective=influence", "problem.simulations=4000",
            *overrides, task="optimize", market=("market=folder", f"market.path={market}"),
        )  # fmt: skip
        return run(*asked), asked[2]

    return optimize


def network() -> Network:
    """The market's follows, by the default reading: 1 / in-degree of the target."""
    into = np.bincount([b for _, b in EDGES], minlength=MANY)
    return Network.of(EDGES, [1 / into[b] for _, b in EDGES], MANY)


@pytest.mark.parametrize("algorithm", ["opim_c", "imm", "celf"])
@pytest.mark.parametrize("model", ["ic", "lt"])
def test_every_algorithm_in_both_models(optimize, model: str, algorithm: str) -> None:
    reached, folder = optimize("problem.seeds=2", f"problem.model={model}", f"problem.algorithm={algorithm}")
    rows = pq.read_table(folder / "plan.parquet").to_pylist()
    seeds = [int(row["creator_id"][1:]) for row in rows]
    exact = exact_spread(network(), seeds, model)
    found = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    assert found["ok"]
    assert found["objective"] == pytest.approx(exact, abs=0.1)
    assert reached == pytest.approx(exact, abs=0.1)
    best = max(exact_spread(network(), [a, b], model) for a in range(MANY) for b in range(a))
    assert exact >= 0.9 * best
    for row, seed in zip(rows, seeds, strict=True):
        assert row["alone"] == pytest.approx(exact_spread(network(), [seed], model), abs=0.25)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert ("nothing is proven beyond them" in page) == (algorithm == "celf")
    assert ("threshold of their own" in page) == (model == "lt")
    assert (found["upper_bound"] is None) == (algorithm != "opim_c")


def test_the_models_differ(optimize) -> None:
    """1 follows both 0 and 1: 3 of in-degree 2 is active for sure in linear threshold, with 3/4 in the cascade."""
    reached = {model: optimize("problem.seeds=1", f"problem.model={model}")[0] for model in ("ic", "lt")}
    for model, mean in reached.items():
        assert mean == pytest.approx(exact_spread(network(), [0], model), abs=0.1)
    assert reached["lt"] > reached["ic"] + 0.5


def test_a_budget_and_a_time_bound_in_linear_threshold(optimize) -> None:
    reached, folder = optimize("problem.budget=24", "problem.model=lt", "problem.steps=1")
    rows = pq.read_table(folder / "plan.parquet").to_pylist()
    assert sum(row["price"] for row in rows) <= 24
    seeds = [int(row["creator_id"][1:]) for row in rows]
    assert reached == pytest.approx(exact_spread(network(), seeds, "lt", 1), abs=0.1)


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        (("problem.seeds=9",), ConfigError, r"problem\.seeds is 9; 8 creators are available"),
        (("problem.seeds=8", "problem.unavailable=[c1]"), ConfigError, r"7 or fewer, or take some out of problem\.una"),
        (("problem.seeds=2", "problem.epsilon=0.64"), ConfigError, r"problem\.epsilon is 0\.64. Give less than 0\.632"),
        (("problem.budget=20", "problem.epsilon=0.5"), ConfigError, r"problem\.epsilon is 0\.5. Give less than 0\.500"),
        (
            ("problem.budget=9",),
            InfeasibleError,
            r"problem\.budget: nobody is within the budget of 9; the cheapest .* 10",
        ),
        (("problem.budget=20", "problem.algorithm=imm"), ConfigError, r"problem\.algorithm=imm is for problem\.seeds"),
        (("problem.seeds=2", "problem.model=sir"), ConfigError, r"problem\.model"),
        (
            ("problem.seeds=2", "problem.model=lt", "problem.chances=uniform", "problem.chance=0.8"),
            DataError,
            r"problem\.model=lt: .* sum to 1\.6.*problem\.chances=in_degree",
        ),
    ],
)
def test_what_cannot_be_is_named(optimize, overrides: tuple[str, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        optimize(*overrides)


@pytest.mark.parametrize(("setting", "value"), [("model", "lt"), ("algorithm", "imm")])
def test_needs_take_neither_model_nor_algorithm(optimize, setting: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"problem\.{setting}.* is for problem\.objective=influence"):
        optimize("problem.objective=closed_form", "problem.needs=[2,3]", f"problem.{setting}={value}")


def test_seeds_alone_and_one_by_one_take_few_simulations(optimize, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    sizes_of = cascade_influence.sizes_of
    monkeypatch.setattr(cascade_influence, "sizes_of", lambda *given: (asked.append(given[2]), sizes_of(*given))[1])
    optimize("problem.seeds=3")
    assert asked == [1_000] * 6
