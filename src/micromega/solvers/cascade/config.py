"""Settings of the cascade problem; imports nothing heavy."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config

Least = Annotated[int, Field(ge=1)]
AccountId = Annotated[str, Field(coerce_numbers_to_str=True)]
Volume = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@config(group="problem/cascade", target="micromega.solvers.cascade.needs:match_needs")
class CascadeConfig:
    """Which creators start a cascade, so that awareness fits needs, or reaches most accounts."""

    objective: Literal["closed_form", "competition", "influence"] = "closed_form"
    """closed_form: awareness by equations 4 to 8 fits the needs; competition: that of the simulated process, in which
    needs compete step by step, does; influence: as many accounts as possible are reached, whatever is needed."""
    needs: Mapping[str, Volume] | tuple[Volume, ...] | None = None
    """Need -> accounts that should donate it; or volumes alone."""
    chances: Literal["given", "uniform", "in_degree", "source_degree", "trivalency", "learned"] | None = None
    """Where the probabilities of edges come from: follows.probability; `chance` everywhere; `chance` (1) over the
    target's in-degree; `chance` times the source's degree over the largest; 0.1, 0.01 or 0.001 drawn; a table
    `activation` (`scores`). null: given where the market knows them, else in_degree."""
    chance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """See `chances`."""
    activation: Literal["best_path", "monte_carlo"] | None = None
    """How G_P is computed; null: best_path, and monte_carlo for objective=competition."""
    samples: Least = 1024
    """Cascades behind each entry of G_P by monte_carlo."""
    steps: Least | None = None
    """Time bound of the plan; null: until nobody is new."""
    time_bounds: tuple[Least, ...] = (1, 2, 3)
    """Time bounds for which the report ranks sets of creators, beside the plan's own."""
    alternatives: Annotated[int, Field(ge=0)] = 5
    """Next best sets for each time bound, at most one for each creator of the best."""
    method: Literal["local_search", "annealing", "qga", "exhaustive", "fast", "random"] = "local_search"
    """How the set is found."""
    starts: Least = 10
    """Local searches from a new set."""
    candidates: Least | None = 500
    """Creators that are considered: if the market has more, half of them those with the largest reach, half spread
    evenly over the others; null: all."""
    unavailable: tuple[AccountId, ...] = ()
    """Creators that must not be chosen."""
    allow_repeats: bool = False
    """Whether one creator may have several needs."""
    simulations: Annotated[int, Field(ge=2)] = 10_000
    """Of the process, for the certificate and its intervals."""
    seeds: Least | None = None
    """Creators to choose for objective=influence."""
    budget: Volume | None = None
    """For objective=influence instead of `seeds`: what all of them may cost by the market's prices, each at the
    cheapest of its content types."""
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """For objective=influence: the guarantee is 1 - 1/e - epsilon of the best."""
