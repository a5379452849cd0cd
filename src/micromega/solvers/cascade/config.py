"""Settings of the cascade problem; imports nothing heavy."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from micromega.config.base import config

Least = Annotated[int, Field(ge=1)]
AccountId = Annotated[str, Field(coerce_numbers_to_str=True)]
Volume = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_FOR_INFLUENCE = ("seeds", "budget", "epsilon", "model", "algorithm")
_FOR_NEEDS = (
    "needs", "activation", "samples", "time_bounds", "alternatives", "method", "starts", "candidates", "allow_repeats",
)  # fmt: skip
_NUMBERED = ("uniform", "source_degree", "in_degree")
"""Readings of probabilities that take `chance`."""


def _volumes(needs: Any, info: ValidationInfo) -> Any:
    """Refuse needs that are missing or no volumes, in one sentence: pydantic would say of each type why it is not that.

    Of the default nothing is asked, so that `CascadeConfig()` gives the defaults.
    """
    if needs is None or needs in ({}, [], ()):
        if info.data.get("objective") in ("closed_form", "competition"):
            raise ValueError(
                "problem.needs: nothing is said of what is needed. Give accounts that should donate each need, for "
                "instance problem.needs={water: 10, blankets: 30}, or volumes alone: problem.needs=[10, 30]"
            )
        return None
    if not isinstance(needs, Mapping | list | tuple):
        raise ValueError(f"problem.needs is {needs!r}: give {{water: 10, blankets: 30}}, or volumes alone: [10, 30]")
    named = needs.items() if isinstance(needs, Mapping) else ((f"need {j + 1}", v) for j, v in enumerate(needs))
    for name, volume in named:
        if isinstance(volume, bool) or not isinstance(volume, int | float) or not 0 <= volume < math.inf:
            raise ValueError(f"problem.needs: {name} is {volume!r}; a need is a number of accounts, 0 or more")
    if not any(needs.values() if isinstance(needs, Mapping) else needs):
        raise ValueError("problem.needs: all volumes are 0, so every choice is as good; give at least one above 0")
    return needs


@config(group="problem/cascade", target="micromega.solvers.cascade.needs:match_needs")
class CascadeConfig:
    """Which creators start a cascade, so that awareness fits needs, or reaches most accounts."""

    objective: Literal["closed_form", "competition", "influence"] = "closed_form"
    """closed_form: awareness by equations 4 to 8 fits the needs; competition: that of the simulated process, in which
    needs compete step by step, does; influence: as many accounts as possible are reached, whatever is needed."""
    needs: Annotated[Mapping[str, float] | tuple[float, ...] | None, BeforeValidator(_volumes)] = None
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
    """For objective=influence: the guarantee is 1 - 1/e - epsilon of the best (1/2 - epsilon with a budget); not for
    algorithm=celf."""
    model: Literal["ic", "lt"] = "ic"
    """How messages spread: Independent Cascade; or linear threshold, for objective=influence alone, in which
    probabilities are weights that sum to 1 at most over the sources of an account."""
    algorithm: Literal["opim_c", "imm", "celf"] | None = None
    """How seeds are found, for objective=influence with `seeds`; null: opim_c."""

    @model_validator(mode="after")
    def _no_idle_setting(self) -> Self:
        """Refuse what the objective never reads."""
        by_influence = self.objective == "influence"
        for name in self._changed(_FOR_NEEDS if by_influence else _FOR_INFLUENCE):
            use = "closed_form and competition" if by_influence else "influence"
            raise ValueError(
                f"problem.{name} is for problem.objective={use}; the objective is {self.objective}. Leave "
                f"problem.{name} out"
            )
        sampled = self.activation == "monte_carlo" or (self.objective == "competition" and self.activation is None)
        if not by_influence and not sampled and self._changed(("samples",)):
            raise ValueError("problem.samples is for problem.activation=monte_carlo: set that, or leave it out")
        if self.method != "local_search" and self._changed(("starts",)):
            raise ValueError(f"problem.starts is for method=local_search, not {self.method}: leave problem.starts out")
        return self

    @model_validator(mode="after")
    def _needs_that_can_be_met(self) -> Self:
        """Refuse settings by which needs can have no creators."""
        if self.objective == "influence":
            return self
        if self.objective == "competition" and (self.allow_repeats or self.method != "local_search"):
            raise ValueError(
                "problem.objective=competition works with problem.method=local_search and "
                "problem.allow_repeats=false: in the process an account donates one need"
            )
        if self.needs and self.candidates is not None and self.candidates < len(self.needs) and not self.allow_repeats:
            raise ValueError(
                f"problem.candidates is {self.candidates}, and there are {len(self.needs)} needs, each with a creator "
                f"of its own: consider {len(self.needs)} creators or more, or set problem.allow_repeats=true"
            )
        return self

    @model_validator(mode="after")
    def _chance_that_fits(self) -> Self:
        """Refuse a number that the reading of probabilities does not take, or its absence."""
        if self.chance is None:
            if self.chances in ("uniform", "source_degree"):
                raise ValueError(f"problem.chances={self.chances} needs a value from 0 to 1: set problem.chance")
            return self
        if self.chances is not None and self.chances not in _NUMBERED:
            raise ValueError(f"problem.chance is {self.chance:g}, but problem.chances={self.chances} takes no number")
        if self.chances in ("uniform", "source_degree") and self.chance > 1:
            raise ValueError(f"problem.chance is {self.chance:g}; with problem.chances={self.chances} it is at most 1")
        if self.chances in (None, "in_degree") and not self.chance > 0:
            raise ValueError("problem.chance is 0; over the in-degree it must be above 0")
        return self

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        """Those whose value is not the default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return [name for name in names if getattr(self, name) != defaults[name]]
