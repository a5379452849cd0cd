"""The follower elasticity of impressions: FEI(t, x) = ∂h(t, x)/∂t (Tian et al. 2022, section 3.4), exactly.

With t = log followers and y = log impressions the derivative is an elasticity: percent of impressions for a percent of
followers. Shapes: E members, B rows, M treatments of a row, N rows, G treatments of a grid.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from micromega.models.deepiv.causal import Response

Quantity = Literal["response", "elasticity"]
_BLOCK = 40_000  # responses of all members in memory at once, about


def elasticity(outcome: Response, t: Tensor, x: Tensor) -> Tensor:
    """Derivative of the response of every member at every treatment, by one backward pass.

    A response depends on its own treatment alone, so the gradient of the sum holds all derivatives.

    Args:
        outcome: trained stage 2, or another model of the response.
        t: (1, B, M) in the units of the data.
        x: (1, B, X) in the units of the data.

    Returns:
        (E, B, M): units of the outcome per unit of the treatment.
    """
    with torch.inference_mode(False), torch.enable_grad():
        own = t.detach().expand(outcome.members, -1, -1).clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(outcome.response(own, x).sum(), own)
    return slope


def blocks(outcome: Response, quantity: Quantity, t: Tensor, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Evaluate all members, some rows at a time.

    Args:
        outcome: trained stage 2, or another model of the response.
        quantity: the response h or its derivative.
        t: (N, M) treatments of each row, or (1, G) the same for all.
        x: (N, X).

    Yields:
        Some rows, and (E, rows, M) what was asked for there.
    """
    size = max(1, _BLOCK // (outcome.members * t.shape[1]))
    for begin in range(0, len(x), size):
        part = slice(begin, min(begin + size, len(x)))
        x_here = x[None, part]
        t_here = (t[part] if len(t) == len(x) else t.expand(x_here.shape[1], -1))[None]
        if quantity == "elasticity":
            yield part, elasticity(outcome, t_here, x_here)
        else:
            with torch.no_grad():
                yield part, outcome.response(t_here, x_here)
