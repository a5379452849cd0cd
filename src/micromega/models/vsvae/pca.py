"""The linear baseline: principal components of all parts of a post side by side, from batches that are read in turn.

A post is one long row: numbers standardised on the training posts, frames by their mean over time, texts as bags of
words (each word's share of the text). Words keep their variances among themselves, since a word of three posts is not
to weigh what a common one weighs; a text as a whole varies as much as the other parts do on average. What a post lacks
is at the mean. The components are found by subspace iteration (Halko, Martinsson & Tropp 2011): memory holds a batch
and a few columns, never all posts.

Shapes: N posts, B posts of a batch, P columns of a part, L columns iterated on, D components.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from micromega.errors import DataError
from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.parts import TEXTS
from micromega.models.vsvae.reconstruction import UNKNOWN

Floats = NDArray[np.floating]
Batches = Callable[[], Iterable[PostBatch]]
"""Gives the posts from the start, each time it is called."""

OVERSAMPLED = 10  # columns iterated on beyond those wanted
PASSES = 4  # over the posts, to turn the columns towards the components


@dataclass(frozen=True, kw_only=True)
class Column:
    """How the columns of one part are centred and scaled.

    Attributes:
        mean: (P,) float64, of the posts that have the part.
        scale: (P,) float64 that centred columns are multiplied with; 0 for one that never varies.
    """

    mean: Floats
    scale: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class PostPCA:
    """Principal components of posts.

    Attributes:
        columns: part -> its scaling.
        components: part -> (P, D) its rows of the components, which are orthonormal over all parts.
        variance: (D,) of the training posts along each component, largest first.
        share: of all variance that the components hold.
        known: (V,) which words may be said.
    """

    columns: Mapping[str, Column]
    components: Mapping[str, Floats]
    variance: Floats
    share: float
    known: NDArray[np.bool_]

    def transform(self, batch: PostBatch) -> NDArray[np.float32]:
        """Represent posts.

        Returns:
            (B, D).
        """
        return np.asarray(_times(_rows(batch, self.columns), self.columns, self.components), dtype=np.float32)

    def __call__(self, batch: PostBatch) -> dict[str, Tensor]:
        """Restore a batch from the components.

        A bag knows no order: at every place of a text stands the one word whose share in this post should be largest.
        Every frame is the restored mean of the frames.
        """
        scores_BD = self.transform(batch).astype(np.float64)
        restored = {}
        for part, column in self.columns.items():
            scale_P = np.divide(1, column.scale, out=np.zeros_like(column.scale), where=column.scale > 0)
            value_BP = column.mean + (scores_BD @ self.components[part].T) * scale_P
            held = batch.values[part]
            if part in TEXTS:
                word_B = torch.from_numpy(np.where(self.known, value_BP, -np.inf).argmax(axis=1))
                restored[part] = word_B.to(held.device)[:, None].expand_as(held)
            else:
                value = torch.from_numpy(value_BP).to(held)
                restored[part] = value[:, None].expand_as(held) if held.dim() == 3 else value
        return restored


def fit_pca(batches: Batches, spec: PostSpec, components: int, *, seed: int = 0) -> PostPCA:
    """Find the principal components of the training posts.

    Args:
        batches: gives the training posts, the same each time; read six times.
        spec: of the posts.
        components: how many are wanted; fewer are found where posts or columns do not suffice.
        seed: of the first columns, drawn at random.

    Returns:
        The components.

    Raises:
        DataError: there are fewer than two posts, or nothing varies.
    """
    columns, posts, total = _columns(batches, spec)
    width = sum(spec.sizes.values())
    found = min(components, posts, width)
    wide = min(found + OVERSAMPLED, posts, width)
    random = np.random.default_rng(seed)
    basis_PL = _orthonormal({part: random.standard_normal((size, wide)) for part, size in spec.sizes.items()})
    for _ in range(PASSES):
        turned, _ = _covariance(batches, columns, basis_PL)
        basis_PL = _orthonormal(turned)
    _, inner_LL = _covariance(batches, columns, basis_PL, inner_only=True)
    variance_L, rotation_LL = np.linalg.eigh(inner_LL / posts)
    best = np.argsort(variance_L)[::-1][:found]
    components_PD = {part: held @ rotation_LL[:, best] for part, held in basis_PL.items()}
    variance_D = np.maximum(variance_L[best], 0)
    known = np.ones(max(len(spec.words), *(spec.sizes[part] for part in spec.sizes if part in TEXTS), 0), dtype=bool)
    if UNKNOWN in spec.words:
        known[spec.words.index(UNKNOWN)] = False
    return PostPCA(
        columns=columns,
        components=components_PD,
        variance=variance_D,
        share=float(variance_D.sum() / total),
        known=known,
    )


def _columns(batches: Batches, spec: PostSpec) -> tuple[dict[str, Column], int, float]:
    """Scaling of every part, the number of posts, and the total variance after scaling."""
    posts = 0
    count = dict.fromkeys(spec.sizes, 0)
    sums = {part: np.zeros(size) for part, size in spec.sizes.items()}
    squares = {part: np.zeros(size) for part, size in spec.sizes.items()}
    for batch in batches():
        posts += len(batch)
        for part in spec.sizes:
            value_BP = _bag(batch, part, spec.sizes[part]) if part in TEXTS else _vector(batch, part)
            count[part] += int((batch.lengths[part] > 0).sum())
            sums[part] += value_BP.sum(axis=0)
            squares[part] += (value_BP**2).sum(axis=0)
    variances, scales, means = {}, {}, {}
    for part in spec.sizes:
        held = max(count[part], 1)
        means[part] = sums[part] / held
        variance_P = np.maximum(squares[part] / held - means[part] ** 2, 0)
        variance_P[variance_P < 1e-12 * means[part] ** 2] = 0  # rounding, not variation
        variances[part] = variance_P
    numbers = [int((variances[part] > 0).sum()) for part in spec.sizes if part not in TEXTS]
    usual = max(sum(numbers) / len(numbers), 1) if numbers else 1
    for part, variance_P in variances.items():
        squared_P = np.full(len(variance_P), variance_P.sum() / usual) if part in TEXTS else variance_P
        scales[part] = np.sqrt(np.divide(1, squared_P, out=np.zeros_like(variance_P), where=variance_P > 0))
    columns = {part: Column(mean=means[part], scale=scales[part]) for part in spec.sizes}
    total = sum(count[part] / max(posts, 1) * float((variances[part] * scales[part] ** 2).sum()) for part in spec.sizes)
    if posts < 2 or total == 0:
        raise DataError(
            f"PCA: {posts:,} training posts in which nothing varies. Take a larger market, or leave PCA out."
        )
    return columns, posts, total


def _covariance(
    batches: Batches, columns: Mapping[str, Column], basis_PL: Mapping[str, Floats], *, inner_only: bool = False
) -> tuple[dict[str, Floats], Floats]:
    """XᵀXQ, part -> (P, L), and QᵀXᵀXQ, (L, L), of the scaled rows X and the columns Q."""
    wide = next(iter(basis_PL.values())).shape[1]
    outer = {part: np.zeros_like(held) for part, held in basis_PL.items()}
    inner_LL = np.zeros((wide, wide))
    for batch in batches():
        rows = _rows(batch, columns)
        score_BL = _times(rows, columns, basis_PL)
        inner_LL += score_BL.T @ score_BL
        if not inner_only:
            for part, (value_BP, present_B) in rows.items():
                outer[part] += value_BP.T @ score_BL - np.outer(columns[part].mean, score_BL[present_B].sum(axis=0))
    return {part: held * columns[part].scale[:, None] for part, held in outer.items()}, inner_LL


def _rows(batch: PostBatch, columns: Mapping[str, Column]) -> dict[str, tuple[Floats, NDArray[np.bool_]]]:
    """Give part -> (B, P) unscaled values, 0 where absent (texts: sparse), and (B,) whether it is there."""
    return {
        part: (
            _bag(batch, part, len(column.mean)) if part in TEXTS else _vector(batch, part),
            (batch.lengths[part] > 0).numpy(),
        )
        for part, column in columns.items()
    }


def _times(
    rows: Mapping[str, tuple[Floats, NDArray[np.bool_]]], columns: Mapping[str, Column], basis_PL: Mapping[str, Floats]
) -> Floats:
    """Scaled rows times columns, (B, L), without writing the scaled rows down."""
    product: Floats | int = 0
    for part, (value_BP, present_B) in rows.items():
        scaled_PL = basis_PL[part] * columns[part].scale[:, None]
        product = product + (value_BP @ scaled_PL - np.outer(present_B, columns[part].mean @ scaled_PL))
    return np.asarray(product)


def _orthonormal(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Make columns orthonormal over all parts."""
    stops = np.cumsum([len(held) for held in columns.values()])
    basis, _ = np.linalg.qr(np.concatenate(list(columns.values())))
    return dict(zip(columns, np.split(basis, stops[:-1]), strict=True))


def _bag(batch: PostBatch, part: str, words: int) -> sparse.csr_array:
    """(B, V) share of each word; empty rows for posts without the text."""
    lengths_B = batch.lengths[part].numpy()
    ids_BT = batch.values[part].cpu().numpy()
    inside = np.arange(ids_BT.shape[1]) < lengths_B[:, None]
    shares = np.repeat(1 / np.maximum(lengths_B, 1), inside.sum(axis=1))
    row = np.repeat(np.arange(len(lengths_B)), inside.sum(axis=1))
    return sparse.coo_array((shares, (row, ids_BT[inside])), shape=(len(lengths_B), words)).tocsr()


def _vector(batch: PostBatch, part: str) -> Floats:
    """(B, P) float64; frames by their mean; 0 where absent."""
    value, lengths_B = batch.values[part].cpu(), batch.lengths[part]
    if value.dim() == 3:
        weight_BT = (torch.arange(value.shape[1]) < lengths_B[:, None]) / lengths_B.clamp(min=1)[:, None]
        value = torch.einsum("bt,btp->bp", weight_BT.to(value), value)
    return np.asarray((value.double() * (lengths_B > 0)[:, None]).numpy())
