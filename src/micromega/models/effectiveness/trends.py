"""D_M, the market: the trend of the event's genre in its city, and the season (eq. 16).

Shapes: N posts, D days with trends, Q pairs of genre and location.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from micromega.models.effectiveness.catalog import Catalog, Ints, Reals, Tuples, codes, days
from micromega.models.effectiveness.running import Running
from micromega.models.effectiveness.season import PERSISTENCE, Season, waves

YEAR = 364
"""Days: a whole number of weeks."""
AROUND = 10
"""Days on both sides of the same day a year ago whose trends are averaged."""


@dataclass(frozen=True, kw_only=True)
class TrendSeries:
    """Log index of each pair of genre and location, by the day from which it is known."""

    series: Running | None
    """None where the market has no trends."""
    season: Season | None
    """The same."""
    genres: int


def read_trends(catalog: Catalog, table: pa.Table | None, *, trend_days: int) -> TrendSeries:
    """Prepare trends for questions.

    Args:
        catalog: of the market.
        table: the trends, or None.
        trend_days: from the date of a trend until it is known.

    Returns:
        The series.
    """
    genres = max(len(catalog.genres), 1)
    if table is None or not table.num_rows:
        return TrendSeries(series=None, season=None, genres=genres)
    genre, place = codes(table["genre"], catalog.genres), codes(table["location"], catalog.locations)
    index = np.asarray(table["index"].to_numpy(), np.float64)
    pair = np.where((genre >= 0) & (place >= 0), place * genres + genre, -1)
    log_index, day = np.log(np.maximum(index, 1e-3)), days(table["date"])
    return TrendSeries(
        series=Running(pair, day + trend_days, log_index[:, None]),
        season=Season(pair, day, day + trend_days, log_index),
        genres=genres,
    )


def market_columns(trends: TrendSeries, catalog: Catalog, tuples: Tuples) -> dict[str, Reals]:
    """Describe the market that each post's plan could know.

    Args:
        trends: of the market.
        catalog: of the market.
        tuples: the posts.

    Returns:
        Name -> (N,), NaN where nothing is known: days between plan and post; the time of the year as waves; of the log
        index the newest, its change over four weeks, the mean so far, the season of the post's day, how far the newest
        is from its season, what both let expect for the day of the post, and the index around that day a year before.
    """
    names = ("sin_year", "cos_year", "sin_half_year", "cos_half_year")
    columns = dict(zip(names, waves(tuples.posted)[:, 1:].T, strict=True))
    lead = (tuples.posted - tuples.known_before).astype(np.float64)
    columns["lead_days"] = lead
    if trends.series is None or trends.season is None:
        return columns
    has_event = tuples.event >= 0
    genre = np.where(has_event, catalog.events.genre[tuples.event], -1)
    place = np.where(has_event, catalog.events.location[tuples.event], -1)
    pair = np.where((genre >= 0) & (place >= 0), place * trends.genres + genre, -1)
    now = tuples.known_before
    newest = _mean_between(trends.series, pair, now - 14, now)
    recent = _mean_between(trends.series, pair, now - 42, now - 14)
    season = trends.season.at(pair, tuples.posted, now)
    beyond = newest - trends.season.at(pair, now - 7, now)
    return columns | {
        "trend_now": newest,
        "trend_change": newest - recent,
        "trend_mean": trends.series.before(pair, now).mean()[:, 0],
        "trend_season": season,
        "trend_beyond_season": beyond,
        "trend_forecast": season + PERSISTENCE ** (lead / 7) * np.nan_to_num(beyond),
        "trend_last_year": _year_before(trends.series, pair, tuples.posted, now),
    }


def _year_before(series: Running, pair: Ints, day: Ints, now: Ints) -> Reals:
    """Mean log index within `AROUND` days of the same day a year before, as far as known before `now`."""
    then = day - YEAR
    return _mean_between(series, pair, np.minimum(then - AROUND, now), np.minimum(then + AROUND + 1, now))


def _mean_between(series: Running, pair: Ints, begin: Ints, end: Ints) -> Reals:
    """Mean of the records known from `begin` on and strictly before `end`, (N,)."""
    later, earlier = series.before(pair, end), series.before(pair, begin)
    count = (later.count - earlier.count)[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, (later.total - earlier.total)[:, 0] / count, np.nan)
