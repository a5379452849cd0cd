"""The page and the terminal show the card, load and run nothing, and no text of the data steers them."""

import datetime as dt
import io
import re
from functools import partial
from pathlib import Path

import html_page
import pyarrow as pa
import pytest
from rich.console import Console
from tiny_market import tiny_tables, write_tiny

from micromega.market import Market
from micromega.market.importers import instagram_2017
from micromega.market.inspect import DataCard, Finding, Histogram, ModelCard, TableCard, inspect_market
from micromega.market.inspect.card import FeatureCard
from micromega.market.inspect.columns import column_card
from micromega.market.inspect.needs import Lack
from micromega.report import card_words
from micromega.report.data_card import HEIGHT, WIDTH, bars, render, zero_bar
from micromega.report.terminal_card import plain, show, spark

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
Page = partial(html_page.Page, void={"meta"})


def full(say=lambda text: text, **changes):
    """A card that has everything; `say` is applied to every text that may come from data."""
    values = pa.chunked_array([pa.array([say("x")] * 9 + [say("x") + "y"])])
    counts = pa.chunked_array([pa.array([0, 0, 1, 5, 2_000, 30_000], pa.int64())])
    lists = pa.chunked_array([pa.array([[say("x")]] * 6)])
    card = {
        "name": say("market"),
        "kind": "market",
        "currency": say("EUR"),
        "source": say("somewhere"),
        "fingerprint": "ab" * 32,
        "first": dt.date(2024, 1, 1),
        "last": dt.date(2024, 3, 1),
        "tables": (
            TableCard(
                name=say("posts"),
                rows=10,
                columns=(
                    column_card(say("caption"), values, say("text `a`")),
                    column_card(say("likes"), counts, "likes"),
                    column_card(say("hashtags"), lists),
                ),
                empty=(say("shares"),),
            ),
        ),
        "features": (FeatureCard(name=say("audio"), key="post_id", rows=3, shape="3 float32", source=say("made")),),
        "models": (
            ModelCard(name="mir", title="Ranker", gives="scores", status="ready", words=say("3 brands")),
            ModelCard(name="growth", title="Growth", gives="days", status="no",
                      lacks=(Lack(what="views", parts=("views",), remedy="Add `views`."),)),
        ),
        "findings": (
            Finding(severity="serious", table="posts", column="likes", what="bad post|bad posts", count=2, total=10,
                    examples=(say("p1"), say("p2")), remedy="Look at `posts`."),
            Finding(severity="note", table=say("posts"), what=say("All the same"), count=1, remedy="Nothing."),
        ),
        "notes": (say("a note"),),
        "suggestion": say("name: x"),
    }  # fmt: skip
    return DataCard(**(card | changes))


