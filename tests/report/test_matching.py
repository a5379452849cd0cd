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
from micromega.report.matching_content import MatchingReport, Side, limits_of
from micromega.solvers.matching.answer import certify, choices, plan_table
from micromega.solvers.matching.efficiency import best_allocation, satisfaction
from micromega.solvers.matching.orders import game_from_orders

UGLY = "<b>tea & co</b>"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def side(measure: str, places: int = 6, **settings) -> Side:
    rng = np.random.default_rng(0)
    rows = {
        "order_id": [f"o{i}" for i in range(60)],
        "product_id": [UGLY if p == 0 else f"p{p}" for p in rng.integers(0, 5, 60).tolist()],
        "customer_id": [f"c{c}" for c in rng.integers(0, 9, 60).tolist()],
        "amount": rng.lognormal(2, 1, 60).tolist(),
    }
    rows["merchant_id"] = ["m0" if product in {UGLY, "p1"} else "m1" for product in rows["product_id"]]
    game = game_from_orders(pa.table(rows), measure=measure, places=places)
    return beside(game, game.solve(**settings), f"by {game.standing_words}")


def beside(game, matching, words) -> Side:
    weight = satisfaction(matching.game)
    best = best_allocation(matching.game, weight)
    return Side(
        words=words,
        game=game,
        matching=matching,
        choices=choices(matching),
        satisfaction=float(weight[matching.pair].sum()),
        best_satisfaction=float(weight[best].sum()),
        most_matched=len(np.unique(np.searchsorted(matching.game.start, best, side="right"))),
    )


def report_of(*sides: Side, **least) -> MatchingReport:
    return MatchingReport(
        market="<i>shop</i>",
        sides=sides,
        chosen=sides[0],
        certificate=certify(sides[0].game, sides[0].matching, **least),
        limits=limits_of(sides[0].game, "drawn", 1),
    )


@pytest.fixture(scope="module", name="report")
def report_fixture() -> MatchingReport:
    return report_of(side("spending"), side("frequency"))


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
    assert f"{matched} of {report.chosen.creators} customers advertise a product" in page.text


def test_numbers_agree_with_counting(report: MatchingReport) -> None:
    for of in report.sides:
        taken = [int(np.sum(of.matching.merchant == v)) for v in range(len(of.game.merchant_quota))]
        np.testing.assert_array_equal(of.free_slots, of.game.merchant_quota - taken)
        np.testing.assert_allclose(of.merchant_use, np.array(taken) / of.game.merchant_quota)
        assert np.all((of.product_use >= 0) & (of.product_use <= 1))
        shown = summary(of)
        assert shown["matched"] == len(of.choices) <= shown["most"] + 2
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


def test_places_by_reputation_are_those_of_the_drawn_order() -> None:
    tied = side("frequency")
    equals = dataclasses.replace(tied.game, reputation=np.ones(len(tied.game.reputation)))
    found = equals.solve(seed=3)
    drawn = beside(equals, found, "by lot")
    order = found.game.shared_order.tolist()
    assert drawn.standing.tolist() == [order.index(c) + 1 for c in found.creator.tolist()]
    assert sorted(drawn.standing.tolist()) != drawn.standing.tolist()
    kept = beside(equals, equals.solve(ties="kept"), "kept")
    assert set(kept.standing.tolist()) == {1}
    kept = beside(tied.game, tied.game.solve(ties="kept"), "kept")
    above = [int(np.sum(tied.game.reputation > tied.game.reputation[c])) + 1 for c in kept.matching.creator]
    assert kept.standing.tolist() == above


def test_figures_say_what_they_show(report: MatchingReport) -> None:
    assert "By total expenditure (GT): " in matching_plots.merchant_use(report.sides)
    assert "Choice obtained by reputation" in matching_plots.rank_and_choice(report.sides)
    of = report.chosen
    game = dataclasses.replace(of.game, standing=np.random.default_rng(0).random(len(of.game.product)))
    by_scores = (beside(game, game.solve(), "best for creators"),)
    figure = "".join(ET.fromstring(matching_plots.rank_and_choice(by_scores)).itertext())
    assert "Choice obtained by place on the merchant's list" in figure


def test_a_certificate_is_not_given_to_what_blocks(report: MatchingReport) -> None:
    of = report.chosen
    nobody = dataclasses.replace(of.matching, pair=np.zeros(0, np.int64))
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


def test_a_certificate_is_not_given_to_another_game(report: MatchingReport) -> None:
    of = report.chosen
    other = dataclasses.replace(of.game, product_quota=of.game.product_quota + 1)
    assert "game" in [check.name for check in certify(other, of.matching).checks if not check.ok]


def test_lists_that_do_not_follow_the_numbers_are_found() -> None:
    game = side("frequency").game
    for ties in ("drawn", "kept"):
        assert certify(game, game.solve(ties=ties)).ok
    worth = game.worth.copy()
    first, last = game.start[0], game.start[1] - 1
    assert worth[first] > worth[last]
    worth[[first, last]] = worth[[last, first]]
    assert not certify(dataclasses.replace(game, worth=worth), game.solve()).ok
    tied = game.solve(ties="kept")
    assert tied.game.tied
    apart = dataclasses.replace(game, reputation=game.reputation + 1e-3 * np.arange(len(game.reputation)))
    assert not certify(apart, tied).ok


def test_unmet_lower_quotas_are_said_and_break_nothing() -> None:
    report = report_of(side("spending", places=12), product_least=3, merchant_least=1)
    assert report.certificate.ok
    page = Page(render_matching(report, facts={}), VOID)
    assert "products have fewer than the 3 creators wanted" in page.text
    assert "Every merchant has 1 creators or more" in page.text
    assert "not met" in page.text
    short = [check for check in report.certificate.checks if check.name == "least_per_product"]
    taken = np.bincount(report.chosen.game.product[report.chosen.matching.pair], minlength=5)
    assert short[0].value == np.sum(taken < 3) > 0


def test_several_products_and_other_stable_matchings_are_shown() -> None:
    many = side("spending", places=9, creator_quota=2)
    page = Page(render_matching(report_of(many), facts={}), VOID)
    assert f"{many.matched} of {many.creators} customers" in page.text
    assert len(plan_table(many.game, many.matching)) == len(many.choices) > many.matched
    rng = np.random.default_rng(3)
    game = dataclasses.replace(many.game, standing=rng.random(len(many.game.product)))
    sides = [
        beside(game, game.solve(optimal_for=of), words)
        for of, words in (("creators", "best for creators"), ("merchants", "best for merchants"))
    ]
    page = Page(render_matching(report_of(*sides), facts={}), VOID)
    for words in ("The stable matchings", "best for merchants", "Last place, merchants", "Score", "creators advertise"):
        assert words in page.text
