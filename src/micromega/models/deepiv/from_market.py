"""Market tables to the arrays of Deep IV: followers, past success, controls and impressions of each post."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.deepiv.instrument import PAST_SUCCESS, authors_of, of_author, reals
from micromega.models.growth.from_market import COVARIATES
from micromega.scores import read_scores
from micromega.scores.embedding import vectors_of

Reals = NDArray[np.float64]
STATISTICS = tuple(name for name in COVARIATES if name != "log_followers")
"""The nine post statistics (Tian et al. 2022, Table 6)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CausalInputs:
    """Arguments of `DeepIV.fit`, and what they are; N posts.

    Attributes:
        treatment: (N,) log followers at publication.
        instrument: (N, 1) log (1 + mean hearts of the author's earlier or other posts).
        controls: (N, X) post statistics and the vector of content.
        outcome: (N,) log impressions.
        author: (N,) number of the author, the cluster of each post.
        post_ids: (N,).
        hashtag: (N,) under which each post is listed, "" if under none.
        names: (X,) of the controls.
        left_out: statistic -> why it is not used.
        dropped: reason -> posts left out for it.
    """

    treatment: Reals
    instrument: Reals
    controls: Reals
    outcome: Reals
    author: NDArray[np.int64]
    post_ids: NDArray[np.object_]
    hashtag: NDArray[np.object_]
    names: tuple[str, ...]
    left_out: dict[str, str]
    dropped: dict[str, int]


def causal_inputs(
    market: Market,
    *,
    instrument: str = "past_hearts",
    statistics: Sequence[str] | None = None,
    embedding: Path | str | None = None,
    allow_other_market: bool = False,
) -> CausalInputs:
    """Take treatment, instrument, controls and outcome from a market.

    Args:
        market: with impressions of posts and followers of their authors.
        instrument: a name in `PAST_SUCCESS`.
        statistics: names in `STATISTICS`, each of which is then needed; by default all that the market has and that
            differ between posts.
        embedding: score table of vectors of posts; None: content is not controlled for.
        allow_other_market: take vectors that were made from other tables.

    Returns:
        Arrays of the posts that have everything; `dropped` counts the others.

    Raises:
        DataError: a table or column is missing (says which, and how to make it), or no post is left.
        ScoreError: the embedding is missing, damaged or of another market.
    """
    posts = market.table("posts", needs=("impressions",))
    if instrument not in PAST_SUCCESS:
        raise DataError(f"data.instrument: there is no {instrument}. Instruments are: {', '.join(PAST_SUCCESS)}.")
    unknown = sorted(set(statistics or ()) - set(STATISTICS))
    if unknown:
        raise DataError(f"data.statistics: there is no {', '.join(unknown)}. Statistics are: {', '.join(STATISTICS)}.")
    source, past_success = PAST_SUCCESS[instrument]
    followers = reals(posts["author_followers"])
    followers = np.where(np.isnan(followers), of_author(market, posts, "followers"), followers)
    hearts, impressions = past_success(market, posts), reals(posts["impressions"])
    keep, dropped = np.ones(len(posts), dtype=bool), dict[str, int]()
    for reason, known in {
        "no impressions": impressions > 0,
        "no followers": followers > 0,
        f"no instrument ({source})": hearts >= 0,
    }.items():
        keep = _kept(keep, known, reason, dropped)
    controls, left_out = _statistics(market, posts, keep, statistics)
    for name, values in controls.items():
        keep = _kept(keep, ~np.isnan(values), f"no {name}", dropped)
    if embedding is not None:
        vectors = _vectors(market, posts, Path(embedding), allow_other_market=allow_other_market)
        keep = _kept(keep, ~np.isnan(vectors[:, 0]), "no vector of content", dropped)
        controls |= {f"r{number}": vectors[:, number] for number in range(vectors.shape[1])}
    dropped = {reason: count for reason, count in dropped.items() if count}
    if not keep.any():
        raise DataError(f'Market "{market.name}" has no post with impressions, followers and controls: {dropped}.')
    return CausalInputs(
        treatment=np.log(followers[keep]),
        instrument=np.log1p(hearts[keep])[:, None],
        controls=np.column_stack([values[keep] for values in controls.values()] or [np.empty((int(keep.sum()), 0))]),
        outcome=np.log(impressions[keep]),
        author=np.unique(authors_of(posts)[keep], return_inverse=True)[1],
        post_ids=posts["post_id"].to_numpy()[keep],
        hashtag=pc.fill_null(posts["hashtag"], "").to_numpy()[keep],
        names=tuple(controls),
        left_out=left_out,
        dropped=dropped,
    )


def _kept(keep: NDArray[np.bool_], known: NDArray[np.bool_], reason: str, dropped: dict[str, int]) -> NDArray[np.bool_]:
    dropped[reason] = int((keep & ~known).sum())
    both: NDArray[np.bool_] = keep & known
    return both


def _statistics(
    market: Market, posts: pa.Table, keep: NDArray[np.bool_], wanted: Sequence[str] | None
) -> tuple[dict[str, Reals], dict[str, str]]:
    """Statistics that say something about the posts that are kept, and why others do not."""
    found, left_out = dict[str, Reals](), dict[str, str]()
    for name in STATISTICS if wanted is None else wanted:
        source, make = COVARIATES[name]
        values = make(market, posts)
        if not keep.any() or np.isnan(values[keep]).all():
            left_out[name] = f"{source} holds no value"
        elif np.nanmin(values[keep]) == np.nanmax(values[keep]):
            left_out[name] = f"{source} is the same for all posts"
        else:
            found[name] = values
    if left_out and wanted is not None and keep.any():
        name, why = next(iter(left_out.items()))
        raise DataError(f'data.statistics: {name} cannot be used: {why} in market "{market.name}". Leave it out.')
    return found, left_out


def _vectors(market: Market, posts: pa.Table, path: Path, *, allow_other_market: bool) -> Reals:
    """(P, D) vector of each post of the table, NaN where it has none."""
    scores = read_scores(
        path, name="embedding", market_fingerprint=market.fingerprint, allow_other_market=allow_other_market
    )
    vectors = vectors_of(scores.table)
    row = pc.index_in(posts["post_id"], value_set=scores.table["subject_id"].combine_chunks())
    known = row.is_valid().to_numpy()
    found = np.full((len(posts), vectors.shape[1]), np.nan)
    found[known] = vectors[np.asarray(pc.drop_null(row).to_numpy(), dtype=np.int64)]
    return found
