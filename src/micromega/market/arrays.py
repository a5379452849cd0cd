"""Feature arrays of a market: memory-mapped, one row per post or account, written in chunks and read by random batch.

`features/<name>/` in the market's folder holds meta.json, ids.parquet, values.npy and, for sequences, offsets.npy. An
id without a row has no such feature (no sound, no text).
"""

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.files import sync_folder
from micromega.market.storage import read_parquet, write_parquet

FOLDER = "features"
_META, _IDS, _VALUES, _OFFSETS = "meta.json", "ids.parquet", "values.npy", "offsets.npy"
_KEYS = ("name", "key", "ragged", "shape", "dtype", "rows", "items", "source", "fingerprint")
_FEW = 8
"""Less than one in so many items is a random batch."""
_HEADER = 128
"""Bytes kept for the header of values.npy, which is written last: the number of items is known only then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureArray:
    """One feature of N posts or accounts; the values stay on disk until they are taken."""

    name: str
    key: str
    """What `ids` are: post_id, account_id, or word."""
    ids: pa.Array = field(repr=False)
    """(N,) unique ids."""
    values: NDArray[Any] = field(repr=False)
    """(N, *shape); sequences: (M, *shape), all items one after another."""
    offsets: NDArray[np.int64] | None = field(default=None, repr=False)
    """(N + 1,) where each sequence begins; None where every id has one item."""
    source: str = ""
    """What made it."""
    fingerprint: str = ""
    """SHA-256 of ids, offsets and values."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item."""
        return tuple(self.values.shape[1:])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) items of each id."""
        return np.ones(len(self), dtype=np.int64) if self.offsets is None else np.diff(self.offsets)

    def rows_of(self, ids: pa.Array | pa.ChunkedArray | Sequence[str]) -> NDArray[np.int64]:
        """Find ids.

        Args:
            ids: (n,) ids.

        Returns:
            (n,) row of each, -1 where the id has no such feature.
        """
        wanted = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids, pa.string())
        found = pc.fill_null(pc.index_in(wanted, value_set=self.ids), -1)
        return np.asarray(found).astype(np.int64)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read rows; nothing else is loaded.

        Args:
            rows: (n,) rows, each 0 or more.

        Returns:
            (n, *shape) values; sequences: (sum of their lengths, *shape), one after another, see `lengths`.
        """
        items = rows if self.offsets is None else items_of(self.offsets, rows)
        mapped: Any = self.values.base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
            # Reading ahead turned a batch of 1 MB into 370 MB from disk; reading everything needs it.
            mapped.madvise(mmap.MADV_RANDOM if len(items) * _FEW < len(self.values) else mmap.MADV_NORMAL)
        return np.ascontiguousarray(self.values[items])


