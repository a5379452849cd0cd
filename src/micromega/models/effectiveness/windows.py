"""Splits by time, and the day from which each row is seen.

A plan for a coming season is made on one day, for all its posts at once. So the rows of a later window are all seen
from the first day of that window (or from the day of the post, where that is earlier), as a plan made on that day would
see them. Training rows are seen from days that are spread as leads of such plans are, so that the model learns how fast
what is known grows stale. Whatever a feature tells of is strictly before that day, and so before post and event.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.models.effectiveness.catalog import Ints, Tuples
from micromega.models.effectiveness.config import EffectivenessDataConfig

WINDOWS = ("train", "tune", "calibrate", "test")
"""In order of time."""
FEWEST = 10
"""Rows that every window needs."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which past campaigns belong to which window."""

    tuples: Tuples
    """All past campaigns, each with the day from which it is seen."""
    rows: Mapping[str, Ints]
    """Window -> rows, ascending."""
    first_day: Mapping[str, int]
    """Window -> its first day."""
    unsettled: int
    """Rows left out: their outcome was not known yet when the next window began."""


def split_by_time(config: EffectivenessDataConfig, tuples: Tuples, event_ids: pa.Array) -> Split:
    """Cut the past into windows by the day of the event.

    Args:
        config: shares, leads, days until an outcome is known.
        tuples: past campaigns by day of the event.
        event_ids: (E,) ids of the events.

    Returns:
        The windows. Rows of all but the last whose outcome was not known when the next one began are in none.

    Raises:
        DataError: a window would have next to no rows.
    """
    first_day = _first_days(config, tuples.event_day)
    begins = np.array([first_day[name] for name in WINDOWS])
    window = np.searchsorted(begins, tuples.event_day, side="right") - 1
    ends = np.append(begins[1:], np.iinfo(np.int64).max)
    settled = tuples.posted + config.settle_days < ends[window]
    rows = {name: np.flatnonzero((window == place) & settled) for place, name in enumerate(WINDOWS)}
    if short := [f"{name} ({len(rows[name])})" for name in WINDOWS if len(rows[name]) < FEWEST]:
        raise DataError(
            f"campaigns.parquet: too few campaigns with outcomes for the windows {', '.join(short)}; each needs "
            f"{FEWEST}. Give more campaigns, or larger shares in data.tune, data.calibrate and data.test."
        )
    lead = _leads(config, tuples, event_ids)
    seen_from = np.where(window == 0, np.minimum(tuples.posted, tuples.event_day) - lead, begins[window])
    known_before = np.minimum(seen_from, np.minimum(tuples.posted, tuples.event_day))
    return Split(
        tuples=replace(tuples, known_before=known_before),
        rows=rows,
        first_day=first_day,
        unsettled=len(tuples) - sum(map(len, rows.values())),
    )


def _first_days(config: EffectivenessDataConfig, event_day: Ints) -> dict[str, int]:
    later = np.cumsum([0.0, config.test, config.calibrate, config.tune])[::-1]  # shares from each window on
    if later[0] >= 0.9:
        raise DataError("data.tune, data.calibrate and data.test leave less than a tenth to learn from. Lower them.")
    sorted_days = np.sort(event_day)
    places = np.minimum(((1 - later) * len(sorted_days)).astype(np.int64), len(sorted_days) - 1)
    days = [int(sorted_days[0]), *sorted_days[places[:3]].tolist()]
    return dict(zip(WINDOWS, days, strict=True))


def _leads(config: EffectivenessDataConfig, tuples: Tuples, event_ids: pa.Array) -> Ints:
    """Days between plan and post, one draw for all posts of an event; it hangs on the event's id alone."""
    texts = [f"{config.seed}/{name}" for name in event_ids.to_pylist()] + [f"{config.seed}/"]
    drawn: NDArray[np.int64] = np.array([zlib.crc32(text.encode()) % config.lead_days for text in texts])
    alone = (tuples.posted * 2654435761 + config.seed) % config.lead_days  # a post for no event: by its own day
    return np.where(tuples.event >= 0, drawn[tuples.event], alone)
