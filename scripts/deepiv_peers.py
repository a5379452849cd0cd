"""A stand-in for the Deep IV in liyuan9988/DeepFeatureIV, with which the DFIV paper compares, by its description.

The same networks, loss and training: a mixture of ten Gaussians with free widths, dropout min(1000 / (1000 + N), 0.5),
Adam with penalties 1e-4 and 1e-3 in the gradient, batches of 100, 300 epochs for each stage, no held-out rows; stage 2
sees two draws a row and step and minimises the squared error of each: an upper bound of eq. 5 that pulls slopes to 0.
Two things are cheaper here than there, unless `published=True`: batches with a gradient that is not finite are skipped
without torch's anomaly mode, which it has on in stage 1, and rows are gathered from tensors, not one by one.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Reals = NDArray[np.float64]
Watch = Callable[[int, int], None]
"""Told after each epoch: the stage, 1 or 2, and how many epochs of it are done."""
COMPONENTS, BATCH, DRAWS = 10, 100, 2


def _network(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in (128, 64, 32):
        layers += [nn.Linear(inputs, size), nn.ReLU(), nn.Dropout(dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class UpperBoundDeepIV:
    """Deep IV as its PyTorch port trains it.

    Args:
        epochs: of each stage.
        seed: of first weights, dropout, draws and order.
        published: pay for a DataLoader over rows and, in stage 1, for anomaly mode; what is learned is the same.
    """

    def __init__(self, epochs: int = 300, *, seed: int = 0, published: bool = False) -> None:
        self.epochs, self.seed, self.published = epochs, seed, published
        self.seconds = {1: 0.0, 2: 0.0}
        self.skipped = 0

    def fit(
        self,
        *,
        x: ArrayLike,
        z: ArrayLike,
        t: ArrayLike,
        y: ArrayLike,
        cluster: ArrayLike | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Fit both stages; CPU seconds of each are kept in `seconds`, without those of `watch`."""
        values = {name: np.asarray(of, dtype=np.float64) for name, of in {"x": x, "z": z, "t": t, "y": y}.items()}
        self.mean = {name: values[name].mean() for name in ("t", "y")}
        self.deviation = {name: values[name].std() for name in ("t", "y")}
        x_NX, z_NZ = (torch.from_numpy(values[name].reshape(len(values["t"]), -1)).float() for name in ("x", "z"))
        t_N, y_N = (self._standard(name, values[name]) for name in ("t", "y"))
        dropout = min(1000 / (1000 + len(t_N)), 0.5)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            both = torch.cat([z_NZ, x_NX], dim=1)
            self.treatment = _network(both.shape[1], 3 * COMPONENTS, dropout)
            self.outcome = _network(1 + x_NX.shape[1], 1, dropout)

            def likelihood(rows: Tensor) -> Tensor:
                scores, means, log_deviations = self.treatment(both[rows]).chunk(3, dim=1)
                normal = torch.distributions.Normal(means, log_deviations.exp(), validate_args=False)
                of_each = normal.log_prob(t_N[rows, None]).clamp(min=-40)
                return -torch.logsumexp(scores.log_softmax(dim=1) + of_each, dim=1).sum()

            def squares(rows: Tensor) -> Tensor:
                with torch.no_grad():
                    scores, means, log_deviations = self.treatment(both[rows]).chunk(3, dim=1)
                    chosen = torch.multinomial(scores.softmax(dim=1), DRAWS, replacement=True)
                    drawn = means.gather(1, chosen) + log_deviations.gather(1, chosen).exp() * torch.randn(chosen.shape)
                inputs = torch.cat([drawn.T.reshape(-1, 1), x_NX[rows].repeat(DRAWS, 1)], dim=1)
                return nn.functional.mse_loss(self.outcome(inputs)[:, 0], y_N[rows].repeat(DRAWS))

            self._train(1, self.treatment, likelihood, len(t_N), 1e-4, watch)
            self.treatment.eval()
            self._train(2, self.outcome, squares, len(t_N), 1e-3, watch)
        self.outcome.eval()
        return self

    def _train(
        self, stage: int, network: nn.Module, loss_of: Callable[[Tensor], Tensor], rows: int, decay: float,
        watch: Watch | None,
    ) -> None:  # fmt: skip
        optimiser = torch.optim.Adam(network.parameters(), weight_decay=decay)
        for epoch in range(1, self.epochs + 1):
            began = time.process_time()
            network.train()
            for some in self._order(rows):
                optimiser.zero_grad()
                with torch.autograd.set_detect_anomaly(self.published and stage == 1):
                    loss_of(some).backward()
                if all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None):
                    optimiser.step()
                else:
                    self.skipped += 1
            self.seconds[stage] += time.process_time() - began
            if watch is not None:
                watch(stage, epoch)

    def _order(self, rows: int) -> Iterable[Tensor]:
        if not self.published:
            return torch.randperm(rows).split(BATCH)
        loader = DataLoader(TensorDataset(torch.arange(rows)), batch_size=BATCH, shuffle=True)
        return (some for (some,) in loader)

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """E[y | do(t), x] as it has learned it; arguments and result as of `DeepIV.predict`."""
        return self._ask(t, x, grid=grid, slope=False)

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> Reals:
        """Derivative of `predict` in t."""
        return self._ask(t, x, grid=grid, slope=True)

    def _standard(self, name: str, value: Any) -> Tensor:
        return torch.from_numpy((np.asarray(value, dtype=np.float64) - self.mean[name]) / self.deviation[name]).float()

    def _ask(self, t: ArrayLike, x: ArrayLike, *, grid: bool, slope: bool) -> Reals:
        at, x_NX = self._standard("t", t), torch.from_numpy(np.asarray(x, dtype=np.float64)).float()
        columns = at[:, None].expand(-1, len(x_NX)) if grid else at[None]
        found = []
        was_training = self.outcome.training
        self.outcome.eval()
        for column in columns:
            t_N = column.clone().requires_grad_(True)
            response = self.outcome(torch.cat([t_N[:, None], x_NX], dim=1))[:, 0]
            if slope:
                (value,) = torch.autograd.grad(response.sum(), t_N)
                found.append(value * float(self.deviation["y"] / self.deviation["t"]))
            else:
                found.append(response.detach() * float(self.deviation["y"]) + float(self.mean["y"]))
        self.outcome.train(was_training)
        result: Reals = torch.stack(found, dim=1).double().numpy()
        return result if grid else result[:, 0]
