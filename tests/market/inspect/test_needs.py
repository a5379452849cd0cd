"""What the card says of the models holds: names exist, and the ranker does run where the card says so."""

import numpy as np
import pyarrow as pa
import pytest
from tiny_market import tiny_tables, with_column, write_tiny

from micromega.errors import DataError
from micromega.market import Market, simulate, write_market
from micromega.market.inspect import inspect_market
from micromega.market.inspect.enough import _COUNTS
from micromega.market.inspect.needs import MODELS, lacking, parts_of, parts_of_tables
from micromega.market.schemas import SCHEMAS
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig

ALL_PARTS = [part for model in MODELS for need in (*model.needs, *model.helps) for way in need.ways for part in way]


@pytest.mark.parametrize("part", sorted(set(ALL_PARTS)))
def test_every_part_exists(part):
    if part.startswith("features/"):
        return
    table, _, column = part.partition(".")
    assert table in SCHEMAS
    assert not column or column in SCHEMAS[table].columns


def test_every_model_has_a_count():
    names = [model.name for model in MODELS]
    assert names == list(_COUNTS)
    assert names == [
        "mir",
        "vsvae",
        "deepiv",
        "effectiveness",
        "growth",
        "diffusion",
        "matching",
        "cascade",
        "campaign",
    ]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_each_need_is_needed_and_says_what_to_do(model):
    first_ways = {part for need in model.needs for part in need.ways[0]}
    parts = frozenset(first_ways | {part.split(".")[0] for part in first_ways})
    assert lacking(model.needs, parts) == ()
    for need in model.needs:
        other = {part for other in model.needs if other is not need for part in other.ways[0]}
        for lack in lacking((need,), parts - (set(need.ways[0]) - other)):
            assert lack.what == need.what
            assert len(lack.remedy) > 20
    for lack in lacking(model.needs, frozenset()):
        assert lack.parts
        assert lack.remedy


def test_a_second_way_is_as_good():
    (deepiv,) = [model for model in MODELS if model.name == "deepiv"]
    parts = parts_of_tables(
        {"posts": ["impressions", "likes"], "accounts": ["followers", "hearts", "videos"]}
    )  # fmt: skip
    assert lacking(deepiv.needs, parts) == ()
    (lack,) = lacking(deepiv.needs, parts - {"accounts.videos", "accounts.hearts"})
    assert lack.parts == ("posts.past_hearts",)
    assert "accounts.hearts" in lack.remedy


def test_a_missing_table_is_named_once():
    (matching,) = [model for model in MODELS if model.name == "effectiveness"]
    (lack,) = lacking(matching.needs, frozenset({"accounts"}))
    assert lack.parts == ("campaigns",)
    assert lack.remedy == SCHEMAS["campaigns"].remedy


def test_needs_with_one_remedy_are_one_lack():
    (mir,) = [model for model in MODELS if model.name == "mir"]
    (lack,) = lacking(mir.needs, frozenset({"accounts", "accounts.followers", "mentions"}))
    assert lack.what == "captions; likes; posts that name the brand"
    assert lack.parts == ("posts.caption", "posts.likes", "posts.mentioned_ids")
    assert lack.remedy == SCHEMAS["posts"].remedy


def test_empty_columns_and_lists_are_no_parts(tmp_path):
    tables = tiny_tables()
    empty = pa.array([[]] * 4, pa.list_(pa.string()))
    market = write_tiny(tmp_path / "m", posts=with_column(tables["posts"], "hashtags", empty))
    parts = parts_of(market)
    assert {"posts.caption", "posts.mentioned_ids", "posts.likes", "posts"} <= parts
    assert not {"posts.hashtags", "posts.comments", "views"} & parts


def card(market, name):
    return next(model for model in inspect_market(market).models if model.name == name)


