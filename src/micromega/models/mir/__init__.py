"""The micro-influencer ranker (Gan et al. 2019): which creators fit a brand.

The names below are the public API; they are imported on first use, so that reading configurations stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.models.mir.metrics import auc, cauc, median_first_rank, recall_at_k

__all__ = ["auc", "cauc", "median_first_rank", "recall_at_k"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("micromega.models.mir.metrics"), name)
    raise AttributeError(name)
