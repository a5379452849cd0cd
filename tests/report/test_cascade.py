"""The report of a cascade: its numbers are those of the plan, its texts stay texts, its pictures hold all."""

import dataclasses
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from html_page import Page

from micromega.report import cascade_map, cascade_plots
from micromega.report.cascade import render_influence, render_needs
from micromega.report.cascade_content import Bound, InfluenceReport, NeedsReport
from micromega.report.cascade_layout import layout
from micromega.solvers.cascade import Network, match_needs, maximise_influence
from micromega.solvers.cascade.activation import network_activation
from micromega.solvers.cascade.alternatives import ranked_alternatives
from micromega.solvers.cascade.awareness import awareness, donation, influence
from micromega.solvers.cascade.certificate import certify
from micromega.solvers.cascade.certificate_influence import certify_influence
from micromega.solvers.cascade.evidence import gather
from micromega.solvers.cascade.from_market import SocialNetwork
from micromega.solvers.plan import Status

UGLY = "<b>Ann & Bob</b>"
VOID = {"meta", "br", "hr", "img", "link", "input"}
MANY = 40
NEEDS, NAMES = np.array([3.0, 6.0, 2.0]), ("water", "<i>tents</i>", "food")


@pytest.fixture(scope="module", name="social")
def social_fixture() -> SocialNetwork:
    rng = np.random.default_rng(1)
    pairs = np.array([(a, b) for a in range(35) for b in range(35) if a != b and rng.random() < 0.1])
    return SocialNetwork(
        network=Network.of(pairs, rng.uniform(0.05, 0.4, len(pairs)), nodes=MANY),
        account_id=tuple(f"c{i}" for i in range(MANY)),
        name=(UGLY,) * MANY,
        creators=np.arange(MANY),
        words="An edge activates at will.",
    )


@pytest.fixture(scope="module", name="report")
def report_fixture(social: SocialNetwork) -> NeedsReport:
    network, rows = social.network, np.arange(MANY)
    own = network_activation(network)
    match = match_needs(own, NEEDS)
    evidence = gather(network, match.creators, NEEDS, simulations=500, seed=2)
    bounds = tuple(
        Bound(steps=t, sets=ranked_alternatives(network_activation(network, steps=t), NEEDS), own=t is None)
        for t in (1, 2, None)
    )
    within = [awareness(network_activation(network, steps=t), match.creators) for t in range(len(evidence.by_step))]
    return NeedsReport(
        market="<i>town</i>",
        social=social,
        candidates=rows,
        available=MANY,
        names=NAMES,
        needs=NEEDS,
        creators=match.creators,
        influence=influence(own, match.creators),
        donation=donation(influence(own, match.creators)),
        by_bound=np.stack(within),
        evidence=evidence,
        certificate=certify(
            network, match.creators, NAMES, NEEDS, evidence, claimed=match.awareness, allowed=rows, status=match.status
        ),
        bounds=bounds,
        competition=False,
        activation="the likeliest path alone",
        method="local search",
        every_set=False,
        sampled=False,
    )


def test_the_page_shows_the_plan_and_nothing_else_runs(report: NeedsReport) -> None:
    html = render_needs(report, facts={"signature": "abc", "packages": {"numpy": "2"}})
    page = Page(html, VOID)
    assert "<b>Ann" not in html
    assert "<i>t" not in html
    assert not re.findall(r"https?:|@import|<script|srcset", html)
    assert page.tags.count("svg") == len(cascade_plots.NEEDS_FIGURES)
    for words in (UGLY, "<i>town</i>", "<i>tents</i>", "Certified", "3 needs of 11 accounts", "abc", "at will"):
        assert words in page.text
    for closed, process in zip(report.evidence.closed_form, report.evidence.process, strict=True):
        assert f"{closed:.2f}" in page.text
        assert f"{process:.2f}" in page.text
    for bound in report.bounds:
        assert f"Time bound: {bound.words}" in page.text
    plans = re.findall(r'<td class="n">(\d+) <span class="tag">the plan</span>', html)
    assert plans == ["1"]  # local search: nothing in the table is cheaper
    assert html.count("first choice</span>") == len(report.bounds) - 1
    assert page.text.count("holds") == sum(not name.startswith(("cost_", "needs.")) for name in checks(report))
    assert len(re.findall(r">found<", html)) == 2 + len(NAMES)
    assert html == render_needs(report, facts={"signature": "abc", "packages": {"numpy": "2"}})


