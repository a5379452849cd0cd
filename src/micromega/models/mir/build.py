"""A market to what the ranker reads, by whichever way its tables allow."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.features import OF_POSTS, account_features
from micromega.models.mir.histories import accounts_from_posts


def build_accounts(market: Market, config: MIRDataConfig) -> Accounts:
    """Turn a market's tables into what the ranker reads.

    Args:
        market: accounts and mentions are needed, and posts where a modality of `config` is made of them.
        config: what stands for an account, and which accounts take part.

    Returns:
        Brands, candidates, positive pairs and features.

    Raises:
        DataError: a table or feature is missing, or too few brands or creators remain.
    """
    if set(config.modalities) & set(OF_POSTS):
        return accounts_from_posts(market, config)
    return accounts_without_posts(market, config)


def accounts_without_posts(market: Market, config: MIRDataConfig) -> Accounts:
    """Take accounts as their own feature arrays describe them.

    Candidates are all creators that the first array knows. Brands have one view each: what the publisher of the arrays
    has computed them from cannot be left out.

    Args:
        market: accounts, mentions and the feature arrays named in `config.modalities`.
        config: which accounts take part.

    Returns:
        Brands, candidates, positive pairs and features; engagement is 0.

    Raises:
        DataError: a table or feature is missing, or too few brands or creators remain.
    """
    accounts, mentions = market.table("accounts"), market.table("mentions")
    ids = accounts["account_id"].combine_chunks()
    known = np.ones(len(ids), dtype=bool)
    for name in config.modalities:
        if name in market.feature_names:
            known &= market.features(name).rows_of(ids) >= 0
    is_brand = np.asarray(pc.equal(accounts["kind"], "brand"))
    creators = np.flatnonzero(~is_brand & known)
    pairs = np.stack([np.asarray(pc.index_in(mentions[f"{side}_id"], value_set=ids)) for side in ("brand", "creator")])
    pairs = pairs[:, np.isin(pairs[1], creators) & (is_brand & known)[pairs[0]]]
    counts = np.bincount(pairs[0], minlength=len(ids))
    wanted = is_brand & known & ~np.isin(_category(accounts), config.exclude_categories)
    brands = np.flatnonzero(wanted & (counts >= config.min_positives))
    rows = np.concatenate([brands, np.flatnonzero(wanted & (counts < config.min_positives))])
    if len(brands) < 3 or len(creators) <= config.list_length:
        msg = (
            f"The market leaves {len(brands)} brands with at least {config.min_positives} creators and {len(creators)} "
            f"creators that have {', '.join(config.modalities)}; training needs 3 brands and more than "
            f"{config.list_length} creators."
        )
        raise DataError(msg)
    pairs = pairs[:, np.isin(pairs[0], brands)]
    pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    place = np.full(len(ids), -1)
    place[rows] = np.arange(len(rows))
    view_account = np.concatenate([rows, creators])
    names = np.asarray(ids.to_numpy(zero_copy_only=False), dtype=np.str_)
    return Accounts(
        brand_ids=names[rows],
        cold=len(rows) - len(brands),
        brand_categories=_category(accounts)[rows],
        creator_ids=names[creators],
        pair_brand=place[pairs[0]],
        pair_creator=np.searchsorted(creators, pairs[1]),
        pair_engagement=np.zeros(pairs.shape[1], np.float32),
        pair_view=place[pairs[0]],
        features={
            name: account_features(market, name, accounts, view_account, config.hashed_size)
            for name in config.modalities
        },
        members=sparse.csr_matrix((len(view_account), 0), dtype=np.float32),
    )


def held_out_arrays(market: Market, accounts: Accounts) -> dict[str, NDArray[np.float32]]:
    """Features for judging on the published test part, where creators may have other values than in training.

    Args:
        market: an array `<name>_test` replaces the rows of array `name` for the creators that it holds.
        accounts: the market as training sees it.

    Returns:
        Modality -> (V, d).
    """
    replaced = dict(accounts.features)
    for name in set(replaced) & set(market.feature_names):
        if f"{name}_test" in market.feature_names:
            other = market.features(f"{name}_test")
            row = other.rows_of(accounts.creator_ids.tolist())
            found = np.flatnonzero(row >= 0)
            replaced[name] = replaced[name].copy()
            replaced[name][accounts.creator_view[found]] = other.take(row[found]).reshape(len(found), -1)
    return replaced


def _category(accounts: pa.Table) -> NDArray[np.str_]:
    return np.asarray(pc.fill_null(accounts["category"], "").to_numpy(), dtype=np.str_)
