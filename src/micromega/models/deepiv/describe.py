"""What posts are before anything causal is said: Tables 1 and 6, Figures 2 and 3 of Tian et al. (2022).

N posts, G log followers, P posts that are drawn, B bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.models.deepiv.from_market import STATISTICS, CausalInputs

Reals = NDArray[np.float64]
_POINTS, _BINS, _FINE = 700, 40, 2_000
_LABELS = {
    "num_hashtags": "Hashtags",
    "num_trending": "Trending hashtags",
    "has_fyp": "Has #fyp",
    "log_hashtag_age": "Age of the hashtag, days",
    "is_trending": "Hashtag is trending",
    "log_ranking": "Ranking under the hashtag",
    "log_age": "Age of the post, days",
    "is_sponsored": "Is sponsored",
    "is_verified": "Creator is verified",
}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Moments of one number over posts, in its own units: no logarithms."""

    name: str
    posts: int
    mean: float
    deviation: float
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Counts of posts between edges of a logarithm; edges (B + 1,), counts (B,)."""

    edges: Reals
    counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Description:
    """The posts.

    Attributes:
        treatment, outcome: followers and impressions (Table 1).
        statistics: of the posts (Table 6), those that the market has.
        log_followers, log_impressions: their distributions (Figure 2).
        points: log followers and log impressions of some posts (Figure 3), (P, 2).
        smooth: log impressions that go with log followers: local linear regression, at the sizes of the curves, (G,).
    """

    treatment: Summary
    outcome: Summary
    statistics: tuple[Summary, ...]
    log_followers: Histogram
    log_impressions: Histogram
    points: Reals
    smooth: Reals


def describe(inputs: CausalInputs, grid: Reals, *, seed: int = 0) -> Description:
    """Summarise the posts.

    Args:
        inputs: all posts.
        grid: log followers at which the smooth line is wanted, (G,).
        seed: of the posts that are drawn.

    Returns:
        The description.
    """
    t, y = inputs.treatment, inputs.outcome
    shown = np.random.default_rng(seed).permutation(len(t))[:_POINTS]
    columns = dict(zip(inputs.names, inputs.controls.T, strict=True))
    statistics = tuple(
        summary(_LABELS.get(name, name), np.expm1(columns[name]) if name.startswith("log_") else columns[name])
        for name in STATISTICS
        if name in columns
    )
    return Description(
        treatment=summary("Followers", np.exp(t)),
        outcome=summary("Impressions", np.exp(y)),
        statistics=statistics,
        log_followers=_histogram(t),
        log_impressions=_histogram(y),
        points=np.column_stack([t, y])[np.sort(shown)],
        smooth=local_linear(t, y, grid),
    )


def summary(name: str, values: Reals) -> Summary:
    """Moments of (N,) numbers."""
    return Summary(
        name=name,
        posts=len(values),
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        minimum=float(values.min()),
        median=float(np.median(values)),
        maximum=float(values.max()),
    )


def _histogram(values: Reals) -> Histogram:
    counts, edges = np.histogram(values, bins=_BINS)
    return Histogram(edges=edges.astype(np.float64), counts=counts.astype(np.int64))


def local_linear(t: Reals, y: Reals, at: Reals, *, width: float | None = None) -> Reals:
    """Local linear regression with a Gaussian kernel, on the means of 2,000 narrow bins of t.

    Args:
        t: (N,).
        y: (N,).
        at: where it is wanted, (G,).
        width: deviation of the kernel; None: 1.06 · deviation of t · N^(−1/5), and no less than 1 % of the range.

    Returns:
        (G,).
    """
    low, high = float(t.min()), float(t.max())
    place = np.minimum(((t - low) / max(high - low, 1e-12) * _FINE).astype(np.int64), _FINE - 1)
    count = np.bincount(place, minlength=_FINE).astype(np.float64)
    filled = count > 0
    count = count[filled]
    centre = np.bincount(place, weights=t, minlength=_FINE)[filled] / count
    mean = np.bincount(place, weights=y, minlength=_FINE)[filled] / count
    rule = 1.06 * float(t.std()) * len(t) ** -0.2
    reach = width or max(rule, 0.01 * (high - low), 1e-12)
    away = centre - at[:, None]
    weight = np.exp(-0.5 * (away / reach) ** 2) * count + 1e-300  # far from all posts: the line of the nearest
    total, first, second = weight.sum(axis=1), (weight * away).sum(axis=1), (weight * away**2).sum(axis=1)
    of_y, of_both = weight @ mean, (weight * away) @ mean
    determinant = total * second - first**2
    flat = determinant <= 1e-12 * total * second
    line = (second * of_y - first * of_both) / np.where(flat, 1.0, determinant)
    return np.asarray(np.where(flat, of_y / total, line))
