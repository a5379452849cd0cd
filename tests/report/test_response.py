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
from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.result import CausalEvaluation, Diagnostics, Subject
from micromega.models.deepiv.shapes import Shape, curve_shape, tier_averages
from micromega.models.deepiv.strength import LikelihoodGain, Strength
from micromega.models.deepiv.verdict import verdict
from micromega.report import response, response_plots, response_words
from micromega.report.response import render_response

Page = partial(html_page.Page, void={"meta", "br"})
GRID = np.linspace(np.log(120), np.log(4e6), 41)
SUPPORT = (np.log(800.0), np.log(1.4e6))


def hump(height, centre, width=1.8, floor=0.08):
    return floor + height * np.exp(-(((GRID - np.log(centre)) / width) ** 2))


def subject(name, elasticity, *, posts=900, creators=120, text=str):
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
        tiers=tier_averages(GRID, elasticity),
        shape=curve_shape(tier_averages(GRID, elasticity)),
    )
    level = 5.5 + rise
    return Subject(elasticity=curve, log_impressions=level, lower=known * (level - 0.2), upper=known * (level + 0.2))


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


GAMMA = Gamma(value=0.012, reference=np.array([-0.02, 0.004, 0.031]), p_value=0.5, rows=2_500)
RESIDUALS = ResidualPrediction(p_value=0.42, statistic=np.array([0.3]), rows=4_000, clusters=400)
GAIN = LikelihoodGain(mean=0.21, standard_error=0.02, p_value=1e-9, rows=2_000, clusters=200)


def diagnostics(*, force=184.5, gamma=GAMMA, residuals=RESIDUALS, gain=GAIN, text=str):
    measured = strength(force)
    found = verdict(measured, gain=gain, gamma=gamma, residuals=residuals)
    if text is not str:
        found = dataclasses.replace(found, warnings=(text("w"),), sentences=tuple(map(text, found.sentences)))
    return Diagnostics(strength=measured, gain=gain, gamma=gamma, residuals=residuals, verdict=found)


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
    monkeypatch.setattr(response, "_figures", lambda _: {"average": None, "groups": None, "truth": None})


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
    assert "highest for the largest creators that were observed (1,400,000 followers)" in text
    best = inside(np.linspace(0.1, 0.9, len(GRID))).max()
    assert f"and {best:.2f} % more impressions" in text
    falling = subject("all posts", np.linspace(0.2, -0.3, len(GRID)))
    said = response_words.verdict(result(subjects=(falling,)))
    assert "change impressions by between −" in said
    assert "the smallest creators that were observed (800 followers)" in said


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
    assert rows[2][8] == "800the smallest observed"


@pytest.mark.usefixtures("without_figures")
def test_tiers_that_were_not_observed_are_grey():
    few = (np.log(2e3), np.log(4e4))  # 70 % of nano, 86 % of micro
    body = page(support=few).split('<section id="groups">')[1].split("<tbody>")[1].split("</tr>")[0]
    assert ["guess" in start for start in re.findall(r'<td class="n heat([^>]*)>', body)] == [
        True, False, False, True, True, True,
    ]  # fmt: skip
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
        "−0.0200 to 0.0310 with random signs; p = 0.500; on 2,500 posts",
    ]
    assert rows["Residual-prediction test of a linear response"] == ["p = 0.420", "4,000 posts of 400 creators"]


@pytest.mark.usefixtures("without_figures")
def test_diagnostics_that_were_not_computed_are_left_out():
    html = page(diagnostics=diagnostics(gamma=None, residuals=None, gain=None))
    assert len(cells_of(html, "instrument")) == 5
    alone = dataclasses.replace(GAMMA, reference=np.zeros(0), p_value=float("nan"))
    rows = cells_of(page(diagnostics=diagnostics(gamma=alone)), "instrument")
    assert next(row for row in rows if row[0].startswith("γ"))[2] == "on 2,500 posts"


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
        "Observed sizes 800 to 1,400,000 followers",
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
        ({"correlational": np.full(len(GRID), np.nan)}, "a network that takes followers as they come"),
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
    assert len(panels(html, "groups")) == response.MOST_PANELS


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
