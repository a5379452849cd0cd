"""What a user gives, checked: counts by post and day, hashtags, covariates.

Shapes: N posts, D days, P covariates, H hashtags.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.models.growth.sums import LAST_DAY

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Valid input.

    Attributes:
        impressions: (N, D) cumulative, NaN where unknown.
        days: (D,) 1 is the first appearance.
        hashtags: (H,) labels, sorted.
        hashtag: (N,) index into them.
        covariates: (N, P).
    """

    impressions: NDArray[np.float64]
    days: NDArray[np.float64]
    hashtags: NDArray[np.generic]
    hashtag: NDArray[np.int64]
    covariates: NDArray[np.float64]


def check_inputs(impressions: ArrayLike, days: ArrayLike, hashtag: ArrayLike, covariates: ArrayLike) -> Observed:
    """Check shapes and values.

    Args:
        impressions: (N, D) cumulative counts; NaN where a day is not listed.
        days: (D,) distinct numbers, at least 1.
        hashtag: (N,) ids of any one type.
        covariates: (N, P) finite, none constant.

    Returns:
        The same as arrays.

    Raises:
        DataError: naming what is wrong, how often and where first.
    """
    y_ND = _numbers("impressions", impressions, 2)
    t_D = _numbers("days", days, 1)
    x_NP = _numbers("covariates", covariates, 2)
    posts, of_days = y_ND.shape
    _check_days(t_D, of_days)
    label_N = np.asarray(hashtag)
    if label_N.shape != (posts,) or len(x_NP) != posts:
        raise DataError(
            f"impressions list {posts} posts, hashtag has shape {label_N.shape} and covariates {x_NP.shape}: all need "
            "one row per post."
        )
    _refuse("impressions", (y_ND < 0) | np.isinf(y_ND), y_ND, "Counts are finite and at least 0; NaN where unknown.")
    _refuse("covariates", ~np.isfinite(x_NP), x_NP, "Fill or drop those posts; covariates have to be finite.")
    _refuse(
        "impressions",
        np.isnan(y_ND).all(axis=1),
        y_ND[:, 0],
        "A post needs the count of one day or more: drop the rest.",
    )
    constant = np.flatnonzero(np.ptp(x_NP, axis=0) == 0)
    if len(constant):
        raise DataError(
            f"covariates: column {constant[0]} is constant ({len(constant)} such): the intercept stands for it already."
            " Leave it out."
        )
    hashtags_H, index_N = np.unique(_comparable(label_N), return_inverse=True)
    if len(hashtags_H) < 2:
        raise DataError(
            f"hashtag holds {len(hashtags_H)} distinct value; the spread between hashtags needs two or more. Without "
            "hashtags, group the posts by something else, for instance their author's category."
        )
    return Observed(impressions=y_ND, days=t_D, hashtags=hashtags_H, hashtag=index_N.ravel(), covariates=x_NP)


def _numbers(name: str, values: ArrayLike, dimensions: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} has to be an array of numbers: {error}.") from error
    if array.ndim != dimensions or len(array) == 0:
        raise DataError(f"{name} has shape {array.shape}; {dimensions} dimension(s) and a row or more are needed.")
    return array


def _check_days(t_D: NDArray[np.float64], columns: int) -> None:
    if len(t_D) != columns:
        raise DataError(f"days lists {len(t_D)} days, impressions have {columns} columns: they need one day each.")
    if not np.isfinite(t_D).all() or (t_D < 1).any():
        raise DataError(f"days holds {t_D.min():g}; day 1 is the first appearance, so all are finite and at least 1.")
    if t_D.max() > LAST_DAY:
        raise DataError(f"days holds {t_D.max():g}: they count from the first appearance, and are no dates or seconds.")
    if len(np.unique(t_D)) != len(t_D):
        raise DataError("days lists a day twice.")
    if len(t_D) < 2:
        raise DataError("days lists one day; a rate of growth needs two or more.")


def _refuse(name: str, bad: Any, values: NDArray[Any], remedy: str) -> None:
    if not bad.any():
        return
    where = np.argwhere(bad)[:_SHOWN]
    shown = ", ".join(f"{'row' if len(at) == 1 else 'row, column'} {', '.join(map(str, at))}" for at in where)
    first = ", ".join(f"{values[tuple(at)]:g}" for at in where)
    raise DataError(f"{name}: {int(bad.sum())} bad value(s) ({shown}: {first}).\n{remedy}")


def _comparable(label_N: NDArray[np.generic]) -> NDArray[np.generic]:
    """Ids of one type that can be sorted; missing ones are refused."""
    if label_N.dtype.kind == "O":
        missing = np.array([label is None or (isinstance(label, float) and math.isnan(label)) for label in label_N])
        _refuse("hashtag", missing, np.full(len(label_N), np.nan), "Every post needs a hashtag: drop those posts.")
        return label_N.astype(str)
    if label_N.dtype.kind == "f":
        _refuse("hashtag", np.isnan(label_N), label_N, "Every post needs a hashtag: drop those posts.")
    return label_N
