"""From a response table, a market and a brand's prices to a sizing problem."""

import difflib
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.scores import Lineage, ResponseFacts, ScoreKind, Scores
from micromega.solvers.sizing.config import PricePoint, SizingConfig
from micromega.solvers.sizing.prices import PriceList
from micromega.solvers.sizing.problem import SizingProblem

Reals = NDArray[np.float64]
_USUAL = 0.95
_USUAL_SHARE = 0.99


class MarketTables(Protocol):
    """What is needed of a market."""

    @property
    def currency(self) -> str:
        """Code of all prices."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that the market holds."""


def build_problem(config: SizingConfig, *, scores: Scores, market: MarketTables) -> SizingProblem:
    """Take one subject's curve, the brand's prices and the range of followers that was observed.

    Args:
        config: the brand's wishes.
        scores: response table; its lineage says what the bands hold and which sizes were observed.
        market: its posts' or accounts' followers stand in for the latter where the table does not say.

    Returns:
        The problem; its notes say where band, support and prices come from.

    Raises:
        ConfigError: a setting names something unknown or does not fit the table.
        DataError: the subject's curve is too short.
    """
    subject = _subject(config.subject, scores.table)
    rows = scores.table.filter(pc.equal(scores.table["subject_id"], subject)).sort_by("log_followers")
    facts = scores.lineage.response
    lower, upper, band_notes = _band(rows, scores.lineage)
    level, level_notes = _level(config.level, facts, banded=lower is not None)
    support, support_note = _observed(config.support_share, facts, market)
    shift = None if facts is None or rows["direct_shift"].null_count else _reals(rows["direct_shift"])
    points = sorted(config.price_points, key=lambda point: point.followers)
    if len({point.followers for point in points}) < len(points):
        raise ConfigError("problem.price_points: the same number of followers stands there twice.")
    return SizingProblem(
        log_followers=_reals(rows["log_followers"]),
        log_impressions=_reals(rows["log_impressions"]),
        elasticity=_reals(rows["elasticity"]),
        lower=lower,
        upper=upper,
        band=None if facts is None else facts.band,
        level=level,
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
        direct_shift=shift,
        centre=None if facts is None else facts.centre,
        notes=(*scores.lineage.notes, *band_notes, *level_notes, support_note),
    )


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


def _band(rows: pa.Table, lineage: Lineage) -> tuple[Reals | None, Reals | None, tuple[str, ...]]:
    if rows["lower"].null_count or rows["upper"].null_count:
        return None, None, ("The response table has no band, so the best size has no interval.",)
    if lineage.score_kind is not ScoreKind.LOG_IMPRESSIONS:
        words = "The response table's band is of the elasticity, not of impressions, so the best size has no interval."
        return None, None, (words,)
    return _reals(rows["lower"]), _reals(rows["upper"]), ()


def _level(wanted: float | None, facts: ResponseFacts | None, *, banded: bool) -> tuple[float, tuple[str, ...]]:
    """Level of the band: the table's own; where it has none, what was said or else the usual one."""
    known = None if facts is None else facts.level
    if known is not None:
        if wanted is not None and not math.isclose(wanted, known):
            raise ConfigError(
                f"problem.level: the response table's bands have level {known:g}, not {wanted:g}. Leave it null, or "
                f"evaluate again with evaluation.level={wanted:g}."
            )
        return known, ()
    level = _USUAL if wanted is None else wanted
    if not banded:
        return level, ()
    source = "assumed" if wanted is None else "taken from problem.level"
    words = (
        "The response table does not say what its band holds: neither with which level, nor whether the whole curve at "
        f"once or each point by itself (then the interval of the best size is too narrow). {100 * level:g} % is "
        f"{source}. Evaluate again, with evaluation.bands=simultaneous, to know."
    )
    return level, (words,)


def _observed(
    share: float | None, facts: ResponseFacts | None, market: MarketTables
) -> tuple[tuple[float, float] | None, str]:
    """Log followers between which sizes count as observed, and a note that says whose."""
    if facts is None:
        support, words = _support(_USUAL_SHARE if share is None else share, market)
        if support is None:
            return support, words
        unknown = "The response table does not say which posts its model learnt from: some of these may not be."
        return support, f"{words} {unknown}"
    if share is not None:
        raise ConfigError(
            "problem.support_share: it is for a response table that says nothing of the posts that its model learnt "
            f"from. This one does, so {share:g} of the market's posts would not be used. Leave it null."
        )
    if facts.support is None:
        words = "Which sizes were observed is not known: the response table gives no range of them, as where nearly all"
        return None, f"{words} posts that the model learnt from have the same number of followers."
    low, high = (f"{math.exp(end):,.0f}" for end in facts.support)
    words = f"Sizes that were observed: {low} to {high} followers, of nearly all posts that the model learnt from."
    return facts.support, words


def _support(share: float, market: MarketTables) -> tuple[tuple[float, float] | None, str]:
    """Log followers between which the central share of the market's treatment lies."""
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
