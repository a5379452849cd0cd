"""Two designs whose response to a treatment is known: the demand for flights, and posts of a short-video platform.

demand (Hartford et al. 2017): price p, fuel cost z, time of the year x1 in (0, 10), kind of customer x2 in 1 … 7;
y = 100 + (10 + p) x2 ψ(x1) − 2p + noise, and the noise moves the price too. **Of two conventions in use, one cannot
tell an instrument from none.** Where the noise has deviation 1 (Singh et al. 2019, Xu et al. 2021) beside an outcome
with deviation 158, confounding is invisible, and a plain network without the instrument beats every method with it
(`noise="raw"`). Hartford et al. add it to the standardised outcome: deviation 158 (`noise="scaled"`, the default).

tiktok: a post of kind k (S-shaped, linear, concave) by a creator with F followers reaches R = exp(y) people, y = level
+ g_k(log F) + appeal + statistics + cross-posting + noise. Cross-posting is not observed and brings followers too; past
success moves followers alone, given content. The follower elasticity of impressions (FEI) is g_k', in closed form; all
numbers are fitted to Tables 1, 4 and 6 of Tian et al. (2022). Both designs follow from their seeds alone.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]

OUTCOME_DEVIATION = 158.0
"""Of demand, in its own units: what Hartford et al. standardise by."""

KINDS = ("s-shaped", "linear", "concave")
SHARES = np.array([0.35, 0.40, 0.25])
FLOOR = np.array([0.055, 0.0, 0.0])
HEIGHT = np.array([0.480, 0.271, 0.712])
PEAK = np.array([9.66, 12.05, -4.16])
BELOW = np.array([3.42, 14.4, 1.05])
ABOVE = np.array([1.79, 7.26, 8.93])
"""FEI of each kind: floor + height · a bump around the peak, one width below it and another above; in log followers."""
ANCHOR = float(np.log(60_102.0))
"""Log followers at which all kinds reach as many."""
LEVEL, CROSS_POSTING, APPEAL, NOISE = 13.12, 0.52, 0.25, 0.52
LEAST = float(np.log(109.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """What an estimator is given.

    Attributes:
        t: treatment, (N,): price, or log followers.
        z: instrument, (N, 1): cost, or log past hearts.
        x: controls, (N, X).
        y: outcome, (N,).
        kind: of each post, (N,), 0 … 2 as in `KINDS`; demand has none.
    """

    t: Reals
    z: Reals
    x: Reals
    y: Reals
    kind: Ints | None = None

    def __len__(self) -> int:
        return len(self.t)


# ---- demand ----


def season(time: ArrayLike) -> Reals:
    """ψ, how much the time of the year matters; any shape."""
    away = np.asarray(time, dtype=np.float64) - 5
    return 2 * (away**4 / 600 + np.exp(-4 * away**2) + (away + 5) / 10 - 2)


def demand_response(price: ArrayLike, x: ArrayLike) -> Reals:
    """h(p, x), what is sold on average if the price is set to p; (N,) and (N, 2) -> (N,)."""
    p, (time, customer) = np.asarray(price, dtype=np.float64), np.asarray(x, dtype=np.float64).T
    return 100 + (10 + p) * customer * season(time) - 2 * p


def demand_slope(x: ArrayLike) -> Reals:
    """Derivative of the response in the price, which does not depend on it; (N, 2) -> (N,)."""
    time, customer = np.asarray(x, dtype=np.float64).T
    return customer * season(time) - 2


def demand(rows: int, rho: float, seed: int, noise: Literal["scaled", "raw"] = "scaled") -> Rows:
    """Draw the demand design.

    Args:
        rows: N.
        rho: correlation of the noise with what moves the price, in [0, 1].
        seed: of all draws.
        noise: its convention, see above.

    Returns:
        Prices, costs, (time, kind of customer), sales in their own units.
    """
    rng = np.random.default_rng(seed)
    customer = rng.integers(1, 8, rows).astype(np.float64)
    time = rng.uniform(0, 10, rows)
    cost, shock = rng.standard_normal((2, rows))
    error = rho * shock + np.sqrt(1 - rho**2) * rng.standard_normal(rows)
    price = 25 + (cost + 3) * season(time) + shock
    x = np.column_stack([time, customer])
    y = demand_response(price, x) + (OUTCOME_DEVIATION if noise == "scaled" else 1.0) * error
    return Rows(t=price, z=cost[:, None], x=x, y=y)


def demand_grid() -> tuple[Reals, Reals, Reals]:
    """The 2,800 points at which all are judged: 20 prices × 20 times × 7 kinds of customer.

    Returns:
        Prices (2800,), controls (2800, 2), true responses (2800,).
    """
    at = np.meshgrid(np.linspace(10, 25, 20), np.linspace(0, 10, 20), np.arange(1.0, 8.0), indexing="ij")
    price, time, customer = (of.ravel() for of in at)
    x = np.column_stack([time, customer])
    return price, x, demand_response(price, x)


# ---- tiktok ----


def fei(kind: ArrayLike, log_followers: ArrayLike) -> Reals:
    """True FEI; kinds and log followers of shapes that broadcast."""
    k = np.asarray(kind)
    away = np.asarray(log_followers, dtype=np.float64) - PEAK[k]
    width = np.where(away < 0, BELOW[k], ABOVE[k])
    return np.asarray(FLOOR[k] + HEIGHT[k] * np.exp(-0.5 * (away / width) ** 2))


def gain(kind: ArrayLike, log_followers: ArrayLike) -> Reals:
    """g_k, log impressions above those at the anchor: the integral of the FEI from there; shapes as of `fei`."""

    def area(at: ArrayLike) -> Reals:
        k = np.asarray(kind)
        away = np.asarray(at, dtype=np.float64) - PEAK[k]
        width = np.where(away < 0, BELOW[k], ABOVE[k])
        return np.asarray(FLOOR[k] * away + HEIGHT[k] * width * np.sqrt(np.pi / 2) * erf(away / (width * np.sqrt(2))))

    return area(log_followers) - area(ANCHOR)


@cache
def _content() -> tuple[Reals, Reals, float, float]:
    """Centre of each kind's representations (3, 16), three directions of appeal (3, 16), mean and deviation of it."""
    rng = np.random.default_rng(20220728)
    centre = 0.9 * rng.standard_normal((3, 16))
    direction = rng.standard_normal((3, 16)) / 4
    kind = rng.choice(3, 200_000, p=SHARES)
    raw = _raw_appeal(centre[kind] + 0.8 * rng.standard_normal((200_000, 16)), direction)
    return centre, direction, float(raw.mean()), float(raw.std())


