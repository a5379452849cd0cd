"""How impressions grow: the Bayesian multilevel logarithmic model of Tian et al. (2022, Web Appendix G).

The names below are the public API; they are imported on first use, so that reading configurations stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.models.growth.fit import GrowthFit, fit_growth
    from micromega.models.growth.from_market import GrowthInputs, growth_inputs

__all__ = ["GrowthFit", "GrowthInputs", "fit_growth", "growth_inputs"]

_HOME = {"GrowthFit": "fit", "fit_growth": "fit", "GrowthInputs": "from_market", "growth_inputs": "from_market"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"micromega.models.growth.{_HOME[name]}"), name)
    raise AttributeError(name)
