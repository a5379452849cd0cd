"""The response page says what the numbers say, puts a weak instrument first, and shows texts as texts."""

import dataclasses
import functools
import html as markup
import re
from functools import partial
from types import MappingProxyType
from xml.etree import ElementTree as ET

import html_page
import numpy as np
import pytest

from micromega.models.deepiv.curves import GroupCurve
from micromega.models.deepiv.describe import Description, Histogram, Summary
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.result import CausalEvaluation, Diagnostics, Method, Subject
from micromega.models.deepiv.sensitivity import direct_effect
from micromega.models.deepiv.shapes import Shape, curve_shape, tier_averages
from micromega.models.deepiv.strength import LikelihoodGain, Strength
from micromega.models.deepiv.verdict import direct_words, verdict
from micromega.report import (
    response,
    response_cases,
    response_direct,
    response_methods,
    response_plots,
    response_posts,
    response_words,
)
from micromega.report.response import render_response

Page = partial(html_page.Page, void={"meta", "br"})
GRID = np.linspace(np.log(120), np.log(4e6), 41)
SUPPORT = (np.log(600.0), np.log(1.6e6))


def hump(height, centre, width=1.8, floor=0.08):
    return floor + height * np.exp(-(((GRID - np.log(centre)) / width) ** 2))


def subject(name, elasticity, *, posts=900, creators=120, text=str, support=SUPPORT):
    rise = np.concatenate([[0], np.cumsum(np.diff(GRID) * (elasticity[1:] + elasticity[:-1]) / 2)])
    spread = 0.05 + 0.05 * np.abs(GRID - np.log(3e4)) / 4
    known = np.nan if creators == 1 else 1.0
    curve = GroupCurve(
        group=text(name),
        posts=posts,
        clusters=creators,
        log_followers=GRID,
        elasticity=elasticity,
        lower=known * (elasticity - spread),
        upper=known * (elasticity + spread),
        tiers=tier_averages(GRID, elasticity, support),
        shape=curve_shape(tier_averages(GRID, elasticity, support)),
    )
    level = 5.5 + rise
    return Subject(
        elasticity=curve,
        log_impressions=level,
        lower=known * (level - 0.2),
        upper=known * (level + 0.2),
        correlational=elasticity + 0.1,
        example=text(f"caption of {name}"),
    )


def method(name, elasticity):
    tiers = tier_averages(GRID, elasticity, SUPPORT)
    return Method(name=name, elasticity=elasticity, mean=0.4321, tiers=tiers, shape=curve_shape(tiers))


def moments(name, posts=12_345):
    return Summary(name=name, posts=posts, mean=0.604, deviation=0.489, minimum=0.0, median=1.0, maximum=48_613.0)


def description(text=str):
    rng = np.random.default_rng(0)
    histogram = Histogram(edges=np.linspace(GRID[0], GRID[-1], 11), counts=np.arange(10))
    return Description(
        treatment=moments("Followers"),
        outcome=moments("Impressions"),
        statistics=(moments(text("Has #fyp")),),
        log_followers=histogram,
        log_impressions=histogram,
        points=np.column_stack([rng.choice(GRID, 30), rng.uniform(6, 12, 30)]),
        smooth=8 + 0.3 * (GRID - GRID[0]),
    )


DIRECT = direct_effect(
    GRID, 0.2 + 0.4 * np.exp(-(((GRID - np.log(2e4)) / 1.8) ** 2)), np.full(41, 0.5), SUPPORT, most=3
)


def strength(force=184.5):
    return Strength(
        correlation=np.array([0.736]),
        r2=0.542,
        partial_r2=0.3125,
        f_robust=force,
        f_effective=force,
        critical_value=23.1,
        rows=9_000,
        clusters=812,
        instruments=1,
    )


