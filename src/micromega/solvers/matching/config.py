"""Settings of the matching problem; imports nothing heavy."""

from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config


@config(group="problem/matching", target="micromega.solvers.matching.orders:game_from_orders")
class MatchingConfig:
    """Which customers advertise which products of which merchants (Gomes & Dias)."""

    measure: Literal["spending", "frequency"] = "spending"
    """Of reputations and lists: total expenditure (GT) or purchase frequency (FMC)."""
    places: Annotated[int, Field(ge=1)] | None = None
    """Creators that all merchants take together, about; null: as many as there are customers."""
    longest: Annotated[int, Field(ge=1)] | None = None
    """Most products of a creator's list; null: all that they bought."""
    flow: bool = True
    """Whether the report says what stability costs, beside the best allocation without it (a linear program)."""
