"""Feature arrays of accounts as modalities, and power scaling."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mir_markets import HandMadeMarket, hand_made
from sklearn.preprocessing import normalize

from micromega.errors import DataError
from micromega.market.arrays import FeatureArray
from micromega.models.mir.account_arrays import account_array_features
from micromega.models.mir.features import power_scaled

IDS = ("c2", "b0", "c9", "c0")
VIEWS = np.array([0, 1, 0, 0, 2, 3, 4])  # accounts b0, b1, c0, c1, c2; b0 has three views
POSTS = [("c0", "x", ["b0"]), ("c1", "x", ["b1"]), ("c2", "x", [])]


class WithArrays(HandMadeMarket):
    def __init__(self, *found):
        super().__init__(hand_made(POSTS).tables)
        self.arrays = {array.name: array for array in found}

    @property
    def feature_names(self):
        return tuple(sorted(self.arrays))

    def features(self, name):
        return self.arrays[name]


def array_of(ids=IDS, *, shape=(3,), name="topics", key="account_id", lengths=None, dtype=np.float32):
    counts = np.ones(len(ids), int) if lengths is None else np.array(lengths)
    values = np.random.default_rng(0).normal(size=(counts.sum(), *shape)).astype(dtype)
    offsets = None if lengths is None else np.concatenate([[0], np.cumsum(counts)])
    return FeatureArray(name=name, key=key, ids=pa.array(ids, pa.string()), values=values, offsets=offsets)


def found_in(market, name="topics"):
    return account_array_features(market, name, market.table("accounts"), VIEWS)


def test_every_view_has_its_accounts_row_and_missing_accounts_the_mean(caplog):
    array = array_of(dtype=np.float16)
    found = found_in(WithArrays(array))
    row = dict(zip(IDS, array.values.astype(np.float32), strict=True))
    mean = np.mean([row["b0"], row["c0"], row["c2"]], axis=0)  # each account once, and only those that are read
    expected = [row["b0"], mean, row["b0"], row["b0"], row["c0"], mean, row["c2"]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32
    assert "feature topics: 2 of 5 accounts have none and take the mean" in caplog.text


def test_nothing_is_said_where_nothing_is_missing(caplog):
    found_in(WithArrays(array_of(("c2", "c1", "c0", "b1", "b0"))))
    assert not caplog.text


def test_items_of_any_shape_and_sequences():
    flat = found_in(WithArrays(array_of(shape=(2, 3))))
    assert flat.shape == (7, 6)
    array = array_of(lengths=(2, 3, 1, 0))
    found = found_in(WithArrays(array))
    np.testing.assert_allclose(found[6], array.values[:2].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found[0], array.values[2:5].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found[4], (found[6] + found[0]) / 2, rtol=1e-5)  # c0 has no items


def test_what_cannot_be_a_modality_is_refused_with_what_there_is():
    market = WithArrays(array_of(), array_of(("p0",), name="image_frames", key="post_id"), array_of(("c7",), name="x"))
    with pytest.raises(
        DataError, match=r'"topic".*text, words, account, profile, visual.*features image_frames, topics, x'
    ):
        found_in(market, "topic")
    with pytest.raises(DataError, match=r"data\.visual=\[image_frames\]"):
        found_in(market, "image_frames")
    with pytest.raises(DataError, match="x has none of the accounts"):
        found_in(market, "x")
    with pytest.raises(DataError, match="has the features none"):
        found_in(WithArrays(), "topics")


FLOATS = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FLOATS))
def test_power_scaling_is_the_signed_root_at_length_one(values):
    before = values.copy()
    found = power_scaled(values)
    wide = values.astype(np.float64)
    np.testing.assert_allclose(found, normalize(np.sign(wide) * np.sqrt(np.abs(wide))), rtol=1e-5, atol=1e-7)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(found[~values.any(axis=1)], 0)
