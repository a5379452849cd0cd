"""The sizing page says what the plan says, never hides a guess, shows texts as texts, and stays whole without parts."""

import dataclasses
import functools
import html as markup
import re
from functools import partial
from xml.etree import ElementTree as ET

import html_page
import numpy as np
import pytest

from micromega.report import sizing, sizing_plots
from micromega.report.sizing import render_sizing
from micromega.runs.response import NARROW
from micromega.solvers.plan import Status
from micromega.solvers.sizing import SizingProblem, Standing, heatmap, solve, verify

Page = partial(html_page.Page, void={"meta", "br"})
GRID = np.linspace(np.log(300), np.log(5e6), 60)
S_SHAPED = 7.2 + 0.12 * GRID + 4.2 / (1 + np.exp(-1.4 * (GRID - 10.6)))
STEP_AT_THE_END = S_SHAPED + 6 / (1 + np.exp(-4 * (GRID - 15)))
SUPPORT = (np.log(900.0), np.log(1.2e6))
FACTS = {
    "signature": "abc123",
    "seed": 7,
    "git_commit": "0123abc",
    "packages": {"numpy": "2.4"},
    "started_at": "2026-11-22T10:00:00Z",
}


def problem_of(curve=S_SHAPED, **changes):
    settings = {
        "log_followers": GRID,
        "log_impressions": curve,
        "value_per_impression": 0.02,
        "cost_per_thousand": 10.0,
        "lower": curve - 0.15,
        "upper": curve + 0.15,
        "support": SUPPORT,
        "smearing": 1.2,
        "actual": (50_000.0, 1_500_000.0),
        "currency": "USD",
        "subject": "#UnwrapTheDeals",
        "notes": ("Bands show sampling variability.",),
    }
    return SizingProblem(**(settings | changes))


@functools.cache
def plan_of(kind="inside"):
    changes = {
        "inside": {},
        "beyond": {"curve": STEP_AT_THE_END},
        "nothing": {"fixed_cost": 100_000.5, "actual": ()},
        "nothing beyond": {"curve": STEP_AT_THE_END, "fixed_cost": 50_000.0},
        "edge": {"support": (np.log(900.0), np.log(solve(problem_of()).optimum.followers)), "actual": ()},
        "whole curve": {"cost_per_thousand": 0.0, "support": None},
        "unknown support": {"support": None},
        "draws": {"draws": S_SHAPED + np.random.default_rng(0).normal(0, 0.4, (200, 1)) * np.tanh(GRID - 11)},
        "bare": {
            "lower": None, "upper": None, "support": None, "actual": (), "currency": "", "subject": "", "notes": (),
        },
        "price list": {"cost_per_thousand": None, "price": np.exp(GRID) * 0.01 + 40, "fixed_cost": 25.0},
    }[kind]  # fmt: skip
    return solve(problem_of(**changes))


def page_of(plan, *, market="demo", facts=FACTS, with_heatmap=True, certificate=None):
    problem = plan.problem
    found = heatmap(problem, values=[0.01, 0.02, 0.2], costs=[5, 10, 1000]) if with_heatmap else None
    return render_sizing(problem, plan, certificate or verify(problem, plan), found, market=market, facts=facts)


@functools.cache
def page(kind="inside"):
    return page_of(plan_of(kind))


def shown(value, digits=0):
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def about(value):
    return f"{float(f'{value:.3g}'):,.0f}"


def cells_of(html, section, table=0):
    body = html.split(f'<section id="{section}">')[1].split("</section>")[0]
    rows = body.split("<tbody>")[table + 1].split("</tbody>")[0].split("</tr>")[:-1]
    return [
        [
            markup.unescape(re.sub("<[^>]*>", "", cell)).replace("\N{NO-BREAK SPACE}", " ")
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row)
        ]
        for row in rows
    ]


def test_the_plans_are_of_the_kinds_that_these_tests_want():
    kinds = {
        "inside": Standing.INTERIOR,
        "beyond": Standing.EXTRAPOLATED,
        "nothing": Standing.UNPROFITABLE,
        "nothing beyond": Standing.EXTRAPOLATED,
        "edge": Standing.EDGE,
        "whole curve": Standing.EDGE,
        "unknown support": Standing.INTERIOR,
    }
    assert {kind: plan_of(kind).standing for kind in kinds} == kinds
    assert plan_of("nothing beyond").recommended is None
    assert plan_of("beyond").recommended is not None