def test_a_plan_that_fails_is_not_praised_and_disagreement_is_said(report: NeedsReport) -> None:
    failing = dataclasses.replace(report.certificate.checks[0], ok=False)
    certificate = dataclasses.replace(report.certificate, checks=(failing,))
    assert "Do not use" in render_needs(dataclasses.replace(report, certificate=certificate), facts={})
    evidence = dataclasses.replace(report.evidence, process_cost=report.evidence.cost + 2)
    far = render_needs(dataclasses.replace(report, evidence=evidence), facts={})
    near = render_needs(
        dataclasses.replace(report, evidence=dataclasses.replace(evidence, process_cost=evidence.cost)), facts={}
    )
    assert "Closed form and process disagree" in far
    assert "Closed form and process disagree" not in near


def test_every_account_and_every_edge_is_drawn_once(report: NeedsReport) -> None:
    svg = ET.fromstring(cascade_map.network_of_needs(report))
    assert len(list(svg.iter("use"))) == MANY + 2 * len(NAMES)  # accounts, creators and the legend
    network = report.social.network
    links = np.unique(np.sort(np.column_stack([network.source, network.target]), axis=1), axis=0)
    longest = max((path.get("d", "") for path in svg.iter("path")), key=len)
    assert longest.count("M") == len(links)


def checks(report: NeedsReport) -> list[str]:
    return [check.name for check in report.certificate.checks]


def test_what_was_proved_is_said_and_no_more(report: NeedsReport) -> None:
    best = dataclasses.replace(report.certificate, status=Status.OPTIMAL)
    some = dataclasses.replace(report, every_set=True, available=MANY + 5)
    sampled = dataclasses.replace(report, every_set=True, sampled=True)
    for of, badge, words in (
        (report, "Certified", "the search proves nothing"),
        (dataclasses.replace(report, certificate=best), "Certified best", "No other set of available creators"),
        (some, "Best of the 40 considered", "5 available creators were left out"),
        (sampled, "Best of the 40 considered", "other samples may say otherwise"),
    ):
        html = render_needs(of, facts={})
        assert re.search(rf'class="badge good">{badge}<', html)
        assert words in html


def test_a_cheaper_set_than_the_plan_and_nobody_to_stand_by_are_said(report: NeedsReport) -> None:
    own = report.bounds[-1]
    assert "less than the plan" not in render_needs(report, facts={})
    plan = dataclasses.replace(own.first, cost=own.first.cost + 100)
    others = tuple(one for one in own.sets if not one.first)[:1]
    worse = dataclasses.replace(own, sets=(*others, plan))
    html = render_needs(dataclasses.replace(report, bounds=(worse,)), facts={})
    text = Page(html, VOID).text
    assert "1 set of the table costs less than the plan" in text
    assert len(worse.irreplaceable) == len(NAMES) - len(others[0].without)
    assert "no set stands by for" in text
    assert "no set stands by for" not in render_needs(dataclasses.replace(report, bounds=(own,)), facts={})


def test_of_many_accounts_the_caption_says_what_is_drawn(report: NeedsReport) -> None:
    many, rng = 4_039, np.random.default_rng(3)
    pairs = np.unique(rng.integers(0, many, (9_000, 2)), axis=0)
    large = dataclasses.replace(
        report.social,
        network=Network.of(pairs, 0.1, nodes=many),
        account_id=tuple(f"c{i}" for i in range(many)),
        name=tuple(f"c{i}" for i in range(many)),
    )
    wide = np.zeros((len(NAMES), many))
    wide[:, :MANY] = report.donation
    shown = dataclasses.replace(report, social=large, donation=wide)
    html = render_needs(shown, facts={})
    links = len(np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0))
    assert f"Drawn: 6,000 of {links:,} links between them (at random)." in html.split("<figcaption>")[1]
    svg = ET.fromstring(cascade_map.network_of_needs(shown))
    longest = max((path.get("d", "") for path in svg.iter("path")), key=len)
    assert longest.count("M") == cascade_map.MOST_EDGES
    assert len(list(svg.iter("use"))) == many + 2 * len(NAMES)
    assert "Drawn:" not in render_needs(report, facts={})


