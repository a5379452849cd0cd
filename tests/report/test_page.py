"""The page shows what it is given, loads nothing, runs nothing, and stays whole with parts missing."""

import importlib
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import html_page
import numpy as np
import pytest

import micromega.report
from micromega.errors import DataError, MissingExtraError
from micromega.report.content import (
    CampaignReport,
    Candidate,
    Evaluation,
    MethodResult,
    Offers,
    PlannedPost,
    TrainingRun,
)
from micromega.report.page import render
from micromega.solvers.plan import Status

Page = partial(html_page.Page, void={"meta", "br", "hr", "img", "input", "link"})


PAYLOADS = [
    "<script>alert(1)</script>",
    "</script></style></svg></title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!-- --!> <![CDATA[ ]]> &lt;script&gt; &amp; \\u003cscript",
    "url(https://example.com/x) @import 'https://example.com'; }</style>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "$\\frac{1}{$ %s #000001",
]


NO_FIGURES = {"budget_curve": None, "offers": None, "calibration": None, "training": (), "risk": ()}
FIGURE = re.compile("<svg.*?</svg>", re.DOTALL)
"""A longer text may cost a figure a tick: only the page around figures has the same tags."""


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_stay_texts(payload, full):
    check_inert(payload, full, "", **NO_FIGURES)


def test_texts_in_figures_stay_texts(full):
    check_inert("</svg></title><script>alert(1)</script>", full, r"\g<0>")


def check_inert(payload, full, figures, **changes):
    """The page has the same tags and attributes whatever its texts are, and shows them as they are."""
    plain, evil = (Page(FIGURE.sub(figures, render(full(lambda _, of=of: of, **changes)))) for of in ("plain", payload))
    assert evil.tags == plain.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert not [key for _, key, _ in evil.attributes if key.startswith("on")]
    assert all(value.startswith("#") for value in evil.values("href"))
    assert payload.split()[0] in evil.text


def test_different_texts_reach_the_page(full):
    seen = []

    def numbered(_):
        seen.append(f"text-{len(seen)}-end")
        return seen[-1]

    page = Page(render(full(numbered))).text
    hidden = [f"text-{i}-end" for i in range(len(seen)) if seen[i] not in page]
    # run labels are not shown where several runs share a figure
    assert len(hidden) == 2


def test_nothing_is_loaded(full):
    html = render(full())
    page = Page(html)
    assert re.findall(r"https?:|//[a-z]|@import|srcset|\bsrc=", html) == []
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_references_resolve_and_ids_are_unique(full):
    html = render(full())
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for value in page.values("href")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", html))
    wanted |= {name for value in page.values("aria-labelledby") for name in value.split()}
    assert wanted <= set(ids)
    assert page.tags.count("svg") == 8


def test_every_section_shows_its_numbers(full):
    text = Page(render(full())).text
    for words in (
        "Book 2 creators for EUR 400 of the EUR 500 budget and expect about 4,500 engagements that fit.",
        "Certified best",
        "all hold. No plan that keeps the rules can be better by more than 0.004 %.",
        "EUR 400 of EUR 500, 80.1 %",
        "3,900",  # shrunk
        "Cost per 1,000 EUR 89",
        "launch 18 Apr 2026 Lisbon",
        "At most 1 post per creator.",
        "ana post launch 18 Apr 2026 100.50 1,500 25.0 %",
        "bo story launch \N{EN DASH} 300.00 3,000 \N{EN DASH}",
        "Total 400.50 4,500",
        "EUR 400.50 of EUR 500 is used; EUR 99.50 is left.",
        "EUR 100 more would add about 267 engagements that fit.",
        "your budget: EUR 500",
        "ana in the plan 25.0 % ± 3.0 %",
        "23,456 followers · EUR 100.50 a post · about 1,500 engagements that fit · mentioned the brand in 2 posts",
        "2 posts · Writes about linen.",
        "no earlier mention of the brand",
        "Linen in the morning 3 Nov 2025 · 1,200 likes · 1 comment",
        "RAND 0.500 ± 0.010 97.0 ± 9.0",
        "MIR used here 0.846 ± 0.006 6.4",
        "12 brands held out, five seeds.",
        "On 900 brand-creator pairs",
        "is 1.23 %.",
        "Thin lines are 2 runs",
        "holds The plan is affordable. budget 400 500 99.5",
        "worth 4,500; a proof by weak duality shows that no plan within the rules is worth more than 4,500",
        "A mention is not a paid deal.",
        "2 creators had no price.",
        "Market fingerprint 9b1c9b1c",
        "This market is simulated.",
    ):
        assert words in text, words


def test_only_two_examples_are_shown(full):
    assert Page(render(full(**NO_FIGURES))).text.count("Linen in the morning") == 2


def test_the_best_method_is_marked_in_each_column(full):
    html = render(full(**NO_FIGURES))
    assert re.findall(r'class="n best">([^<]*)<', html) == ["0.846 ± 0.006", "6.4"]


OPTIONAL = {
    "events": (),
    "notice": None,
    "rules": (),
    "certificate": None,
    "shrunk_value": None,
    "marginal_value": None,
    "budget_curve": None,
    "offers": None,
    "binding": (),
    "alternatives": (),
    "questions": (),
    "risk": (),
    "shortlist": (),
    "evaluation": None,
    "calibration": None,
    "training": (),
    "lineage": {},
    "notes": (),
    "limits": (),
}


@pytest.mark.parametrize("part", [*OPTIONAL, "all"])
def test_parts_may_be_missing(part, full):
    missing = OPTIONAL if part == "all" else {part: OPTIONAL[part]}
    others = {} if part in NO_FIGURES else NO_FIGURES  # figures take the time
    page = Page(render(full(**(others | missing))))
    assert "None" not in page.text
    assert "nan" not in page.text
    assert {value[1:] for value in page.values("href")} <= set(page.values("id"))


def test_least_report():
    page = Page(render(CampaignReport(brand="b", market="m", currency="", budget=0.0, planned=())))
    assert "Book nobody" in page.text
    assert "Not certified" in page.text
    assert "0 of 0 is used" in page.text


@pytest.mark.filterwarnings("error")
def test_odd_numbers(full, curve):
    nothing = np.array([np.nan, np.nan])
    text = Page(
        render(
            full(
                budget=0.0,
                marginal_value=0.0,
                budget_curve=curve([0.0, 1.0], nothing),
                offers=Offers(price=np.array([0.0, 5.0]), value=np.array([-1.0, 2.0]), chosen=np.zeros(2, bool)),
                training=(TrainingRun(label="seed 0", epoch=np.arange(2), loss=nothing, validation=nothing),),
                evaluation=Evaluation(methods=(MethodResult(method="A", metrics={"cAUC": (float("nan"), None)}),)),
                shortlist=(Candidate(rank=1, creator="x", fit=0.0),),
                planned=(PlannedPost(creator="x", content_type="post", event="e", price=0.0, value=0.0),),
            )
        )
    ).text
    assert "More money would add nothing" in text
    assert "A \N{EN DASH}" in text
    assert "One run (seed 0)" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ok": False}, "Do not use The independent check rejects this plan: 1 check fails."),
        (
            {"status": Status.NO_SOLUTION},
            "Do not use The independent check rejects this plan: its status is “no_solution”",
        ),
        ({"status": Status.FEASIBLE, "gap": 0.0321}, "perhaps not best"),
        ({"status": Status.FEASIBLE, "gap": 0.0321}, "better by more than 4 %."),
        ({"gap": 0.0}, "No plan that keeps the rules can be better."),
        ({"gap": float("inf")}, "How far it is from the best plan is not known."),
    ],
)
def test_the_badge_says_what_the_certificate_says(changes, words, full, certificate):
    text = Page(render(full(certificate=certificate(**changes), **NO_FIGURES))).text
    assert words in text
    assert ("Certified best" in text) == (
        changes.get("status", Status.OPTIMAL) is Status.OPTIMAL and "ok" not in changes
    )


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from conftest import full
from micromega.report.page import render
sys.stdout.buffer.write(render(full()).encode())
"""


def test_the_same_report_gives_the_same_bytes_in_another_process(full, tmp_path):
    here = render(full())
    assert render(full()) == here
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\n")  # somebody's own settings
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM, Path(__file__).parent],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONHASHSEED": "9", "LANG": "C", "MPLCONFIGDIR": str(tmp_path)},
    ).stdout
    assert there.decode() == here


@pytest.mark.parametrize(("package", "module"), [("jinja2", "page"), ("matplotlib", "plots")])
def test_a_missing_extra_gives_the_pip_line(package, module, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("environment", "drawing", module):  # where the two are imported, and what is asked for
        monkeypatch.delitem(sys.modules, f"micromega.report.{name}")
        monkeypatch.delattr(micromega.report, name)
    with pytest.raises(MissingExtraError, match=r'Run: pip install "micromega\[report\]"'):
        importlib.import_module(f"micromega.report.{module}")


def test_arrays_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="Offers: the arrays must have one length"):
        Offers(price=np.zeros(2), value=np.zeros(2), chosen=np.zeros(1, bool))
    with pytest.raises(DataError, match="TrainingRun"):
        TrainingRun(label="", epoch=np.arange(2), loss=np.zeros(1))


CSS = (Path(micromega.report.__file__).parent / "templates" / "campaign.css").read_text(encoding="utf-8")


def luminance(colour):
    channel = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channel]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_readable(scheme):
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in CSS.split("@media screen")[:2])
    colours = light if scheme == "light" else dark
    assert set(light) == set(dark)
    on_paper = [(name, "paper") for name in ("ink", "muted", "accent", "warm", "bad")]
    for front, back in [
        *on_paper,
        *((name, f"{name}-soft") for name in ("accent", "warm", "bad")),
        ("ink", "warm-soft"),
    ]:
        bright, dim = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (scheme, front, back)  # WCAG 2.2, level AA
