"""Pooled features are computed once, never taken for others, and nothing else in a market sees them."""

import datetime as dt
import errno
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from micromega.errors import DataError
from micromega.market import Market, simulate
from micromega.market.inspect import inspect_files, inspect_market
from micromega.models.mir import features, pooled_store
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.pooled_store import stored

CONFIG = MIRDataConfig(min_positives=2, hashed_size=32)
ALL = MIRDataConfig(min_positives=2, hashed_size=32, modalities=("text", "account", "visual"))
VALUES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


class Counted:
    def __init__(self, values=VALUES):
        self.values, self.calls = values, 0

    def __call__(self):
        self.calls += 1
        return self.values


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pooled"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A market with pictures, on disk."""
    return simulate(seed=1, brands=12, creators=60, posts=6, scale=0.01, folder=tmp_path_factory.mktemp("m") / "market")


@pytest.fixture
def market(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "market", ignore=shutil.ignore_patterns("pooled"))
    return Market.load(tmp_path / "market")


def test_what_is_stored_is_computed_once_and_comes_back_bit_for_bit(folder, caplog):
    caplog.set_level(logging.INFO)
    compute = Counted()
    first = stored(folder, "text", {"a": 1}, compute)
    assert "pooled text: 5 views of 3 numbers in 0.0 s" in caplog.text
    second = stored(folder, "text", {"a": 1}, compute)
    assert "the stored ones are used" in caplog.text
    assert compute.calls == 1
    for found in (first, second):
        np.testing.assert_array_equal(found, VALUES)
        assert found.dtype == np.float32
    (file,) = folder.iterdir()
    np.testing.assert_array_equal(np.load(file), VALUES)  # anybody can read it


def test_every_fact_and_the_version_count(folder, monkeypatch):
    compute = Counted()
    for name, facts in (("text", {"a": 1}), ("text", {"a": 2}), ("text", {"b": 1}), ("visual", {"a": 1, "b": None})):
        stored(folder, name, facts, compute)
    assert compute.calls == 4
    stored(folder, "text", {"a": 1}, compute)
    assert compute.calls == 4
    monkeypatch.setattr(pooled_store, "VERSION", pooled_store.VERSION + 1)
    stored(folder, "text", {"a": 1}, compute)
    assert compute.calls == 5


def test_writing_to_what_was_read_changes_no_file(folder):
    stored(folder, "text", {}, Counted())
    found = stored(folder, "text", {}, Counted())
    torch.from_numpy(found).zero_()  # and torch does not warn
    np.testing.assert_array_equal(stored(folder, "text", {}, Counted()), VALUES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data[:-32],
        lambda data: data + b"x",
        lambda data: data[:140] + bytes([data[140] ^ 1]) + data[141:],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: b"\0" * len(data),
    ],
    ids=["empty", "header cut", "a byte missing", "no checksum", "a byte more", "a bit flipped", "header", "zeros"],
)
def test_a_damaged_file_is_made_again(folder, damage, caplog):
    stored(folder, "text", {}, Counted())
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    compute = Counted()
    np.testing.assert_array_equal(stored(folder, "text", {}, compute), VALUES)
    assert compute.calls == 1
    assert "made again" in caplog.text
    stored(folder, "text", {}, compute)
    assert compute.calls == 1, "the new file is whole"
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(("number", "loud"), [(errno.EROFS, False), (errno.EACCES, False), (errno.ENOSPC, True)])
def test_where_nothing_can_be_written_nothing_is_stored(folder, monkeypatch, caplog, number, loud):
    def refuse(self, **_):
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "mkdir", refuse)
    np.testing.assert_array_equal(stored(folder, "text", {}, Counted()), VALUES)
    assert (len(caplog.records) > 0) == loud
    assert not folder.exists()


