"""Train, evaluate, optimise through the command line: a certified plan that a second start gives byte for byte."""

import json

import pyarrow.parquet as pq
import pytest
from lab import Lab, run_folder
from tables import SCORED

from micromega.scores import read_scores


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("lab"))


def test_from_market_to_certified_plan(lab):
    place = lab.place("pipeline")
    for script in ("train", "evaluate", "optimize"):
        process = lab.run(script, place, *SCORED, "problem.budget=3000", tiny=False)
        assert process.status() == 0, process.output
        assert "Traceback" not in process.output
    evaluated, planned = run_folder(place, "evaluate"), run_folder(place, "optimize")
    record = json.loads((run_folder(place) / "run.json").read_text())
    scores = read_scores(
        evaluated / "affinity.parquet", market_fingerprint=record["market_fingerprint"], require_additive=True
    )
    assert scores.table.num_rows
    certificate = json.loads((planned / "certificate.json").read_text())
    assert certificate["ok"] is True
    assert certificate["gap"] <= 0.01  # the proven one; the solver's own is not asked
    plan = pq.read_table(planned / "plan.parquet")
    assert plan.num_rows
    assert sum(plan["price"].to_pylist()) <= 3000
    page = (planned / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    before = (planned / "plan.parquet").read_bytes()
    process = lab.run("optimize", place, *SCORED, "problem.budget=3000", tiny=False)
    assert process.status() == 0, process.output
    assert (planned / "plan.parquet").read_bytes() == before


def test_evaluating_before_training_says_what_to_run(lab):
    process = lab.run("evaluate", lab.place("untrained"), *SCORED, tiny=False)
    assert process.status() == 1
    assert "Run train.py with the same settings first" in process.output
    assert "Traceback" not in process.output
