"""DFIV: two-stage least squares on learned features (Xu et al. 2021), beside which Deep IV is judged.

The names below are the public API; they are imported on first use, so that reading configurations stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.models.dfiv.config import DFIVModelConfig
    from micromega.models.dfiv.estimator import DFIV

__all__ = ["DFIV", "DFIVModelConfig"]

_HOME = {"DFIV": "estimator", "DFIVModelConfig": "config"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"micromega.models.dfiv.{_HOME[name]}"), name)
    raise AttributeError(name)
