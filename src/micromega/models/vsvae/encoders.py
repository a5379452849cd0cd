"""From the parts of a post to one vector per modality (Tian et al. 2022, eq. 14, Web Appendix B).

Shapes: B posts, e numbers of a word vector, d of a part.
"""

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


class TextEncoder(nn.Module):
    """Each text through a Bi-LSTM of its own, then one dense layer on all of them.

    Args:
        texts: names of the texts.
        word_size: e.
        hidden: of each direction.
        outputs: of the dense layer.
        dropout: on its inputs.
    """

    def __init__(self, texts: Sequence[str], word_size: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.texts = nn.ModuleDict({text: SequenceEncoder(word_size, hidden, both_ways=True) for text in texts})
        self.dense = dense([2 * hidden * len(texts), outputs], dropout)

    def forward(self, batch: PostBatch, word_vectors: Tensor) -> Tensor:
        """(B, outputs) of a batch; word_vectors: (V, e)."""
        states = [
            encoder(nn.functional.embedding(batch.values[text], word_vectors), batch.lengths[text])
            for text, encoder in self.texts.items()
        ]
        encoded: Tensor = self.dense(torch.cat(states, dim=1))
        return encoded


class ImageEncoder(nn.Module):
    """An LSTM over frames, its last state beside vectors of objects and sentiments, then dense layers.

    Args:
        sizes: part -> d, of the parts that there are.
        hidden: of the LSTM.
        layers: of the dense layers.
        dropout: on their inputs.
    """

    def __init__(self, sizes: Mapping[str, int], hidden: int, layers: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.frames = SequenceEncoder(sizes["frames"], hidden, both_ways=False) if "frames" in sizes else None
        self.absent = nn.ParameterDict({p: nn.Parameter(torch.zeros(d)) for p, d in sizes.items() if p != "frames"})
        inputs = sum(d for p, d in sizes.items() if p != "frames") + (hidden if self.frames is not None else 0)
        self.dense = dense([inputs, *layers], dropout)

    def forward(self, batch: PostBatch, standard: Mapping[str, Tensor]) -> Tensor:
        """(B, layers[-1]) of a batch; standard: part -> its values, standardised."""
        states = [_or_absent(standard[part], batch.present(part), absent) for part, absent in self.absent.items()]
        if self.frames is not None:
            states.append(self.frames(standard["frames"], batch.lengths["frames"]))
        encoded: Tensor = self.dense(torch.cat(states, dim=1))
        return encoded


class VectorEncoder(nn.Module):
    """One vector through one dense layer.

    Args:
        part: its name.
        size: d.
        outputs: of the layer.
        dropout: on its inputs.
    """

    def __init__(self, part: str, size: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.part = part
        self.absent = nn.Parameter(torch.zeros(size))
        self.dense = dense([size, outputs], dropout)

    def forward(self, batch: PostBatch, standard: Mapping[str, Tensor]) -> Tensor:
        """(B, outputs) of a batch; standard: part -> its values, standardised."""
        encoded: Tensor = self.dense(_or_absent(standard[self.part], batch.present(self.part), self.absent))
        return encoded


def _or_absent(values: Tensor, present: Tensor, absent: Tensor) -> Tensor:
    return torch.where(present[:, None], values, absent.to(values.dtype))