def test_the_first_sentence_recommends_a_size():
    best = plan_of().optimum
    assert (
        f"Look for a creator with about {about(best.followers)} followers ({best.tier}): expect about "
        f"{about(best.impressions)} impressions for USD {shown(best.cost)}, and a profit of USD {shown(best.profit)}."
    ) in Page(page()).text
    assert 'class="badge good"' in page()
    assert 'class="alarm' not in page()


@pytest.mark.parametrize("kind", ["beyond", "nothing beyond"])
def test_an_optimum_outside_what_was_observed_cannot_be_missed(kind):
    html, plan = page(kind), plan_of(kind)
    text = Page(html).text
    alarm = text.index("The optimum lies outside what was observed.")
    assert f"The curve is highest at {about(plan.optimum.followers)} followers (mega)" in text
    assert "between 900 and" not in text[:alarm]
    assert html.index('role="alert"') < html.index('class="verdict"')
    assert 'class="badge bad">Outside what was observed' in html
    recommended = "Among sizes that were observed, the best is about" if kind == "beyond" else "Sponsor nobody"
    assert recommended in text
    assert about(plan.supported.followers) in text.split(recommended)[1][:80]
    assert "highest of the curve, not observed" in text


def test_a_weak_instrument_behind_the_curve_cannot_be_missed():
    plan = plan_of()
    warned = dataclasses.replace(plan, notes=("WEAK INSTRUMENT: its effective F is 3.2.", *plan.notes))
    html = page_of(warned)
    assert 'role="alert">WEAK INSTRUMENT: its effective F is 3.2.' in html.split('class="verdict"')[0]
    assert 'class="badge bad">Weak instrument' in html


def test_bands_of_a_model_without_a_bootstrap_are_named_before_the_numbers():
    plan = plan_of()
    assert plan.interval is not None
    warned = page_of(dataclasses.replace(plan, notes=(NARROW, *plan.notes)))
    assert f"The intervals are not to be relied on. {NARROW}" in Page(warned).text.split("Followers")[0]
    assert "not to be relied on" not in page()


def test_a_simulated_market_is_called_so():
    assert "This market is simulated" in page_of(plan_of(), market="simulated_small", with_heatmap=False)
    assert "This market is simulated" not in page()


def test_nothing_pays():
    text, best = Page(page("nothing")).text, plan_of("nothing").supported
    assert (
        f"Sponsor nobody at these prices: the best size that was observed, {about(best.followers)} followers "
        f"({best.tier}), would lose USD {-best.profit:,.0f}." in text
    )
    assert "Look for a creator" not in text
    assert "the best</span>" not in page("nothing")
    assert 'class="badge bad">No size pays' in page("nothing")


def test_an_optimum_at_the_edge_says_which_edge():
    assert "That is the largest size observed: a larger one may earn more." in Page(page("edge")).text
    assert "That is the largest size of the curve: a larger one may earn more." in Page(page("whole curve")).text
    assert 'class="badge fair">At the edge' in page("edge")


def test_without_support_no_praise():
    assert 'class="badge fair">Support unknown' in page("unknown support")
    assert "Grey:" not in page("unknown support")


def test_a_failing_certificate_forbids_the_plan():
    plan = plan_of()
    good = verify(plan.problem, plan)
    checks = (dataclasses.replace(good.checks[0], ok=False), *good.checks[1:])
    html = page_of(plan, certificate=dataclasses.replace(good, checks=checks))
    assert 'class="badge bad">Do not use' in html
    assert "1 check fails." in html
    error = dataclasses.replace(good, status=Status.ERROR)
    assert sizing.badge(plan, error)[:2] == ("bad", "Do not use")


def test_a_size_that_may_lose_money_says_so():
    plan = plan_of()
    risky = dataclasses.replace(plan, interval=dataclasses.replace(plan.interval, profit=(-120.0, 4000.0)))
    said = sizing.caution(risky).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "It may lose money: the 95 % interval of its profit is −USD 120 to USD 4,000."
    assert sizing.caution(plan) is None or plan.interval.profit[0] < 0


