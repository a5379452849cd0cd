"""What evaluating the diffusion model gives back: plain arrays. Shapes: M edges, Q bins, G groups of edges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.scores import Reliability

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SeenGroup:
    """Edges with about as many exposures in training, judged apart.

    Attributes:
        name: how many exposures, in words.
        edges: how many edges.
        exposures: of the test window over them.
        log_loss: title of a model -> minus the log-likelihood of such an exposure, nats; NaN without any, or where
            several edges share an outcome.
        error: title -> root mean squared error of the edges' probabilities; empty where the truth is not known.
    """

    name: str
    edges: int
    exposures: int
    log_loss: Mapping[str, float]
    error: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class AgainstTruth:
    """The model's probabilities against known ones: how many edges lie where.

    Attributes:
        bounds: (Q + 1,) bounds of the cells in both directions, probabilities.
        edges: (Q, Q) edges by cell of the model's probability (first) and of the known one.
        predicted: (G,) mean probability of edges in groups of equal number by it.
        known: (G,) mean known probability of these.
    """

    bounds: Reals
    edges: NDArray[np.int64]
    predicted: Reals
    known: Reals


@dataclass(frozen=True, kw_only=True)
class Strong:
    """One of the strongest edges.

    Attributes:
        source: id of who activates.
        target: id of who is activated.
        probability: of the score table.
        deviation: its standard deviation; None where the model has no prior.
        exposures: over the edge, all windows.
        activations: of these, shared ones by their expected share.
        known: the known probability, or None.
    """

    source: str
    target: str
    probability: float
    deviation: float | None
    exposures: int
    activations: float
    known: float | None


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The score table.

    Attributes:
        rows: edges of follows.
        bounds: (Q + 1,) of the histogram, probabilities.
        edges: (Q,) edges in each bin.
        mean: mean probability.
        metrics: metric -> value against known probabilities; empty where these are not known.
        strongest: edges with the highest probabilities, highest first.
    """

    rows: int
    bounds: Reals
    edges: NDArray[np.int64]
    mean: float
    metrics: Mapping[str, float]
    strongest: tuple[Strong, ...]


@dataclass(frozen=True, kw_only=True)
class DiffusionEvaluation:
    """The model judged on the test window, beside the others.

    Attributes:
        model: its title.
        metrics: title of a model -> metric -> value (`judge.score`); the model itself comes first.
        floor: log loss of whoever knows all probabilities; None where they are not known.
        reliability: title -> reliability curve on the test window.
        seen: edges by their number of exposures in training.
        against_truth: None where the truth is not known.
        exported: what `activation.parquet` holds; None where it is not written.
        absent: what could not be computed, and why, one sentence each.
        facts: plain values about data and split.
    """

    model: str
    metrics: Mapping[str, Mapping[str, float]]
    floor: float | None
    reliability: Mapping[str, Reliability]
    seen: tuple[SeenGroup, ...]
    against_truth: AgainstTruth | None
    exported: Exported | None = None
    absent: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