GAMMA = Gamma(value=0.012, reference=np.array([-0.02, 0.004, 0.031]), p_value=0.5, rows=2_500, clusters=81, folds=5)
RESIDUALS = ResidualPrediction(p_value=0.42, statistic=np.array([0.3]), rows=4_000, clusters=400)
GAIN = LikelihoodGain(mean=0.21, standard_error=0.02, p_value=1e-9, rows=2_000, clusters=200)


def diagnostics(*, force=184.5, gamma=GAMMA, residuals=RESIDUALS, gain=GAIN, text=str):
    measured = strength(force)
    found = verdict(measured, gain=gain, gamma=gamma, residuals=residuals, direct=DIRECT)
    if text is not str:
        found = dataclasses.replace(found, warnings=(text("w"),), sentences=tuple(map(text, found.sentences)))
    return Diagnostics(strength=measured, gain=gain, gamma=gamma, residuals=residuals, verdict=found, direct=DIRECT)


SHAPES = {
    "#UnwrapTheDeals": hump(0.9, 2e4),
    "#CloseYourRings": 0.75 / (1 + np.exp(0.7 * (GRID - np.log(4e3)))),
    "#HandWashChallenge": np.full(len(GRID), 0.42) + 0.03 * np.cos(GRID),
    "#UpTheBeat": hump(0.5, 2e5),
    "#GetCrocd": hump(0.7, 8e3, 1.2),
}


def result(text=str, **changes):
    """Every part filled; each string that comes from data goes through `text`."""
    groups = tuple(
        subject(name, values, posts=800 - 90 * place, creators=90 - 10 * place, text=text)
        for place, (name, values) in enumerate(SHAPES.items())
    )
    kinds = {text("effects"): hump(0.9, 2e4), "dance": np.full(len(GRID), 0.4)}
    fields = {
        "metrics": {
            "Deep IV": {"held_out_error": 1.234, "elasticity_error_dance": 0.0521}
            | {f"elasticity_error_{text('effects')}": 0.1111},
            "correlational": {"elasticity_error_dance": 0.4321, f"elasticity_error_{text('effects')}": 0.3333},
        },
        "log_followers": GRID,
        "methods": tuple(method(text(name), hump(0.6, 9e3)) for name in ("Deep IV", "correlational")),
        "description": description(text),
        "subjects": (subject("all posts", hump(0.6, 4e3), posts=12_345, creators=812), *groups),
        "correlational": 0.95 + 0.04 * np.sin(GRID),
        "support": SUPPORT,
        "smearing": 1.37,
        "diagnostics": diagnostics(text=text),
        "truth": kinds,
        "estimated": {kind: values * 0.9 + 0.03 for kind, values in kinds.items()},
        "absent": (text("No sensitivity curve."),),
        "facts": {
            "posts": 12_345,
            "authors": 812,
            "controls": [text("duration"), "hour"],
            "left_out": {text("music"): text("holds no value")},
            "dropped": {"no followers": 31},
            "instrument": text("hearts"),
            "members": 20,
            "epochs": {"treatment": 40, "outcome": 60},
            "level": 0.9,
        },
    }
    return CausalEvaluation(**(fields | changes))


FIGURES = ("average", "cases", "truth", "direct", "distribution", "scatter")
LINEAGE = {"Signature": "abc123", "Made": "2026-11-22"}


def page(text=str, **changes):
    lineage = {"Signature": text("abc123"), "Made": "2026-11-22"}
    return render_response(result(text, **changes), market=text("demo"), lineage=lineage, notice=text("Simulated."))


@functools.cache
def full_page():
    return page()


@functools.cache
def plain_page():
    return page(lambda _: "plain")


@pytest.fixture
def without_figures(monkeypatch):
    """Drawing takes most of the time, and these tests look at the words."""
    monkeypatch.setattr(response, "_figures", lambda _: dict.fromkeys(FIGURES) | {"groups": []})


