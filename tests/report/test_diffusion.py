"""The diffusion report: parses, escapes, says what was measured, and is the same text each time."""

import dataclasses
from functools import partial

import html_page
import numpy as np
import pytest

from micromega.models.diffusion.result import AgainstTruth, DiffusionEvaluation, Exported, SeenGroup, Strong
from micromega.report.diffusion import metric_table, render_diffusion, seen_table
from micromega.scores import Reliability

Page = partial(html_page.Page, void={"meta", "br"})
BAD = '<script>alert("1")</script>'
OWN, EM, RATE = "Network + counts", "EM (Saito et al.)", "Mean rate"


def curve(observed):
    return Reliability(
        predicted=np.array([0.03, 0.1]), observed=np.array(observed), lower=np.array(observed) - 0.02,
        upper=np.array(observed) + 0.02, count=np.array([50, 50]),
    )  # fmt: skip


@pytest.fixture
def result():
    own = {"log_loss": 0.21, "auc": 0.62, "brier": 0.05, "calibration_error": 0.004, "rmse": 0.03, "mae": 0.02,
           "correlation": 0.5, "rank_correlation": 0.55}  # fmt: skip
    error = {OWN: 0.03, EM: 0.11, RATE: 0.04}
    strong = Strong(
        source=BAD, target=BAD, probability=0.256, deviation=0.04, exposures=16, activations=11.0, known=0.31
    )
    return DiffusionEvaluation(
        model=OWN,
        metrics={
            OWN: own,
            EM: own | {"log_loss": 0.61, "rmse": 0.11},
            RATE: own | {"log_loss": 0.22, "auc": 0.5, "correlation": np.nan, "rank_correlation": np.nan},
        },
        floor=0.2,
        reliability=dict.fromkeys((OWN, EM, RATE), curve([0.035, 0.09])),
        seen=(
            SeenGroup(name="none", edges=20, exposures=0, log_loss=dict.fromkeys(error, np.nan), error=error),
            SeenGroup(name="1–4", edges=3571, exposures=400, log_loss=error, error=error),
        ),
        against_truth=AgainstTruth(
            bounds=np.geomspace(0.01, 0.5, 4), edges=np.array([[0, 3, 1], [2, 0, 0], [0, 0, 9]]),
            predicted=np.array([0.02, 0.2]), known=np.array([0.03, 0.1]),
        ),
        exported=Exported(
            rows=9947, bounds=np.linspace(0, 0.3, 4), edges=np.array([9000, 900, 47]), mean=0.059,
            metrics={"rmse": 0.035, "correlation": 0.57}, strongest=(strong,),
        ),
        absent=(BAD,),
        facts={"outcomes": 12_433, "shared": False, "kind": "empirical_bayes", "weight": 67.2, "rate": 0.058,
               "windows": {"train": {"exposures": 700, "activations": 40, "first_day": "2024-01-01"}}},
    )  # fmt: skip


def test_the_page_parses_escapes_and_says_what_was_measured(result):
    html = render_diffusion(result, market=BAD, lineage={"Seed": BAD}, notice=BAD)
    page = Page(html)
    assert "script" not in page.tags
    assert not [value for _, key, value in page.attributes if key in ("src", "href") and not value.startswith("#")]
    for words in (
        "On 12,433 later exposures the log loss is 0.2100", "50 % of what can be gained is gained",
        "Probabilities hold",
        "worse than one rate for all edges", "holds 9,947 follows", "25.6 %", "67.2 exposures", "each exposure’s own",
        "700 exposures, 40 activations, of posts first seen from 2024-01-01 on",
    ):  # fmt: skip
        assert words in page.text, words
    assert html == render_diffusion(result, market=BAD, lineage={"Seed": BAD}, notice=BAD)


def test_the_best_of_a_column_is_marked(result):
    table = metric_table(result)
    best = {
        title: [method for method, _, cells in table["rows"] if cells[place][1]]
        for place, title in enumerate(table["columns"])
    }
    assert best["Log loss"] == [OWN]
    assert best["AUC"] == [OWN, EM]
    assert best["Correlation with known P"] == [OWN, EM]
    assert seen_table(result)["known"]
    assert seen_table(result)["rows"][0][3] == [("0.0300", True), ("0.1100", False), ("0.0400", False)]


def test_a_real_market_has_no_truth_and_the_page_stands(result):
    known = {"rmse", "mae", "correlation", "rank_correlation"}
    bare = dataclasses.replace(
        result,
        metrics={name: {k: v for k, v in of.items() if k not in known} for name, of in result.metrics.items()},
        floor=None,
        against_truth=None,
        seen=tuple(dataclasses.replace(group, error={}) for group in result.seen),
        exported=dataclasses.replace(
            result.exported, metrics={}, strongest=(dataclasses.replace(result.exported.strongest[0], known=None),)
        ),
    )
    text = Page(render_diffusion(bare, market="m", lineage={})).text
    for words in ("whoever knew", "Against the truth", "Known P", "known probabilities"):
        assert words not in text, words
    assert "Log loss on test exposures, by how often" in text
    one = dataclasses.replace(bare, metrics={OWN: bare.metrics[OWN]}, exported=None)
    assert "Strongest edges" not in Page(render_diffusion(one, market="m", lineage={})).text


@pytest.mark.parametrize(
    ("observed", "words"),
    [([0.03, 0.1], "hold"), ([0.03, 0.15], "nearly hold"), ([0.08, 0.2], "do not hold")],
)
def test_the_badge_follows_the_intervals(result, observed, words):
    changed = dataclasses.replace(result, reliability={OWN: curve(observed)})
    assert f"Probabilities {words}" in Page(render_diffusion(changed, market="m", lineage={})).text


def test_shared_outcomes_and_a_loss_against_one_rate_are_said(result):
    metrics = {
        OWN: result.metrics[OWN] | {"log_loss": 0.23},
        RATE: result.metrics[RATE],
        "Network": result.metrics[OWN],
    }
    changed = dataclasses.replace(result, metrics=metrics, facts={**result.facts, "shared": True})
    text = Page(render_diffusion(changed, market="m", lineage={})).text
    assert "nothing is gained" in text
    assert "12,433 later targets of posts" in text
    assert "adds nothing to what the network expects" in text
    assert "noisy-or" in text
