"""What a view of an account looks like: one vector per modality.

Shapes: P posts, V views, d length of a modality's vector.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.features.text import Tokens, text_features
from micromega.features.word_vectors import load_word_vectors
from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.models.mir.account_arrays import account_array_features
from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.pictures import pictures_of_posts, pooled_pictures
from micromega.models.mir.pooled_store import FOLDER, stored
from micromega.models.mir.pooling import pool_columns
from micromega.models.mir.profile import profile_features
from micromega.models.mir.words import word_shares, words_of

SINGLE = ("text", "account", "visual")
"""Modalities that single posts have."""
OF_POSTS = (*SINGLE, "words")
"""Modalities made from the posts of an account; the others are features of the account itself."""


def view_features(
    market: Market,
    posts: pa.Table,
    accounts: pa.Table,
    author: NDArray[np.int64],
    members: sparse.csr_matrix,
    config: MIRDataConfig,
    *,
    view_account: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    """Make every modality of every view; what is pooled from posts is computed once and stored with the market.

    Args:
        market: feature arrays are needed for the modality "visual" and for those that are arrays of accounts.
        posts: table of P posts.
        accounts: table of accounts.
        author: (P,) row of each post's author in `accounts`.
        members: (V, P) sparse 0/1, which posts stand for which view.
        config: which modalities, and how to pool.
        view_account: (V,) row in `accounts` of the account that each view stands for.

    Returns:
        Modality -> (V, d), not standardised.

    Raises:
        DataError: the market lacks a feature array, or a column of it.
    """
    tokens = cache(lambda: words_of(posts["caption"], accounts))
    compute: dict[str, Callable[[], NDArray[np.float32]]] = {
        "text": lambda: _pooled(_text(tokens(), config), members, config),
        "account": lambda: _pooled(_numbers_of_posts(posts, accounts, author, tokens()), members, config),
        "words": lambda: word_shares(tokens(), members, config.word_buckets),
        "visual": lambda: pooled_pictures(market, posts["post_id"], members, config),
    }
    history = _history(posts, members)
    features: dict[str, NDArray[np.float32]] = {}
    for name in config.modalities:
        if name in OF_POSTS:
            facts = {"modality": name, "history": history, **_facts(market, name, config)}
            features[name] = stored(Path(market.path, FOLDER), name, facts, compute[name])
        else:
            features[name] = account_features(market, name, accounts, view_account, config.hashed_size)
    return features


def account_features(
    market: Market, name: str, accounts: pa.Table, view_account: NDArray[np.int64], hashed: int
) -> NDArray[np.float32]:
    """Make a modality that accounts have without posts: "profile", or a feature array of accounts.

    Args:
        market: where it comes from.
        name: modality, none of `OF_POSTS`.
        accounts: table of accounts.
        view_account: (V,) row of the account that each view stands for.
        hashed: length of the hashed bag of words of biographies.

    Returns:
        (V, d): every view has its account's row.

    Raises:
        DataError: the market lacks the feature.
    """
    if name == "profile":
        return profile_features(market, accounts, view_account, hashed)
    return account_array_features(market, name, accounts, view_account)


def features_of_posts(market: Market, name: str, used: NDArray[np.int64], config: MIRDataConfig) -> NDArray[np.float32]:
    """Make a modality of single posts, not pooled.

    Args:
        market: has posts, and the arrays of `config.visual`.
        name: modality, one of `SINGLE`.
        used: (U,) rows of the posts.
        config: how it is made.

    Returns:
        (U, d); a post without pictures takes the mean of those that have some.
    """
    posts, accounts = market.table("posts"), market.table("accounts")
    if name == "visual":
        return pictures_of_posts(market, posts["post_id"].take(pa.array(used)), config)
    if name == "text":
        return _text(words_of(posts["caption"], accounts), config)[used]
    author = pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks())
    return _numbers_of_posts(posts, accounts, np.asarray(author), words_of(posts["caption"], accounts))[used]


def power_scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take signed square roots, then bring each row to length 1 (power normalisation, Perronnin et al. 2010).

    Shares and counts, such as topics, are then no longer ruled by their largest, and the inner product of two rows is a
    cosine. Unlike standardising it does not depend on other accounts.

    Args:
        values: (V, d) one modality.

    Returns:
        (V, d), rows of length 1; a row of zeros stays one.
    """
    scaled = np.abs(values, dtype=np.float32)
    np.copysign(np.sqrt(scaled, out=scaled), values, out=scaled)
    length = np.sqrt(np.einsum("vd,vd->v", scaled, scaled))
    scaled /= np.where(length > 0, length, 1)[:, None]
    return scaled


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column as floats, null as NaN."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)


def _facts(market: Market, name: str, config: MIRDataConfig) -> dict[str, object]:
    """What decides the pooled features of a modality, beside the posts of each view."""
    facts: dict[str, object] = {"market": market.fingerprint, "pooling": config.pooling}
    if name != "visual":
        facts["captions"] = "without hashtags of brands"  # earlier versions kept them
    if config.pooling == "weighted":
        facts["gamma"] = config.gamma
    if name == "text":
        words = Path(config.word_vectors) if config.word_vectors else None
        facts["word_vectors"] = sha256_of(words) if words and words.is_file() else None  # if missing, loading says so
        facts["hashed_size"] = config.hashed_size
    if name == "words":
        facts["word_buckets"] = config.word_buckets
    if name == "visual":
        facts["arrays"] = [(array, market.features(array).fingerprint) for array in config.visual]
        facts["local_response_normalisation"] = config.local_response_normalisation
    return facts


def _history(posts: pa.Table, members: sparse.csr_matrix) -> str:
    """Hash which posts stand for which view.

    This holds all settings that choose brands, creators and posts (data.brand_posts, history, min_posts, …), the order
    of the views, and the order of the table, which the market's fingerprint leaves out.
    """
    digest = hashlib.sha256("\n".join(posts["post_id"].to_pylist()).encode())
    for part in (members.indptr, members.indices):
        digest.update(b"|")
        digest.update(np.asarray(part, dtype="<i8").tobytes())
    return digest.hexdigest()


def _pooled(posts: NDArray[np.float32], members: sparse.csr_matrix, config: MIRDataConfig) -> NDArray[np.float32]:
    return pool_columns(posts, members, weighted=config.pooling == "weighted", gamma=config.gamma)


def _text(tokens: Tokens, config: MIRDataConfig) -> NDArray[np.float32]:
    table = load_word_vectors(Path(config.word_vectors)) if config.word_vectors else None
    return text_features(tokens, table, config.hashed_size)


def _numbers_of_posts(
    posts: pa.Table, accounts: pa.Table, author: NDArray[np.int64], tokens: Tokens
) -> NDArray[np.float32]:
    """(P, 5): log followers of the author, log likes and comments per 1,000 followers, log words, log hashtags.

    A missing number takes its column's mean, so that it says nothing.
    """
    followers = numbers(accounts["followers"])[author]
    per_thousand = 1000 / np.maximum(followers, 1)
    columns = np.stack(
        [
            np.log1p(followers),
            np.log1p(numbers(posts["likes"]) * per_thousand),
            np.log1p(numbers(posts["comments"]) * per_thousand),
            np.log1p(np.bincount(tokens.text, minlength=tokens.texts)),
            np.log1p(numbers(pc.list_value_length(posts["hashtags"]))),
        ],
        axis=1,
    )
    known = np.isfinite(columns)
    mean = np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, columns, mean).astype(np.float32)
