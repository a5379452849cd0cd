"""Pictures in the ranker: what is pooled, what is left out, and that a world without signal stays one."""

import dataclasses
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import pytorch_lightning as pl
import torch
from mir_markets import HandMadeMarket, hand_made

from micromega.errors import CheckpointError, DataError
from micromega.market.arrays import FeatureArray
from micromega.models.mir import auc, pictures
from micromega.models.mir import pooling as pooling_module
from micromega.models.mir.baselines import similarity_scores
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule

FRAMES = 3
WIDTH = 12


class WithPictures(HandMadeMarket):
    """A market made by hand with feature arrays in memory."""

    def __init__(self, tables, *arrays):
        super().__init__(tables)
        self.arrays = {array.name: array for array in arrays}

    @property
    def feature_names(self):
        return tuple(self.arrays)

    def features(self, name):
        return self.arrays[name]


def frames(ids, values, lengths):
    return FeatureArray(
        name="image_frames",
        key="post_id",
        ids=pa.array(ids, pa.string()),
        values=np.asarray(values, dtype=np.float16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
    )


def looks(posts, *, seed=0, missing=0.3, look_sd=2.0):
    """Draw pictures that tell who took them, and nothing else: author -> look, post -> frames around it."""
    rng = np.random.default_rng(seed)
    authors = sorted({author for author, *_ in posts})
    look = dict(zip(authors, look_sd * rng.normal(size=(len(authors), WIDTH)), strict=True))
    there = np.flatnonzero(rng.random(len(posts)) >= missing)
    there = rng.permutation(there)  # rows of the array are in no particular order
    lengths = rng.integers(1, FRAMES + 1, len(there))
    centre = np.repeat(np.array([look[posts[post][0]] for post in there]), lengths, axis=0)
    values = centre + rng.normal(size=centre.shape)
    return frames([f"p{post}" for post in there], values, lengths)


def few_posts():
    posts = [(f"c{n}", "words", []) for n in range(6) for _ in range(3)]
    for brand, creators in {"b0": (0, 1, 2), "b1": (2, 3), "b2": (4, 5)}.items():
        posts += [(f"c{n}", "an ad", [brand]) for n in creators for _ in range(2)]
    return posts


def market_of(posts, array):
    return WithPictures(hand_made(posts).tables, array)


def config_of(**changes):
    settings = {"brand_posts": "mentions", "min_positives": 2, "min_posts": 1, "list_length": 2}
    return MIRDataConfig(**{**settings, "modalities": ("visual",), "hashed_size": 32, **changes})


def by_post(array):
    """Post id -> its mean frame, by brute force."""
    offsets = array.offsets
    return {
        post: array.values[offsets[n] : offsets[n + 1]].astype(np.float64).mean(axis=0)
        for n, post in enumerate(array.ids.to_pylist())
    }


@pytest.mark.parametrize("pooling", ["average", "weighted"])
@pytest.mark.parametrize("block", [1 << 24, 40])
def test_a_view_is_the_pooled_mean_frame_of_those_posts_that_have_pictures(pooling, block, monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK", block)
    monkeypatch.setattr(pooling_module, "_COLUMNS", 5)
    posts = few_posts()
    array = looks(posts)
    accounts = build_accounts(market_of(posts, array), config_of(pooling=pooling))
    known, expected, empty = by_post(array), {}, []
    for view in range(accounts.members.shape[0]):
        mine = [known[f"p{post}"] for post in accounts.members[view].indices if f"p{post}" in known]
        if not mine:
            empty.append(view)
            continue
        mean, sd = np.mean(mine, axis=0), np.std(mine, axis=0)
        expected[view] = mean * np.exp(-sd / np.abs(mean) / 3) if pooling == "weighted" else mean
    for view, value in expected.items():
        np.testing.assert_allclose(accounts.features["visual"][view], value, rtol=2e-3, atol=1e-4)
    for view in empty:
        np.testing.assert_allclose(
            accounts.features["visual"][view], np.mean(list(expected.values()), axis=0), rtol=2e-3, atol=1e-3
        )


@pytest.mark.parametrize("block", [1 << 24, 40])
def test_pictures_are_normalised_after_pooling_array_by_array(block, monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK", block)
    posts = few_posts()
    rng = np.random.default_rng(3)
    ids = pa.array([f"p{n}" for n in range(len(posts))])
    maps = FeatureArray(name="maps", key="post_id", ids=ids, values=rng.random((len(posts), 2, 512), np.float32))
    market = WithPictures(hand_made(posts).tables, looks(posts, missing=0.9, seed=1), maps)
    settings = {"visual": ("image_frames", "maps"), "pooling": "weighted"}
    plain = build_accounts(market, config_of(**settings)).features["visual"]
    found = build_accounts(market, config_of(**settings, local_response_normalisation=True)).features["visual"]
    known = by_post(market.arrays["image_frames"])
    members = build_accounts(market, config_of(**settings)).members
    has = np.array([any(f"p{post}" in known for post in row.indices) for row in members])
    assert 0 < has.sum() < len(has)
    for view in range(len(plain)):
        pooled = plain[view].astype(np.float64)
        for first, end in ((0, WIDTH), (WIDTH, WIDTH + 512), (WIDTH + 512, WIDTH + 1024)):
            near = [np.square(pooled[max(first, c - 2) : min(end, c + 3)]).sum() for c in range(first, end)]
            if first or has[view]:
                np.testing.assert_allclose(
                    found[view, first:end], pooled[first:end] / (0.1 + np.array(near)), rtol=1e-4
                )
    # A view without pictures takes the mean of what the others became.
    np.testing.assert_allclose(
        found[~has, :WIDTH], np.tile(found[has, :WIDTH].mean(axis=0), ((~has).sum(), 1)), rtol=1e-4
    )


def test_some_views_have_no_picture_at_all_and_the_test_above_sees_them():
    posts = few_posts()
    array = looks(posts, missing=0.9, seed=1)
    accounts = build_accounts(market_of(posts, array), config_of())
    known = by_post(array)
    has = [any(f"p{post}" in known for post in row.indices) for row in accounts.members]
    assert 0 < sum(has) < len(has)
    assert np.isfinite(accounts.features["visual"]).all()
    lost = accounts.features["visual"][~np.array(has)]
    assert (lost == lost[0]).all()


def test_views_without_pictures_may_fill_a_whole_block(monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK", 40)
    posts = few_posts()
    array = looks(posts, missing=0)
    last = np.array([len(posts) - 1])  # "an ad" of the last brand: the views before it have nothing
    row = array.rows_of([f"p{last[0]}"])
    only = frames([f"p{last[0]}"], np.repeat(array.take(row), 9, axis=0), [9 * array.lengths[row[0]]])
    accounts = build_accounts(market_of(posts, only), config_of())
    np.testing.assert_allclose(
        accounts.features["visual"], np.tile(array.take(row).mean(axis=0), (accounts.members.shape[0], 1)), rtol=2e-3
    )


def test_arrays_stand_side_by_side_and_fixed_ones_are_taken_as_they_are():
    posts = few_posts()
    rng = np.random.default_rng(3)
    objects = FeatureArray(
        name="image_objects",
        key="post_id",
        ids=pa.array([f"p{n}" for n in range(len(posts))]),
        values=rng.random((len(posts), 2, 3)).astype(np.float32),
    )
    market = WithPictures(hand_made(posts).tables, looks(posts), objects)
    accounts = build_accounts(market, config_of(visual=("image_objects", "image_frames")))
    assert accounts.features["visual"].shape[1] == 6 + WIDTH
    first = accounts.members[0].indices
    np.testing.assert_allclose(
        accounts.features["visual"][0, :6], objects.values[first].reshape(-1, 6).mean(axis=0), rtol=1e-5
    )


def test_no_picture_of_a_creator_enters_the_brand_it_is_scored_against():
    """Change all pictures of c1: the view of b0 in the pair (b0, c1) must not move, the brand's whole view must."""
    posts = few_posts()
    array = looks(posts, missing=0)
    other = np.array(array.values)
    for n, post in enumerate(array.ids.to_pylist()):
        if posts[int(post[1:])][0] == "c1":
            other[array.offsets[n] : array.offsets[n + 1]] += 50
    changed = frames(array.ids.to_pylist(), other, np.diff(array.offsets))
    before, after = (build_accounts(market_of(posts, found), config_of()) for found in (array, changed))
    pair = np.flatnonzero((before.pair_brand == 0) & (before.creator_ids[before.pair_creator] == "c1"))[0]
    view = before.pair_view[pair]
    np.testing.assert_array_equal(before.features["visual"][view], after.features["visual"][view])
    assert np.abs(before.features["visual"][0] - after.features["visual"][0]).max() > 1, (
        "the change does reach the brand"
    )


def test_no_picture_in_an_advertisement_describes_a_creator():
    posts = few_posts()
    array = looks(posts, missing=0)
    other = np.array(array.values)
    for n, post in enumerate(array.ids.to_pylist()):
        if posts[int(post[1:])][2]:
            other[array.offsets[n] : array.offsets[n + 1]] += 50
    changed = frames(array.ids.to_pylist(), other, np.diff(array.offsets))
    before, after = (build_accounts(market_of(posts, found), config_of()) for found in (array, changed))
    rows = before.creator_view
    np.testing.assert_array_equal(before.features["visual"][rows], after.features["visual"][rows])


def test_no_more_than_some_blocks_are_in_memory(monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK", 1 << 14)
    rng = np.random.default_rng(0)
    authors, each, width = 200, 20, 256
    posts = [(f"c{n:03}", "words", []) for n in range(authors) for _ in range(each)]
    posts += [(f"c{n:03}", "an ad", [f"b{n % 3}"]) for n in range(9)]
    ids = pa.array([f"p{n}" for n in range(len(posts))])
    values = rng.random((len(posts), width), np.float32).astype(np.float16)
    array = FeatureArray(name="image_frames", key="post_id", ids=ids, values=values)
    market = market_of(posts, array)
    members = build_accounts(market, config_of()).members
    tracemalloc.start()
    pooled = pictures.pooled_pictures(market, market.table("posts")["post_id"], members, config_of())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    everything = len(posts) * width * 4
    assert pooled.nbytes < everything / 10
    assert peak - pooled.nbytes < everything / 4
    first = members[-1].indices
    np.testing.assert_allclose(pooled[-1], values[first].astype(np.float64).mean(axis=0), rtol=1e-5)


def world_without_signal(seed, brands=20, creators=150):
    """Who mentions whom is chance; pictures tell their author. A fifth of creators, and a third of posts, have none."""
    rng = np.random.default_rng(seed)
    posts = [(f"c{n:03}", "words", []) for n in range(creators) for _ in range(3)]
    for brand in range(brands):
        for creator in rng.choice(creators, 5, replace=False):
            posts += [(f"c{creator:03}", "an ad", [f"b{brand:02}"])] * int(rng.integers(1, 4))
    array = looks(posts, seed=seed)
    shy = {f"c{n:03}" for n in range(0, creators, 5)}
    keep = [n for n, post in enumerate(array.ids.to_pylist()) if posts[int(post[1:])][0] not in shy]
    ids = [array.ids[n].as_py() for n in keep]
    return market_of(posts, frames(ids, array.take(np.array(keep)), array.lengths[keep]))


def auc_of(scores, labels):
    return auc(scores.ravel(), labels.ravel(), np.repeat(np.arange(labels.shape[0]), labels.shape[1]))


def set_up(market, **changes):
    data = MIRData(config_of(min_positives=3, **changes), market)
    data.setup("fit")
    return data


def test_in_a_world_without_signal_similar_pictures_are_chance_and_careless_ones_are_not():
    honest, careless = [], []
    for seed in range(20):
        data = set_up(world_without_signal(seed))
        labels, standard = data.accounts.labels(), data.standardised()
        honest.append(auc_of(similarity_scores(data.accounts, standard, np.arange(len(labels))), labels))
        # The brand's whole view holds pictures by the very creator, and they look like his other ones.
        careless.append(auc_of(standard[: len(labels)] @ standard[data.accounts.creator_view].T, labels))
    # 2,000 positive pairs in all, several of one brand: the standard error of the mean is below 0.01.
    assert np.mean(honest) == pytest.approx(0.5, abs=0.03)
    assert np.mean(careless) > 0.65, "the test sees a leak where there is one"


def trained_auc(seed):
    data = set_up(world_without_signal(seed, brands=60), candidates="all", seed=seed, batch_size=256)
    pl.seed_everything(seed, verbose=False)
    module = MIRModule(MIRModelConfig(modalities=("visual",), hidden_size=32, embedding_size=32), data.spec)
    trainer = pl.Trainer(
        max_epochs=8,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)
    held_out = np.concatenate([data.splits["test"], data.splits["validation"]])
    return auc_of(module.eval().score(torch.from_numpy(held_out)).numpy(), data.accounts.labels()[held_out])


@pytest.mark.filterwarnings("ignore")  # Lightning on loaders with few workers and batches
def test_a_ranker_trained_on_pictures_finds_nothing_either():
    assert np.mean([trained_auc(seed) for seed in range(6)]) == pytest.approx(0.5, abs=0.035)


def test_only_the_chosen_modalities_are_made():
    market = market_of(few_posts(), looks(few_posts()))
    assert list(build_accounts(market, config_of()).features) == ["visual"]
    assert list(build_accounts(market, config_of(modalities=("text", "visual"))).features) == ["text", "visual"]
    assert list(build_accounts(market, config_of(modalities=("account", "text"))).features) == ["account", "text"]


def test_features_of_accounts_and_of_other_posts_are_refused():
    posts = few_posts()
    array = looks(posts)
    of_accounts = FeatureArray(name="image_frames", key="account_id", ids=array.ids, values=array.values[: len(array)])
    with pytest.raises(DataError, match="account_ids; the ranker pools features of posts"):
        build_accounts(market_of(posts, of_accounts), config_of())
    elsewhere = frames([f"q{n}" for n in range(len(array))], array.values, array.lengths)
    with pytest.raises(DataError, match=r"image_frames holds none of the posts.*data\.visual"):
        build_accounts(market_of(posts, elsewhere), config_of())


def test_arrays_extracted_anew_are_noticed_by_a_checkpoint_of_the_same_market():
    market = world_without_signal(0)
    (array,) = market.arrays.values()
    market.arrays["image_frames"] = dataclasses.replace(array, fingerprint="before")
    data = set_up(market)
    assert data.arrays == {"image_frames": "before"}
    assert set_up(market, modalities=("text",)).arrays == {}
    module = MIRModule(MIRModelConfig(modalities=("visual",)), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    config = MIREvaluationConfig(uncertainty_samples=0)
    evaluate(config, checkpoint=checkpoint, data=set_up(market), seed=0)
    module.on_load_checkpoint(checkpoint)

    market.arrays["image_frames"] = dataclasses.replace(array, fingerprint="after")
    with pytest.raises(CheckpointError, match="other values of the features image_frames"):
        evaluate(config, checkpoint=checkpoint, data=set_up(market), seed=0)
    module.attach(set_up(market))
    with pytest.raises(CheckpointError, match="other values of the features image_frames"):
        module.on_load_checkpoint(checkpoint)
    market.fingerprint = "another market, to which weights may be carried over"
    module.attach(set_up(market))
    module.on_load_checkpoint(checkpoint)
