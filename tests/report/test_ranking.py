"""The ranker's page says what the numbers say, shows texts as texts, and stays whole with parts missing."""

import dataclasses
import re
from functools import partial
from xml.etree import ElementTree as ET

import html_page
import numpy as np
import pytest

from micromega.models.evaluation import Case, CaseAccount, CategoryRow, SelfSimilarity
from micromega.models.mir.intervals import PairedTest
from micromega.report import ranking_plots, ranking_words
from micromega.report.content import Calibration
from micromega.report.ranking import render_ranking
from micromega.report.ranking_content import RankingReport
from micromega.scores import reliability_curve

Page = partial(html_page.Page, void={"meta", "br"})
VALUES = {
    "MIR": (0.8507, 0.7441, 0.4739, 0.8540, 1.5),
    "SBR": (0.8023, 0.7542, 0.3903, 0.7449, 3.0),
    "RAND": (0.5034, 0.5197, 0.1282, 0.4422, 5.5),
    "POP": (0.5532, float("nan"), 0.0938, 0.4599, 9.5),
}
NAMES = ("auc", "cauc", "recall_at_10", "recall_at_50", "median_first_rank")
METRICS = {method: dict(zip(NAMES, values, strict=True)) for method, values in VALUES.items()}


def paired(difference, p_value=0.01):
    return PairedTest(difference=difference, low=difference - 0.02, high=difference + 0.02, p_value=p_value, brands=14)


def full(text=str, **changes):
    """Every part filled; each string that comes from data goes through `text`."""
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 9, 900)
    curve = reliability_curve(probability, rng.random(900) < probability)
    metrics = METRICS | {text("MIR, text"): {"auc": 0.81}}

    def account(name, rank=None):
        return CaseAccount(
            name=text(name),
            category=text("makeup"),
            followers=23456,
            biography=text("Brushes and the sea"),
            captions=(text("Morning light"), text("So flawless")),
            works_for=(text("Acme"), text("Bolt"), text("Cem"), text("Dee")) if rank else (),
            rank=rank,
        )

    fields = {
        "market": text("demo"),
        "brands": 14,
        "candidates": 120,
        "metrics": metrics,
        "baselines": ("SBR", "RAND", "POP"),
        "intervals": {"MIR": {"auc": (0.81, 0.88), "recall_at_10": (0.32, 0.60)}},
        "tests": {other: {name: paired(0.1) for name in ("auc", "recall_at_10")} for other in ("SBR", "RAND", "POP")},
        "notice": text("This market is simulated."),
        "categories": (
            CategoryRow(category=text("auto"), brands=3, metrics=dict(zip(NAMES, VALUES["SBR"], strict=True))),
        ),
        "self_similarity": SelfSimilarity(
            categories=np.array([text("auto"), text("food")]),
            brands=np.array([30, 30]),
            average=np.array([0.2, 0.4]),
            weighted=np.array([0.1, 0.3]),
            between=(-0.02, 0.0),
        ),
        "cases": (Case(brand=account("Lens"), partner=account("ana", 5), others=(account("bo", 1),), partners=7),),
        "before": Calibration(curve=curve, error=0.3),
        "after": Calibration(curve=curve, error=0.0123),
        "absent": (text("No posts."),),
        "facts": {"Brands": text("51 train")},
        "lineage": {"Signature": text("abc")},
    }
    return RankingReport(**(fields | changes))


NO_PLOTS = {"self_similarity": None, "before": None, "after": None}
NO_FIGURES = NO_PLOTS | {"metrics": {"MIR": METRICS["MIR"]}, "baselines": ()}


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}{% for x in y %}",
        "$\\frac{1}{$ %s #000001",
    ],
)
def test_texts_stay_texts(payload):
    check_inert(payload, **NO_FIGURES)


def test_texts_in_figures_stay_texts():
    check_inert("</script></style></svg></title><script>alert(1)</script>")


def check_inert(payload, **changes):
    plain, evil = (Page(render_ranking(full(lambda _, said=said: said, **changes))) for said in ("plain", payload))
    assert evil.tags == plain.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert payload.split()[0] in evil.text


def test_the_first_sentence_says_how_good_it_is():
    text = Page(render_ranking(full())).text
    assert (
        "On 14 brands that it has not seen, MIR puts 47 % (95 % interval 32 % to 60 %) of a brand’s partners among its "
        "first 10 of 120 creators; the best baseline, SBR (similarity of the same features, without learning), gets "
        "39 %, chance 13 %." in text
    )
    assert "Better than every baseline" in text


def test_without_recall_the_first_sentence_speaks_of_auc():
    metrics = {"A": {"auc": 0.8}, "RAND": {"auc": 0.5}}
    said = ranking_words.verdict(RankingReport(market="", brands=1, candidates=9, metrics=metrics, baselines=("RAND",)))
    assert said == (
        "On 1 brand that it has not seen, A ranks a partner above another creator with a chance of 0.800; chance 0.500."
    )


