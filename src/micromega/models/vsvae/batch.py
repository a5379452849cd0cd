"""A batch of posts, and what a network must know of all of them.

Shapes: B posts, T words or frames of the longest post, d numbers of a part, V words of the vocabulary, e numbers of a
word vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PostBatch:
    """Some posts with their parts.

    Attributes:
        post: (B,) int64, rows of the posts table.
        values: part -> (B, T) int64 word ids, (B, T, d) frames, or (B, d) numbers as stored; 0 beyond a length.
        lengths: part -> (B,) int64 on the CPU: words or frames, 1 for a vector, 0 where the post lacks the part.
    """

    post: Tensor
    values: Mapping[str, Tensor]
    lengths: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.post)

    def to(self, device: torch.device) -> "PostBatch":
        """Move the values, as Lightning asks; lengths stay, since packing sequences reads them on the CPU."""
        values = {part: value.to(device, non_blocking=True) for part, value in self.values.items()}
        return PostBatch(post=self.post, values=values, lengths=self.lengths)

    def hide(self, hidden: Mapping[str, Tensor]) -> "PostBatch":
        """Make some posts lack some parts.

        Args:
            hidden: part -> (B,) bool on the CPU.
        """
        lengths = {part: of.masked_fill(hidden[part], 0) if part in hidden else of for part, of in self.lengths.items()}
        return PostBatch(post=self.post, values=self.values, lengths=lengths)

    def repeat(self, times: int) -> "PostBatch":
        """Put the batch behind itself so many times."""
        return PostBatch(
            post=self.post.repeat(times),
            values={part: value.repeat(times, *[1] * (value.ndim - 1)) for part, value in self.values.items()},
            lengths={part: of.repeat(times) for part, of in self.lengths.items()},
        )

    def present(self, part: str) -> Tensor:
        """(B,) whether each post has a part, beside its values."""
        return (self.lengths[part] > 0).to(self.values[part].device, non_blocking=True)


@dataclass(frozen=True, kw_only=True)
class PostSpec:
    """What a network must know of the posts.

    Attributes:
        sizes: part -> V for texts, d for the others.
        words: (V,) the vocabulary; empty without texts.
        word_vectors: (V, e) float32.
        mean, deviation: part (no text) -> (d,) of the training posts that have it; 0 and 1 where data.standardise is
            off.
    """

    sizes: Mapping[str, int]
    words: tuple[str, ...]
    word_vectors: Tensor
    mean: Mapping[str, Tensor]
    deviation: Mapping[str, Tensor]
