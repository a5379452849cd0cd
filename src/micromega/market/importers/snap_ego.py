"""Friendships of Facebook users around ten of them: SNAP's data set ego-Facebook (McAuley and Leskovec 2012).

The "347 friends on Facebook" of the cascade document are the friends of user 0, 14 of them without a friend among the
others.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.market.checks import OnBadRows, repeated
from micromega.market.config import SnapEgo
from micromega.market.importers.blocks import BadRows, no_rows
from micromega.market.importers.edge_list import Edges, graph_tables, read_edges
from micromega.market.importers.lines import text_blocks
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import MarketWriter

COMBINED = "facebook_combined.txt.gz"


def build(config: SnapEgo, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source and the ego.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    if not config.path:
        raise ConfigError("market.path: the folder with 0.edges is not given. Add market.path=FOLDER.")
    folder = Path(config.path)
    return cached(
        config,
        cache,
        [path for path in _files(folder, config.ego) if path.is_file()],
        lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows, ego=config.ego),
    )


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error", ego: str = "0") -> Market:
    """Turn one ego network, or their union, into a market: every friend is a creator.

    The ego is not part of its own network (it is friends with everybody), but of the union. Friends without an edge
    are those in EGO.feat or EGO.circles alone. Where EGO.feat exists, its binary profile attributes become the feature
    array `profile`.

    Args:
        source: folder with EGO.edges (EGO.circles, EGO.feat) and facebook_combined.txt.gz.
        target: market folder to make.
        on_bad_rows: "error" or "drop".
        ego: user at the centre, for instance "0"; "combined" for the union of all ten networks.

    Returns:
        The market with tables accounts and follows, each friendship in both directions.

    Raises:
        DataError: naming file, count and first bad lines.
    """
    edge_file, circle_file, feature_file = _files(source, ego)
    if not edge_file.is_file():
        known = ", ".join(sorted(path.stem for path in source.glob("*.edges"))) or "none"
        raise DataError(
            f"{edge_file.name}: there is no such file in {source}. Egos there: {known}; or market.ego=combined."
        )
    edges = read_edges(edge_file, on_bad_rows, directed=False)
    notes = [f"{len(edges.source) // 2:,} friendships, each in both directions.", *edges.notes]
    profile = _profile(feature_file, on_bad_rows) if feature_file.is_file() else None
    others = [_circle_members(circle_file)] if circle_file.is_file() else []
    if profile is not None:
        ids, _, dropped = profile
        others.append(ids)
        notes += dropped
    edges, alone = _with_isolated(edges, others)
    notes.append(f"{len(edges.nodes):,} nodes, {alone} of them without an edge.")
    notes.append("No activation probabilities: they have to be modelled. Circles are not imported.")
    writer = MarketWriter(
        target,
        name=f"facebook-ego-{ego}",
        currency="USD",
        source="snap.stanford.edu/data/ego-Facebook.html (McAuley and Leskovec 2012); licence: none stated",
        notes=notes,
    )
    with writer:
        for name, table in graph_tables(edges, "facebook").items():
            writer.append(name, table)
        if profile is not None:
            ids, values, _ = profile
            what = f"{feature_file.name}: anonymised profile attributes, binary"
            shape = values.shape[1:]
            with writer.array("profile", key="account_id", shape=shape, dtype="int8", source=what) as array:
                array.append(ids, values)
    return writer.market


def _files(folder: Path, ego: str) -> tuple[Path, Path, Path]:
    edges = COMBINED if ego == "combined" else f"{ego}.edges"
    return folder / edges, folder / f"{ego}.circles", folder / f"{ego}.feat"


def _profile(path: Path, on_bad_rows: OnBadRows) -> tuple[pa.Array, NDArray[np.int8], tuple[str, ...]]:
    """Ids (N,) and attributes (N, D), each 0 or 1."""
    bad = BadRows(file=path.name, on_bad_rows=on_bad_rows)
    pattern = r"^(?P<id>[0-9]+) (?P<values>[01](?: [01])*)$"
    found = list(text_blocks(path, pattern, '"17 0 1 0 0": id, then 0 or 1', bad))
    if not found:
        raise no_rows(path.name, bad)
    width = len(found[0].rows["values"][0].as_py())
    for block in found:
        block.require(
            "values", "line of another length|lines of another length", "All lines have as many values as the first.",
            lambda values: pc.not_equal(pc.binary_length(values), width),
        )  # fmt: skip
        block.require("id", "repeated id|repeated ids", "Each id appears once.", lambda ids: repeated([ids]))
    rows = pa.concat_tables([block.rows for block in found]).combine_chunks()
    text = "".join(pc.replace_substring(rows["values"], " ", "").to_pylist())
    values = (np.frombuffer(text.encode(), dtype=np.int8) - ord("0")).reshape(rows.num_rows, -1)
    return rows["id"].combine_chunks(), values, bad.notes


def _circle_members(path: Path) -> pa.Array:
    """Ids in EGO.circles: a circle's name, then its members."""
    blocks = text_blocks(path, r"^\S+\s*(?P<ids>.*)$", '"circle0 17 4"', BadRows(file=path.name, on_bad_rows="error"))
    members = [pc.list_flatten(pc.utf8_split_whitespace(block.rows["ids"])).combine_chunks() for block in blocks]
    ids = pa.concat_arrays(members) if members else pa.array([], pa.string())
    return ids.filter(pc.not_equal(ids, ""))


def _with_isolated(edges: Edges, others: list[pa.Array]) -> tuple[Edges, int]:
    """Add nodes without an edge, behind the others; say how many nodes have none."""
    extra = pc.unique(pa.concat_arrays([*others, pa.array([], pa.string())]))
    extra = extra.filter(pc.invert(pc.is_in(extra, edges.nodes)))
    nodes = pa.concat_arrays([edges.nodes, extra])
    alone = len(nodes) - len(np.unique(edges.source))
    return Edges(nodes=nodes, source=edges.source, target=edges.target, notes=edges.notes), alone
