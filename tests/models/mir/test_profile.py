"""Categories and biographies as a modality, and that neither of them gives the answer away."""

import collections

import numpy as np
import pyarrow as pa
import pytest
from mir_markets import HandMadeMarket, hand_made

from micromega.errors import DataError
from micromega.features.text import hashed_vectors
from micromega.market.mentions import with_creator_categories
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.profile import profile_features

POSTS = [(f"c{n}", "words", []) for n in range(6) for _ in range(2)] + [
    (f"c{n}", "an ad", [brand]) for brand, who in {"b0": (0, 1, 2), "b1": (2, 3), "b2": (4, 5)}.items() for n in who
]
CATEGORIES = {"b0": "shoes", "b1": "food", "c0": "travel", "c1": "food", "c2": "travel", "c4": "", "c5": "shoes"}
BIOGRAPHIES = {"b0": "We make shoes", "c1": "Shoes! shoes, @b0 and bread", "c2": "", "c3": "bread and shoes"}


def market_of(posts=POSTS, categories=CATEGORIES, biographies=BIOGRAPHIES):
    tables = hand_made(posts, categories=categories).tables
    ids = tables["accounts"]["account_id"].to_pylist()
    words = pa.array([biographies.get(i) for i in ids], pa.string())
    place = tables["accounts"].schema.get_field_index("biography")
    return HandMadeMarket(tables | {"accounts": tables["accounts"].set_column(place, "biography", words)})


def profile_of(market, hashed=32):
    accounts = market.table("accounts")
    found = profile_features(market, accounts, np.arange(accounts.num_rows), hashed)
    return dict(zip(accounts["account_id"].to_pylist(), found, strict=True))


def test_a_category_is_one_number_shared_by_brands_and_creators():
    found = profile_of(market_of(), hashed=0)
    assert all(len(row) == 3 for row in found.values())  # shoes, food, travel; the empty one is none
    for one, other in ((("b0"), "c5"), ("b1", "c1"), ("c0", "c2")):
        np.testing.assert_array_equal(found[one], found[other])
    assert [row.sum() for row in (found["b2"], found["c3"], found["c4"])] == [0, 0, 0]
    assert sorted(np.argmax([found["b0"], found["b1"], found["c0"]], axis=1)) == [0, 1, 2]
    assert all(row.sum() == 1 for name, row in found.items() if CATEGORIES.get(name))


def test_a_biography_is_the_mean_of_its_words_vectors_without_names():
    found = profile_of(market_of(), hashed=32)
    vector = dict(
        zip(
            ("shoes", "bread", "and", "we", "make"),
            hashed_vectors(pa.array(["shoes", "bread", "and", "we", "make"]), 32),
            strict=True,
        )
    )
    for account, text in {"b0": "we make shoes", "c1": "shoes shoes and bread", "c3": "bread and shoes"}.items():
        expected = np.mean([vector[word] for word in text.split()], axis=0)
        np.testing.assert_allclose(found[account][3:], expected, rtol=1e-5, atol=1e-7)
    assert not any(found[account][3:].any() for account in ("b1", "c0", "c2"))


def test_hashtags_of_brands_in_biographies_are_no_words():
    tagged, plain = (
        profile_of(market_of(biographies={"c1": text, "b0": "a"}))["c1"] for text in ("bread #b0 #B_1", "bread")
    )
    np.testing.assert_array_equal(tagged, plain)


def test_every_view_of_an_account_has_its_accounts_row():
    market = market_of()
    settings = {"brand_posts": "mentions", "min_positives": 2, "min_posts": 1, "list_length": 2}
    for modalities in (("profile",), ("profile", "account")):
        accounts = build_accounts(market, MIRDataConfig(**settings, modalities=modalities, hashed_size=16))
        found, by_id = accounts.features["profile"], profile_of(market, hashed=16)
        assert len(found) == accounts.members.shape[0]
        for brand, view in zip(accounts.brand_ids[accounts.pair_brand], accounts.pair_view, strict=True):
            np.testing.assert_array_equal(found[view], by_id[brand])
        for account, view in zip(accounts.creator_ids, accounts.creator_view, strict=True):
            np.testing.assert_array_equal(found[view], by_id[account])
        for view, account in enumerate(accounts.brand_ids):
            np.testing.assert_array_equal(found[view], by_id[account])


