"""Settings of the matching problem; imports nothing heavy."""

from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config

Least = Annotated[int, Field(ge=1)]


@config(group="problem/matching", target="micromega.solvers.matching.orders:game_from_orders")
class MatchingConfig:
    """Who advertises which products of which merchants (Gomes & Dias)."""

    preferences: Literal["orders", "scores"] = "orders"
    """What lists are read from: orders, as in the document, or learned scores (an affinity table)."""
    measure: Literal["spending", "frequency"] = "spending"
    """Of reputations, and of lists from orders: total expenditure (GT) or purchase frequency (FMC)."""
    merchants_rank_by: Literal["affinity", "effectiveness", "reputation"] = "affinity"
    """With scores: what merchants rank creators by."""
    effectiveness: str | None = None
    """Effectiveness table, if merchants rank by it; null: the one that evaluate.py wrote for the same request."""
    optimal_for: Literal["creators", "merchants", "minimum_regret"] = "creators"
    """Which stable matching is the plan; by reputation there is one only."""
    ties: Literal["drawn", "kept"] = "drawn"
    """Equals in an order drawn with the seed; or left equal, and more creators served (at least 2/3 of the most)."""
    creator_quota: Least = 1
    """Products that each creator takes."""
    quotas: Literal["sales", "tables"] = "sales"
    """With orders: quotas by sales and places, or those of the tables merchants and products."""
    places: Least | None = None
    """Creators that all merchants take together, about; null: as many as there are creators."""
    longest: Least | None = None
    """Most products of a creator's list; null: no limit."""
    least_per_product: Annotated[int, Field(ge=0)] = 0
    """Creators wanted for each product at least: reported where unmet, not enforced."""
    least_per_merchant: Annotated[int, Field(ge=0)] = 0
    """The same for each merchant."""
    flow: bool = True
    """Whether the report says what stability costs, beside the best allocation without it (a linear program)."""
    flow_time_limit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """Wall time of that program for each matching; the report says where it was not enough."""
