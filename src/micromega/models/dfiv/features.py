"""The features of DFIV, and the response that they make with stage 2's coefficients; all in standardised units.

Shapes: E members, B rows, M treatments of a row, T features of the treatment, C of the controls, I of the instruments;
X and Z numbers of controls and instruments. Without controls C is 0.
"""

import torch
from torch import Tensor, nn

from micromega.models.deepiv.stack import StackedPerceptron
from micromega.models.dfiv.config import DFIVModelConfig, FeatureConfig
from micromega.models.dfiv.ridge import Ridge


def crossed(treatment: Tensor, control: Tensor) -> Tensor:
    """All products of (1, φ) and (1, ξ) but the constant; (E, B, T) and (E, B, C) -> (E, B, (T + 1)(C + 1) − 1)."""
    one = torch.ones_like(treatment[..., :1])
    left, right = torch.cat([one, treatment], dim=-1), torch.cat([one, control], dim=-1)
    return (left[..., :, None] * right[..., None, :]).flatten(-2)[..., 1:]


class FeatureNetworks(nn.Module):
    """The three networks, and the coefficients of stage 2 that were solved for last.

    Args:
        config: sizes.
        members: E.
        controls: X.
        instruments: Z.
    """

    def __init__(self, config: DFIVModelConfig, members: int, controls: int, instruments: int) -> None:
        super().__init__()

        def network(of: FeatureConfig, inputs: int) -> StackedPerceptron:
            return StackedPerceptron(members, (inputs, *of.hidden, of.features), config.activation, 0.0)

        self.of_instruments = network(config.instrument, instruments + controls)
        self.of_treatment = network(config.treatment, 1)
        self.of_controls = network(config.control, controls) if controls else None
        self.sizes = config.treatment.features + 1, (config.control.features if controls else 0) + 1
        # Parameters, so that a member's best epoch keeps them with its networks; no optimiser is given them.
        self.coefficient = nn.Parameter(torch.zeros(members, *self.sizes), requires_grad=False)

    def instrument_features(self, z: Tensor, x: Tensor) -> Tensor:
        """ψ; (E or 1, B, Z) and (E or 1, B, X) -> (E, B, I)."""
        out: Tensor = self.of_instruments(torch.cat([z, x], dim=-1))
        return out

    def treatment_features(self, t: Tensor) -> Tensor:
        """φ; (E or 1, B) -> (E, B, T)."""
        out: Tensor = self.of_treatment(t[..., None])
        return out

    def control_features(self, x: Tensor) -> Tensor:
        """ξ; (E or 1, B, X) -> (E, B, C)."""
        if self.of_controls is None:
            return x.new_zeros(len(self.coefficient), x.shape[1], 0)
        out: Tensor = self.of_controls(x)
        return out

    def keep(self, second: Ridge) -> None:
        """Take the coefficients of stage 2, fitted to `crossed` features."""
        flat = torch.cat([second.intercept, second.coefficient], dim=1)[..., 0]
        with torch.no_grad():
            self.coefficient.copy_(flat.view_as(self.coefficient))

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """h(t, x); (E or 1, B, M) and (E or 1, B, X) -> (E, B, M)."""
        control = self.control_features(x)
        one = torch.ones_like(control[..., :1]) if control.shape[-1] else control.new_ones(*control.shape[:2], 1)
        of_row_EBT = torch.einsum("etc,ebc->ebt", self.coefficient, torch.cat([one, control], dim=-1))
        E, B, M = len(self.coefficient), *t.shape[1:]
        treatment_EBMT = self.treatment_features(t.flatten(1)).view(E, B, M, -1)
        return of_row_EBT[..., :1] + torch.einsum("ebmt,ebt->ebm", treatment_EBMT, of_row_EBT[..., 1:])
