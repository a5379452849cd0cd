"""Choose how popular the sponsored creator should be, from a response curve and prices (the sizing problem).

Example:
    >>> import numpy as np
    >>> from micromega.solvers.sizing import optimal_followers
    >>> u = np.linspace(np.log(1e3), np.log(1e6), 100)
    >>> plan = optimal_followers(
    ...     log_followers=u, log_impressions=6 + 0.5 * u, value_per_impression=0.02, cost_per_thousand=10
    ... )
    >>> round(plan.optimum.followers), plan.optimum.tier
    (162755, 'mid-tier')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.solvers.sizing.answer import SizingPlan, Standing
    from micromega.solvers.sizing.build import build_problem
    from micromega.solvers.sizing.certify import verify
    from micromega.solvers.sizing.direct import DirectEffects, direct_effects
    from micromega.solvers.sizing.hull import Heatmap, heatmap
    from micromega.solvers.sizing.problem import SizingProblem
    from micromega.solvers.sizing.search import compare, optimal_followers, solve
    from micromega.solvers.sizing.table import plan_table

__all__ = [
    "DirectEffects",
    "Heatmap",
    "SizingPlan",
    "SizingProblem",
    "Standing",
    "build_problem",
    "compare",
    "direct_effects",
    "heatmap",
    "optimal_followers",
    "plan_table",
    "solve",
    "verify",
]

_HOME = {
    "DirectEffects": "direct",
    "Heatmap": "hull",
    "SizingPlan": "answer",
    "SizingProblem": "problem",
    "Standing": "answer",
    "build_problem": "build",
    "compare": "search",
    "direct_effects": "direct",
    "heatmap": "hull",
    "optimal_followers": "search",
    "plan_table": "table",
    "solve": "search",
    "verify": "certify",
}


def __getattr__(name: str) -> Any:
    """Import on first use: reading the config classes must not import numpy or scipy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
