"""Feature arrays on disk against the plain numpy arrays that they were made from."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromega.errors import DataError
from micromega.market.arrays import ArrayWriter, array_names, items_of, open_array


def write(folder, name="audio", *, chunks=((["a", "b"], [[1.0, 2.0], [3.0, 4.0]]), (["c"], [[5.0, 6.0]]))):
    with ArrayWriter(folder, name=name, key="post_id", shape=(2,), dtype="float32", source="test") as writer:
        for ids, values in chunks:
            writer.append(ids, np.array(values))


def test_what_is_written_in_chunks_is_read_whole(tmp_path):
    write(tmp_path)
    array = open_array(tmp_path, "audio")
    assert array.ids.to_pylist() == ["a", "b", "c"]
    assert array.rows_of(["c", "none", "a"]).tolist() == [2, -1, 0]
    np.testing.assert_array_equal(array.take(np.array([2, 0])), [[5, 6], [1, 2]])
    assert isinstance(array.values, np.memmap)
    np.testing.assert_array_equal(np.load(tmp_path / "audio" / "values.npy"), [[1, 2], [3, 4], [5, 6]])


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=8), data=st.data())
def test_sequences_come_back_as_they_went_in(lengths, data, tmp_path_factory):
    rng = np.random.default_rng(len(lengths))
    parts = [rng.normal(size=(length, 3)).astype("float16") for length in lengths]
    folder = tmp_path_factory.mktemp("arrays")
    with ArrayWriter(folder, name="frames", key="post_id", shape=(3,), dtype="float16", ragged=True) as writer:
        cut = data.draw(st.integers(0, len(parts)))
        for piece in (range(cut), range(cut, len(parts))):
            values = np.concatenate([np.zeros((0, 3), "float16"), *[parts[i] for i in piece]])
            writer.append([f"p{i}" for i in piece], values, np.array([lengths[i] for i in piece], dtype=int))
    array = open_array(folder, "frames")
    rows = np.array(data.draw(st.lists(st.integers(0, len(parts) - 1), min_size=1, max_size=6)))
    np.testing.assert_array_equal(array.take(rows), np.concatenate([parts[row] for row in rows]))
    assert array.lengths.tolist() == lengths


def test_items_of_lists_each_sequence_in_turn():
    assert items_of(np.array([0, 2, 2, 5]), np.array([2, 0, 1, 2])).tolist() == [2, 3, 4, 0, 1, 2, 3, 4]


def test_the_fingerprint_does_not_depend_on_chunks_but_on_every_value(tmp_path):
    write(tmp_path, "one")
    write(tmp_path, "two", chunks=((["a"], [[1.0, 2.0]]), (["b", "c"], [[3.0, 4.0], [5.0, 6.0]])))
    write(tmp_path, "three", chunks=((["a", "b", "c"], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]]),))
    one, two, three = (open_array(tmp_path, name).fingerprint for name in ("one", "two", "three"))
    assert one == two != three


def test_writing_again_replaces_and_an_error_leaves_the_old_one(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=r"features/audio: the values of b are not finite"):
        write(tmp_path, chunks=((["a", "b"], [[1.0, 2.0], [np.nan, 0.0]]),))
    assert open_array(tmp_path, "audio").values.shape == (3, 2)
    write(tmp_path, chunks=((["z"], [[9.0, 9.0]]),))
    assert open_array(tmp_path, "audio").ids.to_pylist() == ["z"]
    assert array_names(tmp_path) == ("audio",)
    assert [path.name for path in tmp_path.iterdir()] == ["audio"]


@pytest.mark.parametrize(
    ("ids", "values", "message"),
    [
        (["a", "a"], [[1.0, 2.0], [3.0, 4.0]], "the id a appears more than once"),
        (["a"], [[1.0, 2.0, 3.0]], r"need values of shape \(1, 2\), got \(1, 3\)"),
        (["a"], [[1e6, np.inf]], "not finite"),
    ],
)
def test_bad_values_are_named(tmp_path, ids, values, message):
    with pytest.raises(DataError, match=message):
        write(tmp_path, chunks=((ids, values),))
    assert array_names(tmp_path) == ()


@pytest.mark.parametrize("file", ["values.npy", "meta.json", "ids.parquet"])
@pytest.mark.parametrize("keep", [0, 40])
def test_a_damaged_feature_is_refused(tmp_path, file, keep):
    write(tmp_path)
    path = tmp_path / "audio" / file
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="audio"):
        open_array(tmp_path, "audio")


def test_a_description_that_does_not_fit_is_refused(tmp_path):
    write(tmp_path)
    meta = tmp_path / "audio" / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"shape": [3]}))
    with pytest.raises(DataError, match="damaged"):
        open_array(tmp_path, "audio")


def test_an_array_without_rows_is_fine(tmp_path):
    with ArrayWriter(tmp_path, name="empty", key="post_id", shape=(2,), dtype="float32", ragged=True) as writer:
        writer.append(pa.array([], pa.string()), np.zeros((0, 2)), np.zeros(0, dtype=int))
    assert len(open_array(tmp_path, "empty")) == 0


def test_a_random_batch_leaves_the_rest_on_disk(tmp_path):
    resource = pytest.importorskip("resource")
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("this system cannot drop a file from its cache")
    rows, width = 40_000, 1024
    with ArrayWriter(tmp_path, name="frames", key="post_id", shape=(width,), dtype="float32") as writer:
        for start in range(0, rows, 4_000):
            ids = [f"p{i}" for i in range(start, start + 4_000)]
            writer.append(ids, np.full((4_000, width), start, dtype="float32"))
    array = open_array(tmp_path, "frames")
    wanted = np.random.default_rng(0).choice(rows, 64, replace=False)
    descriptor = os.open(tmp_path / "frames" / "values.npy", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # out of the page cache, so that reading shows
    os.close(descriptor)
    before = resource.getrusage(resource.RUSAGE_SELF)
    taken = array.take(wanted)
    after = resource.getrusage(resource.RUSAGE_SELF)
    np.testing.assert_array_equal(taken[:, 0], wanted // 4_000 * 4_000)
    assert (after.ru_inblock - before.ru_inblock) * 512 < 8e6  # of 164 MB; with reading ahead about half of it
