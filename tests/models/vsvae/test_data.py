"""Batches against the tables and arrays read post by post, statistics against scikit-learn, and errors that help."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from micromega.errors import ConfigError, DataError
from micromega.features.text import tokenise
from micromega.models.vsvae import moments
from micromega.models.vsvae.config import VSVAEDataConfig
from micromega.models.vsvae.data import PostData

SMALL = {"min_count": 2, "batch_size": 32, "bucketing": 2}
COLUMN = {"caption": "caption", "sticker": "sticker_text", "speech": "speech_text"}
ALL = ("caption", "sticker", "speech", "frames", "objects", "sentiment", "audio", "editing")


def data(market, words=None, **changed):
    made = PostData(VSVAEDataConfig(**SMALL | changed), market, words=words)
    made.setup("fit")
    return made


@pytest.fixture(scope="module")
def simulated(small_market):
    return data(small_market, columns=("duration_s", "is_trending"), max_frames=6, max_length=12)


def item(market, name, post):
    array = market.features(name)
    row = int(array.rows_of([post])[0])
    return None if row < 0 else array.take(np.array([row]))


def same(left, right):
    return all(
        torch.equal(left.post, right.post)
        and torch.equal(left.values[part], right.values[part])
        and torch.equal(left.lengths[part], right.lengths[part])
        for part in left.values
    )


def test_batch_is_what_tables_and_arrays_say(simulated, small_market):
    rows = np.array([17, 3, 200, 3, 90])
    batch = simulated.batch_of(rows)
    assert batch.post.tolist() == rows.tolist()
    assert tuple(batch.values) == tuple(simulated.spec.sizes) == simulated.parts == ALL
    posts = small_market.table("posts").take(rows).to_pylist()
    number = {word: place for place, word in enumerate(simulated.spec.words)}
    for part, column in COLUMN.items():
        texts = [tokenise(pa.array([post[column]], pa.string())) for post in posts]
        ids = [[number.get(tokens.words[word].as_py(), 0) for word in tokens.word][:12] for tokens in texts]
        longest = max(1, *map(len, ids))
        assert batch.lengths[part].tolist() == [len(words) for words in ids]
        assert batch.values[part].tolist() == [words + [0] * (longest - len(words)) for words in ids]
        assert batch.values[part].dtype == torch.int64
    frames = [item(small_market, "image_frames", post["post_id"])[:6].astype(np.float32) for post in posts]
    assert batch.lengths["frames"].tolist() == [len(found) for found in frames]
    for place, found in enumerate(frames):
        assert np.array_equal(batch.values["frames"][place, : len(found)], found)
        assert not batch.values["frames"][place, len(found) :].any()
    assert batch.values["frames"].shape[1] == max(map(len, frames))
    for part, name in (("objects", "image_objects"), ("sentiment", "image_sentiment"), ("audio", "audio")):
        for place, post in enumerate(posts):
            found = item(small_market, name, post["post_id"])
            assert batch.lengths[part][place] == (found is not None)
            assert np.array_equal(
                batch.values[part][place], np.zeros_like(batch.values[part][0]) if found is None else found[0]
            )
    for place, post in enumerate(posts):
        found = item(small_market, "editing", post["post_id"])[0].tolist()
        numbers = [math.log1p(post["duration_s"]), float(post["is_trending"])]
        assert batch.values["editing"][place].tolist() == pytest.approx(found + numbers)
    assert all(lengths.dtype == torch.int64 for lengths in batch.lengths.values())
    assert all(batch.values[part].dtype == torch.float32 for part in ALL[3:])


def test_some_posts_lack_parts(simulated):
    """Otherwise the test above would prove less than it seems to."""
    every = simulated.batch_of(np.arange(len(simulated.post_ids)))
    assert {part for part, lengths in every.lengths.items() if (lengths == 0).any()} >= {"sticker", "speech", "audio"}
    absent = every.lengths["audio"] == 0
    assert not every.values["audio"][absent].any()


def test_batch_without_a_part(simulated):
    every = simulated.batch_of(np.arange(len(simulated.post_ids)))
    mute = np.flatnonzero((every.lengths["speech"] == 0) & (every.lengths["audio"] == 0))[:2]
    batch = simulated.batch_of(mute)
    assert batch.values["speech"].shape == (2, 1)
    assert not batch.values["speech"].any()
    assert batch.values["audio"].shape == (2, simulated.spec.sizes["audio"])
    none = simulated.batch_of(mute[:0])
    assert len(none) == 0


def test_statistics_of_training_posts(simulated, monkeypatch):
    train = simulated.batch_of(simulated.splits["train"])
    monkeypatch.setattr(moments, "_BLOCK", 500)  # many blocks
    small = simulated._measured(simulated._posts.parts, pa.array(["<unk>"]))
    for part in ALL[3:]:
        if part == "frames":
            values = np.concatenate(
                [values[:length] for values, length in zip(train.values[part], train.lengths[part], strict=True)]
            )
        else:
            values = train.values[part][train.lengths[part] > 0].numpy()
        oracle = StandardScaler().fit(values.astype(np.float64))
        expected = np.where(oracle.var_ > 1e-12, oracle.scale_, 1)
        for spec in (simulated.spec, small):
            assert np.allclose(spec.mean[part], oracle.mean_, rtol=1e-5, atol=1e-7)
            assert np.allclose(spec.deviation[part], expected, rtol=1e-4)


def test_constant_number_has_deviation_one_and_large_numbers_keep_theirs(make_market):
    values = np.column_stack([np.full(40, 0.1), 1e6 + np.arange(40)]).astype(np.float32)
    market = make_market({"likes": [0] * 40}, {"audio": ([f"p{n}" for n in range(40)], values, None)})
    made = data(market, parts=("audio",))
    train = values[made.splits["train"], 1].astype(np.float64)
    assert made.spec.deviation["audio"].tolist() == pytest.approx([1, train.std()])
    assert made.spec.mean["audio"].tolist() == pytest.approx([0.1, train.mean()])
    plain = data(market, parts=("audio",), standardise=False)
    assert plain.spec.deviation["audio"].tolist() == [1, 1]
    assert plain.spec.mean["audio"].tolist() == [0, 0]
    assert plain.spec.words == ()


def test_sample_of_many_posts_is_measured(simulated, monkeypatch):
    monkeypatch.setattr(moments, "SAMPLE", 50)
    stored, train = simulated._posts.parts["objects"], simulated.splits["train"]
    mean, _ = moments.moments(stored, train, 3)
    again, _ = moments.moments(stored, train, 3)
    assert torch.equal(mean, again)
    assert not torch.equal(mean, simulated.spec.mean["objects"])
    assert torch.allclose(mean, simulated.spec.mean["objects"], atol=5 * 0.5 / 50**0.5)


def test_an_epoch_has_every_training_post_once(simulated):
    batches = list(simulated.train_dataloader())
    assert sorted(torch.cat([batch.post for batch in batches]).tolist()) == simulated.splits["train"].tolist()
    assert [len(batch) for batch in batches].count(32) == len(batches) - (len(simulated.splits["train"]) % 32 > 0)
    assert all(same(batch, simulated.batch_of(batch.post.numpy())) for batch in batches)


def test_evaluation_batches_have_each_row_once(simulated):
    rows = np.arange(5, 220)
    loader = simulated.batches(rows, 20)
    found = torch.cat([batch.post for batch in loader])
    assert len(loader) == 11
    assert sorted(found.tolist()) == rows.tolist()
    validation = torch.cat([batch.post for batch in simulated.val_dataloader()])
    assert sorted(validation.tolist()) == simulated.splits["validation"].tolist()


def test_loaders_draw_nothing_from_the_global_stream(simulated):
    state = torch.get_rng_state()
    for loader in (simulated.train_dataloader(), simulated.val_dataloader()):
        list(loader)
    assert torch.equal(torch.get_rng_state(), state)


def test_workers_read_the_same(small_market):
    alone, helped = (data(small_market, num_workers=workers) for workers in (0, 2))
    for loader in ("train_dataloader", "val_dataloader"):
        left, right = list(getattr(alone, loader)()), list(getattr(helped, loader)())
        assert len(left) == len(right)
        assert all(map(same, left, right))


def test_store_is_small_when_pickled_and_reads_the_same(simulated):
    dataset = simulated.train_dataloader().dataset
    sent = pickle.dumps(dataset)
    assert len(sent) < 20_000  # the frames alone hold 200,000 bytes
    index = (0, torch.arange(20))
    assert same(pickle.loads(sent)[index], dataset[index])


def test_values_stay_on_disk(simulated):
    for stored in simulated._posts.parts.values():
        assert isinstance(stored.array.array.values, np.memmap)
        assert len(stored.array.array.ids) == 0


def test_goes_on_in_the_middle_of_an_epoch(simulated):
    whole = simulated.train_dataloader()
    whole.sampler.set_epoch(1)
    batches = list(whole)
    broken = simulated.train_dataloader()
    broken.sampler.set_epoch(1)
    reader = iter(broken)
    for _ in range(3):
        next(reader)
    resumed = simulated.train_dataloader()
    resumed.load_state_dict(broken.state_dict())
    resumed.sampler.set_epoch(1)
    rest = list(resumed)
    assert len(rest) == len(batches) - 3
    assert all(map(same, rest, batches[3:]))


@pytest.mark.parametrize("bucketing", [0, 2])
def test_processes_share_the_posts(small_market, bucketing):
    made = data(small_market, bucketing=bucketing)
    shares, validated = [], []
    for rank in range(5):  # divides neither split
        made.trainer = SimpleNamespace(global_rank=rank, world_size=5)
        shares.append([batch.post for batch in made.train_dataloader()])
        validated.append([batch.post for batch in made.val_dataloader()])
    for per_rank, split in ((shares, "train"), (validated, "validation")):
        assert len({tuple(map(len, share)) for share in per_rank}) == 1
        found = torch.cat([posts for share in per_rank for posts in share]).tolist()
        assert set(found) == set(made.splits[split].tolist())
        assert 0 < len(found) - len(set(found)) < 5


def test_words_of_held_out_posts_are_unknown(make_market):
    made = data(make_market({"caption": [f"soup w{n}" for n in range(40)]}), parts=("caption",), min_count=1)
    train = made.splits["train"].tolist()
    assert set(made.spec.words) == {"<unk>", "soup", *(f"w{row}" for row in train)}
    assert made.batch_of(made.splits["test"]).values["caption"].tolist() == [[1, 0]] * 4


def test_vocabulary_of_a_checkpoint(small_market, simulated):
    words = ("<unk>", *reversed(simulated.spec.words[1:20]))
    made = data(small_market, words=words, max_length=12)
    assert made.spec.words == words
    assert made.spec.sizes["caption"] == 20
    old, new = simulated.batch_of(np.arange(30)), made.batch_of(np.arange(30))
    turned = torch.where((old.values["caption"] > 0) & (old.values["caption"] < 20), 20 - old.values["caption"], 0)
    assert torch.equal(turned, new.values["caption"])


def test_arrays_that_were_read(simulated, small_market):
    names = ("audio", "editing", "image_frames", "image_objects", "image_sentiment")
    assert simulated.arrays == {name: small_market.features(name).fingerprint for name in names}
    assert data(small_market, parts=("caption", "audio")).arrays == {
        "audio": small_market.features("audio").fingerprint
    }


def test_columns_alone_are_the_part_editing(make_market):
    likes, trending = [3, None, 0, None] * 10, [True, None, None, False] * 10
    made = data(
        make_market({"likes": likes, "is_trending": trending}), parts=("editing",), columns=("likes", "is_trending")
    )
    assert made.spec.sizes == {"editing": 2}
    batch = made.batch_of(np.arange(4))
    assert batch.lengths["editing"].tolist() == [1, 0, 1, 1]
    train = made.splits["train"].tolist()
    whole = [row for name in ("train", "validation", "test") for row in made.splits[name].tolist()]
    assert all(row % 4 != 1 for row in whole)  # posts without any part are in no split
    assert len(whole) == 30
    known = [math.log1p(likes[row]) for row in train if likes[row] is not None]
    flags = [float(trending[row]) for row in train if trending[row] is not None]
    assert batch.values["editing"][0].tolist() == pytest.approx([math.log(4), 1])
    assert batch.values["editing"][1].tolist() == [0, 0]
    assert batch.values["editing"][2].tolist() == pytest.approx([0, np.mean(flags)])
    assert batch.values["editing"][3].tolist() == pytest.approx([np.mean(known), 0])


def test_lists_count_by_their_length(make_market):
    market = make_market({"hashtags": [["a", "b"], [], ["c"], ["a"]] * 10})
    batch = data(market, parts=("editing",), columns=("hashtags",)).batch_of(np.arange(3))
    assert batch.values["editing"].flatten().tolist() == pytest.approx([math.log(3), 0, math.log(2)])


def test_array_decides_who_has_editing(make_market):
    market = make_market(
        {"likes": [4] * 20 + [None] * 20},
        {"editing": ([f"p{n}" for n in range(1, 40)], np.full((39, 1), 7, np.float32), None)},
    )
    batch = data(market, parts=("editing",), columns=("likes",)).batch_of(np.array([0, 1, 30]))
    assert batch.lengths["editing"].tolist() == [0, 1, 1]
    assert batch.values["editing"].flatten().tolist() == pytest.approx([0, 0, 7, math.log(5), 7, math.log(5)])


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            ("caption",),
            ConfigError,
            r'column "caption" of posts.parquet holds string.*Columns of numbers and lists are: hashtags',
        ),
        (("liks",), ConfigError, r'column "liks" of posts.parquet does not exist'),
        (("shares",), DataError, r'column "shares" holds no value in a training post'),
    ],
)
def test_columns_that_are_no_numbers(make_market, columns, error, message):
    market = make_market({"caption": ["soup"] * 40, "likes": [1] * 40})
    with pytest.raises(error, match=message):
        data(market, parts=("editing",), columns=columns)


@pytest.mark.parametrize("bucketing", [0, 2])
def test_order_of_the_first_epoch_for_ever(small_market, bucketing):
    made = data(small_market, parts=("caption",), bucketing=bucketing, resample=False)
    loader = made.train_dataloader()
    epochs = []
    for number in (0, 3):
        loader.sampler.set_epoch(number)
        epochs.append([batch.post.tolist() for batch in loader])
    assert epochs[0] == epochs[1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"parts": ("caption",), "columns": ("likes",)}, r"data\.columns=\[likes\].*editing, which is not in data"),
        ({"parts": ("caption",), "arrays": {"caption": "text"}}, "data.arrays names caption: texts come from"),
    ],
)
def test_settings_that_would_do_nothing(make_market, changed, message):
    market = make_market({"caption": ["soup"] * 40, "likes": [1] * 40})
    with pytest.raises(ConfigError, match=message):
        data(market, **changed)


def test_columns_without_a_logarithm():
    from micromega.models.vsvae.columns import read_columns

    for values in ([1.0, -2.0], [1.0, float("nan")], [float("inf"), 1.0]):
        with pytest.raises(
            DataError, match=r'x\.parquet: column "n" .* 1 values that are negative or not finite \(rows [01]'
        ):
            read_columns(pa.table({"n": values}), ["n"], np.array([0, 1]), "x.parquet")


def test_missing_parts_are_named_with_their_remedy(make_market):
    market = make_market({"caption": ["soup soup"] * 40})
    with pytest.raises(DataError) as caught:
        data(market)
    message = str(caught.value)
    assert "cannot give sticker, speech, frames, objects, sentiment, audio, editing" in message
    assert "sticker is the column sticker_text of posts.parquet" in message
    assert "frames is the feature array image_frames: make it with `python -m micromega.features`" in message
    assert "data.columns=[" in message
    assert message.endswith("data.parts=[caption].")
    assert data(market, parts=("caption",)).parts == ("caption",)  # what the message says works


def test_part_that_no_training_post_has(make_market):
    stickers = [None] * 40
    train = data(make_market({"caption": ["soup soup"] * 40}), parts=("caption",)).splits["train"]
    stickers[min(set(range(40)) - set(train.tolist()))] = "seldom"
    market = make_market({"caption": ["soup soup"] * 40, "sticker_text": stickers}, folder="other")
    with pytest.raises(DataError, match=r"cannot give sticker: no training post has it\.[\s\S]*data.parts=\[caption\]"):
        data(market, parts=("caption", "sticker"))


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("audio", "by_account", "is by account_id, not by post_id"),
        ("audio", "many", "has not one vector or number for each post_id"),
        ("frames", "one", "has not a sequence of vectors for each post_id"),
    ],
)
def test_arrays_that_are_no_such_part(make_market, part, array, message):
    ids = [f"p{n}" for n in range(40)]
    market = make_market(
        {"likes": [1] * 40},
        {
            "by_account": (["ann"], np.ones((1, 2), np.float32), None, "account_id"),
            "one": (ids, np.ones((40, 2), np.float32), None),
            "many": (ids, np.ones((80, 2), np.float32), [2] * 40),
        },
    )
    with pytest.raises(ConfigError, match=rf"data\.arrays={{{part}: {array}}}.*{message}"):
        data(market, parts=(part,), arrays={part: array})


def test_accounts_stand_for_posts_where_there_are_none(make_market):
    ids = [f"c{n}" for n in range(40)]
    voices = np.random.default_rng(0).normal(size=(38, 3)).astype(np.float32)
    market = make_market(
        accounts={
            "account_id": ids,
            "kind": ["creator"] * 40,
            "category": ["food", "art"] * 20,
            "followers": range(40),
        },
        arrays={"voice": (ids[:38], voices, None, "account_id")},
    )
    made = data(market, parts=("audio", "editing"), arrays={"audio": "voice"}, columns=("followers",))
    assert made.post_ids.to_pylist() == ids
    for rows in made.splits.values():  # by category
        assert abs(sum(row % 2 for row in rows.tolist()) - len(rows) / 2) < 1
    batch = made.batch_of(np.array([39, 5]))
    assert batch.lengths["audio"].tolist() == [0, 1]
    assert batch.values["audio"].tolist() == [[0, 0, 0], voices[5].tolist()]
    assert batch.values["editing"].flatten().tolist() == pytest.approx([math.log(40), math.log(6)])
    with pytest.raises(DataError, match="cannot give caption"):
        data(market, parts=("caption", "audio"), arrays={"audio": "voice"})
