"""D_H, the history of campaigns: what was known of earlier ones before the day of the plan (eq. 15).

Shapes: N posts, R past campaigns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from micromega.models.effectiveness.catalog import Catalog, Ints, Past, Reals, Tuples
from micromega.models.effectiveness.running import Running
from micromega.models.effectiveness.usual import Usual, regressors

CREATOR_MEAN = "creator_mean_outcome"
"""Column with the creator's shrunken mean log outcome so far; of everybody where the creator has none."""
SHIFT = 1.0
"""Added to outcomes before logarithms are taken: some posts bring nothing."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Past campaigns, ready to be asked."""

    catalog: Catalog
    usual: Usual
    groups: Mapping[str, Running]
    """Group -> its campaigns' outcomes, in logs beyond what was usual when they were posted."""
    plain: Running
    """By creator: log outcomes themselves."""
    everybody: Running
    """All campaigns: log outcomes."""
    shrinkage: float


def read_history(catalog: Catalog, past: Past, *, settle_days: int, shrinkage: float) -> History:
    """Prepare past campaigns for questions.

    Args:
        catalog: of the market.
        past: its campaigns.
        settle_days: from a post until its outcome is known.
        shrinkage: of the means.

    Returns:
        The history.
    """
    tuples, log_outcome = past.tuples, np.log(past.outcome + SHIFT)
    known, described = tuples.posted + settle_days, regressors(catalog, tuples)
    usual = Usual(described, log_outcome, known)
    beyond = (log_outcome - usual.at(described, tuples.posted))[:, None]
    return History(
        catalog=catalog,
        usual=usual,
        groups={name: Running(code, known, beyond) for name, code in _groups(catalog, tuples).items()},
        plain=Running(tuples.creator, known, log_outcome[:, None]),
        everybody=Running(np.zeros(len(tuples), np.int64), known, log_outcome[:, None]),
        shrinkage=shrinkage,
    )


def history_columns(history: History, tuples: Tuples) -> dict[str, Reals]:
    """Describe the history that each post's plan could know.

    Args:
        history: of the market.
        tuples: the posts.

    Returns:
        Name -> (N,), NaN where nothing is known: for each group of campaigns how many there were (log), their shrunken
        mean outcome beyond the usual and the age of the newest; what is usual; the creator's plain mean.
    """
    before, catalog, kappa = tuples.known_before, history.catalog, history.shrinkage
    columns = {"usual_outcome": history.usual.at(regressors(catalog, tuples), before)}
    for name, code in _groups(catalog, tuples).items():
        found = history.groups[name].before(code, before)
        columns[f"{name}_campaigns"] = np.log1p(found.records)
        columns[f"{name}_beyond_usual"] = found.mean(kappa)[:, 0]
        columns[f"{name}_campaign_age"] = np.log1p(np.maximum(found.age, 0))
    overall = history.everybody.before(np.zeros(len(tuples), np.int64), before).mean()[:, 0]
    own = history.plain.before(tuples.creator, before).mean(kappa, overall[:, None])[:, 0]
    columns[CREATOR_MEAN] = np.where(np.isnan(own), overall, own)
    return columns


def _groups(catalog: Catalog, tuples: Tuples) -> dict[str, Ints]:
    """Group -> code of each post's group, -1 where one of its parts is unknown."""
    events = catalog.events
    of_event = {
        name: np.where(tuples.event >= 0, getattr(events, name)[tuples.event], -1)
        for name in ("brand", "genre", "location", "type")
    }
    creator, kind = tuples.creator, tuples.content_type
    kinds, genres = len(catalog.content_types), len(catalog.genres)
    return {
        "creator": creator,
        "creator_type": _pair(creator, kind, kinds),
        "creator_genre": _pair(creator, of_event["genre"], genres),
        "creator_location": _pair(creator, of_event["location"], len(catalog.locations)),
        "creator_brand": _pair(creator, of_event["brand"], len(catalog.brands)),
        "brand": of_event["brand"],
        "genre_location": _pair(of_event["location"], of_event["genre"], genres),
        "genre_type": _pair(of_event["genre"], kind, kinds),
    }


def _pair(first: Ints, second: Ints, size: int) -> Ints:
    return np.where((first >= 0) & (second >= 0), first * size + second, -1)
