import collections
import doctest
import hashlib

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micromega.market.market
import micromega.market.simulated
from micromega.errors import ConfigError, DataError
from micromega.market import Market, simulate
from micromega.market.simulated.people import draw_people
from micromega.market.simulated.vocabulary import CATEGORY_WORDS, COMMON_WORDS, CONTENT_TYPES, LIFE_WORDS, SUPER_GROUP
from micromega.market.simulated.words import draw_lexicon, draw_words, joined, listed


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(seed=0)


def columns(table, *names):
    return [np.asarray(table[name].to_pylist()) for name in names]


def test_default_size(market):
    sizes = {name: table.num_rows for name, table in market.tables.items()}
    assert sizes["accounts"] == 660
    assert sizes["posts"] == 13_200
    assert sizes["prices"] == 1_800
    assert sizes["views"] == 14 * 13_200
    assert sizes["products"] == 60
    assert {"mentions", "events", "campaigns", "trends", "merchants", "orders", "follows", "exposures"} <= sizes.keys()
    kinds = collections.Counter(market.table("accounts")["kind"].to_pylist())
    assert kinds == {"brand": 60, "creator": 600}
    assert set(collections.Counter(market.table("posts")["account_id"].to_pylist()).values()) == {20}


def test_loading_it_again_gives_the_same(market):
    assert Market.load(market.path).fingerprint == market.fingerprint


def test_same_seed_same_bytes_and_other_seed_other_market(tmp_path):
    def bytes_of(name, seed):
        path = simulate(seed=seed, brands=12, creators=40, posts=6, scale=0.001, folder=tmp_path / name).path
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    first, again, other = bytes_of("a", 3), bytes_of("b", 3), bytes_of("c", 4)
    assert first == again
    assert first.keys() == other.keys()
    assert len(first) > 20
    same = {name for name in first if first[name] == other[name] and not name.endswith("ids.parquet")}
    assert same == {"truth/curves.parquet"}  # what the seed does not touch


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(1, 30), st.integers(2, 7))
def test_any_size_is_a_valid_market_whose_parts_agree(seed, brands, creators, posts):
    market = simulate(seed=seed, brands=brands, creators=creators, posts=posts)
    rows = market.table("posts").to_pylist()
    assert len(rows) == (brands + creators) * posts
    pairs, ads = collections.Counter(), collections.Counter()
    for row in rows:
        mentions = [token[1:] for token in row["caption"].split() if token.startswith("@")]
        assert mentions == row["mentioned_ids"]
        assert [token[1:] for token in row["caption"].split() if token.startswith("#")] == row["hashtags"]
        assert row["impressions"] >= row["likes"] + row["comments"]
        assert row["sponsored"] == (row["brand_id"] is not None)
        assert row["account_id"] not in mentions
        named = [token for token in mentions if token.startswith("b")]
        assert named == ([row["brand_id"]] if row["brand_id"] else [])
        if row["brand_id"]:
            assert row["account_id"].startswith("c")
            pairs[row["account_id"], row["brand_id"]] += 1
            ads[row["account_id"]] += 1
    assert {(row["creator_id"], row["brand_id"]): row["posts"] for row in market.table("mentions").to_pylist()} == pairs
    assert max(ads.values()) <= posts // 2
    times = [row["posted_at"] for row in rows[:posts]]
    assert times == sorted(times)


def test_every_brand_has_partners_and_few_creators_are_shared(market):
    creators, brands = columns(market.table("mentions"), "creator_id", "brand_id")
    per_brand = collections.Counter(brands.tolist())
    per_creator = np.array(list(collections.Counter(creators.tolist()).values()))
    assert len(per_brand) == 60
    assert 0.06 < (per_creator > 1).mean() < 0.14
    counts = np.array(list(per_brand.values()))
    assert counts.var() > 1.5 * counts.mean()  # wider than Poisson
    assert 0.85 < len(per_creator) / 600 < 0.95


def test_engagement_is_log_normal_as_measured_on_real_pairs(market):
    accounts = market.table("accounts")
    followers = dict(zip(accounts["account_id"].to_pylist(), accounts["followers"].to_pylist(), strict=True))
    posts = market.table("posts")
    ads = posts.filter(pc.is_valid(posts["brand_id"]))
    base = np.array([followers[account] for account in ads["account_id"].to_pylist()])
    log_rate = np.log(np.maximum(pc.add(ads["likes"], ads["comments"]).to_numpy(), 0.5) / base)
    assert abs(np.mean(log_rate) + 4.96) < 0.25
    assert 0.75 < np.std(log_rate) < 1.1
    creators = [value for account, value in followers.items() if account.startswith("c")]
    assert min(creators) >= 5_000
    assert max(creators) <= 100_000


def test_expected_engagements_of_the_truth_are_unbiased(market):
    posts, truth = market.table("posts"), market.truth("posts")
    assert truth["post_id"].equals(posts["post_id"])
    expected = truth["expected_engagements"].to_numpy()
    ratio = pc.add(posts["likes"], posts["comments"]).to_numpy() / expected
    standard_error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - 1) < 4 * standard_error
    affinity = market.truth("affinity")
    pairs = zip(affinity["brand_id"].to_pylist(), affinity["creator_id"].to_pylist(), strict=True)
    of_pair = dict(zip(pairs, affinity["expected_engagements"].to_pylist(), strict=True))
    for row, value in zip(posts.to_pylist(), expected, strict=True):
        if row["brand_id"]:
            assert of_pair[row["brand_id"], row["account_id"]] == pytest.approx(value)