def cells_of(html, section):
    body = html.split(f'<section id="{section}">')[1].split("</section>")[0]
    rows = body.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1]
    return [
        [
            markup.unescape(re.sub("<[^>]*>", "", cell)).replace("\N{NO-BREAK SPACE}", " ")
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row)
        ]
        for row in rows
    ]


def inside(values):
    low, high = SUPPORT
    held = (low <= GRID) & (high >= GRID)
    return np.concatenate([values[held], np.interp(SUPPORT, GRID, values)])


def test_the_first_sentence_says_how_much_and_where():
    values = result().subjects[0].elasticity.elasticity
    low, high = inside(values).min(), inside(values).max()
    top = float(f"{np.exp(GRID[np.argmax(values)]):.2g}")
    assert (
        f"Over 12,345 posts, 1 % more followers give between {low:.2f} and {high:.2f} % more impressions. The average "
        f"elasticity is highest at {top:,.0f} followers." in Page(full_page()).text
    )


@pytest.mark.usefixtures("without_figures")
def test_a_top_that_was_not_observed_is_not_named():
    rising = subject("all posts", np.linspace(0.1, 0.9, len(GRID)))
    text = Page(page(subjects=(rising,))).text
    assert "highest for the largest creators that were observed (1,600,000 followers)" in text
    best = inside(np.linspace(0.1, 0.9, len(GRID))).max()
    assert f"and {best:.2f} % more impressions" in text
    falling = subject("all posts", np.linspace(0.2, -0.3, len(GRID)))
    said = response_words.verdict(result(subjects=(falling,)))
    assert "change impressions by between −" in said
    assert "the smallest creators that were observed (600 followers)" in said


@pytest.mark.parametrize("force", [3.2, 9.99])
@pytest.mark.usefixtures("without_figures")
def test_a_weak_instrument_comes_first(force):
    html = page(diagnostics=diagnostics(force=force))
    text = Page(html).text
    assert text.index("WEAK INSTRUMENT") < text.index("which is not to be relied on, says: over 12,345 posts")
    assert html.index('class="alarm weak"') < html.index('class="verdict"')
    assert 'class="badge bad">Weak instrument' in html
    assert "No: it is weak." in text
    assert f"effective F {force:.1f}" in text


@pytest.mark.usefixtures("without_figures")
def test_other_warnings_come_first_too():
    suspicious = dataclasses.replace(GAMMA, value=0.2, p_value=0.01)
    html = page(diagnostics=diagnostics(gamma=suspicious))
    text = Page(html).text
    assert text.index("the instrument is invalid, or the response") < text.index("Over 12,345 posts")
    assert 'class="badge fair">Read the warnings' in html
    assert 'class="alarm' not in html
    both = dataclasses.replace(RESIDUALS, p_value=0.001)
    html = page(diagnostics=diagnostics(force=2.0, gamma=suspicious, residuals=both))
    assert html.split('class="verdict"')[0].count("<li>") == 2  # that no straight line fits is no objection
    assert "No linear response fits" in Page(html).text


@pytest.mark.parametrize(("force", "tone"), [(184.5, "good"), (15.0, "fair"), (9.0, "bad"), (float("nan"), "bad")])
def test_the_badge_follows_the_strength(force, tone):
    assert response_words.badge(result(diagnostics=diagnostics(force=force)))[0] == tone
    row = next(
        row for row in response.findings(result(diagnostics=diagnostics(force=force))) if "Effective" in row.name
    )
    assert row.tone == tone


def test_without_warnings_no_alarm_but_the_limit_of_every_test():
    html = full_page()
    assert 'class="alarm' not in html
    assert 'class="badge good">Relevant instrument' in html
    assert "cannot be tested" in html.split('class="badge good"')[1].split("</p>")[0]
    assert "Exclusion cannot be tested" in html


