"""How well parts of held-out posts are restored, by any method, in one pass (Tian et al. 2022, Table 2).

A method is a function from a batch to what it would put in place of each part. The no-information rate is such a method
as well: the mean of the training posts for numbers, their most frequent word for texts.

Shapes: B posts, T words or frames, d numbers of a part, V words of the vocabulary.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.parts import TEXTS
from micromega.models.vsvae.result import NO_INFORMATION, PCA, Reconstruction

UNKNOWN = "<unk>"
Restore = Callable[[PostBatch], Mapping[str, Tensor]]
"""Batch -> part -> (B, T) int64 words, (B, T, d) frames or (B, d) numbers in raw units; parts may be missing."""


@dataclass(frozen=True, kw_only=True)
class NoInformation:
    """What one would say of a post without having seen it.

    Attributes:
        mean: part -> (d,) mean of the training posts that have it; of frames, over all frames.
        word: text -> id of its most frequent known word in the training posts.
    """

    mean: Mapping[str, Tensor]
    word: Mapping[str, int]

    def __call__(self, batch: PostBatch) -> dict[str, Tensor]:
        """Restore a batch."""
        said = {part: torch.full_like(batch.values[part], word) for part, word in self.word.items()}
        for part, mean in self.mean.items():
            said[part] = mean.to(batch.values[part]).expand_as(batch.values[part])
        return said


@torch.inference_mode()
def fit_no_information(batches: Iterable[PostBatch], spec: PostSpec) -> NoInformation:
    """Take means and most frequent words of the training posts.

    Args:
        batches: the training posts; read once.
        spec: of the posts.

    Returns:
        The method. A part that no post has is restored as 0, a text without known words as its word 0.
    """
    counts = {part: torch.zeros(size, dtype=torch.int64) for part, size in spec.sizes.items() if part in TEXTS}
    sums = {part: torch.zeros(size, dtype=torch.float64) for part, size in spec.sizes.items() if part not in TEXTS}
    rows = dict.fromkeys(sums, 0)
    for batch in batches:
        for part, count_V in counts.items():
            count_V.add_(torch.bincount(_items(batch, part), minlength=len(count_V)).cpu())
        for part in sums:
            items_Nd = _items(batch, part)
            sums[part] += items_Nd.sum(0, dtype=torch.float64).cpu()
            rows[part] += len(items_Nd)
    if UNKNOWN in spec.words:
        for count in counts.values():
            count[spec.words.index(UNKNOWN)] = -1
    return NoInformation(
        mean={part: (total / max(rows[part], 1)).float() for part, total in sums.items()},
        word={part: int(count.argmax()) for part, count in counts.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What one method gets wrong.

    Attributes:
        accuracy: text -> share of known words restored at their place; NaN without such words.
        squared: part -> (d,) float64 mean squared error of each number; NaN without posts.
    """

    accuracy: Mapping[str, float]
    squared: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Methods side by side on the same posts.

    Attributes:
        errors: method -> what it gets wrong.
        posts: part -> posts that have it.
        words: text -> words; known: of these, words of the vocabulary.
    """

    errors: Mapping[str, Errors]
    posts: Mapping[str, int]
    words: Mapping[str, int]
    known: Mapping[str, int]


@torch.inference_mode()
def judge(batches: Iterable[PostBatch], methods: Mapping[str, Restore], spec: PostSpec) -> Judged:
    """Let methods restore held-out posts.

    `<unk>` stands for thousands of different words, so that restoring it restores no word: only known words are judged.
    Padding is never judged.

    Args:
        batches: the held-out posts; read once.
        methods: name -> method.
        spec: of the posts.

    Returns:
        Errors of each method on the parts that it restores.
    """
    unknown = spec.words.index(UNKNOWN) if UNKNOWN in spec.words else -1
    posts, words, known = (dict.fromkeys(spec.sizes, 0) for _ in range(3))
    hits: dict[str, dict[str, int]] = {name: {} for name in methods}
    squares: dict[str, dict[str, Tensor]] = {name: {} for name in methods}
    items = dict.fromkeys(spec.sizes, 0)
    for batch in batches:
        truth = {part: _items(batch, part) for part in spec.sizes}
        for part, held in truth.items():
            posts[part] += int((batch.lengths[part] > 0).sum())
            items[part] += len(held)
            if part in TEXTS:
                words[part] += len(held)
                known[part] += int((held != unknown).sum())
        for name, restore in methods.items():
            for part, value in restore(batch).items():
                said = _items(batch, part, value).to(truth[part].device)
                if part in TEXTS:
                    hit = (said == truth[part]) & (truth[part] != unknown)
                    hits[name][part] = hits[name].get(part, 0) + int(hit.sum())
                else:
                    squared_d = (said - truth[part]).square().sum(0).double().cpu()
                    squares[name][part] = squares[name].get(part, torch.zeros(())) + squared_d
    errors = {
        name: Errors(
            accuracy={part: count / known[part] if known[part] else math.nan for part, count in hits[name].items()},
            squared={part: total / (items[part] or math.nan) for part, total in squares[name].items()},
        )
        for name in methods
    }
    texts = [part for part in spec.sizes if part in TEXTS]
    return Judged(
        errors=errors,
        posts=posts,
        words={part: words[part] for part in texts},
        known={part: known[part] for part in texts},
    )


def reconstructions(judged: Judged, spec: PostSpec, *, model: str = "VSVAE") -> tuple[Reconstruction, ...]:
    """Sum up part by part.

    Args:
        judged: with the methods `model`, "no information" and, if wanted, "PCA".
        spec: of the posts.
        model: name of the model among the methods.

    Returns:
        One row for each part that a held-out post has, in the order of the spec.
    """
    mine, nothing, pca = judged.errors[model], judged.errors[NO_INFORMATION], judged.errors.get(PCA)
    rows = []
    for part in spec.sizes:
        if not judged.posts[part] or (part in TEXTS and not judged.known[part]):
            continue
        if part in TEXTS:
            rows.append(
                Reconstruction(
                    part=part,
                    measure="accuracy",
                    model=mine.accuracy[part],
                    no_information=nothing.accuracy[part],
                    pca=None if pca is None else pca.accuracy.get(part),
                    posts=judged.posts[part],
                    words=judged.known[part],
                    unknown=1 - judged.known[part] / judged.words[part],
                )
            )
        else:
            by_pca = None if pca is None else pca.squared.get(part)
            rows.append(
                Reconstruction(
                    part=part,
                    measure="mse",
                    model=float(mine.squared[part].mean()),
                    no_information=float(nothing.squared[part].mean()),
                    pca=None if by_pca is None else float(by_pca.mean()),
                    posts=judged.posts[part],
                    explained=_explained(mine.squared[part], nothing.squared[part], spec.deviation.get(part)),
                    explained_by_pca=(
                        None if by_pca is None else _explained(by_pca, nothing.squared[part], spec.deviation.get(part))
                    ),
                )
            )
    return tuple(rows)


def _explained(error_d: Tensor, without_d: Tensor, deviation_d: Tensor | None) -> float:
    """R² of all numbers in deviations of the training posts; NaN where none varies.

    A mean of each number's R² would be that of its worst number: where one that the held-out posts all but share has
    hardly any error to begin with, the smallest mistake is many times as large.
    """
    scale_d = 1.0 if deviation_d is None else deviation_d.to(error_d) ** 2
    return float(1 - (error_d / scale_d).sum() / (without_d / scale_d).sum())


def _items(batch: PostBatch, part: str, values: Tensor | None = None) -> Tensor:
    """Words (N,), frames (N, d) or vectors (N, d) that the posts really have, in order."""
    held = batch.values[part] if values is None else values
    lengths_B = batch.lengths[part]
    if part in TEXTS or held.dim() == 3:
        mask_BT = torch.arange(held.shape[1]) < lengths_B[:, None]
        return held[mask_BT.to(held.device)]
    return held[(lengths_B > 0).to(held.device)]
