"""Exposures as codes, and which of them train, validate and test. Shapes: X exposures, N posts with exposures."""

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.diffusion.config import DiffusionDataConfig
from micromega.models.diffusion.evidence import Evidence, gather
from micromega.models.diffusion.graph import Graph

Ints = NDArray[np.int64]
WINDOWS = ("train", "validate", "test")
_FEWEST = 1


@dataclass(frozen=True, kw_only=True)
class Exposures:
    """Who was exposed to whom, and what came of it."""

    edge: Ints
    """(X,) edge of the graph."""
    group: Ints
    """(X,) code of post and target."""
    activated: NDArray[np.bool_]
    """(X,) as the table says."""
    window: Ints
    """(X,) place in `WINDOWS`; of the whole post."""
    edges: int
    """M."""
    shared: bool
    """`activated` is the target's outcome, whichever source did it; else the exposure's own."""
    first: tuple[np.datetime64, ...]
    """First exposure of each window; empty where posts are split at random."""

    def rows(self, *windows: str) -> Ints:
        """Numbers of the exposures of some windows."""
        return np.flatnonzero(np.isin(self.window, [WINDOWS.index(name) for name in windows]))

    def evidence(self, *windows: str) -> Evidence:
        """What the exposures of some windows say."""
        rows = self.rows(*windows)
        return gather(self.edge[rows], self.group[rows], self.activated[rows], edges=self.edges, shared=self.shared)


def read_exposures(config: DiffusionDataConfig, market: Market, graph: Graph) -> Exposures:
    """Code a market's exposures and split them by post.

    Args:
        config: shares, split, whose the outcome is.
        market: with exposures.
        graph: of the market.

    Returns:
        The exposures, in the order of time (of codes where posts are split at random).

    Raises:
        DataError: a table or times are missing, a window has no exposure, or training has no activation.
    """
    table = market.table("exposures")
    source, target = graph.places(table["source_id"]), graph.places(table["target_id"])
    names = pc.unique(table["post_id"].combine_chunks())
    names = names.take(pc.sort_indices(names))
    post = np.asarray(pc.index_in(table["post_id"], value_set=names)).astype(np.int64)
    activated = table["activated"].to_numpy(zero_copy_only=False).astype(bool)
    timed = config.split == "time"
    at = _times(table["at"]) if timed else np.zeros(len(post), np.int64)
    window_N, first = _cut(config, names, post, at)
    order = np.lexsort((target, source, post, at))
    edge = graph.edge_of(source, target)
    group = post * len(graph.ids) + target
    found = Exposures(
        edge=edge[order],
        group=group[order],
        activated=activated[order],
        window=window_N[post[order]],
        edges=len(graph.source),
        shared=_shared(config, group, activated),
        first=first if timed else (),
    )
    for name in WINDOWS:
        rows = found.rows(name)
        if len(rows) < _FEWEST or (name == "train" and not found.activated[rows].any()):
            raise DataError(
                f"exposures.parquet: the window {name} has {len(rows):,} exposures and "
                f"{int(found.activated[rows].sum()):,} activations of {len(post):,} exposures to {len(names):,} posts "
                "in all. Give exposures to more posts, or set data.split=post, data.validate, data.test."
            )
    return found


def _times(column: pa.ChunkedArray) -> Ints:
    """Microseconds since 1 January 1970."""
    if missing := column.null_count:
        raise DataError(
            f'exposures.parquet: column "at" is missing in {missing:,} of {len(column):,} rows, so they cannot be '
            "split by time. Fill it, or set data.split=post."
        )
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)


def _cut(config: DiffusionDataConfig, names: pa.Array, post: Ints, at: Ints) -> tuple[Ints, tuple[np.datetime64, ...]]:
    """Window of each post, (N,), by its first exposure or by chance, and when windows begin."""
    begin = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(begin, post, at)
    key = begin
    if config.split == "post":
        key = np.array([zlib.crc32(f"{config.seed}/{name}".encode()) for name in names.to_pylist()], np.int64)
    order = np.lexsort((np.arange(len(names)), key))
    held = np.bincount(post, minlength=len(names))[order]
    middle = (np.cumsum(held) - held / 2) / held.sum()
    window = np.empty(len(names), np.int64)
    window[order] = (middle > 1 - config.validate - config.test).astype(int) + (middle > 1 - config.test)
    first = tuple(
        np.datetime64(int(begin[window == place].min(initial=np.iinfo(np.int64).max)), "us")
        for place in range(len(WINDOWS))
    )
    return window, first


def _shared(config: DiffusionDataConfig, group: Ints, activated: NDArray[np.bool_]) -> bool:
    """Whose the outcome is; "auto" sees exposures of one target to one post with both outcomes, or none."""
    if config.outcome != "auto":
        return config.outcome == "shared"
    _, code, size = np.unique(group, return_inverse=True, return_counts=True)
    hits = np.bincount(code, activated)
    return not bool(((hits > 0) & (hits < size)).any())