def test_table_4_holds_the_tiers_shape_and_peak():
    rows = cells_of(full_page(), "groups")
    held = result()
    assert len(rows) == 6
    for row, one in zip(rows, held.subjects, strict=True):
        curve = one.elasticity
        assert row[0].lower().startswith(curve.group.lower())
        assert f"{curve.posts:,} posts, {curve.clusters} creators" in row[0]
        assert row[1:7] == [f"{value:.2f}" for value in curve.tiers]
        assert row[7] == str(curve.shape).capitalize()
    assert {row[7] for row in rows} >= {"S-shaped", "Linear", "Concave"}
    peak = np.exp(GRID[np.argmax(held.subjects[1].elasticity.elasticity)])
    assert rows[1][8] == response_words.compact(peak, 2)
    assert rows[2][8] == "600the smallest observed"


@pytest.mark.usefixtures("without_figures")
def test_tiers_that_were_not_observed_are_dashes():
    few = (np.log(2e3), np.log(4e4))
    every = subject("all posts", hump(0.6, 4e3), support=few)
    body = page(support=few, subjects=(every,)).split('<section id="groups">')[1].split("<tbody>")[1].split("</tr>")[0]
    cells = re.findall(r'<td class="n heat([^>]*)>([^<]*)<', body)
    assert ["guess" in start for start, _ in cells] == [True, False, False, True, True, True]
    assert [text == "–" for _, text in cells] == [True, False, False, True, True, True]
    assert body.count("--share:") == 2


def test_truth_beside_the_estimate():
    rows = cells_of(full_page(), "truth")
    assert rows == [["effects", "0.111", "0.333"], ["dance", "0.052", "0.432"]]
    body = full_page().split('<section id="truth">')[1]
    assert re.findall(r'class="n best">([\d.]+)', body) == ["0.111", "0.052"]


def test_diagnostics_in_numbers():
    rows = {row[0]: row[1:3] for row in cells_of(full_page(), "instrument")}
    assert rows["Correlation of followers and instrument"][0] == "0.736"
    assert rows["R² of followers on the instrument"][0] == "0.542"
    assert rows["R² beyond the controls"][0] == "0.312"
    assert rows["Effective F"] == ["184.5", "weak below 10; bias of 2SLS under 10 % of the worst above 23.1"]
    assert rows["Robust F"] == ["184.5", "9,000 posts of 812 creators"]
    assert rows["Gain of stage 1 from the instrument"] == ["0.210 ± 0.0200 nats", "per held-out post; p < 0.001"]
    assert rows["γ, predictability of the residual"] == [
        "0.0120",
        "−0.0200 to 0.0310 with random signs; p = 0.500; 2,500 posts of 81 creators",
    ]
    assert rows["Residual-prediction test of a linear response"] == ["p = 0.420", "4,000 posts of 400 creators"]


@pytest.mark.usefixtures("without_figures")
def test_diagnostics_that_were_not_computed_are_left_out():
    html = page(diagnostics=diagnostics(gamma=None, residuals=None, gain=None))
    assert len(cells_of(html, "instrument")) == 5
    alone = dataclasses.replace(GAMMA, reference=np.zeros(0), p_value=float("nan"))
    rows = cells_of(page(diagnostics=diagnostics(gamma=alone)), "instrument")
    assert next(row for row in rows if row[0].startswith("γ"))[2] == "2,500 posts of 81 creators"


def test_the_correlational_curve_is_set_beside():
    held = result()
    span = SUPPORT[1] - SUPPORT[0]
    fine = np.linspace(*SUPPORT, 20_001)
    means = [
        np.trapezoid(np.interp(fine, GRID, values), fine) / span
        for values in (held.subjects[0].elasticity.elasticity, held.correlational)
    ]
    assert f"the elasticity is {means[0]:.2f}; a network that takes followers as they come says {means[1]:.2f}." in (
        Page(full_page()).text
    )


