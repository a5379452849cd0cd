"""A market as the ranker sees it: brands, candidate creators, who worked with whom, and one pooled vector per view.

A *view* is a set of posts that stands for an account. Each brand and each candidate creator has one. Where a brand is
known only by other creators' posts that mention it, each positive pair has a further view of the brand, without the
posts of that creator: otherwise the pair's own post would give the answer away. For the same reason a creator's view
never holds a post that mentions any brand of the market.

Shapes: P posts, B brands, M creators (candidates), E positive pairs, V views (B brands, E pairs where brands are known
by mentions, M creators).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.features import numbers, view_features
from micromega.models.mir.pooling import latest_posts

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Everything the ranker reads of a market.

    Attributes:
        brand_ids: (B,) account ids, ascending.
        brand_categories: (B,) category, "" if unknown.
        creator_ids: (M,) account ids of the candidates, ascending.
        pair_brand, pair_creator: (E,) rows of the positive pairs, ordered by brand, then creator.
        pair_engagement: (E,) mean (likes + comments) per follower of the posts that advertise the brand (eq. 9).
        pair_view: (E,) view that stands for the brand in this pair.
        features: modality -> (V, d) pooled, not standardised.
        members: (V, P) sparse 0/1, which posts stand for which view.
    """

    brand_ids: NDArray[np.str_]
    brand_categories: NDArray[np.str_]
    creator_ids: NDArray[np.str_]
    pair_brand: Ints
    pair_creator: Ints
    pair_engagement: NDArray[np.float32]
    pair_view: Ints
    features: Mapping[str, NDArray[np.float32]]
    members: sparse.csr_matrix

    @property
    def creator_view(self) -> Ints:
        """(M,) view of each candidate."""
        return self.first_creator_view + np.arange(len(self.creator_ids))

    @property
    def first_creator_view(self) -> int:
        """Number of views that stand for brands; those of creators come after them."""
        return int(self.members.shape[0]) - len(self.creator_ids)

    def labels(self) -> NDArray[np.bool_]:
        """(B, M) whether the pair is positive."""
        found = np.zeros((len(self.brand_ids), len(self.creator_ids)), dtype=bool)
        found[self.pair_brand, self.pair_creator] = True
        return found

    def candidates(self, brands: Ints, among: str) -> NDArray[np.bool_]:
        """(M,) who competes for some brands: those who work with one of them ("split") or everybody ("all")."""
        found = np.full(len(self.creator_ids), among == "all")
        found[self.pair_creator[np.isin(self.pair_brand, brands)]] = True
        return found

    def same_category(self) -> NDArray[np.bool_]:
        """(B, M) whether the creator works with a brand of this brand's category (what cAUC compares with)."""
        categories, code = np.unique(self.brand_categories, return_inverse=True)
        works_for = np.zeros((len(self.creator_ids), len(categories)), dtype=bool)
        works_for[self.pair_creator, code[self.pair_brand]] = True
        known: NDArray[np.bool_] = (categories != "")[code][:, None] & works_for.T[code]
        return known


def build_accounts(market: Market, config: MIRDataConfig) -> Accounts:
    """Turn a market's tables into what the ranker reads.

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

    if config.brand_posts == "own":
        view, post = _own_entries(author, brands)
        pair_view = np.searchsorted(brands, pairs[0])
        brand_views = len(brands)
    else:
        by_creator = ~is_brand[author[mention_post]]
        mention_post, mention_brand = mention_post[by_creator], mention_brand[by_creator]
        view, post = _mention_entries(author, mention_post, mention_brand, brands, pairs)
        pair_view = len(brands) + np.arange(pairs.shape[1])
        brand_views = len(brands) + pairs.shape[1]
    creator_post = np.flatnonzero(own_history & np.isin(author, candidates))
    view = np.concatenate([view, brand_views + np.searchsorted(candidates, author[creator_post])])
    post = np.concatenate([post, creator_post])
    views = brand_views + len(candidates)
    members = latest_posts(view, post, _recency(posts), limit=config.history, shape=(views, posts.num_rows))
    _check_views(members, brands, ids)
    return Accounts(
        brand_ids=ids[brands],
        brand_categories=_strings(pc.fill_null(accounts["category"], ""))[brands],
        creator_ids=ids[candidates],
        pair_brand=np.searchsorted(brands, pairs[0]),
        pair_creator=np.searchsorted(candidates, pairs[1]),
        pair_engagement=_pair_engagement(posts, accounts, ids, author, pairs, is_brand),
        pair_view=pair_view,
        features=view_features(market, posts, accounts, author, members, config),
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


def _check_enough(brands: Ints, candidates: Ints, config: MIRDataConfig) -> None:
    if len(brands) < 3 or len(candidates) <= config.list_length:
        msg = (
            f"The market leaves {len(brands)} brands with at least {config.min_positives} creators and "
            f"{len(candidates)} creators with at least {config.min_posts} posts; training needs 3 brands and more than "
            f"{config.list_length} creators. Lower data.min_positives or data.min_posts, or give more data."
        )
        raise DataError(msg)


def _own_entries(author: Ints, brands: Ints) -> tuple[Ints, Ints]:
    post = np.flatnonzero(np.isin(author, brands))
    return np.searchsorted(brands, author[post]), post


def _mention_entries(
    author: Ints, mention_post: Ints, mention_brand: Ints, brands: Ints, pairs: Ints
) -> tuple[Ints, Ints]:
    """Views of brands by mentions: all of them per brand, and per positive pair those of the other creators."""
    keep = np.isin(mention_brand, brands)
    mention_post, mention_brand = mention_post[keep], np.searchsorted(brands, mention_brand[keep])
    order = np.argsort(mention_brand, kind="stable")
    mention_post, mention_brand = mention_post[order], mention_brand[order]
    sizes = np.bincount(mention_brand, minlength=len(brands))
    starts = np.cumsum(sizes) - sizes
    pair_brand = np.searchsorted(brands, pairs[0])
    repeats = sizes[pair_brand]
    pair = np.repeat(np.arange(len(pair_brand)), repeats)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    post = mention_post[starts[pair_brand[pair]] + within]
    others = author[post] != pairs[1][pair]
    view = np.concatenate([mention_brand, len(brands) + pair[others]])
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
