"""Average curves of all posts and of groups of them, from a trained model.

N posts, G log followers, E members, D draws of the bootstrap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.models.deepiv.causal import CausalModel
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.curves import GroupSums
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.elasticity import blocks
from micromega.models.deepiv.groups import Grouping
from micromega.models.deepiv.result import Subject

Reals = NDArray[np.float64]
ALL = "all posts"
_JOINED = 1_000  # rows


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Where curves are looked at.

    Attributes:
        rows: posts that they are averaged over, ascending, (N,).
        grid: log followers, rising, (G,).
        support: log followers between which the central 99 % of posts lie.
        seed: of the bootstrap over creators.
    """

    rows: NDArray[np.int64]
    grid: Reals
    support: tuple[float, float]
    seed: int

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether a size was observed, (G,)."""
        return (self.grid >= self.support[0]) & (self.grid <= self.support[1])


def chosen(posts: int, most: int, seed: int) -> NDArray[np.int64]:
    """Numbers of so many posts at most, drawn without replacement, ascending."""
    if posts <= most:
        return np.arange(posts)
    return np.sort(np.random.default_rng(seed).choice(posts, most, replace=False))


def make_subjects(
    config: DeepIVEvaluationConfig,
    model: CausalModel,
    data: DeepIVData,
    view: View,
    groupings: Sequence[Grouping],
    *,
    smearing: float,
    correlational: Reals | None,
) -> tuple[tuple[Subject, ...], Reals]:
    """Average the curves of posts.

    Args:
        config: level and kind of the bands.
        model: trained.
        data: of its training.
        view: posts and sizes.
        groupings: of the posts of the view.
        smearing: factor from exp(mean log impressions) to mean impressions.
        correlational: FEI of each post by a network that takes followers as they come, (N, G); None: not at hand.

    Returns:
        All posts, then the groups in their order; and the FEI of each post, mean over members, (N, G).
    """
    rows = len(view.rows)
    every = Grouping(kind="all", names=(ALL,), code=np.zeros(rows, np.int64))
    ways = (every, *groupings)
    slopes, own = _sums(config, model, data, view, ways, "elasticity")
    sizes, _ = _sums(config, model, data, view, ways, "response", smearing=smearing)
    asked = {"level": config.level, "simultaneous": config.bands == "simultaneous", "support": view.support}
    captions = _captions(data, view)
    found = []
    for way, slope_sums, size_sums in zip(ways, slopes, sizes, strict=True):
        both = zip(slope_sums.curves(**asked), size_sums.curves(**asked, logarithm=True), strict=True)  # type: ignore[arg-type]
        for slope, size in both:
            here = way.code == way.names.index(slope.group)
            found.append(
                Subject(
                    elasticity=slope,
                    log_impressions=size.elasticity,
                    lower=size.lower,
                    upper=size.upper,
                    kind=way.kind,
                    correlational=None if correlational is None else correlational[here].mean(axis=0),
                    example=_example(captions, data.inputs.outcome[view.rows], here),
                )
            )
    return tuple(found), own


def _sums(
    config: DeepIVEvaluationConfig,
    model: CausalModel,
    data: DeepIVData,
    view: View,
    ways: Sequence[Grouping],
    quantity: Literal["response", "elasticity"],
    smearing: float = 1.0,
) -> tuple[list[GroupSums], Reals]:
    """Sums of elasticities or of expected impressions, E[R] = exp(h) · smearing, and the mean over members, (N, G)."""
    author = np.unique(data.inputs.author[view.rows], return_inverse=True)[1]
    settings: Any = {"clusters": int(author.max()) + 1, "replicates": config.replicates, "seed": view.seed}
    sums = [GroupSums(view.grid, way.names, **settings) for way in ways]
    draws = max(model.config.bootstrap, 1)
    mean = np.empty((len(view.rows), len(view.grid)))
    t, x = torch.from_numpy(view.grid).float()[None], data.values["x"][view.rows]
    for part, values in _joined(blocks(model, quantity, t, x)):
        mean[part] = values.mean(axis=0)
        found = values.reshape(draws, -1, *values.shape[1:]).mean(axis=1)
        if quantity == "response":
            found = smearing * np.exp(found)  # averaged as impressions
        for way, own in zip(ways, sums, strict=True):
            here = way.code[part] >= 0
            own.add(found[:, here], way.code[part][here], author[part][here])
    return sums, mean


def _joined(blocks_of_few: Iterator[tuple[slice, Tensor]]) -> Iterator[tuple[slice, Reals]]:
    """Join blocks of rows: with many members they hold few, and sums by group cost as much for few as for many."""
    begin, held = 0, list[Reals]()
    for part, value in blocks_of_few:
        held.append(value.numpy().astype(np.float64))
        if part.stop - begin >= _JOINED:
            yield slice(begin, part.stop), np.concatenate(held, axis=1)
            begin, held = part.stop, []
    if held:
        yield slice(begin, begin + sum(of.shape[1] for of in held)), np.concatenate(held, axis=1)


def _captions(data: DeepIVData, view: View) -> list[str | None]:
    """Caption of each post of the view."""
    posts = data.market.table("posts")
    ids = pa.array(data.inputs.post_ids[view.rows].tolist(), pa.string())
    captions: list[str | None] = (
        posts["caption"].take(pc.index_in(ids, value_set=posts["post_id"].combine_chunks())).to_pylist()
    )
    return captions


def _example(captions: list[str | None], outcome: Reals, here: NDArray[np.bool_]) -> str | None:
    """Caption of the post with most impressions among some."""
    place = np.flatnonzero(here)
    return captions[int(place[np.argmax(outcome[place])])] if len(place) else None
