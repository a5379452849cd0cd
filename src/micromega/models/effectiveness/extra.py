"""What other models say, where their score tables are given: affinity, embedding, response.

These tables have no dates. Their makers may have seen posts that are later than the day of a plan, so what they add on
past campaigns may be more than they will add on coming ones; whoever gives them should train them on earlier posts.
Shapes: N posts, D length of a vector.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.market.market import Market
from micromega.models.effectiveness.catalog import Catalog, Reals, Tuples, codes, days, places
from micromega.models.effectiveness.config import EffectivenessDataConfig
from micromega.models.effectiveness.running import Running
from micromega.scores import Scores, read_scores, vectors_of


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Other models' scores; None where not given."""

    affinity: tuple[NDArray[np.int64], Reals] | None = None
    """Sorted codes of (brand, creator) pairs and their scores."""
    creator_vectors: Reals | None = None
    """(C, D) embeddings of creators, NaN where missing."""
    post_vectors: Running | None = None
    """Embeddings of creators' posts, by creator and day."""
    response: tuple[Reals, Reals, Reals] | None = None
    """Log followers, log impressions, elasticity of the curve of all posts."""


def read_extras(config: EffectivenessDataConfig, market: Market, catalog: Catalog) -> Extras:
    """Read and check the score tables that the request names.

    Args:
        config: paths.
        market: in use.
        catalog: of the market.

    Returns:
        What they hold.

    Raises:
        ScoreError: a table breaks its contract or comes from another market.
        ConfigError: a table says nothing of this market.
    """

    def read(name: str, path: str) -> Scores:
        return read_scores(
            path, name=name, market_fingerprint=market.fingerprint, allow_other_market=config.allow_other_market
        )

    extras = Extras()
    if config.affinity:
        extras = replace(extras, affinity=_affinity(read("affinity", config.affinity).table, catalog))
    if config.embedding:
        vectors = _vectors(read("embedding", config.embedding).table, market, catalog, config)
        if isinstance(vectors, Running):
            extras = replace(extras, post_vectors=vectors)
        else:
            extras = replace(extras, creator_vectors=vectors)
    if config.response:
        extras = replace(extras, response=_curve(read("response", config.response).table, config.response))
    return extras


def extra_columns(extras: Extras, catalog: Catalog, tuples: Tuples) -> dict[str, Reals]:
    """Columns of other models' scores; NaN where they say nothing.

    Args:
        extras: what `read_extras` gave.
        catalog: of the market.
        tuples: the posts.

    Returns:
        Name -> (N,).
    """
    columns: dict[str, Reals] = {}
    known = tuples.creator >= 0
    if extras.affinity is not None:
        code, score = extras.affinity
        brand = np.where(tuples.event >= 0, catalog.events.brand[tuples.event], -1)
        wanted = np.where(known & (brand >= 0), brand * len(catalog.creators.ids) + tuples.creator, -1)
        place = np.minimum(np.searchsorted(code, wanted), len(code) - 1)
        columns["affinity"] = np.where(code[place] == wanted, score[place], np.nan)
    vectors = None
    if extras.creator_vectors is not None:
        vectors = np.where(known[:, None], extras.creator_vectors[tuples.creator], np.nan)
    elif extras.post_vectors is not None:
        vectors = extras.post_vectors.before(tuples.creator, tuples.known_before).mean()
    if vectors is not None:
        columns |= {f"vector_{number}": value for number, value in enumerate(vectors.T)}
    if extras.response is not None:
        at, impressions, elasticity = extras.response
        followers = np.where(known, np.log(np.maximum(catalog.creators.followers[tuples.creator], 1)), np.nan)
        columns["response_impressions"] = np.interp(followers, at, impressions)
        columns["response_elasticity"] = np.interp(followers, at, elasticity)
    return columns


def _affinity(table: pa.Table, catalog: Catalog) -> tuple[NDArray[np.int64], Reals]:
    brand, creator = codes(table["brand_id"], catalog.brands), places(table["creator_id"], catalog.creators.ids)
    kept = (brand >= 0) & (creator >= 0)
    if not kept.any():
        raise ConfigError("data.affinity: no pair of the table is a brand and a creator of this market.")
    code = brand[kept] * len(catalog.creators.ids) + creator[kept]
    order = np.argsort(code)
    return code[order], np.asarray(table["score"].to_numpy(), np.float64)[kept][order]


def _vectors(table: pa.Table, market: Market, catalog: Catalog, config: EffectivenessDataConfig) -> Running | Reals:
    vectors = vectors_of(table).astype(np.float64)
    creator = places(table["subject_id"], catalog.creators.ids)
    if (creator >= 0).any():
        found = np.full((len(catalog.creators.ids), vectors.shape[1]), np.nan)
        found[creator[creator >= 0]] = vectors[creator >= 0]
        return found
    posts = market.table("posts", needs=["posted_at"])
    row = places(table["subject_id"], posts["post_id"].combine_chunks())
    if not (row >= 0).any():
        raise ConfigError("data.embedding: no subject of the table is a creator or a post of this market.")
    posts = posts.take(pa.array(row[row >= 0]))
    dated = pc.is_valid(posts["posted_at"]).to_numpy(zero_copy_only=False)
    author = np.where(dated, places(posts["account_id"], catalog.creators.ids), -1)
    return Running(author, days(posts["posted_at"]) + config.settle_days, vectors[row >= 0])


def _curve(table: pa.Table, path: str) -> tuple[Reals, Reals, Reals]:
    rows = table.filter(pc.equal(table["subject_id"], "all posts"))
    if not rows.num_rows:
        raise ConfigError(f'{path}: has no subject "all posts". Give the response.parquet of evaluate.py.')
    rows = rows.sort_by("log_followers")
    at, impressions, elasticity = (
        np.asarray(rows[name].to_numpy(), np.float64) for name in ("log_followers", "log_impressions", "elasticity")
    )
    return at, impressions, elasticity
