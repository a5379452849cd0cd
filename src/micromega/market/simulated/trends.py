"""How much interest each genre of events meets, week by week and city by city.

Shapes: W weeks, G genres, K cities.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated.vocabulary import CITIES, EVENT_GENRES

HISTORY_DAYS = 730
"""The trends table reaches so far back from the market's last post."""
SEASON_SD, HALF_YEAR_SD = 0.3, 0.1
"""Size of a genre's yearly wave and of its half-yearly one, log index (root mean square of the amplitudes)."""
SOUTHERN, TROPICAL = ("Sydney",), ("Singapore",)
"""Cities whose seasons are half a year off, and cities with a third of the seasons."""
REGION_SD = 0.15
"""Spread of cities' lasting interest in a genre, log index."""
SHOCK_SD, PERSISTENCE = 0.12, 0.9
"""Spread of what comes and goes, log index, and what is left of it after a week."""
OBSERVED_SD = 0.05
"""Error of the published index, log."""
_YEAR = 365.25


@dataclass(frozen=True, kw_only=True)
class Trends:
    """The index of interest; 1 is usual."""

    first: np.datetime64
    """Monday of the first week."""
    log_index: NDArray[np.float64]
    """(W, G, K) log of the true index, weeks still to come included."""

    def at(self, day: NDArray[np.datetime64], genre: NDArray[np.int64], city: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of the true index on given days.

        Args:
            day: (N,) days; those before the first week or after the last one take the index of that week.
            genre: (N,) index among the genres.
            city: (N,) index among the cities.

        Returns:
            (N,) log index.
        """
        week_N = (day - self.first).astype(np.int64) // 7
        return self.log_index[np.clip(week_N, 0, len(self.log_index) - 1), genre, city]


def draw_trends(
    rng: np.random.Generator, *, last_day: np.datetime64, horizon: np.datetime64
) -> tuple[Trends, NDArray[np.float64]]:
    """Draw the index: seasons by genre, levels by city, and an AR(1) process that comes and goes.

    Args:
        rng: random stream.
        last_day: day of the market's last post, where the published index ends.
        horizon: day up to which the true index is known.

    Returns:
        The trends, and the published index of the first V weeks, those up to the last day: (V, G, K).
    """
    first = _monday(last_day - HISTORY_DAYS)
    seen = int((last_day - first) // np.timedelta64(7, "D")) + 1
    weeks = max(int((horizon - first) // np.timedelta64(7, "D")) + 1, seen)
    cities = CITIES.split()
    shape = len(EVENT_GENRES), len(cities)
    season_WGK = _seasons(rng, first, weeks, cities)
    region_GK = REGION_SD * rng.normal(size=shape)
    noise_WGK = SHOCK_SD * rng.normal(size=(weeks, *shape))
    fresh = np.sqrt(1 - PERSISTENCE**2)
    for week in range(1, weeks):  # each week rests on the one before
        noise_WGK[week] = PERSISTENCE * noise_WGK[week - 1] + fresh * noise_WGK[week]
    log_index_WGK = season_WGK + region_GK + noise_WGK
    observed_VGK = np.exp(log_index_WGK[:seen] + OBSERVED_SD * rng.normal(size=(seen, *shape)))
    return Trends(first=first, log_index=log_index_WGK), observed_VGK


def trends_table(first: np.datetime64, index: NDArray[np.float64]) -> pa.Table:
    """List an index by week (the date is its Monday), genre and city.

    Args:
        first: Monday of the first week.
        index: (W, G, K) index.

    Returns:
        W x G x K rows: date, genre, location, index.
    """
    weeks, genres, cities = index.shape
    days = first + 7 * np.arange(weeks).astype("timedelta64[D]")
    return pa.table(
        {
            "date": pa.array(np.repeat(days, genres * cities)),
            "genre": np.tile(np.repeat(np.array(EVENT_GENRES), cities), weeks),
            "location": np.tile(np.array(CITIES.split()), weeks * genres),
            "index": index.ravel(),
        }
    )


def _seasons(rng: np.random.Generator, first: np.datetime64, weeks: int, cities: list[str]) -> NDArray[np.float64]:
    genres = len(EVENT_GENRES)
    year_W = (first + 7 * np.arange(weeks) - np.datetime64("2000-01-01")).astype(np.int64) / _YEAR
    turn_K = year_W[:, None] + 0.5 * np.isin(cities, SOUTHERN)
    strength_K = np.where(np.isin(cities, TROPICAL), 1 / 3, 1.0)
    season_WGK = np.zeros((weeks, genres, len(cities)))
    for harmonic, sd in ((1, SEASON_SD), (2, HALF_YEAR_SD)):
        cosine_G, sine_G = sd * rng.normal(size=(2, genres))
        angle_WK = 2 * np.pi * harmonic * turn_K
        season_WGK += np.cos(angle_WK)[:, None, :] * cosine_G[:, None] + np.sin(angle_WK)[:, None, :] * sine_G[:, None]
    return season_WGK * strength_K


def _monday(day: np.datetime64) -> np.datetime64:
    days = int(day.astype("datetime64[D]").astype(np.int64))  # day 0, 1 January 1970, is a Thursday
    return np.datetime64(days - (days + 3) % 7, "D")
