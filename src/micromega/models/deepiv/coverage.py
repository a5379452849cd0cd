"""How often the bands of a bootstrap hold the true elasticity, on a market whose truth is known.

These are percentiles over the draws at each size, by kind of post. The bands of `CausalEvaluation.subjects` are others:
they resample creators as well, are of groups, and may be simultaneous.

N posts, G log followers, E members, D draws.
"""

import numpy as np
from numpy.typing import NDArray

from micromega.models.deepiv.arrays import answers
from micromega.models.deepiv.bands import percentile_band
from micromega.models.deepiv.causal import Response
from micromega.models.deepiv.comparison import Truth
from micromega.models.deepiv.result import Coverage

Reals = NDArray[np.float64]
_POSTS = 500  # of a kind, at most


def band_coverage(
    model: Response,
    draws: int,
    controls: NDArray[np.floating],
    grid: Reals,
    inside: NDArray[np.bool_],
    truth: Truth,
    level: float,
) -> dict[str, Coverage]:
    """Count the sizes at which pointwise bands of the FEI hold the truth.

    Args:
        model: trained, its members in draws.
        draws: D, 2 or more.
        controls: (N, X) of the posts.
        grid: log followers, (G,).
        inside: sizes that were observed, (G,); the others are not counted.
        truth: of the same posts.
        level: nominal, of the bands.

    Returns:
        Kind -> shares, over up to 500 of its posts.
    """
    found = {}
    for kind, curve in truth.curves.items():
        x = controls[truth.kinds == kind][:_POSTS]
        members = answers(model, "elasticity", grid, x, grid=True, members=True)
        values_DNG = members.reshape(draws, -1, *members.shape[1:]).mean(axis=1)
        found[kind] = Coverage(
            posts=_held(values_DNG, curve, inside, level), average=_held(values_DNG.mean(axis=1), curve, inside, level)
        )
    return found


def _held(values: NDArray[np.floating], curve: Reals, inside: NDArray[np.bool_], level: float) -> float:
    band = percentile_band(values, level)
    return float(((band.lower <= curve) & (curve <= band.upper))[..., inside].mean())
