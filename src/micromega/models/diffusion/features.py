"""What is known of accounts and edges when training ends. Shapes: C accounts, M edges, D numbers of a vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.market.market import Market
from micromega.models.diffusion.config import DiffusionDataConfig
from micromega.models.diffusion.graph import Graph, neighbours
from micromega.models.diffusion.windows import Exposures
from micromega.scores import read_scores, vectors_of

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
CATEGORIES = ("category", "location")
COUNT = "log_exposures"
"""Edge column of what was seen in training; hidden in a share of training rows, missing where nothing was seen."""
SETTLE_DAYS = 7
"""Days from a post until its likes are counted."""
_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns, and how many values categories have."""

    node: tuple[str, ...]
    edge: tuple[str, ...]
    categories: tuple[int, ...]
    """Values of each of `CATEGORIES`; code 0 is "unknown" and comes on top."""
    accounts: int
    """C."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Accounts and edges as numbers; NaN where unknown."""

    columns: Columns
    node: NDArray[np.float32]
    """(C, F)."""
    codes: Ints
    """(C, K) of `CATEGORIES`, 0 where unknown."""
    edge: NDArray[np.float32]
    """(M, E)."""
    source: Ints
    """(M,) account of each edge."""
    target: Ints
    """(M,)."""


def describe(config: DiffusionDataConfig, market: Market, graph: Graph, exposures: Exposures) -> Features:
    """Describe accounts and edges by what was known when training ended.

    Args:
        config: which score tables and feature arrays are used.
        market: the market.
        graph: its edges.
        exposures: those of the training window alone are counted.

    Returns:
        The features; nothing in them comes from exposures or posts after the training window, but accounts and
        follows, which have no date.

    Raises:
        ConfigError: a table or an array says nothing of this market.
        ScoreError: a table breaks its contract or comes from another market.
    """
    until = exposures.first[1] if exposures.first else None
    accounts = market.table("accounts")
    order = graph.places(accounts["account_id"])
    accounts = accounts.take(pa.array(np.argsort(order)))
    names = [tuple(sorted(n for n in pc.unique(accounts[name]).to_pylist() if n is not None)) for name in CATEGORIES]
    codes = np.column_stack([_codes(accounts[name], values) for name, values in zip(CATEGORIES, names, strict=True)])
    node = _accounts(accounts) | _posts(market, graph, accounts, until) | _degrees(graph)
    node |= _vectors(config, market, graph, until)
    edge = _edges(graph, codes) | neighbours(graph) | _affinity(config, market, graph)
    edge["common"] = np.log1p(edge["common"])
    trials = exposures.evidence("train").trials
    edge[COUNT] = np.where(trials > 0, np.log(np.maximum(trials, 1)), np.nan)
    return Features(
        columns=Columns(node=tuple(node), edge=tuple(edge), categories=tuple(map(len, names)), accounts=len(graph.ids)),
        node=np.column_stack(list(node.values())).astype(np.float32),
        codes=codes,
        edge=np.column_stack(list(edge.values())).astype(np.float32),
        source=graph.source,
        target=graph.target,
    )


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> Ints:
    found = pc.fill_null(pc.index_in(column, value_set=pa.array(names, pa.string())), -1)
    return np.asarray(found).astype(np.int64) + 1


def _real(column: pa.ChunkedArray) -> Reals:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _accounts(accounts: pa.Table) -> dict[str, Reals]:
    found = {f"log_{name}": np.log1p(_real(accounts[name])) for name in ("followers", "hearts", "videos")}
    found["verified"] = _real(accounts["verified"])
    found["brand"] = pc.equal(accounts["kind"], "brand").to_numpy(zero_copy_only=False).astype(np.float64)
    return found


def _posts(market: Market, graph: Graph, accounts: pa.Table, until: np.datetime64 | None) -> dict[str, Reals]:
    """Own posts before the validation window: log of likes, comments and shares of a post per follower."""
    if "posts" not in market.tables:
        return {}
    posts = market.table("posts")
    author = graph.places(posts["account_id"])
    before = _before(posts, until, SETTLE_DAYS) & (author >= 0)
    engagement = np.zeros(len(author))
    for name in ("likes", "comments", "shares"):
        engagement += np.nan_to_num(_real(posts[name]))
    known = before & pc.is_valid(posts["likes"]).to_numpy(zero_copy_only=False)
    count = np.bincount(author[known], minlength=len(graph.ids))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(author[known], engagement[known], minlength=len(graph.ids)) / count
        return {"log_engagement_rate": np.log1p(mean) - np.log1p(_real(accounts["followers"]))}


