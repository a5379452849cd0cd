"""What an account says of itself: its category and the words of its biography.

Shapes: A accounts, V views, K categories.
"""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.features.text import text_features
from micromega.market.market import Market
from micromega.market.mentions import with_creator_categories
from micromega.models.mir.words import words_of

log = logging.getLogger(__name__)

_DERIVED = 0.9
"""Share of creators from which on their categories count as taken from the brands they mention; chance is about 0.6."""
_FILLED = 0.1
"""The same where it is seen by who has a category at all; see `_filled_share`."""


def profile_features(
    market: Market, accounts: pa.Table, view_account: NDArray[np.int64], hashed: int
) -> NDArray[np.float32]:
    """Category, one number for each that occurs, beside a hashed bag of the words in the biography.

    Brands and creators share one list of categories. Importers fill in missing categories of creators from the brands
    that they mention: these would give the answer away, and creators then have none.

    Args:
        market: its table of mentions shows where creators' categories come from.
        accounts: table of A accounts.
        view_account: (V,) row of the account that each view stands for.
        hashed: length of the bag of words; 0 for none.

    Returns:
        (V, K + hashed); zeros for what is not known.

    Raises:
        DataError: no account has a category or a biography.
    """
    categories = _own_categories(market, accounts).combine_chunks().dictionary_encode()
    names, code = categories.dictionary, np.asarray(pc.fill_null(categories.indices, -1), dtype=np.int64)
    one_hot_AK = (code[:, None] == np.arange(len(names))).astype(np.float32)
    parts = [one_hot_AK]
    if hashed:
        parts.append(text_features(words_of(accounts["biography"], accounts), None, hashed))
    profile_AD = np.concatenate(parts, axis=1)
    if not profile_AD.any():
        msg = (
            f'data.modalities: profile needs the columns "category" or "biography" of accounts.parquet, and market '
            f'"{market.name}" has neither (categories that come from mentions do not count). Fill one of them, or take '
            "profile out of data.modalities and model.modalities."
        )
        raise DataError(msg)
    return profile_AD[view_account]


def _own_categories(market: Market, accounts: pa.Table) -> pa.ChunkedArray:
    """(A,) categories, "" as null; null for all creators where theirs are those of the brands that they mention.

    All go, not only those that agree: what is left would say which category a creator's brands do not have.
    """
    category = pc.if_else(pc.equal(accounts["category"], ""), None, accounts["category"])
    is_creator = pc.equal(accounts["kind"], "creator")
    of_brands = pc.if_else(is_creator, pa.scalar(None, pa.string()), category)
    place = accounts.schema.get_field_index("category")
    derived = with_creator_categories(accounts.set_column(place, "category", of_brands), market.table("mentions"))
    same = pc.equal(derived["category"], category).filter(is_creator)  # null where either is unknown
    alike = 0.0 if len(same) == same.null_count else pc.mean(same).as_py()
    filled = _filled_share(category.filter(is_creator), derived["category"].filter(is_creator))
    if alike >= _DERIVED:
        log.warning(
            "profile: %.0f %% of the creators with a category have that of the brands that they mention most. It would "
            "give the answer away and is left out; brands keep theirs.",
            100 * alike,
        )
    elif filled >= _FILLED:
        log.warning(
            "profile: every creator who mentions a brand has a category, %.0f %% of the others have none: it seems "
            "filled in from the brands, which would give the answer away. It is left out; brands keep theirs.",
            100 * filled,
        )
    return of_brands if alike >= _DERIVED or filled >= _FILLED else category


def _filled_share(category: pa.ChunkedArray, derived: pa.ChunkedArray) -> float:
    """Share of creators whose category seems to be filled in: all that could be are known, of the others so many not.

    Where some creators' own categories are kept and the rest is filled in, too few agree with their brands to tell.

    Args:
        category: (M,) of creators, null if unknown.
        derived: (M,) that of the brands they mention most, null if they mention none.

    Returns:
        The share; 0 where a creator who could have been given a category has none.
    """
    if pc.any(pc.and_(category.is_null(), derived.is_valid())).as_py():
        return 0.0
    others = category.filter(derived.is_null())
    return others.null_count / len(others) if len(others) else 0.0