def damaged(market, folder, **changes):
    """A copy with some columns emptied, tables dropped or rows left out."""
    tables = dict(market.tables)
    for name, change in changes.items():
        tables[name] = change(tables[name])
    return write_market(folder, {k: v for k, v in tables.items() if v is not None}, name="copy", currency="EUR")


def without(column):
    return lambda table: table.drop_columns([column])


@pytest.fixture(scope="module")
def simulated():
    return simulate(seed=1, brands=12, creators=60, posts=5)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("whole", {}),
        ("no captions", {"posts": without("caption")}),
        ("no likes", {"posts": without("likes")}),
        ("no followers", {"accounts": without("followers")}),
        ("no mentions", {"mentions": lambda _: None}),
        ("few posts", {"posts": lambda table: table.slice(0, 30), "mentions": lambda _: None}),
        ("one brand", {"mentions": lambda table: table.slice(0, 2)}),
        ("no marks", {"posts": lambda table: table.drop_columns(["mentioned_ids", "brand_id"])}),
        ("posts of pairs gone", {"posts": lambda table: table.filter(pa.compute.is_null(table["brand_id"]))}),
        ("brands silent", {"posts": "silent"}),
    ],
)
def test_the_ranker_runs_exactly_where_the_card_says_so(name, changes, simulated, tmp_path):
    if changes.get("posts") == "silent":
        brands = simulated.tables["accounts"].filter(pa.compute.equal(simulated.tables["accounts"]["kind"], "brand"))
        changes = {
            "posts": lambda table: table.filter(
                pa.compute.invert(pa.compute.is_in(table["account_id"], brands["account_id"].combine_chunks()))
            )
        }
    tables = {k: v for k, v in simulated.tables.items() if k in ("accounts", "posts", "mentions")}
    market = damaged(
        Market(path=simulated.path, name="", currency="", tables=tables, fingerprint=""), tmp_path / "m", **changes
    )
    said = card(market, "mir")
    setting = "mentions" if "data.brand_posts=mentions" in said.advice else "own"
    try:
        found = build_accounts(market, MIRDataConfig(brand_posts=setting))
    except DataError:
        found = None
    assert (said.status == "no") == (found is None), said
    if found is not None:
        brands, creators, pairs = len(found.brand_ids) - found.cold, len(found.creator_ids), len(found.pair_brand)
        assert said.words == f"{brands:,} brands, {creators:,} candidates, {pairs:,} pairs"


def of_arrays(folder, **arrays):
    """Four brands and eight creators without posts: b0 to b2 have four partners, b3 two; ids of each array."""
    from micromega.market.write import MarketWriter

    ids = [*(f"b{n}" for n in range(4)), *(f"c{n}" for n in range(8))]
    pairs = [(f"b{n}", f"c{c}") for n in range(4) for c in range(n, n + (4 if n < 3 else 2))]
    with MarketWriter(folder, name="arrays", currency="USD", source="made up", notes=[]) as writer:
        kinds = ["brand" if i.startswith("b") else "creator" for i in ids]
        writer.append("accounts", pa.table({"account_id": ids, "kind": kinds}))
        writer.append("mentions", pa.table({"brand_id": [b for b, _ in pairs], "creator_id": [c for _, c in pairs],
                                            "posts": [1] * len(pairs)}))  # fmt: skip
        for name, (key, inside) in arrays.items():
            with writer.array(name, key=key, shape=(2,), dtype="float32", source="made up") as array:
                array.append(pa.array(inside), np.ones((len(inside), 2), np.float32))
    return writer.market


ALL_IDS = [*(f"b{n}" for n in range(4)), *(f"c{n}" for n in range(8))]