@pytest.mark.parametrize("kind", ["inside", "beyond", "nothing", "price list"])
def test_the_tables_hold_the_numbers_of_the_plan(kind):
    html, plan = page(kind), plan_of(kind)
    tiers = cells_of(html, "tiers")
    assert [row[0].lower().removesuffix(" the best") for row in tiers] == [size.tier for size in plan.tiers]
    assert [row[1] for row in tiers] == [shown(size.followers) for size in plan.tiers]
    assert [row[3] for row in tiers] == [shown(size.elasticity, 3) for size in plan.tiers]
    best = max(plan.tiers, key=lambda size: size.profit).tier
    assert [row[0].lower() for row in tiers if "the best" in row[0]] == [f"{best} the best"] * (kind != "nothing")
    roots = cells_of(html, "curves")
    assert [(row[0], row[2].split(" (")[0]) for row in roots] == [
        (shown(root.size.followers), f"local {root.kind}") for root in plan.roots
    ]
    assert ["kink" in row[2] for row in roots] == [not root.smooth for root in plan.roots]
    checks = cells_of(html, "certificate")
    assert [row[1].split("  ")[0] for row in checks] == [
        f"{check.words} {check.name}" for check in verify(plan.problem, plan).checks
    ]


def test_a_bound_is_given_only_where_there_is_one():
    """Not where the price is a function, nor where the curve's own hill inside a cell is above both ends."""
    bound = "No curve that passes through the same points"
    assert bound in page()
    assert bound in page("price list")
    free = solve(problem_of(cost_per_thousand=None, price=lambda followers: 0.01 * followers))
    assert bound not in page_of(free)
    certificate = verify(plan_of().problem, plan_of())
    for other in (np.nan, 0.999 * certificate.objective):
        assert bound not in page_of(plan_of(), certificate=dataclasses.replace(certificate, upper_bound=other))


def test_comparisons_with_actual_choices():
    first, second = cells_of(page(), "comparisons")
    micro, mega = plan_of().comparisons
    assert first[0] == "50,000"
    assert first[6] == f"{micro.better_percent:.0f} % more"
    assert first[5] == sizing.response_words.signed(micro.gain)
    assert second[0] == "1,500,000 not observed"
    assert mega.choice.profit < 0
    assert second[6] == "–"
    assert second[4].startswith("−")


def test_the_heatmap_holds_thousands_and_marks_what_is_a_guess():
    plan = plan_of("beyond")
    found = heatmap(plan.problem, values=[0.01, 0.02, 0.2], costs=[5, 10, 1000])
    rows = cells_of(page("beyond"), "prices")
    for v, row in enumerate(rows):
        for c, cell in enumerate(row[1:]):
            if found.profit[v, c] <= 0:
                assert cell == "–"
                continue
            assert cell.endswith("*") != found.inside_support[v, c]
            assert float(cell.rstrip("*").replace(",", "")) == pytest.approx(found.followers[v, c] / 1000, rel=6e-3)
    assert (found.profit <= 0).any()
    assert (~found.inside_support & (found.profit > 0)).any()
    assert "Hatched, with an asterisk" in page("beyond")
    body = page("beyond").split('<section id="prices">')[1].split("</section>")[0]
    assert re.findall(r'class="n here[^>]*>([^<]*)<', body) == [rows[1][2]]


def test_the_shade_of_a_cell_is_the_log_of_its_size():
    plan = plan_of()
    found = heatmap(plan.problem, values=[0.01, 0.02, 0.2], costs=[5, 10, 1000])
    pays, size = found.profit > 0, np.log(found.followers)
    share = (size - size[pays].min()) / np.ptp(size[pays])
    shown = [float(text) for text in re.findall(r"--share:([\d.]+)", page())]
    np.testing.assert_allclose(shown, share[pays & found.inside_support], atol=6e-4)


