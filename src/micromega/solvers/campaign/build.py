"""From scores, a market and a brand's wishes to a campaign problem."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from micromega.errors import ConfigError
from micromega.scores import read_scores
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.constraints import constraints
from micromega.solvers.campaign.creators import MarketTables
from micromega.solvers.campaign.exclusive import without_rivals
from micromega.solvers.campaign.levels import at_levels, effect_of_price
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.campaign.rules import Rule, combine
from micromega.solvers.campaign.tuples import Tuples, from_affinities, from_predictions

_UNITS = {
    "engagement": "engagements that fit",
    "impressions": "impressions that fit",
    "fit": "posts that fit",
    "weighted": "points",
}


def build_problem(
    config: CampaignConfig, *, brand_id: str, scores: pa.Table, market: MarketTables, kind: str = "probability"
) -> CampaignProblem:
    """Make the tuples (creator, content type, event, offset) with their values, prices and rules.

    Args:
        config: the brand's wishes.
        brand_id: which brand, where the wishes do not name several.
        scores: affinity table (brand_id, creator_id, score, score_std) whose scores are probabilities of fit, or
            effectiveness table (creator_id, content_type, event_id, offset_days, mean, std, price).
        market: accounts, posts and, where it has them, prices and events.
        kind: unit of an effectiveness table: impressions, engagement or currency.

    Returns:
        The problem; its notes say who was left out and where prices and events come from.

    Raises:
        ConfigError: a setting names something unknown, or leaves nobody to choose from.
    """
    predicted = "mean" in scores.column_names
    parts, notes = [], list[str]()
    for brand in config.brands or (brand_id,):
        if predicted:
            part, said = from_predictions(config, brand_id=brand, scores=scores, kind=kind, market=market)
        else:
            part, said = from_affinities(config, brand_id=brand, scores=scores, market=market)
        part, more = without_rivals(config, part, brand_id=brand, market=market)
        parts.append(part)
        notes += [f"{brand}: {note}" if config.brands else note for note in (*said, *more)]
    tuples = Tuples.join(parts)
    if not len(tuples):
        raise ConfigError("problem: no creator is left to choose from. " + " ".join(notes))
    if lost := sorted(set(config.must_include) - set(tuples.creator_id.tolist())):
        raise ConfigError(f"problem.must_include: {', '.join(lost)} cannot be planned. {' '.join(notes)}".strip())
    tuples, levels = _levels(config, tuples)
    rule = combine([*levels, *constraints(config, tuples)], tuples=len(tuples))
    return CampaignProblem(
        creator_id=tuples.creator_id,
        content_type=tuples.content_type,
        event_id=tuples.event_id,
        offset_days=tuples.offset_days,
        date=tuples.date,
        brand_id=tuples.brand_id,
        level=tuples.level,
        effectiveness=tuples.effectiveness,
        std=tuples.std,
        price=tuples.price,
        budget=config.budget,
        rho=config.rho,
        risk=config.risk,
        rows=rule.rows,
        switches=rule.switches,
        currency=market.currency,
        unit=_unit(config, kind if predicted else "", market.currency),
        notes=tuple(dict.fromkeys(notes)),
    )


def _levels(config: CampaignConfig, tuples: Tuples) -> tuple[Tuples, list[Rule]]:
    """Offer every tuple at the spend levels, with effects from the settings or from the response curve."""
    levels = config.spend_levels
    if not levels:
        return tuples, []
    prices = [level.price for level in levels]
    if len(set(prices)) < len(prices):
        raise ConfigError("problem.spend_levels: the same price stands there twice.")
    given = [level.effect for level in levels]
    if None not in given:
        many, rule = at_levels(tuples, price=prices, effect=np.array(given, np.float64))
        return many, [rule]
    if config.response is None:
        raise ConfigError("problem.spend_levels: give the effect of each level, or problem.response for a curve.")
    curve = read_scores(Path(config.response), name="response").table
    effect = effect_of_price(curve, followers=tuples.followers, price=prices)
    known = np.array([np.nan if value is None else value for value in given])
    many, rule = at_levels(tuples, price=prices, effect=np.where(np.isnan(known), effect, known))
    return many, [rule]


def _unit(config: CampaignConfig, kind: str, currency: str) -> str:
    """Say what is added up; `kind` is the unit of an effectiveness table, "" with affinities."""
    if config.objective == "value" or (kind == "currency" and config.objective is None):
        return f"{currency} of value".strip()
    if kind and config.objective != "weighted":
        return "engagements" if kind == "engagement" else kind
    return _UNITS[config.objective or "engagement"]
