"""From r back to the parts of a post: the encoders' layers in reverse (Tian et al. 2022, Web Appendices B and F).

Shapes: B posts, T items of the longest sequence, N items of all, d numbers of a part, V words.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from micromega.models.vsvae.encoders import dense
from micromega.models.vsvae.sequences import LSTM, items, posts_with


class SequenceDecoder(nn.Module):
    """An LSTM that gets the same vector at each step, and a linear layer on each step's state.

    The linear layer is not in the paper, which ends an image with the LSTM itself: its states lie in (−1, 1),
    features of pictures do not.

    Args:
        inputs: of the vector.
        hidden: of the LSTM.
        outputs: of each step: V scores of words, or d numbers of a frame.
        both_ways: run it backwards as well.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, both_ways: bool) -> None:
        super().__init__()
        self.lstm = LSTM(inputs, hidden, both_ways=both_ways)
        self.head = nn.Linear(self.lstm.outputs, outputs)

    def forward(self, vector: Tensor, lengths: Tensor) -> Tensor:
        """Decode the posts that have the sequence.

        Args:
            vector: (B, inputs).
            lengths: (B,) on the CPU, not all 0.

        Returns:
            (N, outputs), one post after another.
        """
        own = lengths[lengths > 0]
        repeated = vector[posts_with(lengths, vector.device)][:, None].expand(-1, int(own.max()), -1)
        decoded: Tensor = self.head(items(self.lstm(repeated, own), own))
        return decoded


def padded(values: Tensor, lengths: Tensor) -> Tensor:
    """Put items, (N, …), back to their posts: (B, T, …), 0 beyond a length; lengths: (B,) on the CPU."""
    inside = torch.arange(int(lengths.max())) < lengths[:, None]
    whole = values.new_zeros(inside.numel(), *values.shape[1:])
    places = inside.flatten().nonzero().flatten().to(values.device)
    return whole.index_copy(0, places, values).view(*inside.shape, *values.shape[1:])


class TextDecoder(nn.Module):
    """One vector to the inputs of the texts' Bi-LSTMs, and a score of every word at every place.

    Args:
        texts: names of the texts.
        inputs: of the vector.
        hidden: of each direction.
        words: V.
    """

    def __init__(self, texts: Sequence[str], inputs: int, hidden: int, words: int) -> None:
        super().__init__()
        self.starts = nn.ModuleDict({text: dense([inputs, 2 * hidden], 0.0) for text in texts})
        self.texts = nn.ModuleDict({text: SequenceDecoder(2 * hidden, hidden, words, both_ways=True) for text in texts})

    def forward(self, vector: Tensor, lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores of words, (N, V), of the texts that a post of the batch has."""
        return {
            text: decoder(self.starts[text](vector), lengths[text])
            for text, decoder in self.texts.items()
            if lengths[text].any()
        }


class ImageDecoder(nn.Module):
    """Dense layers, then an LSTM for the frames and linear layers for the vectors.

    Args:
        sizes: part -> d, of the parts that there are.
        hidden: of the LSTM.
        layers: of the encoder's dense layers; used from the last to the first.
        dropout: on their inputs.
    """

    def __init__(self, sizes: Mapping[str, int], hidden: int, layers: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.dense = dense([*reversed(layers)], dropout)
        self.heads = nn.ModuleDict({part: nn.Linear(layers[0], d) for part, d in sizes.items() if part != "frames"})
        has_frames = "frames" in sizes
        self.frames = SequenceDecoder(layers[0], hidden, sizes["frames"], both_ways=False) if has_frames else None

    def forward(self, vector: Tensor, lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means: (B, d) of vectors, (N, d) of frames, where a post of the batch has some."""
        features = self.dense(vector)
        means: dict[str, Tensor] = {part: head(features) for part, head in self.heads.items()}
        if self.frames is not None and lengths["frames"].any():
            means["frames"] = self.frames(features, lengths["frames"])
        return means


def summed_by_post(values: Tensor, post: Tensor, posts: int) -> Tensor:
    """Add up (N,) values of items by post, (N,) places, to (B,)."""
    return torch.zeros(posts, dtype=values.dtype, device=values.device).index_add(0, post, values)
