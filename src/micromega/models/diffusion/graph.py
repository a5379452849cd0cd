"""Who can activate whom, as arrays. Shapes: C accounts (the nodes), M edges."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.market import Market

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Edges of follows, and those over which there were exposures without one."""

    ids: pa.Array
    """(C,) ids of all accounts, sorted."""
    source: Ints
    """(M,) who activates; edges are sorted by source and target."""
    target: Ints
    """(M,) who is activated."""
    followed: NDArray[np.bool_]
    """(M,) whether follows holds the edge."""

    @cached_property
    def code(self) -> Ints:
        """(M,) source * C + target, rising."""
        return self.source * len(self.ids) + self.target

    def edge_of(self, source: Ints, target: Ints) -> Ints:
        """Find edges, (X,); all must exist."""
        return np.searchsorted(self.code, source * len(self.ids) + target)

    def places(self, column: pa.Array | pa.ChunkedArray) -> Ints:
        """Places of ids among the accounts, -1 where none."""
        found = pc.fill_null(pc.index_in(column, value_set=self.ids), -1)
        return np.asarray(found).astype(np.int64)


def read_graph(market: Market) -> Graph:
    """Read the edges of a market.

    Args:
        market: with follows; edges of exposures are added where there are any.

    Returns:
        The graph, the same for any order of the rows.

    Raises:
        DataError: there is no table follows.
    """
    ids = market.table("accounts")["account_id"].combine_chunks()
    ids = ids.take(pc.sort_indices(ids))
    bare = Graph(ids=ids, source=np.empty(0, np.int64), target=np.empty(0, np.int64), followed=np.empty(0, bool))

    def codes(name: str) -> Ints:
        table = market.table(name)
        return np.unique(bare.places(table["source_id"]) * len(ids) + bare.places(table["target_id"]))

    follows = codes("follows")
    code = np.union1d(follows, codes("exposures")) if "exposures" in market.tables else follows
    source, target = np.divmod(code, len(ids))
    return Graph(ids=ids, source=source, target=target, followed=np.isin(code, follows, assume_unique=True))


def neighbours(graph: Graph) -> dict[str, NDArray[np.float64]]:
    """Describe edges by the follows around them.

    Args:
        graph: the graph.

    Returns:
        Name -> (M,): reciprocal (1 where the source follows the target too), common (accounts joined to both, either
        way), jaccard (common / accounts joined to one of them).
    """
    nodes, source, target = len(graph.ids), graph.source[graph.followed], graph.target[graph.followed]
    joined = np.union1d(source * nodes + target, target * nodes + source)
    joined = joined[joined // nodes != joined % nodes]
    start = np.searchsorted(joined, np.arange(nodes + 1) * nodes)
    common = _common(start, joined % nodes, graph.source, graph.target)
    degree = np.diff(start)
    either = degree[graph.source] + degree[graph.target] - common
    back = np.isin(graph.target * nodes + graph.source, graph.code[graph.followed])
    return {
        "reciprocal": back.astype(np.float64),
        "common": common.astype(np.float64),
        "jaccard": common / np.maximum(either, 1),
    }


@numba.njit(cache=True)
def _common(start: Ints, neighbour: Ints, source: Ints, target: Ints) -> Ints:
    """Count accounts that are in both sorted lists of neighbours, (M,): the shorter is looked up in the longer."""
    counts = np.zeros(len(source), np.int64)
    for edge in range(len(source)):
        short, long = source[edge], target[edge]
        if start[short + 1] - start[short] > start[long + 1] - start[long]:
            short, long = long, short
        rest = neighbour[start[long] : start[long + 1]]
        found = 0
        for place in range(start[short], start[short + 1]):
            at = np.searchsorted(rest, neighbour[place])
            if at < len(rest) and rest[at] == neighbour[place]:
                found += 1
        counts[edge] = found
    return counts
