"""Which brands train, which choose, which judge."""

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.config import MIRDataConfig

Splits = dict[str, NDArray[np.int64]]


def splits_of(accounts: Accounts, market: Market, config: MIRDataConfig) -> Splits:
    """Split the brands as the configuration says.

    Args:
        accounts: the brands.
        market: its table `splits` is read with `published_split`.
        config: shares and seed.

    Returns:
        train, validation, test and cold -> ascending rows of brands.

    Raises:
        DataError: a split is empty, or brands are in no published part.
    """
    taking_part = len(accounts.brand_ids) - accounts.cold
    cold = np.arange(taking_part, len(accounts.brand_ids))
    categories = accounts.brand_categories[:taking_part]
    if not config.published_split:
        return {**split_brands(categories, config.validation_share, config.test_share, config.seed), "cold": cold}
    table = market.table("splits")
    part = {
        name: np.isin(
            accounts.brand_ids[:taking_part],
            np.asarray(table.filter(pc.equal(table["split"], name))["account_id"].to_numpy(), dtype=np.str_),
        )
        for name in ("train", "validation", "test")
    }
    lost = np.flatnonzero(sum(part.values()) != 1)
    if len(lost):
        shown = ", ".join(accounts.brand_ids[lost[:3]])
        msg = (
            f"splits.parquet: {len(lost)} brands are in no part or in several ({shown}). "
            "Set data.published_split=false."
        )
        raise DataError(msg)
    rows = {name: np.flatnonzero(inside) for name, inside in part.items()}
    if not len(rows["validation"]):
        share = config.validation_share / (1 - config.test_share)
        drawn = split_brands(categories[rows["train"]], share, 0.0, config.seed)
        rows = {name: rows["train"][drawn[name]] for name in ("train", "validation")} | {"test": rows["test"]}
    for name, chosen in rows.items():
        if not len(chosen):
            raise DataError(f"splits.parquet: no {name} brand takes part here. Set data.published_split=false.")
    return {**rows, "cold": cold}


def split_brands(categories: NDArray[np.str_], validation_share: float, test_share: float, seed: int) -> Splits:
    """Split brands into train, validation and test, each category spread over all three.

    Args:
        categories: (B,) category of each brand.
        validation_share: share of brands for validation.
        test_share: share of brands for testing; 0: none.
        seed: random seed.

    Returns:
        Split name -> ascending rows; disjoint, together all brands.

    Raises:
        DataError: a split would be empty.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(categories))
    # Within a category, brand number j of n gets the key (j + u)/n: sorted by key, every stretch holds each category
    # in its share.
    order = shuffled[np.argsort(categories[shuffled], kind="stable")]
    _, code, sizes = np.unique(categories[order], return_inverse=True, return_counts=True)
    place = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[code]
    ordered = order[np.argsort((place + generator.random(len(sizes))[code]) / sizes[code], kind="stable")]
    tests, validations = round(test_share * len(ordered)), round(validation_share * len(ordered))
    test, validation, train = np.split(ordered, [tests, tests + validations])
    splits = {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}
    for name, rows in splits.items():
        if not len(rows) and (name != "test" or test_share > 0):
            msg = f"{len(categories)} brands are too few for a {name} split. Change the shares, or give more brands."
            raise DataError(msg)
    return splits
