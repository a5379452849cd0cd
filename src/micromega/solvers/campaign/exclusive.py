"""Creators who worked for a competitor lately, from a market's mentions and past campaigns."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.creators import MarketTables, unknown
from micromega.solvers.campaign.offers import last_day
from micromega.solvers.campaign.tuples import Tuples


def without_rivals(
    config: CampaignConfig, tuples: Tuples, *, brand_id: str, market: MarketTables
) -> tuple[Tuples, tuple[str, ...]]:
    """Leave out creators who mentioned or worked for a competitor of the brand.

    Args:
        config: names the competitors, and how many days count before the first day of the plan (the day after the
            market's last post where the plan has no days). Work of an unknown day counts.
        tuples: of the brand.
        brand_id: which brand.
        market: accounts, mentions and, where it has them, campaigns with events.

    Returns:
        The other creators' tuples, and a note on how many creators were left out.
    """
    rivals = (config.competitors or {}).get(brand_id, ())
    if not rivals:
        return tuples, ()
    accounts = market.table("accounts")
    brands = accounts.filter(pc.equal(accounts["kind"], "brand"))["account_id"].to_pylist()
    for name in rivals:
        if name not in brands:
            raise ConfigError(f"problem.competitors: no brand {unknown(name, brands)}")
    since = _since(config, tuples, market)
    worked = _workers(market, rivals, since)
    kept = ~np.isin(tuples.creator_id, np.array(sorted(worked), str))
    lost = len(np.unique(tuples.creator_id[~kept]))
    when = "" if config.competitor_days is None else f" within {config.competitor_days} days"
    notes = (f"{lost:,} creators left out: worked for a competitor of {brand_id}{when}.",) if lost else ()
    return tuples.take(kept), notes


def _since(config: CampaignConfig, tuples: Tuples, market: MarketTables) -> np.datetime64 | None:
    """First day that counts; None for all days."""
    if config.competitor_days is None:
        return None
    days = tuples.date[~np.isnat(tuples.date)]
    last = last_day(market)
    if days.size:
        first = days.min()
    elif last is not None:
        first = np.datetime64(last, "D") + 1
    else:
        raise ConfigError("problem.competitor_days: neither the plan nor the market's posts have days. Leave it out.")
    found: np.datetime64 = first - np.timedelta64(config.competitor_days, "D")
    return found


def _workers(market: MarketTables, rivals: Sequence[str], since: np.datetime64 | None) -> set[str]:
    """Creators of mentions of, and campaigns for, some brands."""
    found: set[str] = set()
    if "mentions" in market.tables:
        table = market.tables["mentions"]
        table = table.filter(pc.is_in(table["brand_id"], pa.array(list(rivals), pa.string())))
        found |= _recent(table["creator_id"], table["last_at"], since)
    if {"campaigns", "events"} <= set(market.tables):
        campaigns, events = market.tables["campaigns"], market.tables["events"]
        theirs = events.filter(pc.is_in(events["brand_id"], pa.array(list(rivals), pa.string())))["event_id"]
        campaigns = campaigns.filter(pc.is_in(campaigns["event_id"], theirs.combine_chunks()))
        found |= _recent(campaigns["creator_id"], campaigns["posted_on"], since)
    return found


def _recent(creator_id: pa.ChunkedArray, day: pa.ChunkedArray, since: np.datetime64 | None) -> set[str]:
    if since is None:
        return set(creator_id.to_pylist())
    days: NDArray[np.datetime64] = pc.cast(day, pa.date32(), safe=False).to_numpy().astype("datetime64[D]")
    return set(creator_id.filter(pa.array(np.isnat(days) | (days >= since))).to_pylist())