def items_of(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the items of some sequences, one sequence after another.

    Args:
        offsets: (N + 1,) where each sequence begins.
        rows: (n,) sequences.

    Returns:
        (sum of lengths,) item numbers.
    """
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


class ArrayWriter:
    """Write one feature in chunks; the folder gets its name only when everything is on disk.

    Example:
        >>> import numpy as np, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with ArrayWriter(folder, name="audio", key="post_id", shape=(3,), dtype="float32") as writer:
        ...     writer.append(["a", "b"], np.ones((2, 3)))
        >>> open_array(folder, "audio").take(np.array([1]))
        array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self, folder: Path, *, name: str, key: str, shape: tuple[int, ...], dtype: str, ragged: bool = False,
        source: str = "",
    ) -> None:  # fmt: skip
        self.name, self.key, self.shape, self.ragged, self.source = name, key, shape, ragged, source
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._target = folder / name
        self._temporary = folder / f".{name}.{uuid4().hex}.tmp"
        self._ids: list[pa.Array] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._items = 0
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "ArrayWriter":
        self._temporary.mkdir(parents=True)
        self._file = (self._temporary / _VALUES).open("wb")
        self._file.write(bytes(_HEADER))
        return self

    def append(
        self,
        ids: pa.Array | Sequence[str],
        values: NDArray[Any],
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        """Add ids with their values.

        Args:
            ids: (n,) new ids.
            values: (n, *shape); sequences: (sum(lengths), *shape).
            lengths: (n,) items of each id; sequences only.

        Raises:
            DataError: shapes do not fit, or values are not finite.
        """
        if self._file is None:
            raise RuntimeError("ArrayWriter is used as a context manager")
        given = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
        counts = np.ones(len(given), dtype=np.int64) if lengths is None else np.asarray(lengths, dtype=np.int64)
        wanted = (int(counts.sum()), *self.shape)
        if values.shape != wanted or len(counts) != len(given) or (lengths is not None) != self.ragged:
            raise DataError(
                f"features/{self.name}: {len(given)} ids need values of shape {wanted}, got {values.shape}."
            )
        cells = np.ascontiguousarray(values, dtype=self.dtype)
        if self.dtype.kind == "f" and not np.isfinite(cells).all():
            place = np.flatnonzero(~np.isfinite(cells).reshape(len(cells), -1).all(axis=1))[0]
            bad = given[int(np.searchsorted(np.cumsum(counts), place, side="right"))]
            raise DataError(f"features/{self.name}: the values of {bad} are not finite (as {self.dtype.name}).")
        self._ids.append(given.cast(pa.string()))
        self._lengths.append(counts)
        self._items += len(cells)
        data = cells.data.cast("B") if cells.size else b""
        self._digest.update(data)
        self._file.write(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._file is not None:
                self._file.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _finish(self) -> None:
        if self._file is None:
            raise RuntimeError("ArrayWriter is used as a context manager")
        ids = pa.concat_arrays(self._ids) if self._ids else pa.array([], pa.string())
        if len(pc.unique(ids)) < len(ids):
            twice = pc.value_counts(ids)
            bad = twice.filter(pc.greater(twice.field("counts"), 1))[0]["values"]
            raise DataError(f"features/{self.name}: the id {bad} appears more than once.")
        lengths = np.concatenate([np.zeros(1, dtype=np.int64), *self._lengths])
        self._file.seek(0)
        self._file.write(_header((self._items, *self.shape), self.dtype))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._digest.update(lengths.tobytes())
        self._digest.update("\n".join(ids.to_pylist()).encode())
        write_parquet(pa.table({self.key: ids}), self._temporary / _IDS)
        if self.ragged:
            np.save(self._temporary / _OFFSETS, np.cumsum(lengths))
        meta = {
            "name": self.name, "key": self.key, "ragged": self.ragged, "shape": list(self.shape),
            "dtype": self.dtype.name, "rows": len(ids), "items": self._items, "source": self.source,
            "fingerprint": self._digest.hexdigest(),
        }  # fmt: skip
        (self._temporary / _META).write_text(json.dumps(meta, indent=1) + "\n")
        sync_folder(self._temporary)
        _replace(self._temporary, self._target)


def open_array(folder: Path, name: str) -> FeatureArray:
    """Open a feature; only its ids are read.

    Args:
        folder: a market's folder of features.
        name: feature.

    Returns:
        The feature, values memory-mapped.

    Raises:
        DataError: the feature is missing, cut off or no array of its description.
    """
    path = folder / name
    remedy = f"Delete {path} and make the feature again."
    if not (path / _META).is_file():
        known = ", ".join(array_names(folder)) or "none"
        raise DataError(f"{path}: there is no such feature. The market has: {known}.")
    try:
        meta: Mapping[str, Any] = json.loads((path / _META).read_text())
        if not isinstance(meta, dict) or any(name not in meta for name in _KEYS):
            raise ValueError(f"{_META} needs {', '.join(_KEYS)}")
        shape, items = tuple(meta["shape"]), meta["items"]
        # np.load cannot map an array without elements.
        empty = np.zeros((items, *shape), meta["dtype"]) if not items or not all(shape) else None
        values = np.load(path / _VALUES, mmap_mode="r", allow_pickle=False) if empty is None else empty
        offsets = np.load(path / _OFFSETS, allow_pickle=False) if meta["ragged"] else None
        if values.shape != (items, *shape) or values.dtype.name != meta["dtype"]:
            raise ValueError(
                f"{_VALUES} holds {values.dtype.name} {values.shape}, {_META} says {meta['dtype']} {shape}"
            )
        if offsets is not None and (
            len(offsets) != meta["rows"] + 1 or offsets[-1] != items or (np.diff(offsets) < 0).any()
        ):
            raise ValueError(f"{_OFFSETS} does not fit {_VALUES}")
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        raise DataError(f"{path}: not a readable feature, or damaged ({error}). {remedy}") from error
    ids = read_parquet(path / _IDS).column(0).combine_chunks()
    if len(ids) != meta["rows"]:
        raise DataError(f"{path}: {_IDS} holds {len(ids)} ids, {_META} says {meta['rows']}. {remedy}")
    return FeatureArray(
        name=name, key=meta["key"], ids=ids, values=values, offsets=offsets, source=meta["source"],
        fingerprint=meta["fingerprint"],
    )  # fmt: skip


def array_names(folder: Path) -> tuple[str, ...]:
    """Names of the features in a folder, sorted."""
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{_META}") if not path.parent.name.startswith(".")))


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Header of a .npy file (version 1.0) of a fixed size, so that it can be written after the data."""
    content = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + content.ljust(_HEADER - 11) + b"\n"


def _replace(new: Path, target: Path) -> None:
    """Put a folder where another may be; the old one is gone only when the new one is complete."""
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
    else:
        new.rename(target)
    sync_folder(target.parent)
