"""A graph in a text file, one edge per line, as SNAP and the influence-maximisation literature publish them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.market.checks import OnBadRows
from micromega.market.config import EdgeList
from micromega.market.importers.blocks import BadRows, no_rows
from micromega.market.importers.lines import text_blocks
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import write_market

_LINE = r"^(?P<source>[^\s,;]+)(?:\s*[,;]\s*|\s+)(?P<target>[^\s,;]+)$"


@dataclass(frozen=True, kw_only=True)
class Edges:
    """A graph without self-loops and repeated edges."""

    nodes: pa.Array
    """(N,) ids, those of numbers in the order of numbers."""
    source: NDArray[np.int64]
    """(M,) positions in `nodes`."""
    target: NDArray[np.int64]
    notes: tuple[str, ...]


def build(config: EdgeList, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the file.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    if not config.path:
        raise ConfigError("market.path: the file with one edge per line is not given. Add market.path=FILE.")
    source = Path(config.path)
    return cached(
        config,
        cache,
        [source] if source.is_file() else [],
        lambda target: import_folder(source, target, on_bad_rows=config.on_bad_rows, directed=config.directed),
    )


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error", directed: bool = True) -> Market:
    """Turn an edge list into a market: every node is a creator.

    The first id of a line activates the second (the second follows the first). Lines that begin with # or % are
    comments. A first line "nodes lines", as in NetHEPT, is recognised; self-loops and repeated edges are left out and
    counted.

    Args:
        source: text file, gzip if it ends in .gz: two ids per line, parted by blanks, tabs or a comma.
        target: market folder to make.
        on_bad_rows: "error" or "drop".
        directed: False: each line is an edge in both directions.

    Returns:
        The market with tables accounts and follows.

    Raises:
        DataError: naming file, count and first bad lines.
    """
    edges = read_edges(source, on_bad_rows, directed=directed)
    kind = "directed; the first id of a line activates the second" if directed else "undirected; both directions"
    notes = (f"{len(edges.nodes):,} nodes, {len(edges.source):,} edges ({kind}).", *edges.notes, _NO_PROBABILITY)
    return write_market(
        target,
        graph_tables(edges),
        name=source.name.removesuffix(".gz").rsplit(".", 1)[0],
        currency="USD",
        source=f"edge list {source.name}",
        notes=notes,
    )


_NO_PROBABILITY = "No activation probabilities: they have to be modelled."


def graph_tables(edges: Edges, platform: str | None = None) -> dict[str, pa.Table]:
    """Tables accounts and follows of a graph; without edges there is no follows."""
    count = len(edges.nodes)
    accounts = pa.table(
        {
            "account_id": edges.nodes,
            "kind": pa.repeat("creator", count),
            "platform": pa.repeat(pa.scalar(platform, pa.string()), count),
        }
    )
    if not len(edges.source):
        return {"accounts": accounts}
    follows = {"source_id": edges.nodes.take(edges.source), "target_id": edges.nodes.take(edges.target)}
    return {"accounts": accounts, "follows": pa.table(follows)}


def read_edges(path: Path, on_bad_rows: OnBadRows, *, directed: bool) -> Edges:
    """Read an edge list block by block.

    Args:
        path: text file, see `import_folder`.
        on_bad_rows: "error" or "drop".
        directed: False: each line is an edge in both directions.

    Returns:
        The graph; nodes with nothing but self-loops are kept.

    Raises:
        DataError: naming file, count and first bad lines.
    """
    bad = BadRows(file=path.name, on_bad_rows=on_bad_rows)
    columns: dict[str, list[pa.ChunkedArray]] = {"source": [], "target": []}
    for block in text_blocks(path, _LINE, 'two ids, for instance "17 4"', bad):
        for name, chunks in columns.items():
            chunks.append(block.rows.column(name).dictionary_encode())
    if not columns["source"]:
        raise no_rows(path.name, bad)
    sides = [pa.chunked_array([chunk for array in chunks for chunk in array.chunks]) for chunks in columns.values()]
    ids, codes = _codes(pa.chunked_array([*sides[0].chunks, *sides[1].chunks]))
    first, second = codes.reshape(2, -1)
    notes = list(bad.notes)
    if (header := _header(ids, first, second)) is not None:
        notes.append(header)
        first, second = first[1:], second[1:]
    used = np.zeros(len(ids), dtype=bool)
    used[first] = used[second] = True
    nodes, place = ids.filter(pa.array(used)), np.cumsum(used) - 1
    return _edges(nodes, place[first], place[second], notes, directed=directed)


def _codes(values: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """Distinct ids, numbers in the order of numbers, and each value's place among them."""
    encoded = values.unify_dictionaries()
    ids = encoded.chunk(0).dictionary
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in encoded.chunks]).astype(np.int64)
    numeric = bool(pc.all(pc.match_substring_regex(ids, r"^(0|[1-9][0-9]{0,17})$")).as_py())
    order = np.asarray(pc.array_sort_indices(ids.cast(pa.int64()) if numeric else ids))
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    return ids.take(pa.array(order)), place[codes]


def _header(ids: pa.Array, first: NDArray[np.int64], second: NDArray[np.int64]) -> str | None:
    """Recognise a first line "nodes lines".

    Its first number is no other node's and not below one. Its second is the number of lines that follow; or larger
    (some files have lost lines), and then no node's.
    """
    nodes, lines = ids[int(first[0])].as_py(), ids[int(second[0])].as_py()
    others, count = np.unique(np.concatenate([first[1:], second[1:]])), len(first) - 1
    if not (nodes + lines).isdigit() or not count or first[0] in others:
        return None
    largest = ids[int(others[-1])].as_py()
    announced = int(lines) == count or (int(lines) > count and second[0] not in others)
    if not announced or not largest.isdigit() or int(largest) > int(nodes):
        return None
    return (
        f"The first line announces {int(nodes):,} nodes and {int(lines):,} lines; the file has {len(others):,} nodes "
        f"with an edge and {count:,} lines."
    )


def _edges(
    nodes: pa.Array, first: NDArray[np.int64], second: NDArray[np.int64], notes: list[str], *, directed: bool
) -> Edges:
    loops = first == second
    source, target = first[~loops], second[~loops]
    if not directed:
        source, target = np.minimum(source, target), np.maximum(source, target)
    unique = np.unique(source * len(nodes) + target)
    if loops.any():
        notes.append(f"{int(loops.sum()):,} self-loops left out.")
    if repeated := len(source) - len(unique):
        notes.append(f"{repeated:,} lines repeat an edge{'' if directed else ' (in either direction)'} and count once.")
    source, target = np.divmod(unique, len(nodes))
    if not directed:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
    return Edges(nodes=nodes, source=source, target=target, notes=tuple(notes))
