"""The representation's page says what the numbers say, shows texts as texts, and stays whole with parts missing."""

import dataclasses
import functools
import re
from functools import partial
from xml.etree import ElementTree as ET

import html_page
import numpy as np
import pytest

from micromega.models.vsvae.result import (
    Bounds,
    FocalPost,
    LatentUse,
    Neighbour,
    Neighbourhood,
    Popularity,
    PopularityRow,
    Probe,
    Reconstruction,
    RepresentationEvaluation,
    table,
)
from micromega.report import representation, representation_plots, representation_words
from micromega.report.representation import render_representation
from micromega.report.representation_content import RepresentationReport

Page = partial(html_page.Page, void={"meta", "br"})
CAPTION = Reconstruction(
    part="caption", measure="accuracy", model=0.38, no_information=0.04, pca=0.07, posts=900, words=9_000, unknown=0.02
)
AUDIO = Reconstruction(
    part="audio", measure="mse", model=0.97, no_information=3.88, pca=1.94, posts=850, explained=0.6,
    explained_by_pca=0.65,
)  # fmt: skip
EDITING = Reconstruction(part="editing", measure="mse", model=1.0, no_information=4.0, pca=3.0, posts=900)


def result(text=str, **changes):
    """Every part filled; each string that comes from data goes through `text`."""
    near = tuple(
        Neighbour(
            post_id=text(f"p{place}"),
            hashtag=text(hashtag),
            caption=text("So tasty"),
            distance=1.25 + place,
            media_path=text("media/a/7.mp4"),
        )
        for place, hashtag in enumerate(("food", "cars", "food"))
    )
    fields = {
        "metrics": table((CAPTION, AUDIO, EDITING)),
        "reconstruction": (CAPTION, AUDIO, EDITING),
        "bounds": Bounds(
            elbo=-120.5,
            importance_weighted=-118.25,
            log_likelihood={"caption": -80.0, "audio": -30.0, "editing": 5.5},
            divergence=16.0,
            samples=64,
            posts=900,
        ),
        "latent": LatentUse(divergence=np.array([0.5, 4.0, 0.0, 2.0]), variance_of_mean=np.array([0.2, 0.9, 0.001, 1])),
        "neighbourhood": Neighbourhood(
            focal=(
                FocalPost(
                    post_id=text("p9"),
                    hashtag=text("food"),
                    caption=text("Dinner"),
                    media_path=text("x.mp4"),
                    neighbours=near,
                ),
            ),
            same_hashtag=0.42,
            same_hashtag_by_chance=0.05,
            by_pca=0.31,
            k=3,
            posts=800,
            candidates=9_000,
            search=text("every post compared"),
        ),
        "popularity": Popularity(
            rows=(
                PopularityRow(
                    target="growth rate", accuracy=0.714, majority=0.52, r_squared=-0.101, accuracy_std=0.012,
                    r_squared_std=0.02, posts=700, seeds=5,
                ),
                PopularityRow(
                    target="starting impressions", accuracy=0.61, majority=0.55, r_squared=0.2, posts=700,
                    representation=text("PCA"),
                ),
            ),
            bayesian_r2={"rate": 0.33, "start": 0.41},
        ),
        "probes": (
            Probe(target="quality", dimensions=1, scores={"r": 0.61, text("PCA"): 0.6}, posts=900),
            Probe(target=text("mood"), dimensions=8, scores={"r": 0.2}, posts=900),
        ),
        "absent": (text("No speech."),),
    }  # fmt: skip
    return RepresentationEvaluation(**(fields | changes))


@pytest.fixture
def without_figures(monkeypatch):
    """Drawing takes most of the time, and these tests look at the words."""
    monkeypatch.setattr(representation, "_figures", lambda _: {"restored": None, "divergence": None})


@functools.cache
def full_page():
    return page()


@functools.cache
def plain_page():
    return page(lambda _: "plain")


def page(text=str, **changes):
    options = {
        "market": text("demo"),
        "notice": text("This market is simulated."),
        "facts": {"Posts": text("7,200 train")},
        "lineage": {"Signature": text("abc")},
    }
    return render_representation(RepresentationReport(result=result(text, **changes), **options))


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}{% for x in y %}",
        "</style></svg></title><iframe>",
    ],
)
def test_texts_stay_texts(payload):
    plain, evil = Page(plain_page()), Page(page(lambda _: payload))
    assert evil.tags == plain.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert payload.split()[0] in evil.text


