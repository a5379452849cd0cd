"""Feature arrays with a row per account, as modalities of their own."""

import logging

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.errors import DataError, some_of
from micromega.market.market import Market
from micromega.models.mir.pictures import item_means

log = logging.getLogger(__name__)

BUILT_IN = ("text", "words", "account", "profile", "visual")


def account_array_features(
    market: Market, name: str, accounts: pa.Table, view_account: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Take each view's account from a feature array.

    An account that the array has not takes the mean of the others: it says nothing.

    Args:
        market: has the array.
        name: feature.
        accounts: table of accounts.
        view_account: (V,) row of the account that each view stands for.

    Returns:
        (V, d); of a sequence, the mean of its items.

    Raises:
        DataError: there is no such array, it is not one of accounts, or it has none of these accounts.
    """
    if name not in market.feature_names:
        msg = (
            f'data.modalities: there is no modality "{name}". Built in are {", ".join(BUILT_IN)}; market '
            f'"{market.name}" has the features {some_of(market.feature_names) or "none"}.'
        )
        raise DataError(msg)
    array = market.features(name)
    if array.key != "account_id":
        msg = (
            f"data.modalities: feature {name} is one of {array.key}s, and a modality needs one of account_ids. "
            f"Features of posts are pooled: data.modalities=[visual] data.visual=[{name}]."
        )
        raise DataError(msg)
    used, place = np.unique(view_account, return_inverse=True)
    row = array.rows_of(accounts["account_id"].take(pa.array(used)))
    known = row >= 0
    known[known] = array.lengths[row[known]] > 0
    if not known.any():
        msg = (
            f"data.modalities: feature {name} has none of the accounts that the ranker reads in market "
            f'"{market.name}". Make it again for these accounts, or take it out of data.modalities.'
        )
        raise DataError(msg)
    values = item_means(array, row[known])
    if not known.all():
        log.warning("feature %s: %d of %d accounts have none and take the mean", name, (~known).sum(), len(known))
    found = np.empty((len(used), values.shape[1]), dtype=np.float32)
    found[known], found[~known] = values, values.mean(axis=0, dtype=np.float64)
    return found[place]
