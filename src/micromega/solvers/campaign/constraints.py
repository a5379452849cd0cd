"""From the brand's settings to rules on tuples, with names checked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign import rules
from micromega.solvers.campaign.config import CampaignConfig, Limits
from micromega.solvers.campaign.creators import unknown
from micromega.solvers.campaign.rules import Rule
from micromega.solvers.campaign.tuples import Tuples
from micromega.tiers import TIERS

_WHOSE = {
    "category": "by creators of category {key}",
    "tier": "by {key} creators",
    "location": "for events in {key}",
    "genre": "for events of genre {key}",
    "content_type": "of type {key}",
    "event": "for event {key}",
    "brand": "for brand {key}",
}
_PLURAL = {
    "category": "categories",
    "tier": "tiers",
    "location": "locations",
    "genre": "genres",
    "content_type": "content types",
    "event": "events",
    "brand": "brands",
    "creator": "creators",
}


def constraints(config: CampaignConfig, tuples: Tuples) -> Iterator[Rule]:
    """Turn settings into rules (eq. 5 and 12).

    Args:
        config: the brand's wishes.
        tuples: the candidates.

    Raises:
        ConfigError: a setting names something that no tuple has, or needs days where a tuple has none.
    """
    yield from _frequency(config, tuples)
    yield from _counts(config, tuples)
    yield from _money(config, tuples)
    yield from _diversity(config, tuples)
    if config.brands and config.competitors:
        pairs = [(brand, rival) for brand, rivals in config.competitors.items() for rival in rivals]
        yield rules.keep_exclusive(tuples.creator_id, tuples.brand_id, pairs, setting="competitors")


def _frequency(config: CampaignConfig, tuples: Tuples) -> Iterator[Rule]:
    creator = tuples.creator_id
    if (most := config.max_posts_per_creator) is not None:
        yield rules.limit_each(creator, 0, most, setting="max_posts_per_creator", what="by creator {key}")
    if (most := config.max_posts_per_creator_and_event) is not None:
        keys = _joined(creator, tuples.event_id, " for event ")
        yield rules.limit_each(keys, 0, most, setting="max_posts_per_creator_and_event", what="by creator {key}")
    if (most := config.max_posts_per_creator_and_day) is not None:
        _check_days(tuples, "max_posts_per_creator_and_day")
        keys = _joined(creator, tuples.date.astype(str), " on ")
        yield rules.limit_each(keys, 0, most, setting="max_posts_per_creator_and_day", what="by creator {key}")
    if (days := config.min_gap_days) is not None:
        _check_days(tuples, "min_gap_days")
        yield rules.keep_apart(creator, tuples.date, days)


def _counts(config: CampaignConfig, tuples: Tuples) -> Iterator[Rule]:
    each = config.posts_per_event
    if each.min or each.max is not None:
        yield rules.limit_each(tuples.event_id, each.min, each.max, setting="posts_per_event", what=_WHOSE["event"])
    if config.posts_at_events:
        yield _limited(tuples, "event", config.posts_at_events, "posts_at_events")
    coverage = {name: (least, None) for name, least in (config.coverage or {}).items()}
    yield rules.limit_posts(tuples.category, coverage, setting="coverage", what=_WHOSE["category"])
    for group in ("category", "tier", "location", "genre", "content_type"):
        if limits := getattr(config, f"posts_per_{group}"):
            yield _limited(tuples, group, limits, f"posts_per_{group}")
    wanted = dict.fromkeys(config.must_include, (1, None))
    yield rules.limit_posts(tuples.creator_id, wanted, setting="must_include", what="by creator {key}")


def _limited(tuples: Tuples, group: str, limits: Mapping[str, Limits], setting: str) -> Rule:
    keys = _keys(tuples, group)
    _check_known(setting, limits, keys, TIERS if group == "tier" else ())
    pairs = {name: (limit.min, limit.max) for name, limit in limits.items()}
    return rules.limit_posts(keys, pairs, setting=setting, what=_WHOSE[group])


def _money(config: CampaignConfig, tuples: Tuples) -> Iterator[Rule]:
    if config.brands:
        yield rules.limit_spend(tuples.brand_id, tuples.price, config.brands, setting="brands", what=_WHOSE["brand"])
    if config.budget_per_event is not None:
        yield _budgets(tuples, tuples.event_id, config.budget_per_event, "budget_per_event", _WHOSE["event"])
    if config.budget_per_week is not None:
        _check_days(tuples, "budget_per_week")
        yield _budgets(tuples, weeks(tuples.date), config.budget_per_week, "budget_per_week", "in week {key}")
    if (least := config.min_spend_per_creator) is not None and least > 0:
        yield rules.spend_enough(tuples.creator_id, tuples.price, least)


def _budgets(tuples: Tuples, keys: NDArray[Any], limits: float | Mapping[str, float], setting: str, what: str) -> Rule:
    if isinstance(limits, Mapping):
        _check_known(setting, limits, keys)
        named = limits
    else:
        named = dict.fromkeys(np.unique(keys).tolist(), limits)
    return rules.limit_spend(keys, tuples.price, named, setting=setting, what=what)


def _diversity(config: CampaignConfig, tuples: Tuples) -> Iterator[Rule]:
    for cap in config.share_caps:
        keys = _keys(tuples, cap.of)
        setting = f"share_caps.{cap.of}"
        _check_known(setting, cap.only, keys, TIERS if cap.of == "tier" else ())
        yield rules.cap_share(
            keys,
            cap.share,
            price=tuples.price,
            by=cap.by,
            budget=config.budget,
            only=cap.only,
            setting=setting,
            what=_WHOSE[cap.of],
        )
    for group, least in (config.min_distinct or {}).items():
        if least:
            keys = tuples.creator_id if group == "creator" else _keys(tuples, group)
            yield rules.need_distinct(keys, least, setting=f"min_distinct.{group}", noun=_PLURAL[group])


def weeks(date: NDArray[np.datetime64]) -> NDArray[Any]:
    """ISO week of each day, as "2024-W18", (N,)."""
    days, code = np.unique(date.astype("datetime64[D]"), return_inverse=True)
    names = [f"{day.isocalendar().year}-W{day.isocalendar().week:02}" for day in days.tolist()]
    return np.array(names, str)[code]


def _keys(tuples: Tuples, group: str) -> NDArray[Any]:
    names = {"event": "event_id", "brand": "brand_id"}
    found: NDArray[Any] = getattr(tuples, names.get(group, group))
    return found


def _joined(left: NDArray[Any], right: NDArray[Any], between: str) -> NDArray[Any]:
    """Two keys as one, "left between right"; made once for each distinct pair."""
    (lefts, a), (rights, b) = (np.unique(keys, return_inverse=True) for keys in (left, right))
    pairs, code = np.unique(a * len(rights) + b, return_inverse=True)
    names = [f"{lefts[pair // len(rights)]}{between}{rights[pair % len(rights)]}" for pair in pairs.tolist()]
    return np.array(names or [""], str)[code]


def _check_days(tuples: Tuples, setting: str) -> None:
    if np.any(np.isnat(tuples.date)):
        without = np.unique(tuples.event_id[np.isnat(tuples.date)]).tolist()
        raise ConfigError(
            f"problem.{setting}: event {', '.join(without[:3])} has no date. Give problem.events with dates, or a "
            "market whose events have them."
        )


def _check_known(setting: str, names: Iterable[str], keys: NDArray[Any], more: Iterable[str] = ()) -> None:
    known = sorted({*np.unique(keys).tolist(), *more} - {""})
    for name in names:
        if name not in known:
            raise ConfigError(f"problem.{setting}: nothing to plan has {unknown(name, known)}")