def test_true_affinity_is_distance_and_category(market):
    subjects = dict(
        zip(*(market.truth("accounts")[name].to_pylist() for name in ("account_id", "subject")), strict=True)
    )
    category = dict(
        zip(*(market.table("accounts")[name].to_pylist() for name in ("account_id", "category")), strict=True)
    )
    rows = market.truth("affinity").to_pylist()
    assert len(rows) == 60 * 600
    for row in rows[::997]:
        brand, creator = row["brand_id"], row["creator_id"]
        distance = np.mean(np.square(np.subtract(subjects[brand], subjects[creator])))
        assert row["affinity"] == pytest.approx(-3.0 * distance + 0.7 * (category[brand] == category[creator]))


def test_partners_have_higher_affinity_but_not_always(market):
    affinity = market.truth("affinity")
    values = affinity["affinity"].to_numpy().reshape(60, 600)
    index = {(row["brand_id"], row["creator_id"]) for row in market.table("mentions").to_pylist()}
    pairs = zip(affinity["brand_id"].to_pylist(), affinity["creator_id"].to_pylist(), strict=True)
    partner = np.array([pair in index for pair in pairs]).reshape(60, 600)
    areas = [np.mean(row[mask][:, None] > row[~mask][None, :]) for row, mask in zip(values, partner, strict=True)]
    assert 0.88 < np.mean(areas) < 0.97


def test_prices_grow_with_followers_and_type(market):
    ids, types, prices = columns(market.table("prices"), "creator_id", "content_type", "price")
    accounts = market.table("accounts")
    followers = dict(zip(accounts["account_id"].to_pylist(), accounts["followers"].to_pylist(), strict=True))
    size = np.log([followers[creator] for creator in ids[types == "post"]])
    slope = np.polyfit(size, np.log(prices[types == "post"]), 1)[0]
    assert 0.8 < slope < 1.0
    assert list(np.unique(types)) == sorted(CONTENT_TYPES)
    medians = [np.median(prices[types == kind]) for kind in ("story", "post", "video")]
    assert medians == sorted(medians)
    assert prices.min() > 0
    assert 150 < medians[1] < 300


def test_words_come_as_often_as_their_weights_say():
    people = draw_people(np.random.default_rng(0), brands=2, creators=3)
    lexicon = draw_lexicon(np.random.default_rng(1), people)
    repeats = 20_000
    drawn = draw_words(
        np.random.default_rng(2), np.repeat(people.subject[:2], repeats, axis=0),
        np.repeat(people.voice[:2], repeats, axis=0), lexicon, count=2,
    )  # fmt: skip
    for account in range(2):
        logits = lexicon.place @ np.concatenate([people.subject[account], people.voice[account]]) / 4.0
        expected = np.exp(logits) / np.exp(logits).sum()
        found = np.bincount(drawn[account * repeats : (account + 1) * repeats].ravel(), minlength=len(expected))
        deviation = (found / (2 * repeats) - expected) / np.sqrt(expected / (2 * repeats))
        assert np.abs(deviation).max() < 5


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "bb", "ü"])), max_size=20))
def test_texts_are_joined_in_order(tokens):
    expected = [[token for text, token in tokens if text == i] for i in range(5)]
    words = np.array([token for _, token in tokens], dtype=object)
    text = np.array([text for text, _ in tokens], dtype=np.int64)
    assert listed(words, text, 5).to_pylist() == expected
    assert joined(words, text, 5).to_pylist() == [" ".join(words) for words in expected]


def test_the_vocabulary_is_sound():
    assert {len(text.split()) for text in CATEGORY_WORDS.values()} == {40}
    assert set(SUPER_GROUP) == set(CATEGORY_WORDS)
    assert len(CATEGORY_WORDS) == 12
    for text in (*CATEGORY_WORDS.values(), COMMON_WORDS, " ".join(LIFE_WORDS)):
        words = text.split()
        assert len(set(words)) == len(words)
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"seed": -1}, "seed is 0 or more"),
        ({"brands": 0}, "brands 1 to 5,000"),
        ({"brands": 5001}, "got 0, 5001, 600, 20"),
        ({"creators": 0}, "creators 1 or more"),
        ({"posts": 1}, "posts 2 or more"),
        ({"brands": 5000, "creators": 200_000}, "1,000,000,000 pairs"),
        ({"view_days": 1}, "at least 2"),
        ({"scale": 1.5}, "scale is 0 to 1"),
        ({"follows": -1.0}, "follows 0 or more"),
        ({"audience": "radio"}, '"micro" or "tiktok", got "radio"'),
    ],
)
def test_sizes_out_of_range_are_config_errors(sizes, words):
    with pytest.raises(ConfigError, match=words):
        simulate(**sizes)


def test_an_existing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="exists already"):
        simulate(brands=2, creators=3, posts=2, folder=tmp_path)


@pytest.mark.parametrize("module", [micromega.market.market, micromega.market.simulated])
def test_docstring_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
