"""Whether r foretells who becomes more popular than expected (Tian et al. 2022, Web Appendix G.2).

Stage 1 (`models/growth`) leaves residuals of growth rate and starting impressions: what hashtag and initial conditions
do not explain. Stage 2, here, predicts their signs and values from r with networks of 128, 64 and 1 units. The paper
puts a softmax on the one unit of its sign classifiers, which would always say 1: read as a sigmoid.

Shapes: N posts, D numbers of a representation, B posts of a batch.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from micromega.models.vsvae.result import Popularity, PopularityRow

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Target = Literal["growth rate", "starting impressions"]
Loss = Callable[[Tensor, Tensor], Tensor]

BATCH = 256
LEARNING_RATE = 1e-3
PATIENCE = 4
"""Epochs without a better validation loss before training stops."""
FEWEST = 50
"""Training posts below which nothing is learned."""


def predict_popularity(
    representations: Mapping[str, Floats],
    residuals: Mapping[Target, Floats],
    *,
    train: Ints,
    validation: Ints,
    test: Ints,
    bayesian_r2: Mapping[str, float] | None = None,
    epochs: int = 30,
    seeds: Sequence[int] = (0,),
    device: torch.device | None = None,
) -> Popularity:
    """Train and judge sign classifiers and value predictors.

    Args:
        representations: name -> (N, D), r first.
        residuals: target -> (N,) residuals of stage 1, NaN for posts without views.
        train: rows to learn from.
        validation: rows that say when to stop.
        test: rows to judge on.
        bayesian_r2: of stage 1, handed on.
        epochs: at most.
        seeds: of weights and order; networks are trained for each.
        device: where to train; the processor if None.

    Returns:
        One row per target and representation; none for a target with fewer than 50 training posts, or without any
        validation or test posts.
    """
    rows = []
    for target, residual_N in residuals.items():
        known_N = np.isfinite(residual_N)
        parts = [part[known_N[part]] for part in (train, validation, test)]
        if len(parts[0]) < FEWEST or not len(parts[1]) or not len(parts[2]):
            continue
        for name, value_ND in representations.items():
            rows.append(_row(target, name, value_ND, residual_N, parts, epochs, seeds, device or torch.device("cpu")))
    return Popularity(rows=tuple(rows), bayesian_r2=dict(bayesian_r2 or {}))


def of_unseen(splits: Mapping[str, Ints], creators: pa.ChunkedArray) -> dict[str, Ints]:
    """Leave out validation and test posts of creators who have training posts.

    Args:
        splits: train, validation and test -> rows.
        creators: (N,) of each post.

    Returns:
        The same, with fewer rows in validation and test.
    """
    known = pc.unique(creators.take(pa.array(splits["train"])))
    new_N = pc.invert(pc.is_in(creators, value_set=known)).to_numpy(zero_copy_only=False).astype(bool)
    return {name: rows if name == "train" else rows[new_N[rows]] for name, rows in splits.items()}


def _row(
    target: Target,
    name: str,
    value_ND: Floats,
    residual_N: Floats,
    parts: Sequence[Ints],
    epochs: int,
    seeds: Sequence[int],
    device: torch.device,
) -> PopularityRow:
    train, _, test = parts
    mean_D, deviation_D = value_ND[train].mean(axis=0), value_ND[train].std(axis=0)
    x = [_tensor((value_ND[part] - mean_D) / np.where(deviation_D > 0, deviation_D, 1), device) for part in parts]
    sign = [_tensor(residual_N[part] > 0, device) for part in parts]
    scale = float(residual_N[train].std()) or 1.0
    value = [_tensor((residual_N[part] - residual_N[train].mean()) / scale, device) for part in parts]
    share = float(sign[0].mean().clamp(1e-3, 1 - 1e-3))
    logit = math.log(share / (1 - share))
    accuracies, explained = [], []
    for seed in seeds:
        said = _predict(x, sign, functional.binary_cross_entropy_with_logits, epochs, seed, level=logit)
        accuracies.append(float(((said > 0) == (sign[2] > 0)).float().mean()))
        error = (_predict(x, value, functional.mse_loss, epochs, seed) - value[2]).square().sum()
        around = (value[2] - value[2].mean()).square().sum()
        explained.append(float(1 - error / around) if around > 0 else math.nan)
    usual = bool((residual_N[train] > 0).mean() > 0.5)
    several = len(seeds) > 1
    return PopularityRow(
        target=target,
        accuracy=float(np.mean(accuracies)),
        majority=float(((residual_N[test] > 0) == usual).mean()),
        r_squared=float(np.mean(explained)),
        accuracy_std=float(np.std(accuracies, ddof=1)) if several else None,
        r_squared_std=float(np.std(explained, ddof=1)) if several else None,
        posts=len(test),
        representation=name,
        seeds=len(seeds),
    )


def _predict(
    x: Sequence[Tensor], y: Sequence[Tensor], loss: Loss, epochs: int, seed: int, *, level: float = 0.0
) -> Tensor:
    """Train a network on the first of the three parts, stop by the second, and give its outputs (N,) on the third.

    The state with the best validation loss is kept; the untrained one counts, so chance is never fitted by force.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(x[0].shape[1], level).to(x[0].device)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    best, kept, waited = _validated(network, x[1], y[1], loss), copy.deepcopy(network.state_dict()), 0
    for _ in range(epochs):
        order_N = torch.randperm(len(x[0]), generator=generator).to(x[0].device)
        for row_B in torch.split(order_N, BATCH):
            optimiser.zero_grad(set_to_none=True)
            loss(network(x[0][row_B])[:, 0], y[0][row_B]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        now = _validated(network, x[1], y[1], loss)
        if now < best:
            best, kept, waited = now, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited == PATIENCE:
                break
    network.load_state_dict(kept)
    with torch.inference_mode():
        said: Tensor = network(x[2])[:, 0]
    return said


def _network(width: int, level: float) -> nn.Sequential:
    """Make layers of 128, 64 and 1 units that say `level` to everything before they have learned anything."""
    last = nn.Linear(64, 1)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, level)
    return nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), last)


@torch.inference_mode()
def _validated(network: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> float:
    return float(loss(network(x)[:, 0], y))


def _tensor(values: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