@pytest.mark.usefixtures("without_figures")
def test_facts_and_lineage():
    text = Page(page()).text.split("Data and lineage")[1]
    for words in (
        "Creators 812",
        "Controls duration, hour",
        "Controls left out music: holds no value",
        "Posts left out no followers: 31",
        "Epochs treatment: 40; outcome: 60",
        "Level of the bands 90 %",
        "Observed sizes 600 to 1,600,000 followers",
        "Smearing factor 1.37",
        "Signature abc123",
    ):
        assert words in text, words
    assert "90 % interval" in Page(full_page()).text
    assert "90 %" not in Page(page(facts={})).text


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("facts", "said"),
    [({"bootstrap": 0, "members": 5}, True), ({"members": 1}, True), ({"bootstrap": 50, "members": 50}, False)],
)
def test_bands_without_a_bootstrap_are_called_too_narrow(facts, said):
    assert ("The bands are far too narrow." in Page(page(facts=facts)).text) == said


@pytest.mark.usefixtures("without_figures")
def test_long_lists_are_cut():
    names = [f"r_{place}" for place in range(80)]
    assert "Controls r_0, r_1" in Page(page(facts={"controls": names})).text
    assert "r_11 and 68 more" in page(facts={"controls": names})


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"truth": {}, "estimated": {}}, "Against the truth"),
        ({"absent": ()}, "No sensitivity curve."),
        ({"subjects": ()}, "Group by group"),
        ({"correlational": np.full(len(GRID), np.nan)}, "a network that takes followers as they come says"),
        ({"subjects": (subject("all posts", hump(0.6, 4e3)),)}, "the groups with most posts"),
    ],
)
def test_any_part_may_be_missing(changes, gone):
    assert gone in Page(full_page()).text
    html = page(**changes)
    assert gone not in Page(html).text
    every_link_has_its_section(html)


def test_a_group_of_one_creator_has_no_band():
    lonely = subject("#mine", hump(0.4, 1e4), posts=31, creators=1)
    html = page(subjects=(*result().subjects[:1], lonely), truth={}, estimated={})
    assert "31 posts, 1 creator" in Page(html).text
    assert "nan" not in html.lower().replace("nano", "")


def test_many_groups_are_all_in_the_table():
    groups = tuple(subject(f"#tag{place}", hump(0.5, 1e4)) for place in range(15))
    held = result(subjects=(*result().subjects[:1], *groups), truth={}, estimated={})
    html = render_response(held, market="m", lineage={}, notice=None)
    assert len(cells_of(html, "groups")) == 16
    assert "3 more groups in the table" in Page(html).text
    assert len(panels(html, "groups-0")) == response.MOST_PANELS


def panels(html, name):
    svg = next(part for part in re.findall(r"<svg.*?</svg>", html, re.DOTALL) if f'id="{name}-title"' in part)
    return [group for group in ET.fromstring(svg).iter("g") if re.fullmatch(rf"{name}-axes_\d+", group.get("id", ""))]


