"""Several rankers as one: the weighted mean of their scores, which are brought to one scale brand by brand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.errors import ConfigError
from micromega.models.mir.data import MIRData
from micromega.models.mir.origin import check_origin
from micromega.models.mir.ranker import Ranker, Scorer

TAKEN = ("MIR", "LambdaMART", "SBR", "RAND", "POP")
"""Names of the tables' other rows."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trained ranker that joins another one.

    Attributes:
        checkpoint: as read by `load_checkpoint`.
        sha256: of its file.
        model: class that wrote it.
        data: datamodule of its own settings, so that it sees the features that it was trained on.
    """

    checkpoint: Mapping[str, Any]
    sha256: str
    model: type[Ranker]
    data: MIRData


class Blend:
    """A ranker and its members as one ranker.

    Args:
        ranker: a restored ranker.
        members: restored rankers, each with its own datamodule.
        weight: share of the members together, between 0 and 1.
    """

    def __init__(self, ranker: Scorer, members: Sequence[tuple[Scorer, MIRData]], weight: float) -> None:
        self._ranker, self._members, self._weight = ranker, tuple(members), weight
        self._fixed: dict[tuple[int, bytes], Tensor] = {}

    @property
    def config(self) -> Any:
        """Settings of the ranker with the most dropout."""
        return max((ranker.config for ranker in self._all()), key=_dropout)

    @property
    def device(self) -> torch.device:
        """Where the ranker's tensors are."""
        return self._ranker.device

    def attach(self, data: MIRData, *, held_out: bool = False) -> None:
        """Take a market's features; members take those of their own datamodules."""
        self._ranker.attach(data, held_out=held_out)
        for member, own in self._members:
            member.attach(own, held_out=held_out)
        self._fixed.clear()

    def score(self, brands: Tensor) -> Tensor:
        """Score brand rows (n,): (n, M), in standard deviations of a brand's scores."""
        shares = [1 - self._weight] + [self._weight / len(self._members)] * len(self._members)
        return sum(  # type: ignore[return-value]
            (share * self._standardised(place, ranker, brands))
            for place, (share, ranker) in enumerate(zip(shares, self._all(), strict=True))
        )

    def alone(self, brands: Tensor) -> list[NDArray[np.float64]]:
        """What goes into `score`: (n, M) standardised scores of the ranker and of each member."""
        return [self._standardised(*of, brands).cpu().numpy() for of in enumerate(self._all())]

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off."""
        for ranker in self._all():
            ranker.train(mode)
        return self

    def eval(self) -> Self:
        """Switch dropout off."""
        return self.train(False)

    def _all(self) -> tuple[Scorer, ...]:
        return (self._ranker, *(member for member, _ in self._members))

    def _standardised(self, place: int, ranker: Scorer, brands: Tensor) -> Tensor:
        """Scores less a brand's mean, by its deviation; those of a ranker without dropout are computed once."""
        key = (place, brands.cpu().numpy().tobytes())
        if key in self._fixed:
            return self._fixed[key]
        scores = ranker.score(brands.to(ranker.device)).detach().double().to(self.device)
        deviation = scores.std(dim=1, keepdim=True, correction=0)
        found = (scores - scores.mean(dim=1, keepdim=True)) / torch.where(deviation > 0, deviation, 1.0)
        if not _dropout(ranker.config):
            self._fixed[key] = found
        return found


def blended(ranker: Scorer, members: Mapping[str, Member], weight: float, data: MIRData, held_out: set[str]) -> Blend:
    """Restore the members and put them beside a ranker.

    Args:
        ranker: a restored ranker.
        members: name -> member.
        weight: share of the members together.
        data: the ranker's datamodule, set up.
        held_out: ids of brands that no member may have been trained on.

    Returns:
        The blend.

    Raises:
        CheckpointError: a member's checkpoint does not fit its data, or was trained on held-out brands.
        ConfigError: a member ranks other brands or creators, or has the name of another method.
    """
    restored = []
    for name, member in members.items():
        if name in TAKEN:
            raise ConfigError(
                f"evaluation.blend.{name}: that is the name of another row of the tables. Choose another."
            )
        member.data.setup("test")
        for kind in ("brand_ids", "creator_ids"):
            here, there = getattr(data.accounts, kind), getattr(member.data.accounts, kind)
            if not np.array_equal(here, there):
                msg = (
                    f"evaluation.blend.{name}: it ranks {len(there):,} {kind[:-4]}s and this ranker {len(here):,}, or "
                    "others. Train both with the same data.min_posts, min_positives, brand_posts and "
                    "exclude_categories."
                )
                raise ConfigError(msg)
        check_origin(member.checkpoint, member.data, held_out, f"evaluation.blend.{name}")
        restored.append((member.model.restore(member.checkpoint), member.data))
    return Blend(ranker, restored, weight)


def _dropout(config: Any) -> float:
    return float(getattr(config, "dropout", 0))
