"""Stage 2: the response of the outcome to the treatment, h(t, x).

Shapes: E members, B rows, M values of the treatment, X numbers of controls, H units of the first layer.
"""

import torch
from torch import Tensor, nn

from micromega.models.deepiv.config import OutcomeConfig
from micromega.models.deepiv.stack import StackedLinear, StackedPerceptron


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
        hidden_EBMH = torch.addcmul(of_x_EB1H, t[..., None], self.treatment[:, None])
        E, B, M, H = hidden_EBMH.shape
        hidden = self.perceptron.activate(hidden_EBMH).view(E, B * M, H)
        out: Tensor = self.perceptron(hidden)
        return out.view(E, B, M)
