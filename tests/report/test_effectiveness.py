"""The effectiveness report: parses, escapes, says what was measured, and is the same text each time."""

import dataclasses
from functools import partial

import html_page
import numpy as np
import pytest

from micromega.models.effectiveness.result import (
    Calibration,
    EffectivenessEvaluation,
    Explained,
    Exported,
    Importance,
    TierCoverage,
)
from micromega.report.effectiveness import metric_table, render_effectiveness

Page = partial(html_page.Page, void={"meta", "br"})
BAD = '<script>alert("1")</script>'


@pytest.fixture
def result():
    own = {"log_rmse": 0.5, "noise_floor": 0.35, "rank_correlation": 0.8, "expectation_rank_correlation": 0.9,
           "coverage": 0.91, "worst_tier_coverage": 0.88, "total_ratio": 0.98, "standardised_error": 1.1,
           "half_width": 0.9, "expectation_error": 0.3}  # fmt: skip
    row = TierCoverage(tier="nano", rows=90, calibration_rows=200, own=True, coverage=0.88, width=5.5)
    return EffectivenessEvaluation(
        model="Hybrid",
        outcome="impressions",
        unit="impressions",
        level=0.9,
        metrics={"Hybrid": own, "Other": own | {"log_rmse": 0.6, "coverage": 0.99, "total_ratio": 1.01}},
        coverage=(dataclasses.replace(row, tier="all", coverage=0.91), row),
        tier_coverage={},
        calibration=Calibration(
            predicted=np.array([1.0, 2.0]), found=np.array([1.1, 2.2]), error=np.array([0.1, 0.1]), expected=None
        ),
        importance=Importance(
            constant=2.0, domains={"creator": 0.4, "history": 0.3, "market": 0.1}, columns={"log_price": 0.2}
        ),
        importance_of={"Hybrid": {"creator": 0.4, "history": 0.3, "market": 0.1}},
        explained=(
            Explained(
                creator=BAD, content_type=BAD, event=BAD, day="2024-01-01", parts=(0.0, np.log(2), -1.0),
                predicted=1234.0, found=4321.0,
            ),
        ),
        exported=Exported(rows=12_345, events=2, creators=9, plan_day="2024-05-01"),
        absent=(BAD,),
    )  # fmt: skip


def test_the_page_parses_escapes_and_says_what_was_measured(result):
    html = render_effectiveness(result, market=BAD, lineage={"Seed": BAD}, notice=BAD)
    page = Page(html)
    assert "script" not in page.tags
    assert not [value for _, key, value in page.attributes if key in ("src", "href") and not value.startswith("#")]
    text = page.text
    for words in ("12,345 posts", "Intervals hold", "off by a factor of 1.65", "91.0 %", "× 2.00", "1,230", "its own"):
        assert words in text, words
    assert html == render_effectiveness(result, market=BAD, lineage={"Seed": BAD}, notice=BAD)


def test_the_best_of_a_column_is_what_is_closest_to_right(result):
    table = metric_table(result)
    best = {
        title: [method for method, _, cells in table["rows"] if cells[place][1]]
        for place, title in enumerate(table["columns"])
    }
    assert best["RMSE, log"] == ["Hybrid"]
    assert best["Coverage"] == ["Hybrid"]
    assert best["Came / predicted"] == ["Other"]


def test_a_real_market_has_no_floor_and_the_page_stands(result):
    known = ("noise_floor", "expectation_rank_correlation", "expectation_error")
    metrics = {name: {k: v for k, v in of.items() if k not in known} for name, of in result.metrics.items()}
    bare = dataclasses.replace(result, metrics=metrics, exported=None, explained=())
    text = Page(render_effectiveness(bare, market="m", lineage={}, notice=None)).text
    assert "whoever knew" not in text
    assert "Events to come" not in text


@pytest.mark.parametrize(("coverage", "words"), [(0.92, "hold"), (0.86, "nearly hold"), (0.7, "do not hold")])
def test_the_badge_follows_the_coverage(result, coverage, words):
    metrics = {"Hybrid": {**result.metrics["Hybrid"], "coverage": coverage}}
    text = Page(render_effectiveness(dataclasses.replace(result, metrics=metrics), market="m", lineage={})).text
    assert f"Intervals {words}" in text