def _raw_appeal(r: Reals, direction: Reals) -> Reals:
    first, second, third = (r @ direction.T).T
    return np.asarray(np.tanh(first) + 0.5 * (second > 0) + 0.5 * np.sin(third))


def _followers(popularity: Reals) -> Reals:
    """Log followers of a popularity index: a long lower tail, a short upper one, never fewer than two."""
    above = (1 - np.exp(-0.358 * np.maximum(popularity, 0))) / 0.358
    return np.maximum(ANCHOR + 2.956 * np.where(popularity < 0, popularity, above), np.log(2.0))


def _statistics(rng: np.random.Generator, popularity: Reals) -> tuple[Reals, Reals]:
    """Post statistics of Table 6 as controls (N, 9), and what they add to log impressions (N,)."""
    n = len(popularity)
    hashtags = np.minimum(rng.negative_binomial(11.2, 11.2 / (11.2 + 6.662), n), 47)
    trending = rng.binomial(1, 0.767, n)
    trends = np.minimum(trending * (1 + rng.poisson(0.405, n)), 10)
    for_you = rng.binomial(1, 0.604, n)
    recent = rng.random(n) < 0.55
    age = np.where(recent, rng.integers(0, 2, n), np.minimum(np.floor(np.exp(rng.normal(2.0, 1.05, n))), 148))
    ranking = np.maximum(np.ceil(2000 * rng.random(n) ** 0.944), 1)
    fresh = rng.random(n) < 0.5
    video_age = np.where(fresh, rng.uniform(0, 1.327, n), np.minimum(1.327 + rng.gamma(0.3, 230, n), 2015))
    verified = rng.random(n) < 1 / (1 + np.exp(3.85 - 0.9 * popularity))
    sponsored = rng.binomial(1, 0.001, n)
    columns = [hashtags, trends, for_you, np.log1p(age), trending, ranking / 1000, np.log1p(video_age)]
    effect = -0.25 * (ranking - 1000) / 577 + 0.20 * (trending - 0.767) + 0.05 * (for_you - 0.604)
    effect = effect + 0.02 * (hashtags - 6.66) - 0.10 * (np.log1p(age) - 1)
    return np.column_stack([*columns, sponsored, verified]).astype(np.float64), effect


def tiktok(rows: int, seed: int) -> Rows:
    """Draw posts.

    Args:
        rows: N.
        seed: of all draws; what is fixed about the platform does not depend on it.

    Returns:
        Log followers, log past hearts, 16 numbers of content and nine statistics, log impressions, kinds.
    """
    rng = np.random.default_rng(seed)
    centre, direction, mean, deviation = _content()
    kind = rng.choice(3, rows, p=SHARES)
    r = centre[kind] + 0.8 * rng.standard_normal((rows, 16))
    appeal = (_raw_appeal(r, direction) - mean) / deviation
    past = np.sqrt(1 - 0.3**2) * rng.standard_normal(rows) + 0.3 * appeal
    spread = np.where(rng.random(rows) < 0.15, 1.6, 0.75)
    cross = spread * rng.standard_normal(rows) / np.sqrt(0.85 * 0.75**2 + 0.15 * 1.6**2)
    rest = np.sqrt(1 - (0.657**2 + 0.28**2 + 2 * 0.657 * 0.28 * 0.3 + 0.42**2))
    popularity = 0.657 * past + 0.28 * appeal + 0.42 * cross + rest * rng.standard_normal(rows)
    t = _followers(popularity)
    statistics, effect = _statistics(rng, popularity)
    y = LEVEL + gain(kind, t) + APPEAL * appeal + effect + CROSS_POSTING * cross + NOISE * rng.standard_normal(rows)
    return Rows(t=t, z=(8 + 1.9 * past)[:, None], x=np.hstack([r, statistics]), y=np.maximum(y, LEAST), kind=kind)
