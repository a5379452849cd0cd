"""How much scores move under dropout (Gal & Ghahramani 2016)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.mir.ranker import Scorer


def scores_with_deviation(
    module: Scorer, brands: NDArray[np.int64], *, samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Score pairs, and measure how much the scores move.

    Args:
        module: a restored module with a market attached.
        brands: (n,) brand rows.
        samples: dropout passes; 0 for none.
        seed: random seed of the passes; the global random state is left as it was.

    Returns:
        (n, M) scores without dropout, and their standard deviation over the passes (None without passes or dropout).
    """
    rows = torch.from_numpy(brands).to(module.device)
    module.eval()
    scores = module.score(rows).double().cpu().numpy()
    return scores, deviation(module, lambda: module.score(rows), samples=samples, seed=seed)


def deviation(module: Scorer, draw: Callable[[], Tensor], *, samples: int, seed: int) -> NDArray[np.float64] | None:
    """Standard deviation of what `draw` gives over passes with dropout; other arguments as above."""
    if samples < 2 or not getattr(module.config, "dropout", 0):
        return None
    total, squares = torch.zeros(2, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module.train()
        for _ in range(samples):
            drawn = draw().double().cpu()
            total = total + drawn
            squares = squares + drawn.square()
        module.eval()
    variance: Tensor = (squares - total.square() / samples) / (samples - 1)
    return np.asarray(variance.clamp(min=0).sqrt().numpy())
