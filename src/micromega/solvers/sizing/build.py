"""From a response table, a market and a brand's prices to a sizing problem."""

import difflib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.sizing.config import PricePoint, SizingConfig
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]


class MarketTables(Protocol):
    """What is needed of a market."""

    @property
    def currency(self) -> str:
        """Code of all prices."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that the market holds."""


def build_problem(
    config: SizingConfig, *, scores: pa.Table, score_kind: str, market: MarketTables, notes: tuple[str, ...] = ()
) -> SizingProblem:
    """Take one subject's curve, the brand's prices and the market's range of followers.

    Args:
        config: the brand's wishes.
        scores: response table (subject_id, log_followers, log_impressions, elasticity, lower, upper).
        score_kind: what lower and upper bound: "log_impressions", or "elasticity" (then there is no band for sizes).
        market: its posts' or accounts' followers say which sizes were observed.
        notes: of the score table, for the plan.

    Returns:
        The problem; its notes say where support and prices come from.

    Raises:
        ConfigError: a setting names something unknown or does not fit the table.
        DataError: the subject's curve is too short.
    """
    subject = _subject(config.subject, scores)
    rows = scores.filter(pc.equal(scores["subject_id"], subject)).sort_by("log_followers")
    lower, upper, band_notes = _band(rows, score_kind)
    support, support_note = _support(config.support_share, market)
    points = sorted(config.price_points, key=lambda point: point.followers)
    if len({point.followers for point in points}) < len(points):
        raise ConfigError("problem.price_points: the same number of followers stands there twice.")
    return SizingProblem(
        log_followers=_reals(rows["log_followers"]),
        log_impressions=_reals(rows["log_impressions"]),
        elasticity=_reals(rows["elasticity"]),
        lower=lower,
        upper=upper,
        level=config.level,
        value_per_impression=config.value_per_impression,
        cost_per_thousand=None if points else config.cost_per_thousand,
        price=price_list(points) if points else None,
        fixed_cost=config.fixed_cost,
        support=support,
        smearing=config.smearing,
        anchor=None if config.anchor is None else (config.anchor.followers, config.anchor.impressions),
        actual=config.actual,
        currency=market.currency,
        subject=subject,
        notes=(*notes, *band_notes, support_note),
    )


class PriceList:
    """Price of a creator of any size, from a few: called with followers (K,), it gives prices (K,)."""

    def __init__(self, followers: Reals, price: Reals) -> None:
        self.followers, self.price = followers, price

    def __call__(self, followers: Reals) -> Reals:
        """Straight lines between the points; beyond the ends the price per follower stays."""
        between = np.interp(followers, self.followers, self.price)
        ends = np.clip(followers, self.followers[0], self.followers[-1])
        return np.asarray(between * followers / ends)


def price_list(points: list[PricePoint]) -> PriceList:
    """Make the price function of a list that is sorted by followers."""
    return PriceList(np.array([point.followers for point in points]), np.array([point.price for point in points]))


def _subject(wanted: str | None, scores: pa.Table) -> str:
    known = scores["subject_id"].unique().to_pylist()
    if not known:
        raise ConfigError("problem.subject: the response table is empty.")
    if wanted is None:
        return str(known[0])
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=3) or known[:3]
        raise ConfigError(
            f"problem.subject: {wanted!r} has no response curve; {len(known):,} subjects have, such as "
            f"{', '.join(close)}."
        )
    return wanted


def _band(rows: pa.Table, score_kind: str) -> tuple[Reals | None, Reals | None, tuple[str, ...]]:
    if rows["lower"].null_count or rows["upper"].null_count:
        return None, None, ("The response table has no band, so the best size has no interval.",)
    if score_kind != "log_impressions":
        words = "The response table's band is of the elasticity, not of impressions, so the best size has no interval."
        return None, None, (words,)
    return _reals(rows["lower"]), _reals(rows["upper"]), ()


def _support(share: float, market: MarketTables) -> tuple[tuple[float, float] | None, str]:
    """Log followers between which the central share of the observed treatment lies."""
    for table, column, what in (("posts", "author_followers", "posts' authors"), ("accounts", "followers", "creators")):
        values = market.tables.get(table)
        if values is None or column not in values.column_names:
            continue
        if table == "accounts":
            values = values.filter(pc.equal(values["kind"], "creator"))
        followers = _reals(values[column].drop_null())
        followers = followers[followers > 0]
        if len(followers) > 1 and followers.min() < followers.max():
            low, high = np.quantile(np.log(followers), [(1 - share) / 2, (1 + share) / 2])
            if low < high:
                words = f"{np.exp(low):,.0f} to {np.exp(high):,.0f} followers: {100 * share:g} % of the {what}."
                return (float(low), float(high)), f"Sizes that were observed: {words}"
    return None, "The market does not say how many followers creators have."


def _reals(column: pa.ChunkedArray) -> Reals:
    return np.asarray(column.to_numpy(), dtype=np.float64)