def test_draws_give_shares_of_tiers():
    rows = cells_of(page("draws"), "tiers")
    shares = dict(zip(sizing.TIERS, plan_of("draws").interval.tier_shares, strict=True))
    assert len(rows[0]) == 7
    for row, size in zip(rows, plan_of("draws").tiers, strict=True):
        expected = f"{100 * shares[size.tier]:.0f} %"
        assert row[6] in {expected, "< 1 %"}
    assert "central 95 % of the curve’s draws" in Page(page("draws")).text


def test_a_price_list_is_named():
    text = Page(page("price list")).text
    assert "by the price list, USD 25 fixed" in text
    assert "the price list of this plan is not in it" in text


@pytest.mark.parametrize("kind", ["bare", "whole curve", "nothing", "draws", "price list"])
def test_links_lead_somewhere(kind):
    every_link_has_its_section(page(kind))


def every_link_has_its_section(html):
    held = Page(html)
    ids = [value for _, key, value in held.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = [value[1:] for tag, key, value in held.attributes if tag == "a" and key == "href"]
    assert set(targets) <= set(ids)


def test_parts_may_be_missing():
    html = page_of(plan_of("bare"), with_heatmap=False, facts={})
    text = Page(html).text
    every_link_has_its_section(html)
    for words in ("If prices were others", "Beside other choices", "Lineage", "band", "interval "):
        assert words not in text.split("Limits and assumptions")[0], words
    assert "Size of creator" in text


def test_lineage_is_what_the_facts_say():
    text = Page(page()).text.split("Lineage")[-1]
    for value in ("abc123", "7", "0123abc", "numpy 2.4", "2026-11-22T10:00:00Z"):
        assert value in text


@functools.cache
def page_with(text):
    """Each string that comes from data is `text`."""
    plan = plan_of()
    problem = dataclasses.replace(plan.problem, subject=text, currency=text, notes=(text,))
    good = verify(plan.problem, plan)
    named = dataclasses.replace(good.checks[0], words=text, name=text)
    certificate = dataclasses.replace(good, checks=(named, *good.checks[1:]))
    plan = dataclasses.replace(plan, problem=problem, notes=(text,))
    facts = {**FACTS, "signature": text, "packages": {text: text}}
    return page_of(plan, market=text, facts=facts, certificate=certificate)


@pytest.mark.parametrize(
    "payload",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</style></svg></title><iframe>"],
)
def test_texts_stay_texts(payload):
    plain, evil = Page(page_with("plain")), Page(page_with(payload))
    assert evil.tags == plain.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert payload.split()[0] in evil.text


def test_the_same_plan_gives_the_same_bytes():
    assert page_of(plan_of()) == page()


def lines(svg, variable):
    """Points of the lines drawn in a colour, (N, 2) each."""
    return [
        np.array(re.findall(r"[ML] (\S+) (\S+)", path.get("d")), dtype=float)
        for path in ET.fromstring(svg).iter("path")
        if f"stroke: var(--{variable})" in path.get("style", "") and "clip-path" in path.attrib
    ]


def test_the_coloured_curves_end_where_the_support_ends():
    plan = plan_of()
    svg = sizing_plots.sizing_plot(plan)
    impressions = max(lines(svg, "accent")[:2], key=len)
    everywhere = max(lines(svg, "muted"), key=len)
    span = (np.array(SUPPORT) - GRID[0]) / (GRID[-1] - GRID[0])
    x = (impressions[[0, -1], 0] - everywhere[0, 0]) / (everywhere[-1, 0] - everywhere[0, 0])
    np.testing.assert_allclose(x, span, atol=2e-3)
    rise = (impressions[0, 1] - impressions[-1, 1]) / (everywhere[0, 1] - everywhere[-1, 1])
    ends = np.interp(SUPPORT, GRID, S_SHAPED)
    assert rise == pytest.approx((ends[1] - ends[0]) / (S_SHAPED[-1] - S_SHAPED[0]), rel=2e-3)


def test_losses_of_giants_do_not_flatten_the_profit():
    low, high = sizing_plots._profit_range(plan_of())
    assert low > -plan_of().optimum.profit
    assert high > plan_of().optimum.profit
    assert sizing_plots.is_cut(plan_of())
    assert "The profit axis is cut" in page()
