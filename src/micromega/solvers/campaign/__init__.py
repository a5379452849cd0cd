"""Choose who posts what, when and for which event, within a budget (the campaign problem).

Example:
    >>> import numpy as np
    >>> from micromega.solvers.campaign import CampaignProblem, solve, verify
    >>> problem = CampaignProblem(
    ...     creator_id=np.array(["ann", "bob", "cy"]),
    ...     effectiveness=np.array([60.0, 100.0, 120.0]),
    ...     price=np.array([10.0, 20.0, 30.0]),
    ...     budget=50.0,
    ... )
    >>> plan = solve(problem)
    >>> plan.status.value, problem.creator_id[plan.chosen].tolist(), plan.objective
    ('optimal', ['bob', 'cy'], 220.0)
    >>> verify(problem, plan).ok
    True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.solvers.campaign.audiences import Audiences, gains, maximise_reach, reach
    from micromega.solvers.campaign.build import build_problem
    from micromega.solvers.campaign.certify import verify
    from micromega.solvers.campaign.frontier import budget_curve
    from micromega.solvers.campaign.ilp import solve
    from micromega.solvers.campaign.infeasible import explain
    from micromega.solvers.campaign.problem import CampaignProblem, LinearRows, Switches
    from micromega.solvers.campaign.table import plan_table

__all__ = [
    "Audiences",
    "CampaignProblem",
    "LinearRows",
    "Switches",
    "budget_curve",
    "build_problem",
    "explain",
    "gains",
    "maximise_reach",
    "plan_table",
    "reach",
    "solve",
    "verify",
]

_HOME = {
    "Audiences": "audiences",
    "CampaignProblem": "problem",
    "LinearRows": "problem",
    "Switches": "problem",
    "budget_curve": "frontier",
    "build_problem": "build",
    "explain": "infeasible",
    "gains": "audiences",
    "maximise_reach": "audiences",
    "plan_table": "table",
    "reach": "audiences",
    "solve": "ilp",
    "verify": "certify",
}


def __getattr__(name: str) -> Any:
    """Import on first use: reading the config classes must not import numpy or cvxpy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
