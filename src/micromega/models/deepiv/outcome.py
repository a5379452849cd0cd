"""Stage 2: the response of the outcome to the treatment, h(t, x), and what confounds it.

Shapes: E members, B rows, M values of the treatment, X numbers of controls, H units of the first layer.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from micromega.models.deepiv.config import OutcomeConfig
from micromega.models.deepiv.stack import StackedLinear, StackedPerceptron

_RANK_NODES = 8  # of the average over ranks


class ResponseNetwork(nn.Module):
    """h(t, x) of Tian et al. (2022), eq. 2: E[y | do(t), x]; all in standardised units.

    Args:
        config: of stage 2.
        members: E.
        controls: X.
    """

    def __init__(self, config: OutcomeConfig, members: int, controls: int) -> None:
        super().__init__()
        first = config.hidden[0]
        self.treatment_scale = config.treatment_scale
        bound = (controls + 1) ** -0.5  # as of one layer over t and x
        self.treatment = nn.Parameter(torch.empty(members, 1, first).uniform_(-bound, bound))
        self.controls = StackedLinear(members, controls, first)
        self.perceptron = StackedPerceptron(members, (*config.hidden, 1), config.activation, config.dropout)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Responses at several treatments of each row; the controls enter the first layer once a row.

        Args:
            t: (E or 1, B, M).
            x: (E or 1, B, X).

        Returns:
            (E, B, M).
        """
        of_x_EB1H = self.controls(x)[:, :, None]
        hidden_EBMH = torch.addcmul(of_x_EB1H, t[..., None], self.treatment[:, None], value=self.treatment_scale)
        E, B, M, H = hidden_EBMH.shape
        hidden = self.perceptron.activate(hidden_EBMH).view(E, B * M, H)
        out: Tensor = self.perceptron(hidden)
        return out.view(E, B, M)


class ControlFunctionNetwork(nn.Module):
    """h(t, x) + λ(v, x): a response and what confounds it, told apart by the rank v (Imbens and Newey 2009).

    Given controls and instrument, ranks are uniform whatever x is; as normal scores they are standard normal. So the
    average of λ over them belongs to the response to an intervention.

    Args:
        config: of stage 2.
        members: E.
        controls: X.
    """

    normal: Tensor
    share: Tensor

    def __init__(self, config: OutcomeConfig, members: int, controls: int) -> None:
        super().__init__()
        self.response = ResponseNetwork(config, members, controls)
        small = dataclasses.replace(config, hidden=config.confounding, treatment_scale=1.0)
        self.confounding = ResponseNetwork(small, members, controls)
        at, weight = np.polynomial.hermite_e.hermegauss(_RANK_NODES)
        self.register_buffer("normal", torch.from_numpy(at).float(), persistent=False)
        self.register_buffer("share", torch.from_numpy(weight / weight.sum()).float(), persistent=False)

    def observed(self, t: Tensor, rank: Tensor, x: Tensor) -> Tensor:
        """E[y | t, v, x]: outcomes of treatments that came about by themselves.

        Args:
            t: (E or 1, B).
            rank: (E or 1, B) normal scores.
            x: (E or 1, B, X).

        Returns:
            (E, B).
        """
        found: Tensor = self.response(t[..., None], x) + self.confounding(rank[..., None], x)
        return found[..., 0]

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """E[y | do(t), x]: arguments and result as of `ResponseNetwork`."""
        ranks = self.normal.expand(1, x.shape[1], -1)
        response: Tensor = self.response(t, x) + (self.confounding(ranks, x) * self.share).sum(dim=-1, keepdim=True)
        return response