def every_link_has_its_section(html):
    held = Page(html)
    ids = [value for _, key, value in held.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = [value[1:] for tag, key, value in held.attributes if tag == "a" and key == "href"]
    assert set(targets) <= set(ids)


def test_links_lead_somewhere():
    every_link_has_its_section(full_page())


@pytest.mark.parametrize(
    "payload",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</style></svg></title><iframe>"],
)
def test_texts_stay_texts(payload):
    plain, evil = Page(plain_page()), Page(page(lambda _: payload))
    assert evil.tags == plain.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert payload.split()[0] in evil.text


@pytest.mark.usefixtures("without_figures")
def test_the_model_s_name_stays_text():
    html = page(metrics={"<b>V": {"held_out_error": 0.5}}, truth={}, estimated={})
    assert "<b>V" not in html
    assert "<b>V" in Page(html).text


def test_the_same_result_gives_the_same_bytes():
    assert page() == full_page()
    frozen = result(truth=MappingProxyType(dict(result().truth)))
    assert render_response(frozen, market="demo", lineage=LINEAGE, notice="Simulated.") == full_page()


def lines(svg, variable):
    """Points of the lines drawn in a colour, (N, 2) each."""
    return [
        np.array(re.findall(r"[ML] (\S+) (\S+)", path.get("d")), dtype=float)
        for path in ET.fromstring(svg).iter("path")
        if f"stroke: var(--{variable})" in path.get("style", "") and "clip-path" in path.attrib
    ]


def test_figure_6_has_the_curves_of_the_numbers_inside_the_support():
    held = result()
    svg = response_plots.average_plot(held)
    fei, impressions = lines(svg, "accent")
    (naive,) = lines(svg, "warm")
    span = (np.array(SUPPORT) - GRID[0]) / (GRID[-1] - GRID[0])
    grey = max(lines(svg, "muted"), key=len)
    for line in (fei, impressions, naive):
        x = (line[[0, -1], 0] - grey[0, 0]) / (grey[-1, 0] - grey[0, 0])
        np.testing.assert_allclose(x, span, atol=2e-3)
    top = GRID[np.argmax(held.subjects[0].elasticity.elasticity)]
    drawn = fei[np.argmin(fei[:, 1]), 0]  # SVG counts downwards
    assert (drawn - grey[0, 0]) / (grey[-1, 0] - grey[0, 0]) == pytest.approx((top - GRID[0]) / (GRID[-1] - GRID[0]))
    rise = np.ptp(fei[:, 1]) / np.ptp(np.append(fei[:, 1], naive[:, 1]))
    values = inside(held.subjects[0].elasticity.elasticity)
    both = np.append(values, inside(held.correlational))
    assert rise == pytest.approx(np.ptp(values) / np.ptp(both), rel=2e-3)


def test_the_axis_of_followers_is_in_thousands_and_millions():
    labels = {text.text for text in ET.fromstring(response_plots.average_plot(result())).iter("text")}
    assert {"1K", "10K", "100K", "1M", "nano", "mid-tier", "mega"} <= labels


def test_shapes_of_the_paper_have_words():
    assert all(response_words.shape_meaning(shape) for shape in Shape)


def of_kinds(*kinds):
    """The groups of `result`, of one kind after another and named as evaluate names them."""
    every, *groups = result().subjects
    found = []
    for group, kind in zip(groups, kinds, strict=False):
        name = group.elasticity.group
        label = name if kind == "hashtag" else f"{kind}: {name}"
        found.append(
            dataclasses.replace(group, kind=kind, elasticity=dataclasses.replace(group.elasticity, group=label))
        )
    return (dataclasses.replace(every, kind="all"), *found)


KINDS = ("hashtag", "hashtag", "topic", "campaign", "campaign")


def test_groups_of_each_kind_have_a_figure_and_a_heading():
    html = page(subjects=of_kinds(*KINDS))
    names = [row[0] for row in cells_of(html, "groups")]
    assert [name for name in names if name in ("Hashtags", "Topics", "Campaigns")] == [
        "Hashtags",
        "Topics",
        "Campaigns",
    ]
    assert len(names) == 6 + 3
    assert any(name.startswith("#UpTheBeat") for name in names)  # "campaign: " stands in the heading
    assert [len(panels(html, f"groups-{place}")) for place in range(3)] == [2, 1, 2]
    for variable, count in (("warm", 2), ("accent", 2)):
        svg = response_plots.group_plot(result(), of_kinds(*KINDS)[1:3])
        assert len(lines(svg, variable)) == count, variable


def test_campaigns_stand_for_their_class():
    held = result(subjects=of_kinds(*KINDS))
    assert [of.elasticity.group for of in response_cases.examples(held)] == ["campaign: #UpTheBeat"]
    (row,) = response_cases.class_rows(held)
    assert (row.shape, row.names, row.example) == ("s-shaped", ("#UpTheBeat", "#GetCrocd"), "#UpTheBeat")
    assert row.caption == "caption of #UpTheBeat"


def test_table_5_without_campaigns_takes_all_groups():
    rows = {row.shape: row for row in response_cases.class_rows(result())}
    assert set(rows) == {"s-shaped", "linear", "concave"}
    assert rows["s-shaped"].names == ("#UnwrapTheDeals", "#UpTheBeat", "#GetCrocd")
    many = tuple(subject(f"#tag{place}", hump(0.5, 1e4)) for place in range(15))
    (row,) = response_cases.class_rows(result(subjects=(result().subjects[0], *many)))
    assert (len(row.names), row.more) == (response_cases.MOST_NAMES, 7)
    cells = cells_of(full_page(), "classes")
    assert [cell[0] for cell in cells] == ["S-shapedelasticity rises, then falls", *(cell[0] for cell in cells[1:])]
    assert cells[0][2] == "caption of #UnwrapTheDeals"
    assert "A market holds neither" in Page(full_page()).text


def test_figures_9_to_11_draw_both_curves_of_one_group_of_each_class():
    svg = response_cases.cases_plot(result())
    assert len(lines(svg, "accent")) == 2 * 3
    assert len(lines(svg, "warm")) == 3


def test_other_estimators_in_numbers():
    rows = cells_of(full_page(), "methods")
    tiers = [f"{value:.2f}" for value in tier_averages(GRID, hump(0.6, 9e3), SUPPORT)]
    assert rows[0] == ["Deep IVs-shaped", *tiers, "0.43", "1.23", "–"]
    assert rows[1][0] == "correlationals-shaped"
    assert "Which estimator is closest to the truth cannot be known here." in Page(full_page()).text


def errors_of(**methods):
    """metrics: name -> errors of the two kinds."""
    return {
        name.replace("_", " "): {
            "elasticity_error": sum(both) / 2, "elasticity_error_effects": both[0], "elasticity_error_dance": both[1]
        }
        for name, both in methods.items()
    }  # fmt: skip


def test_a_better_estimator_is_named():
    said = response_methods.closest(result(metrics=errors_of(Deep_IV=(0.1, 0.2), DFIV=(0.11, 0.05), naive=(0.3, 0.3))))
    assert said == (
        "Deep IV is not the best estimator here: the elasticity of DFIV is off by 0.080 on average, that of Deep IV by "
        "0.150. By kind it is closer for dance posts. That is one market and one fit of each."
    )
    said = response_methods.closest(result(metrics=errors_of(Deep_IV=(0.3, 0.3), DFIV=(0.1, 0.1), naive=(0.2, 0.2))))
    assert "By kind" not in said
    assert "Closer too: naive." in said


def test_the_best_estimator_is_said_to_be_the_best_in_the_table_only():
    said = response_methods.closest(result(metrics=errors_of(Deep_IV=(0.1, 0.2), DFIV=(0.2, 0.2), naive=(0.3, 0.3))))
    assert said.startswith(
        "No other estimator in the table is closer to the truth than Deep IV, whose elasticity is off by"
    )
    assert "next is DFIV with 0.200" in said
    assert response_methods.closest(result(metrics=errors_of(Deep_IV=(0.1, 0.2)))) is None
    assert response_methods.closest(result(metrics={"Deep IV": {"held_out_error": 1.0}, "DFIV": {}})) is None


def predicting(**methods):
    """metrics: name -> squared error given the instrument; a better one of the prediction from followers beside."""
    return {
        name.replace("_", " "): {"held_out_error": 1.0} | ({} if error is None else {"integrated_error": error})
        for name, error in methods.items()
    }


def test_without_a_truth_a_better_predictor_from_the_instrument_is_named():
    unknown = {"truth": {}, "estimated": {}, "metrics": predicting(Deep_IV=1.25, DFIV=1.1, naive=1.2, kernel_IV=None)}
    said = response_methods.best_words(result(**unknown))
    assert said.startswith("Which estimator is closest to the truth cannot be known here. Given instrument and")
    assert "DFIV predicts held-out log impressions best, with a squared error of 1.10 where Deep IV has 1.25" in said
    assert "not about what followers cause." in said
    assert said.endswith("what comes with followers and impressions alike helps to predict.")


@pytest.mark.parametrize(
    "metrics",
    [
        predicting(Deep_IV=1.1, DFIV=1.25),
        predicting(Deep_IV=1.1),
        predicting(DFIV=None, naive=None),
        predicting(Deep_IV=float("nan"), DFIV=1.0),
        {},
    ],
)
def test_without_a_better_predictor_none_is_named(metrics):
    assert response_methods.better_predictor(result(metrics=metrics)) is None
    said = response_methods.best_words(result(metrics=metrics))
    assert said.startswith("Which estimator is closest to the truth cannot be known here. The smallest held-out error")


def test_a_truth_comes_before_predictions():
    errors = errors_of(Deep_IV=(0.1, 0.2), DFIV=(0.2, 0.2))
    errors["DFIV"]["integrated_error"], errors["Deep IV"]["integrated_error"] = 1.0, 2.0
    said = response_methods.best_words(result(metrics=errors))
    assert said == response_methods.closest(result(metrics=errors))


@pytest.mark.usefixtures("without_figures")
def test_errors_say_whom_the_posts_favour():
    text = Page(page()).text
    assert "Whatever answers for a post was not fitted to it; but Deep IV has chosen its best epochs by these" in text
    assert "favours Deep IV a little" in text


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("gone", ["gain", "gamma", "residuals", "direct"])
def test_a_report_without_one_diagnostic(gone):
    html = page(diagnostics=dataclasses.replace(diagnostics(), **{gone: None}))
    every_link_has_its_section(html)
    rows = len(cells_of(html, "instrument"))
    assert rows == (8 if gone == "direct" else 7)


def test_tables_1_and_6():
    rows = cells_of(full_page(), "posts")
    assert rows[0] == ["Followers", "12,345", "0.604", "0.489", "0", "1", "48,613"]
    assert [row[0] for row in rows] == ["Followers", "Impressions", "Has #fyp"]


def test_figures_2_and_3_are_drawn_from_the_numbers():
    svg = response_posts.scatter_plot(result())
    (smooth,) = lines(svg, "ink")
    assert len(smooth) == len(GRID)
    slopes = np.diff(smooth[:, 1]) / np.diff(smooth[:, 0])
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-3)  # a line on logarithmic axes
    assert slopes[0] < 0  # SVG counts downwards
    dots = [use for use in ET.fromstring(svg).iter("use") if "var(--muted)" in use.get("style", "")]
    assert len(dots) >= 30
    assert response_posts.distribution_plot(result()).count("<path") > 2


def test_a_direct_effect_is_drawn_and_said():
    text = Page(full_page()).text
    assert direct_words(DIRECT) in text
    assert text.count(direct_words(DIRECT)) == 1
    (line,) = lines(response_direct.direct_plot(result()), "accent")
    assert line[-1, 1] > line[0, 1]
    html = page(diagnostics=dataclasses.replace(diagnostics(), direct=None))
    assert "If the instrument acted on its own" not in Page(html).text


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"methods": ()}, "Beside other estimators"),
        ({"description": None}, "Tables 1 and 6 of the paper"),
        ({"subjects": (result().subjects[0],)}, "Classes of curves"),
    ],
)
def test_new_parts_may_be_missing(changes, gone):
    assert gone in Page(full_page()).text
    html = page(**changes)
    assert gone not in Page(html).text
    every_link_has_its_section(html)


@pytest.mark.usefixtures("without_figures")
def test_the_kind_of_band_is_named():
    text = Page(page(facts={"level": 0.9, "bands": "simultaneous"})).text
    assert "90 % band for the whole curve" in text
