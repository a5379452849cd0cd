"""Deep IV: how an outcome responds to a treatment, by an instrument and two networks (Tian et al. 2022, section 3).

The names below are the public API; they are imported on first use, so that reading configurations stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.models.deepiv.bands import Bands
    from micromega.models.deepiv.config import DeepIVModelConfig
    from micromega.models.deepiv.estimator import DeepIV

__all__ = ["Bands", "DeepIV", "DeepIVModelConfig"]

_HOME = {"Bands": "bands", "DeepIV": "estimator", "DeepIVModelConfig": "config"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"micromega.models.deepiv.{_HOME[name]}"), name)
    raise AttributeError(name)