def _before(posts: pa.Table, until: np.datetime64 | None, settle_days: int) -> NDArray[np.bool_]:
    """Whether posts were out, and their numbers known, when training ended, (R,); all where windows have no time."""
    if until is None:
        return np.ones(posts.num_rows, bool)
    last = (until.astype("datetime64[us]") - np.timedelta64(settle_days, "D")).astype(np.int64)
    at = pc.fill_null(pc.cast(posts["posted_at"], pa.int64()), np.iinfo(np.int64).max)
    return np.asarray(at.to_numpy() < last)


def _degrees(graph: Graph) -> dict[str, Reals]:
    source, target = graph.source[graph.followed], graph.target[graph.followed]
    nodes = len(graph.ids)
    return {
        "log_followers_here": np.log1p(np.bincount(source, minlength=nodes)),
        "log_following_here": np.log1p(np.bincount(target, minlength=nodes)),
    }


def _edges(graph: Graph, codes: Ints) -> dict[str, Reals]:
    found: dict[str, Reals] = {}
    for place, name in enumerate(CATEGORIES):
        one, other = codes[graph.source, place], codes[graph.target, place]
        found[f"same_{name}"] = np.where((one > 0) & (other > 0), one == other, np.nan)
    return found


def _affinity(config: DiffusionDataConfig, market: Market, graph: Graph) -> dict[str, Reals]:
    """Affinity of the brand and the creator that an edge joins, whichever follows the other; NaN for other edges."""
    if not config.affinity:
        return {}
    table = read_scores(
        config.affinity,
        name="affinity",
        market_fingerprint=market.fingerprint,
        allow_other_market=config.allow_other_market,
    ).table
    brand, creator = graph.places(table["brand_id"]), graph.places(table["creator_id"])
    kept = (brand >= 0) & (creator >= 0)
    nodes, score = len(graph.ids), np.asarray(table["score"].to_numpy(), np.float64)
    found = np.full(len(graph.source), np.nan)
    for code in (brand * nodes + creator, creator * nodes + brand):
        place = np.minimum(np.searchsorted(graph.code, code), len(graph.code) - 1)
        hit = kept & (graph.code[place] == code)
        found[place[hit]] = score[hit]
    if np.isnan(found).all():
        raise ConfigError("data.affinity: no pair of the table is an edge of follows in this market.")
    return {"affinity": found}


def _vectors(
    config: DiffusionDataConfig, market: Market, graph: Graph, until: np.datetime64 | None
) -> dict[str, Reals]:
    """Embeddings and feature arrays of accounts; those of posts as the mean of an account's posts."""
    found: dict[str, Reals] = {}
    if config.embedding:
        scores = read_scores(
            config.embedding,
            name="embedding",
            market_fingerprint=market.fingerprint,
            allow_other_market=config.allow_other_market,
        )
        vectors = vectors_of(scores.table)
        where = "data.embedding"
        mean = _mean(scores.table["subject_id"], vectors, market, graph, until, where)
        found |= {f"vector_{number}": value for number, value in enumerate(mean.T)}
    for name in config.features:
        array = market.features(name)
        if array.offsets is not None:
            raise ConfigError(f'data.features: "{name}" holds sequences. Name features with one value per id.')
        values = array.values.reshape(len(array), -1)
        mean = _mean(array.ids, values, market, graph, until, f'data.features "{name}"')
        found |= {f"{name}_{number}": value for number, value in enumerate(mean.T)}
    return found


def _mean(
    subject: pa.ChunkedArray, vectors: NDArray[np.floating], market: Market, graph: Graph,
    until: np.datetime64 | None, where: str,
) -> Reals:  # fmt: skip
    """Vectors of accounts, or means over their posts before the validation window, (C, D); NaN where missing."""
    account = graph.places(subject)
    if not (account >= 0).any():
        posts = market.table("posts")
        author = np.where(_before(posts, until, 0), graph.places(posts["account_id"]), -1)
        row = np.asarray(pc.fill_null(pc.index_in(subject, value_set=posts["post_id"].combine_chunks()), -1))
        account = np.where(row >= 0, author[row], -1)
    rows = np.flatnonzero(account >= 0)
    if not len(rows):
        raise ConfigError(f"{where}: no subject is an account of this market, or a post before the validation window.")
    total = np.zeros((len(graph.ids), vectors.shape[1]))
    for begin in range(0, len(rows), _BLOCK):
        part = rows[begin : begin + _BLOCK]
        np.add.at(total, account[part], vectors[part])
    count = np.bincount(account[rows], minlength=len(graph.ids))
    with np.errstate(invalid="ignore"):
        mean: Reals = total / count[:, None]
    return mean
