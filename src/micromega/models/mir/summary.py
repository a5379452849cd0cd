"""From metrics brand by brand to tables: overall values, intervals, paired tests, and one row per category."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError, some_of
from micromega.models.evaluation import MEDIAN_OF, BrandMetrics, CategoryRow
from micromega.models.mir.intervals import PairedTest, Statistic, bootstrap_interval, paired_test

Floats = NDArray[np.float64]
FEWEST_BRANDS = 2
"""Below this, nothing can be said about other brands."""


def merged(own: BrandMetrics, others: Mapping[str, BrandMetrics]) -> BrandMetrics:
    """Put the models of other evaluated runs beside this one's methods.

    Args:
        own: metrics of this run.
        others: name -> metrics of another run, of which the model itself is taken.

    Returns:
        This run's methods, then the others under their names.

    Raises:
        ConfigError: a name is taken, or a run ranked other creators for other brands.
    """
    methods = dict(own.methods)
    for name, other in others.items():
        if name in methods:
            raise ConfigError(f"evaluation.compare: the name {name} is taken by a method of this run. Choose another.")
        if reason := _difference(own, other):
            raise ConfigError(
                f"evaluation.compare.{name}: {reason}, so its metrics cannot stand beside these. Evaluate it with the "
                "same market, seed and data settings."
            )
        theirs = other.methods[other.model]
        place = {brand: row for row, brand in enumerate(other.brand_ids.tolist())}
        rows = [place[brand] for brand in own.brand_ids.tolist()]
        missing = np.full(len(own.brand_ids), np.nan)
        methods[name] = {value: theirs[value][rows] if value in theirs else missing for value in own.methods[own.model]}
    return replace(own, methods=methods)


def _difference(own: BrandMetrics, other: BrandMetrics) -> str:
    """Why two runs cannot be compared; empty if they can."""
    if own.market != other.market:
        return f"it was evaluated on another market ({other.market[:12]}…, here {own.market[:12]}…)"
    mine, theirs = set(own.brand_ids.tolist()), set(other.brand_ids.tolist())
    here, there = sorted(mine - theirs), sorted(theirs - mine)
    if here or there:
        return (
            f"it has other test brands ({len(here)} here alone, {len(there)} there alone: {some_of(here + there, 3)})"
        )
    if own.candidates != other.candidates:
        return f"it ranked {other.candidates:,} creators for each brand, this run {own.candidates:,}"
    return ""


def overall(values: Mapping[str, Floats]) -> dict[str, float]:
    """Sum up one method.

    Args:
        values: metric -> (B,), NaN where a brand has none.

    Returns:
        Means over brands, and medians of what `MEDIAN_OF` names; NaN where no brand has a value.
    """
    return {
        MEDIAN_OF.get(name, name): float((np.median if name in MEDIAN_OF else np.mean)(known)) if len(known) else np.nan
        for name, known in ((name, _known(value)) for name, value in values.items())
    }


def intervals(metrics: BrandMetrics, *, samples: int, seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Bootstrap each method's values over brands.

    Args:
        metrics: of all methods.
        samples: resamplings; 0 for none.
        seed: random seed; each value draws the same brands.

    Returns:
        Method -> metric -> 95 % interval; left out where fewer than two brands have a value.
    """
    if not samples:
        return {}
    return {
        method: {
            MEDIAN_OF.get(name, name): bootstrap_interval(value, _statistic(name), samples, seed)
            for name, value in values.items()
            if np.isfinite(value).sum() >= FEWEST_BRANDS
        }
        for method, values in metrics.methods.items()
    }


def paired_tests(metrics: BrandMetrics, *, samples: int, seed: int) -> dict[str, dict[str, PairedTest]]:
    """Compare the model with every other method on the same brands.

    Args:
        metrics: of all methods, the model first.
        samples: resamplings and swaps; 0 for no test.
        seed: random seed.

    Returns:
        Other method -> metric -> the model's minus that method's; left out where fewer than two brands have both.
    """
    if not samples:
        return {}
    model, *others = metrics.methods
    found: dict[str, dict[str, PairedTest]] = {}
    for other in others:
        found[other] = {}
        for name, mine in metrics.methods[model].items():
            theirs = metrics.methods[other][name]
            if np.isfinite(mine + theirs).sum() >= FEWEST_BRANDS:
                found[other][MEDIAN_OF.get(name, name)] = paired_test(
                    mine, theirs, statistic=_statistic(name), samples=samples, seed=seed
                )
    return found


def category_rows(metrics: BrandMetrics) -> tuple[CategoryRow, ...]:
    """Sum up the model category by category (table 3).

    Args:
        metrics: the model first.

    Returns:
        Rows by category; none where no category is known.
    """
    mine = metrics.methods[metrics.model]
    return tuple(
        CategoryRow(
            category=str(category),
            brands=int(inside.sum()),
            metrics=overall({name: value[inside] for name, value in mine.items()}),
        )
        for category, inside in ((c, metrics.categories == c) for c in np.unique(metrics.categories))
        if category
    )


def _statistic(name: str) -> Statistic:
    return "median" if name in MEDIAN_OF else "mean"


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]
