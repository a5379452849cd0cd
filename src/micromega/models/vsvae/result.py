"""What evaluating a VS-VAE gives back: plain values, read by the report and written by `runs/`.

Shapes: D numbers of a post's vector r, K neighbours.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ACTIVE = 0.01
"""A dimension is active if the posterior mean varies by more than this over posts (Burda et al. 2016)."""
NO_INFORMATION, PCA = "no information", "PCA"
"""Methods of the flat table beside the model."""


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How well one part of held-out posts is restored from r (Tian et al. 2022, Table 2).

    Attributes:
        part: for instance caption or audio.
        measure: accuracy: share of the known words that are restored at their place; mse: mean squared error over
            numbers and posts (frames: over frames too), in the square of the array's unit.
        model: of the VS-VAE.
        no_information: of the most frequent word, or of the mean of the training posts.
        pca: of as many principal components as r has numbers; None where not computed.
        posts: held-out posts that have the part.
        explained: the share of the squared error without information that is gone, each number in deviations of the
            training posts (where data.standardise holds), so that none weighs more for its unit; None for texts.
        explained_by_pca: the same of PCA.
        words: known words judged; 0 for numbers.
        unknown: share of words that are not in the vocabulary, and so are not judged; None for numbers.
    """

    part: str
    measure: Literal["accuracy", "mse"]
    model: float
    no_information: float
    pca: float | None = None
    posts: int
    explained: float | None = None
    explained_by_pca: float | None = None
    words: int = 0
    unknown: float | None = None

    @property
    def r_squared(self) -> float:
        """1 − model / no information; NaN for texts."""
        return self._r_squared(self.model)

    @property
    def r_squared_of_pca(self) -> float:
        """1 − PCA / no information; NaN for texts and without PCA."""
        return math.nan if self.pca is None else self._r_squared(self.pca)

    def _r_squared(self, error: float) -> float:
        return 1 - error / self.no_information if self.measure == "mse" and self.no_information else math.nan


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of the log evidence of held-out posts and what they are made of, nats per post.

    Attributes:
        elbo: evidence lower bound: the log likelihoods minus the divergence.
        importance_weighted: the tighter bound of Burda et al. (2016); None where no samples were asked for.
        log_likelihood: part -> expected log likelihood, mean over all held-out posts (0 for one that lacks the part).
        divergence: of the posterior from the prior.
        samples: behind the importance-weighted bound.
        posts: held-out posts.
    """

    elbo: float
    importance_weighted: float | None
    log_likelihood: Mapping[str, float]
    divergence: float
    samples: int = 0
    posts: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentUse:
    """Which numbers of r say something.

    Attributes:
        divergence: (D,) divergence of the posterior from the prior, nats, mean over held-out posts.
        variance_of_mean: (D,) variance of the posterior mean over held-out posts.
    """

    divergence: Floats
    variance_of_mean: Floats

    @property
    def is_active(self) -> NDArray[np.bool_]:
        """(D,) whether the posterior mean varies over posts by more than `ACTIVE`."""
        return np.asarray(self.variance_of_mean > ACTIVE)

    @property
    def active(self) -> int:
        """How many do."""
        return int(self.is_active.sum())


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A post near a focal post.

    Attributes:
        post_id: id.
        hashtag: under which it is listed; "" if none.
        caption: as posted; "" if none.
        distance: Euclidean, in r-space.
        media_path: its file, relative to the market's folder; "" if none.
    """

    post_id: str
    hashtag: str
    caption: str
    distance: float
    media_path: str = ""


@dataclass(frozen=True, kw_only=True)
class FocalPost:
    """A post and its nearest posts in r-space (Tian et al. 2022, figure 5); attributes as of `Neighbour`."""

    post_id: str
    hashtag: str
    caption: str
    media_path: str = ""
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """Whether near posts are alike.

    Attributes:
        focal: some posts with their neighbours.
        same_hashtag: share of the K nearest posts that stand under the focal post's hashtag, mean over `posts`.
        same_hashtag_by_chance: the same of K posts drawn at random.
        by_pca: the same of the K nearest posts by principal components; None where not computed.
        k: K.
        posts: held-out posts with a hashtag that were asked about.
        candidates: posts among which neighbours were sought.
        search: what found them, in words.
    """

    focal: tuple[FocalPost, ...]
    same_hashtag: float
    same_hashtag_by_chance: float
    by_pca: float | None
    k: int
    posts: int
    candidates: int = 0
    search: str = ""