@pytest.mark.usefixtures("without_figures")
def test_the_model_s_name_stays_text():
    metrics = {"<b>V": {"text_accuracy": 0.5}}
    assert "<b>V" not in page(metrics=metrics)
    assert "<b>V" in Page(page(metrics=metrics)).text


def test_the_first_sentence_says_what_r_holds():
    assert (
        "Of posts that it has not seen, VSVAE restores 38 % of the words at their places (saying the most frequent "
        "one: 4.0 %) and explains 75 % of the variance of sound and 75 % of editing, from 4 numbers a post."
        in Page(full_page()).text
    )


def test_the_first_sentence_without_texts_or_numbers():
    said = representation_words.verdict
    assert said(result(metrics=table((AUDIO,)), reconstruction=(AUDIO,), latent=None)) == (
        "Of posts that it has not seen, VSVAE explains 75\N{NO-BREAK SPACE}% of the variance of sound."
    )
    assert said(result(metrics=table((CAPTION,)), reconstruction=(CAPTION,), latent=None)).endswith(
        "4.0\N{NO-BREAK SPACE}%)."
    )
    assert said(result(metrics={"A": {}}, reconstruction=())) == "A describes a post by 4 numbers."


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({}, "good", "restore none of 2 parts better"),
        ({"pca": 0.9}, "fair", "Of 2 parts, as many principal components restore sound better"),
        ({"pca": 0.96}, "good", "none"),  # a difference of 0.003 in R² is no lead
        ({"model": 4.1}, "bad", "For sound the mean"),
    ],
)
def test_the_badge_follows_the_numbers(changes, tone, words):
    found = representation_words.badge(result(reconstruction=(CAPTION, dataclasses.replace(AUDIO, **changes))))
    assert found[0] == tone
    assert words in found[2]


def test_the_badge_reads_accuracy_the_other_way_round():
    behind = dataclasses.replace(CAPTION, pca=0.5)
    assert representation_words.badge(result(reconstruction=(behind,)))[0] == "fair"
    worse = dataclasses.replace(CAPTION, no_information=0.5)
    assert representation_words.badge(result(reconstruction=(worse,)))[0] == "bad"


def test_without_pca_no_claim():
    alone = dataclasses.replace(AUDIO, pca=None)
    assert representation_words.badge(result(reconstruction=(alone,)))[:2] == ("fair", "Not compared")


def rows_of(html, section):
    body = html.split(f'<section id="{section}">')[1].split("<tbody>")[1].split("</tbody>")[0]
    return [
        [
            (re.sub("<span.*?</span>", "", cell).replace("\N{NO-BREAK SPACE}", " "), "best" in start)
            for start, cell in re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row)
        ]
        for row in body.split("</tr>")[:-1]
    ]


def test_table_2_holds_the_numbers_and_marks_the_better_one():
    caption, audio, editing = rows_of(full_page(), "restored")
    assert [cell for cell, _ in caption] == [
        "Caption", "900", "accuracy", "38.0 %", "7.0 %", "4.0 %", "–", "–", "–", "–",
    ]  # fmt: skip
    assert [cell for cell, _ in audio] == [
        "Sound", "850", "MSE", "0.970", "1.94", "3.88", "0.750", "0.500", "0.600", "0.650",
    ]  # fmt: skip
    assert [cell for cell, best in caption if best] == ["38.0 %"]
    assert [cell for cell, best in audio if best] == ["0.970", "0.650"]
    assert [cell for cell, _ in editing][-2:] == ["–", "–"]


@pytest.mark.usefixtures("without_figures")
def test_without_pca_its_columns_are_gone():
    rows = tuple(dataclasses.replace(row, pca=None, explained_by_pca=None) for row in (CAPTION, AUDIO))
    html = page(reconstruction=rows, metrics=table(rows))
    assert [len(row) for row in rows_of(html, "restored")] == [7, 7]
    assert "PCA" not in html.split('<section id="restored">')[1].split("</section>")[0]


def test_texts_alone_need_no_column_of_r_squared():
    html = page(reconstruction=(CAPTION,), metrics=table((CAPTION,)))
    assert [len(row) for row in rows_of(html, "restored")] == [6]
    assert "R² of numbers" not in html


def test_the_bound_is_the_sum_of_its_parts():
    values = [float(row[1][0].replace("−", "-")) for row in rows_of(full_page(), "bound")]
    assert values == [-80.0, -30.0, 5.5, -16.0]
    assert sum(values) == -120.5
    assert "−118.2" in full_page()


