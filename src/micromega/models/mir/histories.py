"""Brands, candidates, pairs and their views, from the posts of a market."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.mir.accounts import Accounts, Ints
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.features import numbers, view_features
from micromega.models.mir.pooling import latest_posts


def accounts_from_posts(market: Market, config: MIRDataConfig) -> Accounts:
    """Turn a market's posts into what the ranker reads.

    Args:
        market: accounts, posts and mentions are needed, and the feature arrays of `config.visual` for pictures.
        config: what stands for an account, and which accounts take part.

    Returns:
        Brands, candidates, positive pairs and pooled features.

    Raises:
        DataError: a table or feature is missing, or too few brands or creators remain.
    """
    posts, accounts = market.table("posts", needs=("caption", "likes")), market.table("accounts", needs=("followers",))
    ids = _strings(accounts["account_id"])
    is_brand = _strings(accounts["kind"]) == "brand"
    author = _codes(posts["account_id"], ids)
    mention_post, mention_brand = _brand_mentions(posts, ids, is_brand)
    about_brands = np.zeros(posts.num_rows, dtype=bool)
    about_brands[mention_post] = True
    own_history = ~about_brands & ~is_brand[author]

    history = np.bincount(author[own_history], minlength=len(ids))
    candidates = np.flatnonzero(~is_brand & (history >= config.min_posts))
    pairs = _pairs(market, ids)
    _check_posts_of_pairs(pairs, author, mention_post, mention_brand, ids)
    usable = np.isin(pairs[1], candidates)
    brands = _brands(pairs[:, usable][0], accounts, config)
    _check_enough(brands, candidates, config)
    pairs = pairs[:, usable & np.isin(pairs[0], brands)]
    pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    by_creator = ~is_brand[author[mention_post]]
    mention_post, mention_brand = mention_post[by_creator], mention_brand[by_creator]
    described = author[is_brand[author]] if config.brand_posts == "own" else mention_brand
    cold = _cold(described, brands, accounts, config)
    rows = np.concatenate([brands, cold])
    place = np.full(len(ids), -1)
    place[rows] = np.arange(len(rows))

    if config.brand_posts == "own":
        post = np.flatnonzero(place[author] >= 0)
        view = place[author[post]]
        pair_view = place[pairs[0]]
        brand_views = len(rows)
    else:
        view, post = _mention_entries(author, mention_post, place[mention_brand], len(rows), place[pairs[0]], pairs[1])
        pair_view = len(rows) + np.arange(pairs.shape[1])
        brand_views = len(rows) + pairs.shape[1]
    creator_post = np.flatnonzero(own_history & np.isin(author, candidates))
    view = np.concatenate([view, brand_views + np.searchsorted(candidates, author[creator_post])])
    post = np.concatenate([post, creator_post])
    view_account = np.concatenate([rows, pairs[0] if config.brand_posts == "mentions" else pairs[0][:0], candidates])
    views = brand_views + len(candidates)
    members = latest_posts(view, post, _recency(posts), limit=config.history, shape=(views, posts.num_rows))
    _check_views(members, brands, ids)
    return Accounts(
        brand_ids=ids[rows],
        cold=len(cold),
        brand_categories=_strings(pc.fill_null(accounts["category"], ""))[rows],
        creator_ids=ids[candidates],
        pair_brand=place[pairs[0]],
        pair_creator=np.searchsorted(candidates, pairs[1]),
        pair_engagement=_pair_engagement(posts, accounts, ids, author, pairs, is_brand),
        pair_view=pair_view,
        features=view_features(market, posts, accounts, author, members, config, view_account=view_account),
        members=members,
    )


def _strings(column: Any) -> NDArray[np.str_]:
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), dtype=np.str_
    )


def _codes(column: pa.ChunkedArray, ids: NDArray[np.str_]) -> Ints:
    """Row of each id in `accounts`; −1 where it has none."""
    found = pc.fill_null(pc.index_in(column, value_set=pa.array(ids)), -1)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _brand_mentions(posts: pa.Table, ids: NDArray[np.str_], is_brand: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """(post, brand) of every mention of a brand account by another account, each once."""
    lists = posts["mentioned_ids"].combine_chunks()
    post = np.asarray(pc.list_parent_indices(lists).to_numpy(zero_copy_only=False), dtype=np.int64)
    brand = _codes(pa.chunked_array([pc.list_flatten(lists)]), ids)
    named = _codes(posts["brand_id"], ids)
    sponsored = np.flatnonzero(named >= 0)
    post, brand = np.concatenate([post, sponsored]), np.concatenate([brand, named[sponsored]])
    author = _codes(posts["account_id"], ids)
    keep = (brand >= 0) & is_brand[brand] & (author[post] != brand)
    unique = np.unique(np.stack([post[keep], brand[keep]]), axis=1)
    return unique[0], unique[1]


def _pairs(market: Market, ids: NDArray[np.str_]) -> Ints:
    """(2, E) brand and creator rows of the mentions table."""
    mentions = market.table("mentions")
    return np.stack([_codes(mentions["brand_id"], ids), _codes(mentions["creator_id"], ids)])


def _check_posts_of_pairs(
    pairs: Ints, author: Ints, mention_post: Ints, mention_brand: Ints, ids: NDArray[np.str_]
) -> None:
    """Refuse pairs whose posts cannot be found: they would stay in the creator's history and give the answer away."""
    found = mention_brand * len(ids) + author[mention_post]
    lost = np.flatnonzero(~np.isin(pairs[0] * len(ids) + pairs[1], found))
    if len(lost):
        shown = ", ".join(f"{ids[pairs[1, pair]]} for {ids[pairs[0, pair]]}" for pair in lost[:3])
        msg = (
            f"mentions.parquet: {len(lost)} of {pairs.shape[1]} pairs have no post that names the brand ({shown}). "
            "Fill mentioned_ids or brand_id in posts.parquet: posts about brands must not describe a creator."
        )
        raise DataError(msg)


