"""Local response normalisation of pooled pictures, as the authors of the ranker do it."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

CHANNELS = 512
"""Of the last feature map of VGG, 7 × 7 × 512, flattened with the channels last."""


def local_response_normalised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each channel by the energy around it: x_c / (0.1 + Σ_{|j − c| ≤ 2} x_j²).

    Gan et al. (2019) do not say how they normalise. Their code does this (radius 2, bias 0.1, α = 1, β = 1), after
    pooling, over the channels of each of the 49 places of the map. It falls with large x, and costs accuracy on every
    market tried.

    Args:
        values: (V, d) pooled pictures. Where d is a multiple of 512, each run of 512 numbers is one place of the map;
            otherwise all d numbers count as the channels of one place.

    Returns:
        (V, d), not larger than 1.6 in size.
    """
    channels = CHANNELS if values.shape[1] % CHANNELS == 0 else values.shape[1]
    places = torch.from_numpy(np.ascontiguousarray(values)).reshape(-1, channels, 1)
    # torch divides alpha by size.
    normalised = F.local_response_norm(places, size=5, alpha=5.0, beta=1.0, k=0.1)
    return np.asarray(normalised.reshape(values.shape).numpy())
