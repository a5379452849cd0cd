"""Who activates whom: activation probabilities P_vw of edges, learnt from exposures.

The names below are the public API; they are imported on first use, so that reading configurations stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.models.diffusion.bayes import fit_weight, posterior
    from micromega.models.diffusion.em import EdgeEstimates, saito_em
    from micromega.models.diffusion.evidence import Evidence, gather, log_likelihood
    from micromega.models.diffusion.likelihood import negative_log_likelihood
    from micromega.models.diffusion.network import DiffusionNetwork, EdgeBatch

__all__ = [
    "DiffusionNetwork",
    "EdgeBatch",
    "EdgeEstimates",
    "Evidence",
    "fit_weight",
    "gather",
    "log_likelihood",
    "negative_log_likelihood",
    "posterior",
    "saito_em",
]

_HOME = {
    "DiffusionNetwork": "network", "EdgeBatch": "network", "EdgeEstimates": "em", "Evidence": "evidence",
    "fit_weight": "bayes", "gather": "evidence", "log_likelihood": "evidence",
    "negative_log_likelihood": "likelihood", "posterior": "bayes", "saito_em": "em",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"micromega.models.diffusion.{_HOME[name]}"), name)
    raise AttributeError(name)