def _brands(pair_brand: Ints, accounts: pa.Table, config: MIRDataConfig) -> Ints:
    counts = np.bincount(pair_brand, minlength=accounts.num_rows)
    excluded = np.isin(_strings(pc.fill_null(accounts["category"], "")), config.exclude_categories)
    return np.flatnonzero((counts >= config.min_positives) & ~excluded)


def _cold(described: Ints, brands: Ints, accounts: pa.Table, config: MIRDataConfig) -> Ints:
    """Brands that posts describe, and that have too few partners to learn from or to be judged on."""
    excluded = np.isin(_strings(pc.fill_null(accounts["category"], "")), config.exclude_categories)
    found = np.setdiff1d(described, brands)
    return found[~excluded[found]]


def _check_enough(brands: Ints, candidates: Ints, config: MIRDataConfig) -> None:
    if len(brands) < 3 or len(candidates) <= config.list_length:
        msg = (
            f"The market leaves {len(brands)} brands with at least {config.min_positives} creators and "
            f"{len(candidates)} creators with at least {config.min_posts} posts; training needs 3 brands and more than "
            f"{config.list_length} creators. Lower data.min_positives or data.min_posts, or give more data."
        )
        raise DataError(msg)


def _mention_entries(
    author: Ints, mention_post: Ints, mention_brand: Ints, brands: int, pair_brand: Ints, pair_creator: Ints
) -> tuple[Ints, Ints]:
    """Views of brands by mentions: all of them per brand, and per positive pair those of the other creators."""
    keep = mention_brand >= 0
    mention_post, mention_brand = mention_post[keep], mention_brand[keep]
    order = np.argsort(mention_brand, kind="stable")
    mention_post, mention_brand = mention_post[order], mention_brand[order]
    sizes = np.bincount(mention_brand, minlength=brands)
    starts = np.cumsum(sizes) - sizes
    repeats = sizes[pair_brand]
    pair = np.repeat(np.arange(len(pair_brand)), repeats)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    post = mention_post[starts[pair_brand[pair]] + within]
    others = author[post] != pair_creator[pair]
    view = np.concatenate([mention_brand, brands + pair[others]])
    return view, np.concatenate([mention_post, post[others]])


def _check_views(members: sparse.csr_matrix, brands: Ints, ids: NDArray[np.str_]) -> None:
    empty = np.flatnonzero(np.diff(members.indptr[: len(brands) + 1]) == 0)
    if len(empty):
        shown = ", ".join(ids[brands[empty[:5]]])
        msg = (
            f"posts.parquet: {len(empty)} brands have no post of their own ({shown}). Set data.brand_posts=mentions to "
            "represent brands by the posts that mention them."
        )
        raise DataError(msg)


def _recency(posts: pa.Table) -> Ints:
    return np.asarray(pc.fill_null(posts["posted_at"].cast(pa.int64()), -(2**62)).to_numpy(), dtype=np.int64)


def _pair_engagement(
    posts: pa.Table, accounts: pa.Table, ids: NDArray[np.str_], author: Ints, pairs: Ints, is_brand: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Eq. 9 for each positive pair; likes alone where comments are unknown, 0 where nothing is known."""
    post, brand = _brand_mentions(posts, ids, is_brand)
    likes, comments = numbers(posts["likes"]), numbers(posts["comments"])
    engagements = np.where(np.isnan(likes), 0, likes) + np.where(np.isnan(comments), 0, comments)
    key = pairs[0] * len(ids) + pairs[1]
    order = np.argsort(key)
    mention_key = brand * len(ids) + author[post]
    place = np.minimum(np.searchsorted(key[order], mention_key), max(len(key) - 1, 0))
    hit = key[order][place] == mention_key
    row = order[place[hit]]
    total = np.bincount(row, weights=engagements[post[hit]], minlength=len(key))
    count = np.bincount(row, minlength=len(key))
    followers = numbers(accounts["followers"])[pairs[1]]
    rate = total / np.maximum(count, 1) / np.where(followers > 0, followers, np.inf)
    return np.where(np.isfinite(rate), rate, 0).astype(np.float32)
