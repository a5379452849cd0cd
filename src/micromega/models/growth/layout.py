"""Posts laid out in short rows of one hashtag each, so that sums over hashtags are batched matrix products.

Posts are sorted by hashtag and cut into rows of C; the last row of a hashtag is padded. All arrays of posts are (R, C),
all sums run over whole rows and then over the rows of a hashtag. N posts, R rows, C columns, H hashtags, K regressors.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LONGEST, _SHORTEST = 64, 4


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where each post is.

    Attributes:
        row_hashtag: (R,) hashtag of each row.
        real: (R, C) 1 for a post, 0 for padding.
        place: (N,) position of each post in a flattened (R, C).
        posts: (H,) how many each hashtag has.
    """

    row_hashtag: Tensor
    real: Tensor
    place: Tensor
    posts: Tensor

    @classmethod
    def of(cls, hashtag: NDArray[np.int64], device: torch.device) -> "Layout":
        """Lay out posts with the hashtags 0 … H − 1, each of which has a post or more."""
        count_H = np.bincount(hashtag)
        width = int(np.clip(2 ** round(np.log2(count_H.mean())), _SHORTEST, _LONGEST))
        rows_H = -(-count_H // width)
        order = np.argsort(hashtag, kind="stable")
        nth = np.arange(len(hashtag)) - np.repeat(np.cumsum(count_H) - count_H, count_H)  # within the hashtag
        place = np.empty(len(hashtag), dtype=np.int64)
        place[order] = np.repeat(np.cumsum(rows_H) - rows_H, count_H) * width + nth
        real = np.zeros((rows_H.sum(), width))
        real.reshape(-1)[place] = 1
        return cls(
            row_hashtag=torch.from_numpy(np.repeat(np.arange(len(count_H)), rows_H)).to(device),
            real=torch.from_numpy(real).to(device),
            place=torch.from_numpy(place).to(device),
            posts=torch.from_numpy(count_H.astype(np.float64)).to(device),
        )

    def spread(self, values_N: NDArray[np.float64]) -> Tensor:
        """Lay (N, …) values out as (R, C, …), 0 in the padding."""
        laid = torch.zeros((self.real.numel(), *values_N.shape[1:]), dtype=torch.float64, device=self.real.device)
        laid[self.place] = torch.from_numpy(np.ascontiguousarray(values_N)).to(self.real.device)
        return laid.reshape(*self.real.shape, *values_N.shape[1:])

    def collect(self, laid_RC: Tensor) -> NDArray[np.float64]:
        """Bring (R, C) back to (N,)."""
        collected: NDArray[np.float64] = laid_RC.reshape(-1)[self.place].cpu().numpy()
        return collected

    def by_hashtag(self, rows: Tensor) -> Tensor:
        """Sum (R, …) over the rows of each hashtag: (H, …)."""
        total = torch.zeros((len(self.posts), *rows.shape[1:]), dtype=torch.float64, device=rows.device)
        return total.index_add_(0, self.row_hashtag, rows)

    def to_rows(self, values_H: Tensor) -> Tensor:
        """(H, …) values of hashtags for each row: (R, …)."""
        return values_H[self.row_hashtag]
