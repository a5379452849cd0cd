"""`optimize.py`: scores and a problem in; a plan, its certificate and a report out, or a clear no."""

from collections.abc import Callable, Mapping
from pathlib import Path

from omegaconf import DictConfig

from micromega.config.schema import RunConfig
from micromega.market.open import open_market
from micromega.runs.campaign import plan_campaign
from micromega.runs.cascade import plan_cascade
from micromega.runs.lock import locked
from micromega.runs.matching import plan_matching
from micromega.runs.planning import PlanningRun
from micromega.runs.sizing import plan_size

KINDS: Mapping[str, Callable[[PlanningRun], float | None]] = {
    "campaign": plan_campaign,
    "cascade": plan_cascade,
    "matching": plan_matching,
    "sizing": plan_size,
}
"""Choice of the group `problem` -> what plans."""


def run(request: RunConfig, config: DictConfig, folder: Path) -> float | None:
    """Plan from the scores that evaluate.py wrote for the same request (or `scores`).

    Args:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder.

    Returns:
        Objective of the plan if `optimized_metric` is "objective"; else None.

    Raises:
        MicromegaError: there is no plan; see `plan_campaign` and `plan_size`.
    """
    kind = str(type(request.problem).config_group).rsplit("/", 1)[-1]
    with locked(folder):
        market = open_market(request.market, Path(request.paths.markets))
        objective = KINDS[kind](PlanningRun(request=request, config=config, folder=folder, market=market))
    return objective if request.optimized_metric == "objective" else None
