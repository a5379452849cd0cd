"""Past success of a post's author, from whichever columns a market has (Tian et al. 2022, section 3.3)."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.market import Market

Reals = NDArray[np.float64]


def of_author(market: Market, posts: pa.Table, column: str) -> Reals:
    """(N,) numbers of the accounts that wrote the posts, NaN where null."""
    accounts = market.table("accounts")
    row = pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks())
    return reals(accounts[column].take(row))


def reals(column: pa.ChunkedArray) -> Reals:
    """(N,) numbers, NaN where null."""
    values: Reals = pc.cast(column, pa.float64()).to_numpy()
    return values


def authors_of(posts: pa.Table) -> NDArray[np.int64]:
    """(N,) number of each post's author, in the order of their first posts."""
    encoded = pc.dictionary_encode(posts["account_id"]).combine_chunks()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _mean_without_the_post(market: Market, posts: pa.Table) -> Reals:
    """Hearts of the author's other posts, by their number: an account's total includes the post itself.

    NaN where the post's own hearts are not known, for then they cannot be taken off.
    """
    others = of_author(market, posts, "videos") - 1
    hearts = of_author(market, posts, "hearts") - reals(posts["likes"])
    mean = np.divide(hearts, others, out=np.full(len(hearts), np.nan), where=others > 0)
    return np.where(mean >= 0, mean, np.nan)


def _mean_of_earlier_posts(market: Market, posts: pa.Table) -> Reals:
    """Mean known likes of the author's posts before this one's time; NaN where there are none."""
    likes, authors = (
        reals(posts["likes"]),
        pc.dictionary_encode(posts["account_id"]).combine_chunks().indices.to_numpy(),
    )
    time = np.asarray(pc.fill_null(posts["posted_at"].cast(pa.int64()), -(2**62)).to_numpy())
    rows = np.flatnonzero(time > -(2**62))
    rows = rows[np.lexsort((time[rows], authors[rows]))]
    first = np.append(True, np.diff(authors[rows]) > 0)[: len(rows)]
    start = _latest(first)
    moment = _latest(first | np.append(True, np.diff(time[rows]) > 0)[: len(rows)])  # posts of one time are no earlier
    known = ~np.isnan(likes[rows])
    total, count = (np.cumsum(of) - of for of in (np.where(known, likes[rows], 0), known.astype(np.int64)))
    before = count[moment] - count[start]
    mean = np.full(len(likes), np.nan)
    later = before > 0
    mean[rows[later]] = (total[moment] - total[start])[later] / before[later]
    return mean


def _latest(begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(R,) place of the latest beginning up to each row."""
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))


PAST_SUCCESS: Mapping[str, tuple[str, Callable[[Market, pa.Table], Reals]]] = {
    "past_hearts": ("posts.past_hearts", lambda market, posts: reals(posts["past_hearts"])),
    "other_posts": ("hearts / videos of the account", _mean_without_the_post),
    "earlier_posts": ("likes of earlier posts", _mean_of_earlier_posts),
}
"""Choice of `data.instrument` -> columns it comes from, and mean hearts per post, (N,), NaN where unknown."""