PAYLOADS = [
    "<script>alert(1)</script>",
    "</script></style></svg></title></pre><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!-- --!> <![CDATA[ ]]> &lt;script&gt; &amp;",
    "</bdi><iframe srcdoc='<script>alert(1)</script>'>",
    "url(https://example.com/x) @import 'https://example.com'; }</style>",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_stay_texts(payload):
    payload = payload.replace("`", "")
    calm, evil = Page(render(full(lambda _: "plain"))), Page(render(full(lambda _: payload)))
    assert evil.tags == calm.tags
    assert [(tag, key) for tag, key, _ in evil.attributes] == [(tag, key) for tag, key, _ in calm.attributes]
    assert not {"script", "iframe", "img", "object", "embed", "link", "base", "form"} & set(evil.tags)
    assert not [key for _, key, _ in evil.attributes if key.startswith("on")]
    assert evil.texts.count(payload) >= 10


def test_a_market_full_of_scripts(tmp_path):
    evil = "<script>alert(1)</script>"
    tables = tiny_tables()
    accounts = pa.table({"account_id": [evil, "bolt", "ann", "ben", "cem"],
                         "kind": ["brand"] * 2 + ["creator"] * 3, "category": [evil] * 5})  # fmt: skip
    posts = (
        tables["posts"].set_column(3, "caption", pa.array([evil] * 4)).set_column(1, "account_id", pa.array([evil] * 4))
    )
    posts = posts.set_column(posts.column_names.index("brand_id"), "brand_id", pa.nulls(4, pa.string()))
    folder = tmp_path / "m"
    from micromega.market import write_market

    market = write_market(folder, {"accounts": accounts, "posts": posts}, name=evil, currency=evil, notes=[evil])
    page = Page(render(inspect_market(market, now=NOW)))
    assert "script" not in page.tags
    assert page.text.count(evil) >= 5


def test_nothing_is_loaded_and_references_resolve():
    html = render(full())
    page = Page(html)
    assert re.findall(r"https?:|//[a-z]|@import|srcset|\bsrc=", html) == []
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    ids = [value for _, key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, key, value in page.attributes if key == "href"} <= set(ids)


def test_the_page_shows_its_numbers():
    text = Page(render(full(source="somewhere"))).text
    for words in (
        "10 posts, 1 Jan 2024 to 1 Mar 2024. 1 of 2 models can run.",
        "Look before use 2 findings: 1 serious, 1 good to know.",
        "posts 10 3 of 4 columns filled",
        "Ranker scores can run 3 brands",
        "Growth days cannot run Missing: views ( views ) . Add views .",
        "serious 2 bad posts posts.likes 20.0 % of 10. Look at posts .",
        "All: p1 · p2",
        "good to know All the same posts Nothing.",
        "likes likes count – 0 5 30,000",
        "log scale; left: 2 zeros",
        "2 different values x 90.0 %, xy 10.0 %",
        "Without any value: shares .",
        "audio post_id 3 3 float32 made",
        "a note",
        "name: x",
        "Fingerprint abab",
    ):
        assert words in text, words
    assert text.index("Ranker") < text.index("Growth")


def test_models_that_can_run_are_counted_and_come_first():
    models = [ModelCard(name=name, title=f"T {name}", gives="x", status=status)
              for name, status in (("a", "no"), ("b", "ready"), ("c", "weak"))]  # fmt: skip
    card = full(models=tuple(models))
    text = Page(render(card)).text
    words = "2 of 3 models can run."
    assert words in text
    places = [text.index(f"T {name} x") for name in "bca"]
    assert places == sorted(places)
    assert words in " ".join(printed(card, width=200).split())
    assert "None of 2 models can run." in Page(render(full(models=tuple(models[:1] * 2)))).text


def test_no_currency_where_there_is_no_money(tmp_path):
    tables = tiny_tables()
    with_money = inspect_market(write_tiny(tmp_path / "a"), now=NOW)
    assert with_money.currency == "EUR"
    from micromega.market import write_market

    bare = {name: tables[name] for name in ("accounts", "posts", "mentions")}
    without = inspect_market(write_market(tmp_path / "b", bare, name="x", currency="EUR"), now=NOW)
    assert without.currency == ""
    assert "urrency" not in Page(render(without)).text
    assert "currency" not in printed(without)
    assert "currency EUR" in printed(with_money)


@pytest.mark.parametrize("part", ["tables", "features", "models", "findings", "notes", "suggestion", "first", "source"])
def test_parts_may_be_missing(part):
    page = Page(render(full(**{part: None if part == "first" else "" if part in ("suggestion", "source") else ()})))
    assert "None" not in page.text
    assert {v[1:] for _, k, v in page.attributes if k == "href"} <= {v for _, k, v in page.attributes if k == "id"}


def test_least_card():
    card = DataCard(name="x", kind="files", tables=(), models=())
    assert "No market yet" in Page(render(card)).text
    assert "No model can run" in Page(render(card)).text


def numbers(path):
    return [float(x) for x in re.findall(r"-?\d+\.?\d*", path)]


def test_bars_stay_inside_their_box_and_keep_proportions():
    found = Histogram(counts=(4, 0, 1000, 2), low=1, high=10, log=True, zeros=500)
    paths = [zero_bar(found), *re.findall(r"M[^z]*z", bars(found))]
    assert len(paths) == 4  # an empty bin has no bar
    right = -1.0
    heights = []
    for path in paths:
        left, bottom, up, width, base = numbers(path)
        assert right <= left
        right = left + width
        assert right <= WIDTH
        assert bottom == base == HEIGHT
        assert 1 <= -up <= HEIGHT
        heights.append(-up)
    assert heights == [HEIGHT / 2, 1, HEIGHT, 1]


def printed(card, width=120):
    out = io.StringIO()
    show(card, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def test_the_terminal_shows_the_same():
    text = printed(full())
    for words in ("market · 10 posts, 1 Jan 2024 to 1 Mar 2024. 1 of 2 models can run.",
                  "Look before use", "0 to 30,000, median 5", "log", "mir", "can run", "Ranker: scores",
                  "needs views (views): Add `views`.",
                  "serious  2 bad posts  posts.likes", "p1, p2", "a note", "fingerprint abab"):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(
    "payload", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "[bold red]x[/]", "a\rb", "\u202egnirts", "\x9b2J"]
)
def test_texts_do_not_steer_the_terminal(payload):
    text = printed(full(lambda _: payload), width=200)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    if payload.startswith("["):
        assert text.count(payload) >= 5


def test_plain_keeps_what_can_be_read():
    assert plain("Ünïcode 東京 🎉 a\N{NO-BREAK SPACE}b") == "Ünïcode 東京 🎉 a b"


@pytest.mark.parametrize(
    ("counts", "zeros", "blocks"),
    [((1, 8), 0, "▁█"), ((0, 1), 0, "·█"), ((100, 1), 50, "▄|█▁")],
)
def test_sparks(counts, zeros, blocks):
    assert spark(Histogram(counts=counts, low=1, high=2, zeros=zeros)) == blocks


@pytest.mark.parametrize("width", [40, 80, 200])
def test_narrow_terminals(width):
    assert max(map(len, printed(full(), width=width).splitlines())) <= width


def test_the_same_market_gives_the_same_page(tmp_path):
    first = write_tiny(tmp_path / "a")
    second = Market.load(write_tiny(tmp_path / "b").path)
    assert render(inspect_market(first, now=NOW)) == render(inspect_market(second, now=NOW))


def test_the_style_of_the_report_is_used_with_its_colours_only():
    folder = Path(card_words.__file__).parent / "templates"
    style = (folder / "data_card.css").read_text(encoding="utf-8")
    known = set(re.findall(r"(--[\w-]+):", (folder / "campaign.css").read_text(encoding="utf-8")))
    assert set(re.findall(r"var\((--[\w-]+)\)", style)) <= known
    assert not re.findall(r"#[0-9a-f]{3,6}\b", style)


@pytest.mark.realdata
def test_the_real_market(public_data, tmp_path):
    market = instagram_2017.import_folder(public_data / "instagram-posts-2017", tmp_path / "m")
    card = inspect_market(market, now=NOW)
    text = Page(render(card)).text
    for words in ("1,195 accounts and 16,539 posts, 6 Sep 2013 to 1 May 2017. 3 of 9 models can run.",
                  "216 brands, 955 candidates, 1,647 pairs", "set data.brand_posts=mentions",
                  "101 posts that repeat another's account, time and caption"):  # fmt: skip
        assert words in text, words
    (model,) = [model for model in card.models if model.name == "deepiv"]
    assert [lack.parts for lack in model.lacks] == [("posts.impressions",)]