@pytest.mark.parametrize(("number", "loud"), [(errno.EROFS, False), (errno.EACCES, False), (errno.ENOSPC, True)])
def test_where_the_folder_is_there_and_closed_too(folder, monkeypatch, caplog, number, loud):
    folder.mkdir()
    real = Path.open

    def refuse(self, mode="r", *rest, **more):
        if "w" in mode:
            raise OSError(number, "no")
        return real(self, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", refuse)
    np.testing.assert_array_equal(stored(folder, "text", {}, Counted()), VALUES)
    assert (len(caplog.records) > 0) == loud
    assert not list(folder.iterdir())


def test_a_market_without_a_folder_of_its_own_stores_nothing(tmp_path):
    stored(tmp_path / "nowhere" / "pooled", "text", {}, Counted())
    assert not list(tmp_path.iterdir())


def counting(monkeypatch):
    calls = []
    for name in ("_text", "_numbers_of_posts", "pooled_pictures"):
        real = getattr(features, name)
        monkeypatch.setattr(features, name, lambda *given, real=real, name=name: (calls.append(name), real(*given))[1])
    return calls


def test_a_market_is_pooled_once_and_the_same_features_come_back(market, monkeypatch):
    fresh = build_accounts(market, ALL).features
    assert sorted(file.name.split("-")[0] for file in (market.path / "pooled").iterdir()) == [
        "account",
        "text",
        "visual",
    ]
    calls = counting(monkeypatch)
    again = build_accounts(Market.load(market.path), ALL).features
    assert not calls
    for name, values in fresh.items():
        np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"seed": 5, "list_length": 2, "alpha": 0.1}, []),
        ({"modalities": ("visual", "text")}, []),
        ({"gamma": 0.5}, []),
        ({"hashed_size": 33}, ["text"]),
        ({"local_response_normalisation": True}, ["visual"]),
        ({"visual": ("image_frames", "image_objects")}, ["visual"]),
        ({"pooling": "weighted"}, ["text", "account", "visual"]),
        ({"pooling": "weighted", "gamma": 0.5}, ["text", "account", "visual"]),
        ({"history": 2}, ["text", "account", "visual"]),
        ({"min_posts": 5}, ["text", "account", "visual"]),
        ({"exclude_categories": ("beauty",)}, ["text", "account", "visual"]),
        ({"brand_posts": "mentions"}, ["text", "account", "visual"]),
    ],
)
def test_settings_that_change_the_features_pool_them_anew(whole, monkeypatch, changes, anew):
    build_accounts(whole, ALL)
    named = {"_text": "text", "_numbers_of_posts": "account", "pooled_pictures": "visual"}
    settings = {"min_positives": 2, "hashed_size": 32, "modalities": ALL.modalities, **changes}
    calls = counting(monkeypatch)
    changed = build_accounts(whole, MIRDataConfig(**settings)).features
    assert [named[name] for name in calls] == anew
    monkeypatch.setattr(features, "stored", lambda folder, name, facts, compute: compute())
    for name, values in build_accounts(whole, MIRDataConfig(**settings)).features.items():
        np.testing.assert_array_equal(values, changed[name])


def test_the_order_of_a_table_counts_though_the_fingerprint_leaves_it_out(market):
    posts = market.tables["posts"]
    build_accounts(market, CONFIG)
    turned = dict(market.tables) | {"posts": posts.take(np.arange(posts.num_rows)[::-1])}
    other = Market(path=market.path, name=market.name, currency="USD", tables=turned, fingerprint=market.fingerprint)
    straight, reverse = build_accounts(market, CONFIG).features, build_accounts(other, CONFIG).features
    for name in straight:
        np.testing.assert_allclose(straight[name], reverse[name], rtol=1e-4, atol=1e-5)


def test_word_vectors_count_by_content_and_a_missing_file_is_still_named(market, tmp_path, monkeypatch):
    words = tmp_path / "words.txt"
    words.write_text("family 1 0\ncream 0 1\n")
    config = MIRDataConfig(min_positives=2, hashed_size=0, modalities=("text",), word_vectors=str(words))
    before = np.array(build_accounts(market, config).features["text"])
    calls = counting(monkeypatch)
    np.testing.assert_array_equal(build_accounts(market, config).features["text"], before)
    assert not calls
    words.write_text("family 9 0\ncream 0 1\n")
    assert not np.array_equal(build_accounts(market, config).features["text"], before)
    words.unlink()
    with pytest.raises(DataError, match="no such word-vector file"):
        build_accounts(market, config)


def test_nothing_else_in_a_market_sees_the_folder(market):
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    card, files = inspect_market(market, now=now), inspect_files(market.path)
    build_accounts(market, ALL)
    (market.path / "pooled" / f".text-0.npy.{'0' * 32}.tmp").write_bytes(b"of a killed writer")
    again = Market.load(market.path)
    assert again.fingerprint == market.fingerprint
    assert set(again.tables) == set(market.tables)
    assert again.feature_names == market.feature_names
    assert inspect_market(again, now=now) == card
    assert inspect_files(market.path) == files
