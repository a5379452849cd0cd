"""Which rows each member learns from, and which it never sees: starts, folds and bootstrap draws, all by cluster.

Shapes: E members, N rows, D draws (1 without a bootstrap), S starts, F folds, C clusters. E = D·S·F, in that order.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from micromega.errors import DataError

Reals = NDArray[np.float32]
Ints = NDArray[np.int64]


class MemberConfig(Protocol):
    """How many members there are, and what they hold out; fields of `DeepIVModelConfig`."""

    @property
    def starts(self) -> int:
        """Members of each draw and fold."""

    @property
    def folds(self) -> int:
        """From 2 on: each member leaves out one."""

    @property
    def bootstrap(self) -> int:
        """Draws of clusters; 0: the data as they are."""

    @property
    def validation_share(self) -> float:
        """Clusters held out, where neither folds nor a bootstrap leave any out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Members:
    """What each member sees. No cluster is on both sides of a member.

    Attributes:
        weights: (E, N) weight of each row in training; 0 for rows that the member does not see.
        held_out: (E, N) weight of each row in the loss that chooses the member's epoch.
        draw: (E,) which draw of the clusters the member belongs to.
        mixed: (D, S, N or 1) the members over whose mixtures the treatment of a row is integrated in stage 2: those
            that have not seen the row, where there are any, else all of the draw.
    """

    weights: Reals
    held_out: Reals
    draw: Ints
    mixed: Ints


def draw_members(
    config: MemberConfig, cluster: NDArray[np.generic], weights: Reals | None = None, *, seed: int = 0
) -> Members:
    """Draw the members' rows.

    A plain member holds out a share of the clusters, different ones for each start. A member of folds holds out its
    fold. A member of a bootstrap sees a cluster as often as it was drawn, and holds out those that were not, or with
    folds its fold.

    Args:
        config: starts, folds, bootstrap, validation_share.
        cluster: (N,) ids of any one type.
        weights: (N,) of the rows, at least 0; None: 1.
        seed: of the draws.

    Returns:
        The members.

    Raises:
        DataError: there are too few clusters.
    """
    _, cluster_N = np.unique(cluster, return_inverse=True)
    size_C = np.bincount(cluster_N)
    needed = max(2, config.folds)
    if len(size_C) < needed:
        raise DataError(
            f"cluster holds {len(size_C)} distinct value(s); {needed} are needed to hold some out. Without clusters, "
            "leave it out; with few, ask for fewer folds."
        )
    of_rows = np.ones(len(cluster_N), np.float32) if weights is None else weights
    generator = np.random.default_rng(seed)
    seen, held, mixed = [], [], []
    for draw in range(max(config.bootstrap, 1)):
        often_C = _multiplicities(len(size_C), generator) if config.bootstrap else np.ones(len(size_C), np.int64)
        for start in range(config.starts):
            out_FC, fold_C = _held_out(config, size_C, often_C, generator)
            seen.append((often_C * ~out_FC)[:, cluster_N] * of_rows)
            held.append(out_FC[:, cluster_N] * of_rows)
            first = (draw * config.starts + start) * config.folds
            mixed.append(first + fold_C[cluster_N] if config.folds > 1 else np.array([first]))
    draws = max(config.bootstrap, 1)
    if draws == config.folds == 1 < config.starts and not config.bootstrap:  # starts hold out rows of their own
        mixed = [_unseen_first(np.concatenate(held) > 0)]
    return Members(
        weights=np.concatenate(seen).astype(np.float32),
        held_out=np.concatenate(held).astype(np.float32),
        draw=np.repeat(np.arange(draws), config.starts * config.folds),
        mixed=np.stack(mixed).reshape(draws, config.starts, -1),
    )


def _unseen_first(out_SN: NDArray[np.bool_]) -> Ints:
    """(S, N) starts that hold a row out, again and again; all of them for a row that none does."""
    starts = np.arange(len(out_SN))[:, None]
    order = np.argsort(~out_SN, axis=0, kind="stable")
    several = out_SN.sum(axis=0)
    return np.take_along_axis(order, starts % np.where(several > 0, several, len(out_SN)), axis=0)


def _multiplicities(clusters: int, generator: np.random.Generator) -> Ints:
    """(C,) how often each cluster is drawn; at least one is not, and two or more are where there are three."""
    while True:
        often_C = np.bincount(generator.integers(clusters, size=clusters), minlength=clusters)
        if min(2, clusters - 1) <= np.count_nonzero(often_C) < clusters:
            return often_C


def _held_out(
    config: MemberConfig, size_C: Ints, often_C: Ints, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], Ints]:
    """(F, C) clusters held out of each fold's member, and (C,) the fold of each."""
    clusters = len(size_C)
    if config.folds > 1:
        order = generator.permutation(clusters)
        order = order[np.argsort(often_C[order] == 0, kind="stable")]  # those drawn are spread evenly over the folds
        fold_C = np.empty(clusters, np.int64)
        fold_C[order] = np.arange(clusters) % config.folds
        return fold_C == np.arange(config.folds)[:, None], fold_C
    out_C = often_C == 0 if config.bootstrap else np.zeros(clusters, bool)
    if not config.bootstrap:
        order = generator.permutation(clusters)
        out_C[order] = size_C[order].cumsum() <= config.validation_share * size_C.sum()
        if not out_C.any():  # the first is larger than the share
            out_C[size_C.argmin()] = True
    return out_C[None], np.zeros(clusters, np.int64)
