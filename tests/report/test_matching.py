"""The report of a matching: its numbers are those of the matching, its texts stay texts."""

import dataclasses
import re
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from html_page import Page

from micromega.report import matching_plots
from micromega.report.matching import FIGURES, render_matching, summary
from micromega.report.matching_content import MatchingReport, Side
from micromega.solvers.matching.answer import certify, choices, plan_table
from micromega.solvers.matching.efficiency import best_allocation, satisfaction, total_weight
from micromega.solvers.matching.orders import game_from_orders

UGLY = "<b>tea & co</b>"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def side(measure: str, places: int = 6) -> Side:
    rng = np.random.default_rng(0)
    rows = {
        "order_id": [f"o{i}" for i in range(60)],
        "product_id": [UGLY if p == 0 else f"p{p}" for p in rng.integers(0, 5, 60).tolist()],
        "customer_id": [f"c{c}" for c in rng.integers(0, 9, 60).tolist()],
        "amount": rng.lognormal(2, 1, 60).tolist(),
    }
    rows["merchant_id"] = ["m0" if product in {UGLY, "p1"} else "m1" for product in rows["product_id"]]
    game = game_from_orders(pa.table(rows), measure=measure, places=places)
    matching = game.solve()
    weight = satisfaction(matching.game)
    best = best_allocation(matching.game, weight)
    return Side(
        measure=measure,
        game=game,
        matching=matching,
        choices=choices(game, matching),
        satisfaction=total_weight(matching.game, matching.product, weight),
        best_satisfaction=total_weight(matching.game, best, weight),
        most_matched=int((best >= 0).sum()),
    )


@pytest.fixture(scope="module", name="report")
def report_fixture() -> MatchingReport:
    sides = side("spending"), side("frequency")
    return MatchingReport(
        market="<i>shop</i>",
        sides=sides,
        chosen=sides[0],
        certificate=certify(sides[0].game, sides[0].matching),
    )


def test_the_page_shows_the_matching_and_nothing_else_runs(report: MatchingReport) -> None:
    html = render_matching(report, facts={"signature": "abc", "packages": {"numpy": "2"}})
    page = Page(html, VOID)
    assert "<b>tea" not in html
    assert "<i>shop" not in html
    assert not re.findall(r"https?:|@import|<script|srcset", html)
    assert page.tags.count("svg") == len(FIGURES)
    for words in (UGLY, "<i>shop</i>", "Certified stable", "total expenditure (GT)", "purchase frequency (FMC)", "abc"):
        assert words in page.text
    matched = report.chosen.matched
    assert f"{matched} of {len(report.chosen.choices)} customers advertise a product" in page.text


def test_numbers_agree_with_counting(report: MatchingReport) -> None:
    for of in report.sides:
        taken = [int(np.sum(of.matching.merchant == v)) for v in range(len(of.game.merchant_quota))]
        np.testing.assert_array_equal(of.free_slots, of.game.merchant_quota - taken)
        np.testing.assert_allclose(of.merchant_use, np.array(taken) / of.game.merchant_quota)
        assert np.all((of.product_use >= 0) & (of.product_use <= 1))
        shown = summary(of)
        assert shown["matched"] == int(np.sum(of.choices > 0)) <= shown["most"] + 2
        assert 0 <= shown["price"] < 1
        assert of.satisfaction <= of.best_satisfaction + 1e-9
        rows = plan_table(of.game, of.matching).to_pylist()
        assert len(rows) == of.matched
        reputations = [row["reputation"] for row in rows]
        assert reputations == sorted(reputations, reverse=True)
        for row in rows:
            c = of.game.creator_id.tolist().index(row["creator_id"])
            wanted = of.game.product[of.game.start[c] : of.game.start[c + 1]]
            assert of.game.product_id[wanted[row["choice"] - 1]] == row["product_id"]


def test_bars_count_everybody(report: MatchingReport) -> None:
    svg = matching_plots.choice_obtained(report.sides)
    labels = ["".join(text.itertext()) for text in ET.fromstring(svg).iter("text")]
    assert labels.count("none") == len(report.sides)


def test_a_certificate_is_not_given_to_what_blocks(report: MatchingReport) -> None:
    of = report.chosen
    nobody = type(of.matching)(product=np.full(len(of.choices), -1), game=of.matching.game, check=of.matching.check)
    broken = certify(of.game, nobody)
    assert not broken.ok
    assert [check.name for check in broken.checks if not check.ok] == ["stability"]


def test_a_certificate_is_not_given_to_another_order_of_reputation(report: MatchingReport) -> None:
    game = report.chosen.game
    upside_down = dataclasses.replace(game, reputation=-game.reputation).solve()
    assert upside_down.check.stable  # by its own order
    broken = certify(game, upside_down)
    assert not broken.ok
    assert "reputation" in [check.name for check in broken.checks if not check.ok]