@pytest.mark.parametrize(
    ("arrays", "chosen"),
    [
        ({"topics": ("account_id", ALL_IDS), "topics_test": ("account_id", ALL_IDS[4:6])}, ["topics"]),
        ({"topics": ("account_id", ALL_IDS), "tags": ("account_id", ALL_IDS[:-2])}, ["tags", "topics"]),
        ({"topics": ("account_id", ALL_IDS), "logos": ("account_id", ALL_IDS[:4])}, ["topics"]),
        ({"topics": ("account_id", ALL_IDS[1:])}, None),  # two brands are left
        ({"topics": ("account_id", ALL_IDS[:7])}, None),  # three creators
        ({"logos": ("account_id", ALL_IDS[:4])}, None),
        ({}, None),
    ],
)
def test_the_ranker_runs_without_posts_exactly_where_the_card_says_so(arrays, chosen, tmp_path):
    market = of_arrays(tmp_path / "m", **arrays)
    said = card(market, "mir")
    assert (said.status == "no") == (chosen is None), said
    try:
        names = chosen or [name for name in arrays if name != "topics_test"] or ["topics"]
        found = build_accounts(market, MIRDataConfig(modalities=tuple(names)))
    except DataError:
        found = None
    assert (found is None) == (chosen is None)
    if found is not None:
        assert f"'data.modalities=[{','.join(chosen)}]'" in said.advice
        brands, creators, pairs = len(found.brand_ids) - found.cold, len(found.creator_ids), len(found.pair_brand)
        assert said.words == f"{brands:,} brands, {creators:,} candidates, {pairs:,} pairs"
        assert "captions; likes; posts that name the brand" in [lack.what for lack in said.wishes]
    elif not arrays:
        assert "captions; likes; posts that name the brand" in [lack.what for lack in said.lacks]


@pytest.mark.realdata
def test_the_ranker_runs_on_the_papers_own_accounts(public_data, tmp_path):
    from micromega.market.importers.mir_features_2019 import import_folder

    market = import_folder(public_data / "mir-instagram-2019-features", tmp_path / "m")
    said = card(market, "mir")
    assert said.status == "ready"
    assert "[hashtags,topics]" in said.advice
    found = build_accounts(market, MIRDataConfig(modalities=("hashtags", "topics")))
    assert said.words.startswith(f"{len(found.brand_ids) - found.cold} brands, {len(found.creator_ids):,} candidates")


def test_deep_iv_counts_posts_with_everything_known(tmp_path):
    tables = tiny_tables()
    posts = tables["posts"].append_column("impressions", pa.array([10, 0, 10, 10]))
    accounts = tables["accounts"].append_column("hearts", pa.array([None, None, 900, 50, 9_000]))
    accounts = accounts.append_column("videos", pa.array([None, None, 10, 1, 10]))
    said = card(write_tiny(tmp_path / "m", posts=posts, accounts=accounts), "deepiv")
    # p2 has no impressions, ben (p3) no other video
    assert said.words == "2 posts of 2 creators; instrument: hearts / videos of the account"
    assert (said.status, said.advice) == ("no", "Fewer than 30 posts: there is nothing to learn from.")
    given = posts.append_column("past_hearts", pa.array([None, 5.0, 3.0, None]))
    said = card(write_tiny(tmp_path / "n", posts=given, accounts=accounts), "deepiv")
    assert said.words == "1 post of 1 creator; instrument: posts.past_hearts"


@pytest.mark.parametrize(
    ("posts", "creators", "status"), [(1, 1, "no"), (29, 29, "no"), (40, 4, "no"), (30, 5, "weak"), (1_000, 5, "ready")]
)
def test_deep_iv_needs_posts_of_several_creators(posts, creators, status, tmp_path):
    accounts = pa.table({"account_id": [f"a{i}" for i in range(creators)], "kind": ["creator"] * creators})
    rows = pa.table({"post_id": [f"p{i}" for i in range(posts)],
                     "account_id": [f"a{i % creators}" for i in range(posts)], "impressions": [9] * posts,
                     "author_followers": [9] * posts, "past_hearts": [2.0] * posts})  # fmt: skip
    market = write_market(tmp_path / "m", {"accounts": accounts, "posts": rows}, name="x", currency="EUR")
    said = card(market, "deepiv")
    assert said.status == status
    assert bool(said.advice) == (status != "ready")