@dataclass(frozen=True, kw_only=True)
class PopularityRow:
    """What r says of popularity beyond the post's initial conditions (Tian et al. 2022, Web Appendix G).

    Attributes:
        target: whose residual is predicted.
        accuracy: share of held-out posts whose sign is foretold; mean over seeds.
        majority: the same of the sign that most training posts have.
        r_squared: of the predicted value, on held-out posts; mean over seeds; below 0: worse than the mean.
        accuracy_std: standard deviation over seeds; None with one seed.
        r_squared_std: likewise.
        posts: held-out posts.
        representation: what was read: r, or another vector of the posts.
        seeds: how many networks were trained.
    """

    target: Literal["growth rate", "starting impressions"]
    accuracy: float
    majority: float
    r_squared: float
    accuracy_std: float | None = None
    r_squared_std: float | None = None
    posts: int
    representation: str = "r"
    seeds: int = 1


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """The popularity test.

    Attributes:
        rows: by target and representation.
        bayesian_r2: "rate" and "start" -> share of variance that initial conditions explain (stage 1).
    """

    rows: tuple[PopularityRow, ...]
    bayesian_r2: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How much of what really drives a post can be read from its vector by a straight line (simulated markets).

    Attributes:
        target: the true latent, for instance subject or quality.
        dimensions: its length.
        scores: representation ("r", "PCA", …) -> R² on held-out posts, dimensions weighted by their variance.
        posts: held-out posts.
    """

    target: str
    dimensions: int
    scores: Mapping[str, float]
    posts: int = 0


@dataclass(frozen=True, kw_only=True)
class RepresentationEvaluation:
    """A VS-VAE judged on held-out posts. Parts that are None or empty could not be computed; `absent` says why.

    Attributes:
        metrics: method -> metric -> value; the model first, then "no information" and "PCA"; see `table`.
        reconstruction: by part.
        bounds: of the log evidence.
        latent: use of r.
        neighbourhood: near posts.
        popularity: the popularity test.
        probes: linear probes of the simulator's truth.
        absent: what could not be computed, and why, one sentence each.
        facts: plain values about the split and the data, for the report.
        vectors: (M, D) r of all posts, memory-mapped; None where the caller has no use for them.
    """

    metrics: Mapping[str, Mapping[str, float]]
    reconstruction: tuple[Reconstruction, ...]
    bounds: Bounds | None = None
    latent: LatentUse | None = None
    neighbourhood: Neighbourhood | None = None
    popularity: Popularity | None = None
    probes: tuple[Probe, ...] = ()
    absent: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    vectors: NDArray[np.float32] | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return next(iter(self.metrics))


def table(reconstruction: tuple[Reconstruction, ...], *, model: str = "VSVAE") -> dict[str, dict[str, float]]:
    """Give reconstructions as one flat table (Tian et al. 2022, Table 2).

    Args:
        reconstruction: by part.
        model: name of the first row.

    Returns:
        method -> metric -> value, for the model, "no information" and, where computed, "PCA". Metrics: <part>_accuracy
        of texts and text_accuracy over the words of all texts; <part>_mse of the others. The paper's image MSE is
        frames_mse.
    """
    of = {
        model: {row.part: row.model for row in reconstruction},
        NO_INFORMATION: {row.part: row.no_information for row in reconstruction},
        PCA: {row.part: row.pca for row in reconstruction if row.pca is not None},
    }
    texts = [row for row in reconstruction if row.measure == "accuracy"]
    words = sum(row.words for row in texts)
    found: dict[str, dict[str, float]] = {}
    for method, values in of.items():
        if not values:
            continue
        named = found[method] = {}
        if words and all(row.part in values for row in texts):
            named["text_accuracy"] = sum(values[row.part] * row.words for row in texts) / words
        named |= {f"{row.part}_{row.measure}": values[row.part] for row in reconstruction if row.part in values}
    return found
