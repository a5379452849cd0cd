"""Parts of posts on disk: feature arrays by row of post, read a batch at a time.

Shapes: P posts of the market, n posts asked for (B of a batch), M items of theirs, T items of the longest of them, d
numbers of an item.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.market.arrays import open_array
from micromega.models.vsvae.batch import PostBatch

Ints = NDArray[np.int64]
_NO_IDS = pa.array([], pa.string())


class MappedArray:
    """A feature array whose ids are let go once they were looked up; another process opens the file again.

    Args:
        folder: of the arrays.
        name: of the array.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.array = open_array(folder, name)

    def rows_of(self, ids: pa.Array) -> Ints:
        """(n,) row of each id, -1 where there is none. It can be asked once."""
        rows = self.array.rows_of(ids)
        self._let_go()
        return rows

    def _let_go(self) -> None:
        self.array = replace(self.array, ids=_NO_IDS)

    def __getstate__(self) -> tuple[Path, str]:
        return self.folder, self.name  # a mapped file would be pickled as its whole content

    def __setstate__(self, state: tuple[Path, str]) -> None:
        self.folder, self.name = state
        self.array = open_array(*state)
        self._let_go()


class Vectors:
    """A part of which a post has one vector: an array, columns of the table, or both side by side.

    Args:
        array: the array; None: the columns alone.
        row: (P,) its row of each post, -1 where the post lacks the part; without an array, 0 elsewhere.
        columns: (P, c) float32, numbers at the end of the vector.
    """

    def __init__(self, array: MappedArray | None, row: Ints, columns: NDArray[np.float32] | None = None) -> None:
        self.array, self.row, self.columns = array, row.astype(np.int32), columns
        self.width = int(np.prod(array.array.shape)) if array else 0
        self.size = self.width + (0 if columns is None else columns.shape[1])

    def lengths(self, posts: Ints) -> Ints:
        """(n,) 1, or 0 where the post lacks the part."""
        return (self.row[posts] >= 0).astype(np.int64)

    def items(self, posts: Ints) -> NDArray[np.float32]:
        """(M, d) vectors of those posts that have one."""
        posts = posts[self.row[posts] >= 0]
        row, parts = self.row[posts].astype(np.int64), []
        if self.array:
            parts.append(_real(self.array.array.take(row)).reshape(len(row), self.width))
        if self.columns is not None:
            parts.append(self.columns[posts])
        return np.concatenate(parts, axis=1)

    def read(self, posts: Ints) -> tuple[Tensor, Tensor]:
        """(B, d) vectors, 0 where absent, and their (B,) lengths."""
        lengths = self.lengths(posts)
        values = np.zeros((len(posts), self.size), np.float32)
        values[lengths > 0] = self.items(posts)
        return torch.from_numpy(values), torch.from_numpy(lengths)


class Sequences:
    """A part of which a post has several items in order: words, or frames.

    Args:
        array: the array.
        row: (P,) its row of each post, -1 where the post lacks the part.
        longest: items kept of each sequence, from its beginning.
    """

    def __init__(self, array: MappedArray, row: Ints, longest: int) -> None:
        self.array, self.row, self.longest = array, row.astype(np.int32), longest
        self.size = int(np.prod(array.array.shape))
        self.of_words = array.array.shape == ()
        offsets = array.array.offsets
        assert offsets is not None
        self._stored = np.append(np.diff(offsets), 0).astype(np.int32)[self.row]  # row -1 is the 0 at the end

    def lengths(self, posts: Ints) -> Ints:
        """(n,) items of each post, 0 where it lacks the part."""
        return np.minimum(self._stored[posts], self.longest).astype(np.int64)

    def items(self, posts: Ints) -> NDArray[Any]:
        """(M, d) float32 frames, or (M,) integer words, of one post after another."""
        stored = self._stored[posts].astype(np.int64)
        values = self.array.array.take(self.row[posts[stored > 0]].astype(np.int64))
        if stored.max(initial=0) > self.longest:
            values = values[_places(stored) < self.longest]
        return values if self.of_words else _real(values).reshape(len(values), self.size)

    def read(self, posts: Ints) -> tuple[Tensor, Tensor]:
        """(B, T) int64 words or (B, T, d) float32 frames, 0 beyond the (B,) lengths; T is 1 where no post has any."""
        lengths = self.lengths(posts)
        longest = max(int(lengths.max(initial=0)), 1)
        shape = (len(posts) * longest,) if self.of_words else (len(posts) * longest, self.size)
        values = np.zeros(shape, np.int64 if self.of_words else np.float32)
        values[np.repeat(np.arange(len(posts)) * longest, lengths) + _places(lengths)] = self.items(posts)
        return torch.from_numpy(values.reshape(len(posts), longest, *shape[1:])), torch.from_numpy(lengths)


class StoredPosts:
    """All parts of all posts; small enough to be sent to worker processes.

    Args:
        parts: part -> its store.
    """

    def __init__(self, parts: dict[str, Vectors | Sequences]) -> None:
        self.parts = parts

    def batch_of(self, posts: Ints) -> PostBatch:
        """Read posts (B,), by their rows in the table."""
        read = {part: stored.read(posts) for part, stored in self.parts.items()}
        return PostBatch(
            post=torch.from_numpy(np.array(posts, np.int64)),
            values={part: values for part, (values, _) in read.items()},
            lengths={part: lengths for part, (_, lengths) in read.items()},
        )

    def length(self, posts: Ints) -> Ints:
        """(n,) words and frames of each post together."""
        counts = [stored.lengths(posts) for stored in self.parts.values() if isinstance(stored, Sequences)]
        return np.asarray(sum(counts, np.zeros(len(posts), np.int64)))

    def with_any(self, posts: Ints) -> Ints:
        """Leave out posts that have none of the parts."""
        return posts[np.any([stored.lengths(posts) > 0 for stored in self.parts.values()], axis=0)]


def _places(lengths: Ints) -> Ints:
    """(sum of lengths,) place of each item in its sequence."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _real(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == np.float16:
        return np.asarray(torch.from_numpy(values).float().numpy())  # many times as fast as numpy
    return np.asarray(values, dtype=np.float32)
