"""From the parts of a post to one vector per modality (Tian et al. 2022, eq. 14, Web Appendix B).

Shapes: B posts, e numbers of a word vector, d of a part.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.sequences import SequenceEncoder


def dense(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Dense layers with ReLU, from sizes[0] inputs to sizes[-1] outputs, each behind dropout."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [*([nn.Dropout(dropout)] if dropout else []), nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def coded(layers: nn.Sequential, inputs: Tensor, *, linear_path: bool) -> Tensor:
    """What dense layers say of inputs, (B, n) to (B, m), and on a linear path the inputs beside it: (B, m + n)."""
    code: Tensor = layers(inputs)
    return torch.cat([code, inputs.to(code.dtype)], dim=1) if linear_path else code


class TextEncoder(nn.Module):
    """Each text through a Bi-LSTM of its own, then one dense layer on all of them.

    Args:
        texts: names of the texts.
        word_size: e.
        hidden: of each direction.
        outputs: of the dense layer.
        dropout: on its inputs.
        mean: give it the mean word vector of each text as well, times √e: one of length 1 is as large as a state.
        linear_path: see `coded`.
    """

    def __init__(
        self,
        texts: Sequence[str],
        word_size: int,
        hidden: int,
        outputs: int,
        dropout: float,
        *,
        mean: bool,
        linear_path: bool,
    ) -> None:
        super().__init__()
        gain = math.sqrt(word_size) if mean else 0.0
        encoders = {text: SequenceEncoder(word_size, hidden, both_ways=True, mean=gain) for text in texts}
        self.texts = nn.ModuleDict(encoders)
        inputs = sum(encoder.outputs for encoder in encoders.values())
        self.dense, self.linear_path = dense([inputs, outputs], dropout), linear_path
        self.outputs = outputs + inputs * linear_path

    def forward(self, batch: PostBatch, word_vectors: Tensor) -> Tensor:
        """(B, self.outputs) of a batch; word_vectors: (V, e)."""
        states = [
            encoder(nn.functional.embedding(batch.values[text], word_vectors), batch.lengths[text])
            for text, encoder in self.texts.items()
        ]
        return coded(self.dense, torch.cat(states, dim=1), linear_path=self.linear_path)


class ImageEncoder(nn.Module):
    """An LSTM over frames, its last state beside vectors of objects and sentiments, then dense layers.

    Args:
        sizes: part -> d, of the parts that there are.
        hidden: of the LSTM.
        layers: of the dense layers.
        dropout: on their inputs.
        mean: give them the mean frame as well.
        linear_path: see `coded`.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        hidden: int,
        layers: Sequence[int],
        dropout: float,
        *,
        mean: bool,
        linear_path: bool,
    ) -> None:
        super().__init__()
        self.frames: SequenceEncoder | None = None
        if "frames" in sizes:
            self.frames = SequenceEncoder(sizes["frames"], hidden, both_ways=False, mean=float(mean))
        self.absent = nn.ParameterDict({p: nn.Parameter(torch.zeros(d)) for p, d in sizes.items() if p != "frames"})
        inputs = sum(d for p, d in sizes.items() if p != "frames")
        inputs += self.frames.outputs if self.frames is not None else 0
        self.dense, self.linear_path = dense([inputs, *layers], dropout), linear_path
        self.outputs = layers[-1] + inputs * linear_path

    def forward(self, batch: PostBatch, standard: Mapping[str, Tensor]) -> Tensor:
        """(B, self.outputs) of a batch; standard: part -> its values, standardised."""
        states = [_or_absent(standard[part], batch.present(part), absent) for part, absent in self.absent.items()]
        if self.frames is not None:
            states.append(self.frames(standard["frames"], batch.lengths["frames"]))
        return coded(self.dense, torch.cat(states, dim=1), linear_path=self.linear_path)


class VectorEncoder(nn.Module):
    """One vector through one dense layer.

    Args:
        part: its name.
        size: d.
        outputs: of the layer.
        dropout: on its inputs.
        linear_path: see `coded`.
    """

    def __init__(self, part: str, size: int, outputs: int, dropout: float, *, linear_path: bool) -> None:
        super().__init__()
        self.part = part
        self.absent = nn.Parameter(torch.zeros(size))
        self.dense, self.linear_path = dense([size, outputs], dropout), linear_path
        self.outputs = outputs + size * linear_path

    def forward(self, batch: PostBatch, standard: Mapping[str, Tensor]) -> Tensor:
        """(B, self.outputs) of a batch; standard: part -> its values, standardised."""
        inputs = _or_absent(standard[self.part], batch.present(self.part), self.absent)
        return coded(self.dense, inputs, linear_path=self.linear_path)


def _or_absent(values: Tensor, present: Tensor, absent: Tensor) -> Tensor:
    return torch.where(present[:, None], values, absent.to(values.dtype))
