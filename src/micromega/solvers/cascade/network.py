"""Who can activate whom, and how likely: a directed graph with a probability on every edge.

An edge runs from the source, who is followed, to the target, who follows: the source activates the target.
Shapes: N nodes, M edges.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import DataError
from micromega.solvers.cascade.arrivals import Arrivals, arrivals_of

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
_MOST = 2**31 - 1
"""Nodes and edges at most: compiled loops number them in 32 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """M edges sorted by source, then target; without self-loops and repeated edges.

    Make it with `Network.of`, which checks; what it holds must not be written to.

    Attributes:
        start: where each source's edges begin, (N + 1,).
        target: node that each edge can activate, (M,).
        probability: of activation along each edge, in [0, 1], (M,); in the linear threshold model, its weight.
    """

    start: Integers
    target: Integers
    probability: Reals

    @classmethod
    def of(cls, edges: ArrayLike, probability: ArrayLike, nodes: int) -> Self:
        """Check edges and sort them.

        Self-loops are dropped: nobody activates themselves, so they change nothing. Repeated edges are refused, since
        how to add them up is the caller's to say (`distinct_edges`).

        Args:
            edges: source and target, (M, 2) whole numbers from 0 to N - 1.
            probability: (M,), or one number for all.
            nodes: N, at least 1.

        Raises:
            DataError: what is malformed, out of range, NaN or repeated; names the first edge at fault.
        """
        if isinstance(nodes, bool) or not isinstance(nodes, int | np.integer) or not 0 < nodes <= _MOST:
            raise DataError(f"nodes is {nodes}. Give the number of nodes, 1 or more.")
        pairs = checked_edges(edges, int(nodes))
        chance = checked_probability(probability, len(pairs))
        proper = pairs[:, 0] != pairs[:, 1]
        pairs, chance = pairs[proper], chance[proper]
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        pairs, chance = pairs[order], chance[order]
        twice = np.flatnonzero((pairs[1:] == pairs[:-1]).all(axis=1))
        if twice.size:
            source, target = pairs[twice[0]]
            raise DataError(
                f"edges: {len(twice)} edges are given again, the first from {source} to {target}. "
                "Merge them first (micromega.solvers.cascade.distinct_edges)."
            )
        return cls(
            start=np.searchsorted(pairs[:, 0], np.arange(nodes + 1)).astype(np.int64),
            target=np.ascontiguousarray(pairs[:, 1]),
            probability=chance,
        )

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.start) - 1

    @cached_property
    def source(self) -> Integers:
        """Source of each edge, (M,)."""
        return np.repeat(np.arange(self.nodes), np.diff(self.start))

    @cached_property
    def reverse(self) -> "Network":
        """The same edges turned round: `start` by who is activated, `target` who activates them."""
        order = np.argsort(self.target, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.target, minlength=self.nodes))]).astype(np.int64)
        return Network(start=start, target=self.source[order], probability=self.probability[order])

    @cached_property
    def arrivals(self) -> Arrivals:
        """The edges as the compiled loops draw them."""
        return arrivals_of(self.start, self.target, self.probability)


def checked_edges(edges: ArrayLike, nodes: int) -> Integers:
    """Give edges as an array, (M, 2), or raise a DataError that names the first bad one."""
    pairs = np.asarray(edges)
    if not pairs.size:
        return np.zeros((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"edges has the shape {pairs.shape}. Give (M, 2): source and target of each edge.")
    if pairs.dtype.kind not in "iu":
        raise DataError(f"edges holds {pairs.dtype} values. Give node numbers, whole numbers from 0 to {nodes - 1}.")
    if len(pairs) > _MOST:
        raise DataError(f"edges has {len(pairs)} rows. At most {_MOST} are taken.")
    wrong = np.flatnonzero(((pairs < 0) | (pairs >= nodes)).any(axis=1))
    if wrong.size:
        raise DataError(
            f"edges[{wrong[0]}] is {pairs[wrong[0]].tolist()}; {len(wrong)} edges leave the network. "
            f"There are {nodes} nodes: 0 to {nodes - 1}."
        )
    return pairs.astype(np.int64)


def checked_probability(probability: ArrayLike, edges: int) -> Reals:
    """Give probabilities as an array, (M,), or raise a DataError that names the first bad one."""
    try:
        chance = np.asarray(probability, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"probability: give one number, or one for each edge ({error}).") from None
    if chance.ndim == 0:
        chance = np.full(edges, float(chance))
    if chance.shape != (edges,):
        raise DataError(f"probability has the shape {chance.shape}; there are {edges} edges. Give one for each.")
    wrong = np.flatnonzero(~((chance >= 0) & (chance <= 1)))
    if wrong.size:
        raise DataError(
            f"probability[{wrong[0]}] is {chance[wrong[0]]}; {len(wrong)} are NaN or outside [0, 1]. "
            "Give probabilities from 0 to 1."
        )
    return chance


def checked_nodes(chosen: ArrayLike, nodes: int, name: str) -> Integers:
    """Give distinct node numbers, sorted, or raise a DataError that says which is none."""
    found = np.atleast_1d(np.asarray(chosen))
    if not found.size:
        return np.zeros(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise DataError(f"{name} holds {found.dtype} values of shape {found.shape}. Give a list of node numbers.")
    wrong = np.flatnonzero((found < 0) | (found >= nodes))
    if wrong.size:
        raise DataError(f"{name}[{wrong[0]}] is {found[wrong[0]]}. There are {nodes} nodes: 0 to {nodes - 1}.")
    return np.unique(found).astype(np.int64)
