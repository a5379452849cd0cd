"""The sizing problem: how many followers should the sponsored creator have? (Tian et al. 2022, section 4.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from micromega.errors import ConfigError, DataError

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SizingProblem:
    """Maximise value · E[R(F)] − cost(F) over the followers F of the creator.

    Profit needs the expectation of impressions, and a response curve gives that of their log: E[R] = exp(h) · E[exp e].
    Either an observed post sets the level (`anchor`), or `smearing` is the factor E[exp e]. A wrong factor k moves the
    optimum by k^(1 / (1 − FEI)).

    Attributes:
        log_followers: rising, (G,).
        log_impressions: response curve, (G,).
        value_per_impression: in `currency`, positive.
        cost_per_thousand: in `currency` per 1,000 followers; None where `price` says what a creator costs.
        price: followers (K,) -> currency (K,), or the price at each of `log_followers`, (G,), between which it runs
            straight in followers.
        fixed_cost: in `currency`, of sponsoring anybody at all.
        elasticity: slope of the curve (FEI), (G,); None: from the curve.
        lower, upper: band of `log_impressions`, (G,).
        band: what they hold with the level: "simultaneous" the whole curve, which the interval of the best size needs;
            "pointwise" each point by itself, which makes it too narrow; None: not known.
        draws: curves from a bootstrap or an ensemble, (B, G).
        level: of band and interval, in (0, 1).
        support: lowest and highest log followers that were observed; None: unknown.
        smearing: E[exp(residual)] (Duan 1983), unitless.
        anchor: followers and impressions of an observed post that the curve is moved through.
        actual: followers of choices to compare with, (A,).
        currency: code or name.
        subject: what the curve is of, in words.
        direct_shift: what a direct effect of the instrument of 1, in log impressions per standard deviation, would take
            off the elasticity, (G,); None: not known.
        centre: mean log followers of the posts that the curve was learnt from, where such an effect would leave the
            level as it is: approximately; exactly where the shift is the same at all sizes.
        notes: what happened while the problem was built, in words.
    """

    log_followers: Reals
    log_impressions: Reals
    value_per_impression: float
    cost_per_thousand: float | None = None
    price: Callable[[Reals], Any] | Reals | None = None
    fixed_cost: float = 0.0
    elasticity: Reals | None = None
    lower: Reals | None = None
    upper: Reals | None = None
    band: Literal["simultaneous", "pointwise"] | None = "simultaneous"
    draws: Reals | None = None
    level: float = 0.95
    support: tuple[float, float] | None = None
    smearing: float = 1.0
    anchor: tuple[float, float] | None = None
    actual: tuple[float, ...] = ()
    currency: str = ""
    subject: str = ""
    direct_shift: Reals | None = None
    centre: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._freeze("log_followers", (len(np.atleast_1d(self.log_followers)),))
        size = len(self.log_followers)
        if size < 3 or np.any(np.diff(self.log_followers) <= 0):
            raise DataError("sizing: log_followers must be three rising numbers or more. Sort them, without repeats.")
        for name in ("log_impressions", "elasticity", "lower", "upper", "direct_shift"):
            self._freeze(name, (size,))
        if self.draws is not None:
            self._freeze("draws", (len(self.draws), size))
        if self.price is not None and not callable(self.price):
            self._freeze("price", (size,))
        self._check_money()
        self._check_bands()
        self._check_level()
        if self.support is not None:
            self._check_support(self.support)
        if self.direct_shift is not None and (self.centre is None or not self.covers(float(np.exp(self.centre)))):
            raise DataError(f"sizing: direct_shift needs a centre inside the curve, and it is {self.centre}.")

    def _freeze(self, name: str, shape: tuple[int, ...]) -> None:
        """Store a read-only copy of finite numbers of that shape."""
        if getattr(self, name) is None:
            return
        array = np.array(getattr(self, name), dtype=np.float64)
        if array.shape != shape:
            raise DataError(f"sizing: {name} has shape {array.shape}, log_followers asks for {shape}.")
        wrong = np.argwhere(~np.isfinite(array))
        if wrong.size:
            where = ", ".join(map(str, wrong[0]))
            raise DataError(f"sizing: {name} holds {len(wrong)} values that are not finite, the first at ({where}).")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def _check_money(self) -> None:
        if not (np.isfinite(self.value_per_impression) and self.value_per_impression > 0):
            raise ConfigError(f"value_per_impression is {self.value_per_impression}. It must be positive.")
        if (self.cost_per_thousand is None) == (self.price is None):
            raise ConfigError("Give either cost_per_thousand or a price (of followers, or at each of log_followers).")
        for name in ("cost_per_thousand", "fixed_cost"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}. It must be a number that is finite and not negative.")

    def _check_bands(self) -> None:
        if (self.lower is None) != (self.upper is None):
            raise DataError("sizing: a band needs both lower and upper.")
        if self.lower is not None and self.upper is not None and np.any(self.lower > self.upper):
            raise DataError("sizing: lower is above upper in the band.")
        if not 0 < self.level < 1:
            raise ConfigError(f"level is {self.level}. It must lie between 0 and 1.")

    def _check_level(self) -> None:
        if not (np.isfinite(self.smearing) and self.smearing > 0):
            raise ConfigError(f"smearing is {self.smearing}. It must be positive: the mean of exp(residual).")
        if self.anchor is not None:
            if self.smearing != 1:
                raise ConfigError("anchor and smearing exclude each other: an observed post sets the level by itself.")
            if min(self.anchor) <= 0:
                raise ConfigError(f"anchor is {self.anchor}. Followers and impressions must be positive.")
        for name, sizes in (("anchor", (self.anchor or ())[:1]), ("actual", self.actual)):
            for followers in sizes:
                if not self.covers(followers):
                    raise ConfigError(f"{name}: {followers:,.0f} followers lie outside the curve ({self.range_words}).")

    def _check_support(self, support: tuple[float, float]) -> None:
        low, high = support
        if not low < high or high <= self.log_followers[0] or low >= self.log_followers[-1]:
            raise ConfigError(
                f"support is {low:g} to {high:g} in log followers, the curve runs from {self.log_followers[0]:g} to "
                f"{self.log_followers[-1]:g}. They must overlap, and the first number be below the second."
            )

    def covers(self, followers: float) -> bool:
        """Whether the curve reaches this number of followers (with room for rounding at its ends)."""
        room = 1e-9
        log_range = (self.log_followers[0] - room, self.log_followers[-1] + room)
        return bool(followers > 0 and log_range[0] <= np.log(followers) <= log_range[1])

    @property
    def range_words(self) -> str:
        """First and last followers of the curve."""
        first, last = np.exp(self.log_followers[[0, -1]])
        return f"{first:,.0f} to {last:,.0f}"

    @property
    def inner_range(self) -> tuple[float, float]:
        """Log followers that the curve and the support share."""
        first, last = float(self.log_followers[0]), float(self.log_followers[-1])
        return (first, last) if self.support is None else (max(first, self.support[0]), min(last, self.support[1]))

    @property
    def shift(self) -> float:
        """What turns the curve into the log of expected impressions: log smearing, or log R0 − h(log F0)."""
        if self.anchor is None:
            return float(np.log(self.smearing))
        followers, impressions = self.anchor
        curve = PchipInterpolator(self.log_followers, self.log_impressions)
        return float(np.log(impressions) - curve(np.log(followers)))
