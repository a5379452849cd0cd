"""The campaign problem as frozen arrays: one entry per tuple (creator, content type, event, offset)."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign.rows import TOLERANCE, LinearRows, freeze
from micromega.solvers.campaign.switches import LINK, Switches

__all__ = ["LINK", "TOLERANCE", "CampaignProblem", "LinearRows", "Risk", "Switches", "flat", "freeze"]

Risk = Literal["linear", "variance", "independent"]
_KEY = ("creator_id", "content_type", "event_id", "offset_days", "brand_id", "level")


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignProblem:
    """Choose tuples of the largest total value whose prices stay within the budget (eq. 6 and 7).

    The coupling is b = p·y, so that the spend is Σ p·y: with b <= p·y as eq. 4 writes it, b = 0 satisfies everything
    and the budget never binds.

    Attributes:
        creator_id: (N,) strings.
        content_type: (N,) strings; all "post" where left out.
        event_id: (N,) strings; all "campaign" where left out.
        offset_days: days from the event to the post, (N,); 0 where left out.
        date: calendar day of the post, (N,) datetime64[D]; NaT where left out.
        brand_id: whom the post is for, (N,) strings; "" where left out.
        level: price as a multiple of the creator's usual price, (N,); 1 where left out.
        effectiveness: predicted effect of each tuple, additive, in `unit`, (N,).
        std: its uncertainty, same unit, (N,); 0 where left out.
        price: (N,), in `currency`.
        budget: in `currency`.
        rho: aversion to risk: unitless, but 1 / `unit` where `risk` is "variance".
        risk: what is taken off the effectiveness of a plan (eq. 7): "linear" rho Σ std·y, as if all errors moved
            together; "variance" rho Σ std²·y; "independent" rho sqrt(Σ std²·y).
        rows: limits on the columns, with the links of the switches at the end (they are added where they are missing).
        switches: 0/1 columns after the tuples, on exactly where a tuple of their set is chosen; worth and cost nothing.
        currency: code or name.
        unit: of effectiveness, in words.
        notes: what happened while the problem was built, in words.
    """

    creator_id: NDArray[Any]
    content_type: NDArray[Any] = field(default_factory=lambda: np.zeros(0, str))
    event_id: NDArray[Any] = field(default_factory=lambda: np.zeros(0, str))
    offset_days: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    date: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, "datetime64[D]"))
    brand_id: NDArray[Any] = field(default_factory=lambda: np.zeros(0, str))
    level: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    effectiveness: NDArray[np.float64]
    std: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    price: NDArray[np.float64]
    budget: float
    rho: float = 0.0
    risk: Risk = "linear"
    rows: LinearRows = field(default_factory=LinearRows)
    switches: Switches = field(default_factory=Switches)
    currency: str = ""
    unit: str = "units of effect"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.creator_id)
        freeze(self, "creator_id", self.creator_id, np.str_)
        freeze(self, "content_type", _or_default(self.content_type, n, "post"), np.str_)
        freeze(self, "event_id", _or_default(self.event_id, n, "campaign"), np.str_)
        freeze(self, "offset_days", _or_default(self.offset_days, n, 0), np.int64)
        freeze(self, "date", _or_default(self.date, n, np.datetime64("NaT")), "datetime64[D]")
        freeze(self, "brand_id", _or_default(self.brand_id, n, ""), np.str_)
        freeze(self, "level", _or_default(self.level, n, 1.0), np.float64)
        freeze(self, "effectiveness", self.effectiveness, np.float64)
        freeze(self, "std", _or_default(self.std, n, 0.0), np.float64)
        freeze(self, "price", self.price, np.float64)
        for name in (*_KEY[1:], "date", "effectiveness", "std", "price"):
            shape = getattr(self, name).shape
            if shape != (n,):
                raise DataError(f"campaign problem: {name} has shape {shape}, creator_id has ({n},).")
        for name, least in (("effectiveness", -np.inf), ("std", 0.0), ("price", 0.0), ("level", 0.0)):
            self._check_numbers(name, least)
        for name in ("budget", "rho"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}. It must be a number that is finite and not negative.")
        for what, members, end in (("switch", self.switches.members, n), ("row", self.rows.members, self.columns)):
            if members.size and (members.min() < 0 or members.max() >= end):
                raise DataError(f"campaign problem: a {what} names a tuple outside 0..{end - 1}.")
        self._check_keys()
        if len(self.switches):
            object.__setattr__(self, "rows", self._linked())

    def _linked(self) -> LinearRows:
        asked = self.rows.where(np.array([setting != LINK for setting in self.rows.settings], bool))
        return LinearRows.stack([asked, self.switches.links(asked, len(self))])

    def _check_numbers(self, name: str, least: float) -> None:
        values = getattr(self, name)
        wrong = np.flatnonzero(~np.isfinite(values) | (values < least))
        if wrong.size:
            first = ", ".join(f"{self.creator_id[i]}: {values[i]:g}" for i in wrong[:3])
            allowed = "finite" if least == -np.inf else "finite and not negative"
            raise DataError(
                f"campaign problem: {name} holds {wrong.size} values that are not {allowed} (creator {first}). "
                "Correct them where they come from, or leave those creators out with must_exclude."
            )

    def _check_keys(self) -> None:
        columns = [getattr(self, name) for name in _KEY]
        codes = np.stack([np.unique(column, return_inverse=True)[1] for column in columns])
        order = np.lexsort(codes)
        same = np.flatnonzero(np.all(np.diff(codes[:, order], axis=1) == 0, axis=0))
        if same.size:
            key = ", ".join(str(column[order[same[0]]]) for column in columns[:4])
            raise DataError(
                f"campaign problem: {same.size} tuples are given twice, the first is ({key}). "
                "A creator, content type, event, offset, brand and level together name one post."
            )

    def __len__(self) -> int:
        return len(self.creator_id)

    @property
    def value(self) -> NDArray[np.float64]:
        """What the objective sums, (N,): effectiveness less the risk that is linear (eq. 7).

        With `risk="independent"` the plan's risk comes off the sum; see `worth`.
        """
        if self.risk == "linear":
            return self.effectiveness - self.rho * self.std
        if self.risk == "variance":
            return self.effectiveness - self.rho * self.std**2
        return self.effectiveness

    @property
    def has_joint_risk(self) -> bool:
        """Whether the objective takes off a root of a sum, which some plan feels."""
        if self.risk != "independent" or self.rho == 0:
            return False
        return bool(np.any(self.std[self.price <= self.spending_limit] > 0))

    def worth(self, chosen: ArrayLike) -> float:
        """Objective of a choice of tuples, in `unit`.

        Args:
            chosen: (N,) bool.

        Returns:
            Σ value·y, less rho·sqrt(Σ std²·y) where the errors are independent.
        """
        y = np.asarray(chosen, np.float64)
        inside = y != 0
        total = math.fsum((self.value * y)[inside])
        return total - self.rho * math.sqrt(math.fsum((self.std**2 * y)[inside])) if self.has_joint_risk else total

    def measure(self, objective: float) -> float:
        """What a gap is a share of: the objective, or the largest value that the budget can pay where that is 0."""
        paid = self.value[self.price <= self.spending_limit]
        return abs(objective) or max(float(np.max(paid, initial=0.0)), 0.0)

    @property
    def columns(self) -> int:
        """Number of tuples and switches, N + K."""
        return len(self) + len(self.switches)

    @cached_property
    def column_value(self) -> NDArray[np.float64]:
        """Value of every column, (N + K,); switches are worth nothing."""
        return np.concatenate([self.value, np.zeros(len(self.switches))])

    @cached_property
    def column_price(self) -> NDArray[np.float64]:
        """Price of every column, (N + K,); switches cost nothing."""
        return np.concatenate([self.price, np.zeros(len(self.switches))])

    def column_choice(self, chosen: ArrayLike) -> NDArray[np.float64]:
        """Value of every column under a choice of tuples.

        Args:
            chosen: (N,).

        Returns:
            The choice and the switches that it turns on, (N + K,).
        """
        y = np.asarray(chosen, np.float64)
        return np.concatenate([y, self.switches.on(y)])

    @property
    def spending_limit(self) -> float:
        """The budget with the room for rounding that every check grants."""
        return self.budget * (1 + TOLERANCE)


def flat(
    problem: CampaignProblem,
    *,
    columns: NDArray[np.int64] | None = None,
    value: NDArray[np.float64] | None = None,
    rows: LinearRows | None = None,
    budget: float | None = None,
) -> CampaignProblem:
    """The same problem with its columns as nameless tuples: no switches, no risk, any values.

    Args:
        problem: with N + K columns.
        columns: to keep; all where left out.
        value: of every column, (N + K,); `column_value` where left out.
        rows: on the columns kept; the problem's own where left out.
        budget: the problem's own where left out.
    """
    kept = np.arange(problem.columns) if columns is None else columns
    return CampaignProblem(
        creator_id=kept.astype(str),
        effectiveness=(problem.column_value if value is None else value)[kept],
        price=problem.column_price[kept],
        budget=problem.budget if budget is None else budget,
        rows=problem.rows if rows is None else rows,
    )


def _or_default(values: NDArray[Any], n: int, default: Any) -> NDArray[Any]:
    return np.full(n, default) if len(values) == 0 else values