def test_one_of_the_two_columns_is_enough_and_none_is_refused():
    assert profile_of(market_of(biographies={}))["b0"].any()
    assert profile_of(market_of(categories={}))["b0"].any()
    for market, hashed in (
        (market_of(categories={}, biographies={}), 32),
        (market_of(categories={"c1": ""}, biographies={"c1": " "}), 32),
        (market_of(categories={}), 0),
    ):
        with pytest.raises(DataError, match=r'"category" or "biography" of accounts\.parquet.*hand-made'):
            profile_of(market, hashed)


def derived(market):
    accounts = with_creator_categories(market.tables["accounts"], market.tables["mentions"])
    return HandMadeMarket(market.tables | {"accounts": accounts})


def test_categories_that_importers_take_from_mentions_do_not_give_the_answer_away(caplog):
    brands = {name: category for name, category in CATEGORIES.items() if name.startswith("b")}
    market = derived(market_of(categories=brands))
    kinds = market.tables["accounts"].select(["account_id", "category"]).to_pylist()
    assert {row["account_id"]: row["category"] for row in kinds}["c0"] == "shoes"
    found = profile_of(market)
    assert "100 % of the creators with a category have that of the brands that they mention most" in caplog.text
    assert not any(found[f"c{n}"][:2].any() for n in range(6))
    assert found["b0"][:2].sum() == found["b1"][:2].sum() == 1
    np.testing.assert_allclose(found["c3"][2:], profile_of(market_of())["c3"][3:], err_msg="biographies stay")


OWN = {"c6": "travel", "c7": "food", "c8": "shoes", "c9": "travel"}
WITH_OTHERS = POSTS + [(f"c{n}", "words", []) for n in range(6, 14) for _ in range(2)]


def creators_categories(found):
    """Categories of creators that can be read from their features; there are four numbers or fewer."""
    return {name for name, row in found.items() if name.startswith("c") and row[:3].any()}


def test_so_they_do_where_only_some_creators_have_one(caplog):
    market = derived(market_of(categories={name: CATEGORIES[name] for name in ("b0", "b1")}, biographies={}))
    known = market.tables["accounts"]["category"].to_pylist()
    assert 0 < len([1 for category in known if category is None]) < 6
    assert not creators_categories(profile_of(market, hashed=0))
    assert "100 % of the creators with a category" in caplog.text


def test_categories_of_their_own_beside_filled_in_ones_do_not_hide_these(caplog):
    """c0 to c2 have other categories than their brands, c3 to c5 are given theirs, four in eight others have none."""
    categories = CATEGORIES | OWN | {"b2": "travel", "c2": "shoes", "c4": None, "c5": None}
    market = derived(market_of(WITH_OTHERS, categories, biographies={}))
    by_id = {row["account_id"]: row["category"] for row in market.tables["accounts"].to_pylist()}
    assert [by_id[f"c{n}"] for n in range(3, 6)] == ["food", "travel", "travel"]
    found = profile_of(market, hashed=0)
    assert "every creator who mentions a brand has a category, 50 % of the others have none" in caplog.text
    assert not creators_categories(found)
    assert found["b0"].sum() == found["b1"].sum() == 1


@pytest.mark.parametrize("missing", [("c3", "c10", "c11"), ()])
def test_categories_that_are_missing_among_partners_too_or_nowhere_are_nobodys_filling(missing, caplog):
    own = {f"c{n}": ("travel", "food", "shoes")[n % 3] for n in range(14) if f"c{n}" not in missing}
    market = market_of(WITH_OTHERS, {"b0": "shoes", "b1": "food", "b2": "travel"} | own, biographies={})
    assert creators_categories(profile_of(market, hashed=0)) == set(own)
    assert not caplog.text


def test_the_features_of_an_account_do_not_depend_on_who_mentions_whom_where_categories_are_derived():
    """Let c5 advertise for b0 instead of b2: with derived categories its row must not move."""
    brands = {"b0": "shoes", "b1": "food", "b2": "travel"}
    moved = [(author, text, ["b0"] if author == "c5" and who else who) for author, text, who in POSTS]
    before, after = (profile_of(derived(market_of(posts, categories=brands))) for posts in (POSTS, moved))
    for account, row in before.items():
        np.testing.assert_array_equal(row, after[account])


def test_creators_own_categories_are_kept(small_market, caplog):
    accounts = small_market.table("accounts")
    found = profile_of(small_market, hashed=0)
    names = accounts["category"].to_pylist()
    assert not caplog.text
    assert all(row.sum() == 1 for row in found.values())
    rows = collections.defaultdict(set)
    for name, row in zip(names, found.values(), strict=True):
        rows[name].add(row.tobytes())
    assert all(len(same) == 1 for same in rows.values())
    assert len({next(iter(same)) for same in rows.values()}) == len(set(names))