def test_circles_of_the_framework_are_the_sets(report: NeedsReport) -> None:
    svg = cascade_plots.framework(report)
    texts = ["".join(text.itertext()) for text in ET.fromstring(svg).iter("text")]
    ranks = [int(text) for text in texts if text.strip().isdecimal()]
    inside = [i + 1 for bound in report.bounds for i in range(len(bound.sets))]
    places = [ranks[i : i + len(inside)] for i in range(len(ranks))]
    assert inside in places  # a number for each set, in its order; the others are of the axes
    assert cascade_plots._beside([1.0, 1.01, 1.02, 5.0, 5.01], 0.5) == [0, 1, 2, 0, 1]


def test_marks_part_and_many_accounts_are_thinned_out() -> None:
    at = cascade_map._apart(np.zeros((4, 2)), 0.1)
    gaps = np.hypot(*(at[:, None] - at[None]).T)[np.triu_indices(4, 1)]
    assert gaps.min() > 0.05
    many = cascade_map.MOST_NODES + 500
    chance = np.zeros(many)
    chance[7] = 0.9
    shown = cascade_map._shown(many, np.array([3, many - 1]), chance, np.zeros(many, np.int64))
    assert len(shown) == cascade_map.MOST_NODES
    assert {3, 7, many - 1} <= set(shown.tolist())


def test_a_layout_brings_friends_together() -> None:
    rng = np.random.default_rng(0)
    two = [(a, b) for part in (range(15), range(15, 30)) for a in part for b in part if a < b and rng.random() < 0.5]
    at = layout(32, np.array([*two, (0, 15)]))
    linked = np.array(two)
    near = np.linalg.norm(at[linked[:, 0]] - at[linked[:, 1]], axis=1).mean()
    across = np.linalg.norm(at[:15, None] - at[None, 15:30], axis=2).mean()
    assert near < 0.6 * across
    assert np.all(at[30:, 1] < at[:30, 1].min())  # without a link: below
    np.testing.assert_array_equal(at, layout(32, np.array([*two, (0, 15)])))
    assert layout(3, np.zeros((0, 2), np.int64)).shape == (3, 2)


def test_the_page_of_influence(social: SocialNetwork) -> None:
    network = social.network
    edges = np.column_stack([network.source, network.target])
    found = maximise_influence(edges, network.probability, 3, nodes=MANY, seed=1)
    prices = np.full(MANY, math.nan)
    report = InfluenceReport(
        market="<i>town</i>",
        social=social,
        found=found,
        reached=np.linspace(0, 1, MANY),
        growth=np.array([3.0, 5.0, 6.5]),
        by_step=np.array([3.0, 5.5, 6.0, 6.5]),
        alone=np.array([3.0, 2.5, 2.0]),
        price=prices[found.seeds],
        currency="EUR",
        certificate=certify_influence(
            network, found, allowed=np.arange(MANY), most=3, prices=prices, budget=None, simulations=500, seed=3
        ),
    )
    html = render_influence(report, facts={})
    page = Page(html, VOID)
    assert "<b>Ann" not in html
    assert page.tags.count("svg") == len(cascade_plots.INFLUENCE_FIGURES)
    assert f"3 seeds reach {found.spread.mean:.1f} of 40 accounts" in page.text
    assert "EUR" not in page.text
    priced = dataclasses.replace(report, price=np.array([5.0, 6.0, 7.0]))
    assert "EUR" in render_influence(priced, facts={})
