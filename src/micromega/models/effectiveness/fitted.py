"""What is fitted once the networks are trained: trees, quantiles, conformity scores, the way back from logarithms.

All of it is tensors of any length, so that a checkpoint holds nothing else.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import lightgbm
import torch
from torch import Tensor, nn

from micromega.models.effectiveness.trees import read_trees

TEXTS = ("mean", "low", "high")
NUMBERS = ("score", "tier", "narrowest", "smearing", "deviation", "rotation", "source", "target")


class Fitted(nn.Module):
    """A bag of named tensors: `TEXTS` are trees, `NUMBERS` float64.

    score, tier: of the calibration rows (`conformal.Conformal`). narrowest: least half width, log. smearing: mean of
    exp(residual) there, by which exp(f) is multiplied to be a mean. deviation: factor on standard deviations.
    rotation (K, D, D), source (K, D), target (K, D): frames of the folds' embeddings.
    """

    def __init__(self) -> None:
        super().__init__()
        for name in TEXTS:
            self.register_buffer(name, torch.zeros(0, dtype=torch.uint8))
        for name in NUMBERS:
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def keep(self, name: str, value: Tensor) -> None:
        """Store a tensor under its name."""
        self.register_buffer(name, value.to(self.get_buffer(name)))
        self.__dict__.pop("trees", None)

    @property
    def done(self) -> bool:
        """Whether the fit has come to its end."""
        return len(self.get_buffer("deviation")) > 0

    @cached_property
    def trees(self) -> Mapping[str, lightgbm.Booster]:
        """Those that were grown."""
        return {name: read_trees(self.get_buffer(name)) for name in TEXTS if len(self.get_buffer(name))}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        """Take tensors of any length."""
        for name in (*TEXTS, *NUMBERS):
            if (value := state_dict.get(prefix + name)) is not None:
                self.keep(name, value)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
