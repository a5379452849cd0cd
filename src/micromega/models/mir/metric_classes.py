"""The ranking metrics as torchmetrics classes: they gather brands over batches and processes, on the device.

Thin over `micromega.models.mir.ranks`. The state is one value a brand (float64; float32 on MPS), so any split of the
brands over batches and processes gives the same result. Give each brand to one process, once: a sampler that pads its
shards by repeating brands would count those twice. `metrics_by_brand` computes all metrics from one sort; each class
here sorts for itself.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from micromega.errors import DataError
from micromega.models.mir import ranks


class _OfBrands(Metric):
    """Mean of a value per brand; NaN for brands without one, infinity where a score is not finite."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    values: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A process without brands gathers an empty state of the metric's dtype, which must be that of the others.
        self.set_dtype(torch.float64)
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def _add(self, scores_BM: Tensor, values_B: Tensor) -> None:
        self.values.append(torch.where(scores_BM.isfinite().all(dim=1), values_B, torch.inf))

    def _gathered(self) -> Tensor:
        if len(self.values) == 0:
            return torch.zeros(0, dtype=ranks.precision_of(self.device), device=self.device)
        values_B: Tensor = dim_zero_cat(self.values)
        bad = int(values_B.isinf().sum())
        if bad:
            raise DataError(f"scores: {bad} of {len(values_B)} brands have scores that are not finite.")
        return values_B

    def compute(self) -> Tensor:
        """Mean over the brands that have a value; NaN where none has."""
        return self._gathered().nanmean()


class RankingAUC(_OfBrands):
    """AUC of each brand, mean over brands; as `auc`.

    Example:
        >>> metric = RankingAUC()
        >>> metric.update(torch.tensor([[0.9, 0.2], [0.4, 0.4]]), torch.tensor([[True, False], [True, False]]))
        >>> metric.compute()
        tensor(0.7500, dtype=torch.float64)
    """

    def update(self, scores_BM: Tensor, labels_BM: Tensor) -> None:
        """Add brands.

        Args:
            scores_BM: (B, M) scores.
            labels_BM: (B, M) bool, positives.

        Raises:
            DataError: shapes differ.
        """
        _check(scores_BM, labels_BM)
        self._add(scores_BM, ranks.auc_of(ranks.order_of(scores_BM), labels_BM, ~labels_BM))


class RankingCAUC(_OfBrands):
    """AUC of each brand against negatives of its own category, mean over brands; as `cauc`."""

    def update(self, scores_BM: Tensor, labels_BM: Tensor, same_category_BM: Tensor) -> None:
        """Add brands.

        Args:
            scores_BM: (B, M) scores.
            labels_BM: (B, M) bool, positives.
            same_category_BM: (B, M) bool, creators of the brand's own category.

        Raises:
            DataError: shapes differ.
        """
        _check(scores_BM, labels_BM, same_category_BM)
        self._add(scores_BM, ranks.auc_of(ranks.order_of(scores_BM), labels_BM, same_category_BM & ~labels_BM))


class RankingRecall(_OfBrands):
    """Share of a brand's positives within its first k, mean over brands; as `recall_at_k`.

    Args:
        k: length of the shortlist.
        kwargs: of `torchmetrics.Metric`.
    """

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k

    def update(self, scores_BM: Tensor, labels_BM: Tensor) -> None:
        """Add brands.

        Args:
            scores_BM: (B, M) scores.
            labels_BM: (B, M) bool, positives.

        Raises:
            DataError: shapes differ.
        """
        _check(scores_BM, labels_BM)
        self._add(scores_BM, ranks.recall_of(ranks.order_of(scores_BM), labels_BM, self.k))


class MedianFirstRank(_OfBrands):
    """Median over brands of the rank of the first positive; as `median_first_rank`."""

    higher_is_better = False

    def update(self, scores_BM: Tensor, labels_BM: Tensor) -> None:
        """Add brands.

        Args:
            scores_BM: (B, M) scores.
            labels_BM: (B, M) bool, positives.

        Raises:
            DataError: shapes differ.
        """
        _check(scores_BM, labels_BM)
        self._add(scores_BM, ranks.first_rank_of(ranks.order_of(scores_BM), labels_BM))

    def compute(self) -> Tensor:
        """Median over the brands with a positive, the mean of the two middle ranks; NaN where none has one."""
        values_B = self._gathered()
        return torch.cat([values_B, values_B.new_full((1,), torch.nan)]).nanquantile(0.5)


def _check(scores_BM: Tensor, *others: Tensor) -> None:
    shapes = [tuple(array.shape) for array in (scores_BM, *others)]
    if scores_BM.ndim != 2 or len(set(shapes)) > 1:
        raise DataError(f"scores, labels and same_category must be matrices of one shape, got {shapes}.")
