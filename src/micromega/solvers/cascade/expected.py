"""The expected spread of seeds, by simulation, with its error."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.simulate import simulate
from micromega.solvers.cascade.threshold import simulate_threshold

Model = Literal["ic", "lt"]
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Expected number of active nodes at the end, seeds included.

    Attributes:
        mean: over the simulations.
        standard_error: of the mean.
        simulations: S.
    """

    mean: float
    standard_error: float
    simulations: int

    @property
    def interval(self) -> tuple[float, float]:
        """Normal 95 % interval of the expectation."""
        half = _NORMAL_95 * self.standard_error
        return self.mean - half, self.mean + half

    @classmethod
    def of(cls, sizes: NDArray[np.int64]) -> "Spread":
        """Summarise sizes of cascades, (S,)."""
        many = len(sizes)
        deviation = float(sizes.std(ddof=1)) if many > 1 else math.inf
        return cls(mean=float(sizes.mean()), standard_error=deviation / math.sqrt(many), simulations=many)


def spread(
    edges: ArrayLike,
    probability: ArrayLike,
    seeds: ArrayLike,
    *,
    nodes: int,
    simulations: int = 10_000,
    seed: int = 0,
    model: Model = "ic",
    steps: int | None = None,
    device: str | None = None,
) -> Spread:
    """Estimate the expected spread of seeds (Kempe, Kleinberg & Tardos 2003).

    Args:
        edges: source and target of each edge, each pair once, (M, 2).
        probability: of activation along each edge, (M,) or one for all; in linear threshold the edge's weight.
        seeds: nodes active from the start.
        nodes: N.
        simulations: S; with 1 the standard error is infinite.
        seed: of the random numbers: the same seed, the same result.
        model: "ic", Independent Cascade, or "lt", linear threshold.
        steps: cascades end after so many; None: when nobody is new.
        device: of torch, for batches of cascades on an accelerator (ic alone); None: compiled loops on the CPU, which
            draw other random numbers.

    Returns:
        Mean, standard error and 95 % interval.

    Raises:
        DataError: malformed edges, probabilities or seeds; in lt weights into a node that sum to more than 1.
        ConfigError: an unknown model or device, simulations below 1, steps or seed below 0.

    Example:
        >>> found = spread([[0, 1], [1, 2]], 0.5, [0], nodes=3, simulations=100_000)
        >>> abs(found.mean - 1.75) < 3 * found.standard_error
        True
    """
    network = Network.of(edges, probability, nodes)
    if device is None:
        return Spread.of(sizes_of(network, seeds, simulations, seed, model, steps))
    if model != "ic":
        raise ConfigError(f'spread: model "{model}" runs on the CPU alone. Leave device out.')
    from micromega.solvers.cascade.simulate_torch import simulate_on  # noqa: PLC0415  (torch takes seconds to import)

    return Spread.of(simulate_on(network, seeds, simulations, seed, steps, device=device))


def sizes_of(
    network: Network, seeds: ArrayLike, simulations: int, seed: int, model: str, steps: int | None
) -> NDArray[np.int64]:
    """Sizes of S cascades by either model, (S,)."""
    check_model(model)
    run = simulate if model == "ic" else simulate_threshold
    return run(network, seeds, simulations, seed, steps)


def check_model(model: str) -> None:
    """Raise a ConfigError unless the model is known."""
    if model not in ("ic", "lt"):
        raise ConfigError(f'model is "{model}". Choose ic (Independent Cascade) or lt (linear threshold).')
