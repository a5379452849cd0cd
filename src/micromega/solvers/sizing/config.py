"""Settings of the sizing problem; imports nothing heavy."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class PricePoint:
    """What a creator of one size asks for a post."""

    followers: Positive
    price: Price
    """In the market's currency."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Anchor:
    """An observed post that sets the level of impressions."""

    followers: Positive
    impressions: Positive


@config(group="problem/sizing", target="micromega.solvers.sizing.build:build_problem")
class SizingConfig:
    """What an impression is worth and what creators cost: how popular should the sponsored creator be?"""

    subject: str | None = None
    """Post, hashtag or campaign whose response curve is used; null: the first of the score table."""
    value_per_impression: Positive = 0.02
    """In the market's currency; 0.02 USD is about a view of a video ad."""
    cost_per_thousand: Price = 10.0
    """Price of a post per 1,000 followers."""
    price_points: tuple[PricePoint, ...] = ()
    """Prices of given sizes instead, joined by straight lines; beyond the ends the price per follower stays."""
    fixed_cost: Price = 0.0
    """Of sponsoring anybody at all."""
    smearing: Positive = 1.0
    """Mean of exp(residual) (Duan): exp(curve) times this is expected impressions."""
    anchor: Anchor | None = None
    """An observed post instead: the curve is moved through it."""
    support_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Only where the response table does not say which sizes its model learnt from: the central share of the market's
    posts (or creators), by followers, that counts as observed; null: .99. Refused where the table says it."""
    level: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the response table's band, and so of the optimum's interval; null: as the table says, .95 if it says nothing.
    Another level than the table's is refused."""
    actual: tuple[Positive, ...] = ()
    """Followers of choices to compare the best one with."""
    heatmap_values: Annotated[tuple[Positive, ...], Field(min_length=1)] = (
        0.02,
        0.04,
        0.06,
        0.08,
        0.1,
        0.12,
        0.14,
        0.16,
        0.18,
        0.2,
    )
    """Values per impression of the heatmap."""
    heatmap_costs: Annotated[tuple[Price, ...], Field(min_length=1)] = (5, 10, 15, 20, 25, 50, 75, 100)
    """Costs per 1,000 followers of the heatmap."""