@pytest.mark.parametrize(
    ("test", "tone", "words"),
    [
        (paired(0.01, 0.3), "fair", "cannot be told apart from SBR (AUC p = 0.300)"),
        (paired(-0.1, 0.0004), "bad", "Behind SBR (AUC p < 0.001)"),
        (paired(0.1, 0.049), "good", "Ahead of SBR (AUC p = 0.049, Rec@10 p = 0.010)"),
    ],
)
def test_the_badge_follows_the_tests(test, tone, words):
    tests = {"SBR": {"auc": test, "recall_at_10": paired(0.1)}, "another run": {"auc": paired(-0.5)}}
    found = ranking_words.badge(full(tests=tests))
    assert found[0] == tone
    assert words in found[2]


def test_no_tests_no_claim():
    assert ranking_words.badge(full(tests={}))[:2] == ("fair", "Not tested")


def test_the_best_of_each_column_is_marked():
    best = ranking_words.best_methods(
        {method: dict(zip(NAMES, values, strict=True)) for method, values in VALUES.items()}
    )
    assert best == {
        "auc": 0.8507, "cauc": 0.7542, "recall_at_10": 0.4739, "recall_at_50": 0.854, "median_first_rank": 1.5,
    }  # fmt: skip
    page = render_ranking(full())
    table = page[page.index('<section id="methods">') : page.index("</table>")]
    rows = table.split("<tr>")[2:]
    assert [re.findall(r'class="n best">([\d.]+)', row) for row in rows] == [
        ["0.851", "0.474", "0.854", "1.5"], ["0.754"], [], [], [],
    ]  # fmt: skip


def test_what_is_not_defined_is_a_dash():
    rows = render_ranking(full()).split('<section id="methods">')[1].split("</table>")[0].split("<tr>")
    assert "–" in Page(f"<table><tr>{rows[5].split('</tbody>')[0]}</table>").text  # POP has no cAUC


@pytest.mark.parametrize(
    ("without", "empty", "section"),
    [
        ("intervals", {}, "interval 32"),
        ("tests", {}, "MIR minus each other method"),
        ("categories", (), "Test brands"),
        ("cases", (), "What it puts first"),
        ("absent", (), "No posts."),
        ("notice", None, "simulated"),
        ("lineage", {}, "Signature"),
    ],
)
def test_any_part_may_be_missing(without, empty, section):
    assert section in Page(render_ranking(full(**NO_FIGURES))).text
    assert section not in Page(render_ranking(full(**NO_FIGURES | {without: empty}))).text


def test_a_bare_report_is_a_page():
    text = Page(render_ranking(RankingReport(market="m", brands=2, candidates=3, metrics={"A": {"auc": 0.5}}))).text
    assert "Not tested" in text
    assert "What it puts first" not in text
    assert "Category by category" not in text


def test_every_link_of_the_page_has_its_section():
    page = Page(render_ranking(full()))
    ids = [value for _, key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = [value for tag, key, value in page.attributes if tag == "a" and key == "href"]
    assert len(targets) == 6
    assert {target[1:] for target in targets} <= set(ids)


def test_a_metric_that_no_method_has_has_no_column():
    metrics = {method: values | {"cauc": float("nan")} for method, values in METRICS.items()}
    rows = (CategoryRow(category="auto", brands=1, metrics=metrics["SBR"]),)
    page = render_ranking(full(metrics=metrics, categories=rows, tests={}, **NO_PLOTS))
    assert "cAUC</th>" not in page
    assert "cAUC</dt>" not in page


def test_the_same_report_gives_the_same_bytes():
    assert render_ranking(full()) == render_ranking(full())


def marks(svg, variable, tag):
    return [
        element
        for element in ET.fromstring(svg).iter(tag)
        if re.search(rf"(?:stroke|fill): var\(--{variable}\)", element.get("style", ""))
    ]


def test_points_of_the_forest_stand_in_proportion():
    metrics = {"A": {"auc": 0.9}, "B": {"auc": 0.5}, "C": {"auc": 0.6}, "D": {"cauc": 1.0}}
    svg = ranking_plots.forest_plot(metrics, {}, shown=["auc"], baselines=["B", "C"])
    places = {
        variable: [float(use.get("x")) for use in marks(svg, variable, "use") if use.get("x")]
        for variable in ("accent", "muted")
    }
    (a,), (b, c) = places["accent"], places["muted"][-2:]
    assert (c - b) / (a - b) == pytest.approx(0.25)


def test_bars_of_self_similarity_have_the_data_s_lengths():
    svg = ranking_plots.self_similarity_plot(full().self_similarity)

    def lengths(variable):
        found = []
        for path in marks(svg, variable, "path"):
            x = [float(number) for number in re.findall(r"[ML] (\S+) \S+", path.get("d"))]
            if "clip-path" in path.attrib and "fill: var" in path.get("style") and len(x) >= 4:
                found.append(max(x) - min(x))
        return found

    average, weighted = lengths("accent"), lengths("warm")
    np.testing.assert_allclose(np.array(average + weighted) / average[0], [1, 0.5, 0.75, 0.25], rtol=1e-3)


def test_a_report_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        full().market = "other"
