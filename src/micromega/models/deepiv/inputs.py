"""Checks of what a caller hands to `DeepIV`. Shapes: N rows, Z and X numbers of instrument and controls."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from micromega.errors import DataError

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """What `fit` learns from.

    Attributes:
        values: t (N,), z (N, Z), x (N, X), y (N,), all finite.
        cluster: (N,) ids.
        weights: (N,) at least 0, some above.
    """

    values: dict[str, Reals]
    cluster: NDArray[np.generic]
    weights: NDArray[np.float32]


def check_data(
    *,
    x: ArrayLike,
    z: ArrayLike,
    t: ArrayLike,
    y: ArrayLike,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Data:
    """Check shapes and values; see `DeepIV.fit`.

    Raises:
        DataError: naming what is wrong, how often and where first.
    """
    values = {
        "t": _numbers("t", t, (1,)),
        "z": _numbers("z", z, (1, 2)),
        "x": _numbers("x", x, (2,)),
        "y": _numbers("y", y, (1,)),
    }
    if values["z"].ndim == 1:
        values["z"] = values["z"][:, None]
    rows = len(values["t"])
    for_rows = {name: len(of) for name, of in values.items()}
    clusters = np.arange(rows) if cluster is None else np.asarray(cluster)
    weight = np.ones(rows) if weights is None else _numbers("weights", weights, (1,))
    for_rows |= {"cluster": len(clusters), "weights": len(weight)}
    if len(set(for_rows.values())) > 1:
        shown = ", ".join(f"{name} {count:,}" for name, count in for_rows.items())
        raise DataError(f"All need one row each for the same posts; rows: {shown}.")
    if not values["z"].shape[1]:
        raise DataError("z has no column: Deep IV needs an instrument.")
    if np.ptp(values["t"]) == 0 or np.ptp(values["y"]) == 0:
        raise DataError("t and y have to vary: one of them is the same in all rows.")
    if (weight < 0).any() or not weight.any():
        raise DataError(f"weights are at least 0 and some above it; {int((weight < 0).sum())} are negative.")
    return Data(values=values, cluster=clusters, weights=weight.astype(np.float32))


def check_points(value: ArrayLike, width: int, name: str, *, rows: int | None = None) -> Tensor:
    """Check where a fitted model is asked.

    Args:
        value: (N, width), or (N,) where width is 1.
        width: numbers of a row.
        name: for messages.
        rows: N, where it is given by another argument.

    Returns:
        (N, width) float32.

    Raises:
        DataError: a shape is wrong or a value not finite.
    """
    array = _numbers(name, value, (1, 2))
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[1] != width or rows not in (None, len(array)):
        raise DataError(f"{name} has shape {np.shape(value)}; ({rows or 'N'}, {width}) is needed, as in fit.")
    return torch.from_numpy(array.astype(np.float32))


def _numbers(name: str, value: ArrayLike, dimensions: tuple[int, ...]) -> Reals:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} has to be an array of numbers: {error}.") from error
    if array.ndim not in dimensions or not len(array):
        allowed = " or ".join(map(str, dimensions))
        raise DataError(f"{name} has shape {array.shape}; {allowed} dimension(s) and a row or more are needed.")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        shown = ", ".join(str(int(at[0])) for at in bad[:3])
        raise DataError(
            f"{name} holds {len(bad)} value(s) that are not finite (rows {shown}). Fill or drop those rows."
        )
    return array
