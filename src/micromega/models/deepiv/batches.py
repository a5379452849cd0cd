"""What the two modules are given: rows in memory, batches of them, and what a module must know of all of them.

Shapes: E members, D draws, L either 1 (all members share the rows of a batch) or E (each has its own), B rows of a
batch, N rows, M nodes, V held-out rows of a member, Z and X numbers of instrument and controls.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from micromega.models.deepiv.treatment import Mixture

NAMES = ("t", "z", "x", "y")
_BLOCK = 100_000


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What both modules must know of the data.

    Attributes:
        mean, deviation: of t, z, x and y ("t" and "y" scalars, (Z,), (X,)); deviation 1 where a column is constant.
        treatment: fingerprint of the stage 1 that stage 2 stands on; stage 1 has none.
    """

    mean: Mapping[str, Tensor]
    deviation: Mapping[str, Tensor]
    treatment: str | None = None


def spec_of(values: Mapping[str, Tensor], weight: Tensor) -> Spec:
    """Measure means and deviations in float64.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        weight: (N,) of the rows; those of weight 0 are not looked at.
    """
    share = weight.double() / weight.double().sum()
    mean, deviation = {}, {}
    for name in NAMES:
        value = values[name]
        centre = _moment(share, value)
        spread = _moment(share, value, centre).sqrt()
        smallest = 1e-6 * (1 + centre.abs())
        mean[name], deviation[name] = centre.float(), torch.where(spread > smallest, spread, 1.0).float()
    return Spec(mean=mean, deviation=deviation)


def _moment(share: Tensor, value: Tensor, centre: Tensor | None = None) -> Tensor:
    """Mean of rows (N, …) with shares (N,), or their variance around a centre; in float64 without a whole copy."""
    found = torch.zeros(value.shape[1:], dtype=torch.float64)
    for begin in range(0, len(value), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        rows = value[part].double() if centre is None else (value[part].double() - centre) ** 2
        found += torch.einsum("n,n...->...", share[part], rows)
    return found


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows, in the units of the data.

    Attributes:
        row: (L, B) int64, their numbers.
        t: (L, B) treatments.
        z: (L, B, Z) instruments.
        x: (L, B, X) controls.
        y: (L, B) outcomes.
        weight: (E, B) weights in the loss.
        nodes, node_weights: (D or E, B, M) rule of stage 2; None in stage 1 and with monte_carlo.
        mixture: (D, B, K) what monte_carlo draws from, else None.
        rank: (D or E, B) normal score of F(t | x, z), for the control function, else None.
    """

    row: Tensor
    t: Tensor
    z: Tensor
    x: Tensor
    y: Tensor
    weight: Tensor
    nodes: Tensor | None = None
    node_weights: Tensor | None = None
    mixture: Mixture | None = None
    rank: Tensor | None = None

    def __len__(self) -> int:
        return self.row.shape[1]

    def to(self, device: torch.device) -> Self:
        """Move it, as Lightning asks."""
        if self.t.device == device:
            return self
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mixture):
                value = value.each(lambda part: part.to(device, non_blocking=True))
            moved[field.name] = value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        return dataclasses.replace(self, **moved)


class Rows(Dataset[Batch]):
    """All rows in memory, rows first. Indexed by (epoch, numbers), as `micromega.models.loader` asks.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        weights: (E, N) of the members in training.
        nodes, node_weights: (N, D, M), of stage 2.
        mixture: (N, D, K), for monte_carlo.
        rank: (N, D), for the control function.

    Attributes:
        trained: (T,) rows that some member learns from; the numbers of a batch count these.
    """

    def __init__(
        self,
        values: Mapping[str, Tensor],
        weights: Tensor,
        *,
        nodes: Tensor | None = None,
        node_weights: Tensor | None = None,
        mixture: Mixture | None = None,
        rank: Tensor | None = None,
    ) -> None:
        self.values = {name: values[name].float() for name in NAMES}
        self.trained = torch.nonzero(weights.sum(dim=0))[:, 0]
        mean = weights[:, self.trained].mean(dim=1, keepdim=True)
        self._weight_NE = (weights / mean).T.contiguous()  # mean 1 over the rows of an epoch
        self._nodes, self._node_weights, self._mixture, self._rank = nodes, node_weights, mixture, rank

    def __len__(self) -> int:
        return len(self.trained)

    def __getitem__(self, index: tuple[int, Tensor]) -> Batch:
        row = self.trained[index[1]]

        def picked(value: Tensor) -> Tensor:
            return value.index_select(0, row)

        def by_draw(value: Tensor | None) -> Tensor | None:
            return None if value is None else picked(value).transpose(0, 1)

        return Batch(
            row=row[None],
            t=picked(self.values["t"])[None],
            z=picked(self.values["z"])[None],
            x=picked(self.values["x"])[None],
            y=picked(self.values["y"])[None],
            weight=picked(self._weight_NE).T,
            nodes=by_draw(self._nodes),
            node_weights=by_draw(self._node_weights),
            mixture=None if self._mixture is None else self._mixture.each(lambda value: picked(value).transpose(0, 1)),
            rank=by_draw(self._rank),
        )


def held_out_rows(held_out: Tensor) -> Tensor:
    """List the rows that each member holds out.

    Args:
        held_out: (E, N) weights, 0 for the others.

    Returns:
        (E, V) row numbers, padded with −1.
    """
    count_E = (held_out > 0).sum(dim=1)
    most = int(count_E.max())
    first = (held_out > 0).to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return torch.where(torch.arange(most) < count_E[:, None], first, -1)


def held_out_batches(
    values: Mapping[str, Tensor],
    held_out: Tensor,
    batch_size: int,
    rule: tuple[Tensor, Tensor] | None = None,
    rank: Tensor | None = None,
) -> DataLoader[Batch]:
    """Batches of held-out rows, each member its own; padding has weight 0.

    Args:
        values: t (N,), z (N, Z), x (N, X), y (N,).
        held_out: (E, N) weights, 0 for rows that a member learns from.
        batch_size: rows of a member in a batch.
        rule: (E, V, M) nodes and weights of the rows in the order of `held_out_rows`; stage 2 needs them.
        rank: (E, V) normal scores of F(t | x, z) in that order, for the control function.

    Returns:
        The batches, the same each time.
    """
    rows = held_out_rows(held_out)
    batches = []
    for begin in range(0, rows.shape[1], batch_size):
        part = slice(begin, begin + batch_size)
        row = rows[:, part].clamp_min(0)
        batches.append(
            Batch(
                row=row,
                t=values["t"][row].float(),
                z=values["z"][row].float(),
                x=values["x"][row].float(),
                y=values["y"][row].float(),
                weight=held_out.gather(1, row) * (rows[:, part] >= 0),
                nodes=None if rule is None else rule[0][:, part],
                node_weights=None if rule is None else rule[1][:, part],
                rank=None if rank is None else rank[:, part],
            )
        )
    # A generator of its own keeps the loader's draws out of the global random stream.
    return DataLoader(batches, batch_size=None, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