def test_models_of_the_card_are_those_that_can_be_configured(repository):
    for name in {model.name for model in MODELS} - {"growth"}:  # growth is fitted by a function
        group = "problem" if name in {"campaign", "matching", "cascade"} else "model"
        assert (repository / "conf" / group / f"{name}.yaml").is_file()


def test_deep_iv_takes_earlier_likes_where_there_is_nothing_else(tmp_path):
    posts = tiny_tables()["posts"].append_column("impressions", pa.array([10, 10, 10, 10]))
    said = card(write_tiny(tmp_path / "m", posts=posts), "deepiv")
    assert said.words == "1 post of 1 creator; instrument: likes of earlier posts"  # p2 comes after p1 of ann


def test_models_beyond_the_ranker(tmp_path):
    posts = tiny_tables()["posts"]
    market = write_tiny(
        tmp_path / "m",
        posts=posts.append_column("hashtag", pa.array(["x"] * len(posts))),
        views=pa.table({"post_id": ["p1", "p1", "p2"], "day": [1, 2, 1], "impressions": [1, 2, 3]}),
        campaigns=pa.table({"campaign_id": ["k", "l"], "creator_id": ["ann", "ben"], "content_type": ["post"] * 2,
                            "revenue": [None, 4.0]}),
        merchants=pa.table({"merchant_id": ["m"], "quota": [3]}),
        products=pa.table({"product_id": ["x"], "merchant_id": ["m"], "quota": [2]}),
        orders=pa.table({"order_id": ["1"], "product_id": ["x"], "customer_id": ["ann"], "merchant_id": ["m"]}),
        follows=pa.table({"source_id": ["ann", "ann"], "target_id": ["ben", "cem"]}),
        exposures=pa.table({"post_id": ["p1", "p1"], "source_id": ["ann", "ann"], "target_id": ["ben", "cem"],
                            "activated": [True, False]}),
    )  # fmt: skip
    said = {model.name: model for model in inspect_market(market).models}
    assert said["growth"].words == "1 post with two days or more (at most 2)"
    assert said["effectiveness"].words == "1 campaign with an outcome, 1 creator"
    assert said["matching"].words == "1 customer for 2 places with 1 product"
    assert said["cascade"].words == "2 edges between 3 accounts"
    assert said["diffusion"].words == "2 exposures, 50.0% activated"
    assert said["campaign"].status == "no"
    assert "ranker cannot run" in said["campaign"].advice
    assert {name for name, model in said.items() if model.status != "no"} == {"cascade"}
    for name, words in {
        "growth": "Fewer than 10 posts",
        "effectiveness": "Fewer than 10 campaigns",
        "matching": "Fewer than 2 customers",
        "diffusion": "Fewer than 10 exposures",
    }.items():
        assert said[name].advice.startswith(words)
    once = write_tiny(tmp_path / "n", views=pa.table({"post_id": ["p1"], "day": [1], "impressions": [1]}))
    assert card(once, "growth").status == "no"


def test_features_make_content_vectors_possible(tmp_path):
    from micromega.market.arrays import FOLDER, ArrayWriter

    market = write_tiny(tmp_path / "m")
    assert card(market, "vsvae").status == "no"
    with ArrayWriter(market.path / FOLDER, name="audio", key="post_id", shape=(3,), dtype="float32") as writer:
        import numpy as np

        writer.append(["p1", "p2"], np.ones((2, 3)))
    market = Market.load(market.path)
    said = card(market, "vsvae")
    assert (said.status, said.words) == ("no", "4 posts; caption 100%, audio 50%")
    assert said.advice.startswith("Fewer than 10 posts: there is nothing to learn from. Name what there is: data.parts")
    (feature,) = inspect_market(market).features
    assert (feature.name, feature.rows, feature.shape) == ("audio", 2, "3 float32")