def test_neighbours_show_distance_hashtag_and_file():
    html = full_page()
    text = Page(html).text
    assert "42.0 % stand under its hashtag; of posts drawn at random, 5.0 % would" in text
    assert "principal components, 31.0 % do" in text
    assert re.findall(r'class="tag( off)?">Distance ([\d.]+)', html) == [("", "1.25"), (" off", "2.25"), ("", "3.25")]
    assert "7.mp4" in text
    assert "media/a" not in text


def test_popularity_and_probes_in_rows():
    html = full_page()
    assert [cell for cell, _ in rows_of(html, "popularity")[0]] == [
        "Growth rate", "r", "71.4 % ± 1.2", "52.0 %", "−0.101 ± 0.020", "700",
    ]  # fmt: skip
    assert [cell for cell, _ in rows_of(html, "popularity")[1]][1:5] == ["PCA", "61.0 %", "55.0 %", "0.200"]
    assert rows_of(html, "truth")[0] == [("quality", False), ("1", False), ("0.610", True), ("0.600", False)]
    assert [cell for cell, _ in rows_of(html, "truth")[1]] == ["mood", "8", "0.200", "–"]


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("without", "empty", "words"),
    [
        ("bounds", None, "lower bound"),
        ("latent", None, "Use of r"),
        ("neighbourhood", None, "Neighbours"),
        ("popularity", None, "more popular than expected"),
        ("popularity", Popularity(rows=()), "more popular than expected"),
        ("probes", (), "What really drives"),
        ("absent", (), "No speech."),
        ("reconstruction", (), "What can be restored"),
    ],
)
def test_any_part_may_be_missing(without, empty, words):
    assert words in Page(full_page()).text
    html = page(**{without: empty})
    assert words not in Page(html).text
    every_link_has_its_section(html)


@pytest.mark.usefixtures("without_figures")
def test_no_hashtags_no_share():
    near = dataclasses.replace(result().neighbourhood, same_hashtag=float("nan"), focal=())
    text = Page(page(neighbourhood=near)).text
    assert "No held-out post has a hashtag" in text
    assert "of the same hashtag" not in text


@pytest.mark.usefixtures("without_figures")
def test_a_bare_report_is_a_page():
    bare = RepresentationEvaluation(metrics={"A": {}}, reconstruction=())
    html = render_representation(RepresentationReport(market="m", result=bare))
    assert "A describes a post by numbers." in Page(html).text
    every_link_has_its_section(html)


def test_links():
    assert every_link_has_its_section(full_page()) == 8


def every_link_has_its_section(html):
    held = Page(html)
    ids = [value for _, key, value in held.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = [value[1:] for tag, key, value in held.attributes if tag == "a" and key == "href"]
    assert set(targets) <= set(ids)
    return len(targets)


def test_the_same_report_gives_the_same_bytes():
    assert page() == full_page()


def bars(svg, variable, along):
    """Lengths of the bars in a colour."""
    found = []
    for path in ET.fromstring(svg).iter("path"):
        if "clip-path" in path.attrib and f"fill: var(--{variable})" in path.get("style", ""):
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d"))][along::2]
            found.append(max(numbers) - min(numbers))
    return np.array(found)


def test_bars_have_the_lengths_of_the_numbers():
    svg = representation_plots.restored_plot((CAPTION, AUDIO, EDITING), model="VSVAE")
    mine, pca, nothing = (bars(svg, variable, 0) for variable in ("accent", "warm", "muted"))
    assert [len(found) for found in (mine, pca, nothing)] == [3, 3, 1]  # two numbers' parts, then the text
    np.testing.assert_allclose(pca[:2] / mine[0], [0.5 / 0.75, 0.25 / 0.75], rtol=1e-3)
    np.testing.assert_allclose([pca[2] / mine[2], nothing[0] / mine[2]], [0.07 / 0.38, 0.04 / 0.38], rtol=1e-3)


def test_parts_that_are_restored_worse_than_by_nothing_are_drawn():
    worse = dataclasses.replace(AUDIO, model=9.0)
    svg = representation_plots.restored_plot((worse, EDITING), model="VSVAE")
    mine = bars(svg, "accent", 0)
    np.testing.assert_allclose(mine[0] / mine[1], abs(1 - 9 / 3.88) / 0.75, rtol=1e-3)


def test_divergences_are_sorted_and_idle_numbers_muted():
    svg = representation_plots.divergence_plot(result().latent)
    active, idle = bars(svg, "accent", 1), bars(svg, "muted", 1)
    np.testing.assert_allclose(active / active[0], [1, 0.5, 0.125], rtol=1e-3)
    np.testing.assert_allclose(idle, [0], atol=1e-6)
