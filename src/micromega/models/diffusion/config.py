"""Configuration of the diffusion model: its data, its five kinds, its evaluation."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=0.5)]
Kind = Literal["empirical_bayes", "network", "em_smoothed", "em", "rate"]


@config(group="data/diffusion", target="micromega.models.diffusion.data:DiffusionData")
class DiffusionDataConfig:
    """How exposures become training, validation and test rows, and what is known of accounts and edges."""

    seed: Count = 0
    """Order of the batches; draw of the posts where split=post."""
    split: Literal["time", "post"] = "time"
    """time: windows in time, the last posts are the test. post: posts at random. A post's exposures stay together."""
    validate: Share = 0.15
    """Share of the exposures that says when to stop and how far counts are to be trusted."""
    test: Share = 0.15
    """Share of the exposures on which everything is judged."""
    outcome: Literal["auto", "own", "shared"] = "auto"
    """own: `activated` says whether this exposure did it. shared: it says whether the target passed the post on,
    whoever did it, so that exposures of one target to one post are judged together (noisy-or). auto: own where some
    target has both outcomes on one post, else shared."""
    affinity: str | None = None
    """Affinity score table, a feature of edges between a brand and a creator; null: none."""
    embedding: str | None = None
    """Embedding score table, of accounts or of posts (their mean before the validation window); null: none."""
    features: tuple[str, ...] = ()
    """Feature arrays of the market, of accounts or of posts, used as the embedding is."""
    allow_other_market: bool = False
    """Take score tables that were made from other tables than the market's."""
    resample: bool = True
    """Shuffle anew every epoch; false: the first epoch's order for ever (debug=overfit)."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class NetworkConfig:
    """The network, and how it is trained."""

    hidden: Annotated[tuple[Positive, ...], Field(min_length=1)] = (32, 16)
    """Units of the hidden layers."""
    place_size: Positive = 8
    """Accounts are compared in so many learnt directions of what is known of them."""
    category_size: Positive = 4
    """Numbers of the embedding of a category or location."""
    free_size: Count = 0
    """Numbers of the free embeddings of each source and each target, whose product is added; 0: an effect each."""
    effect_sd: Annotated[float, Field(gt=0)] = 0.5
    """Standard deviation of the normal prior of accounts' own effects, log odds."""
    hide: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of training rows whose source, whose target and whose number of exposures are hidden, each by itself, so
    that the network knows what to say of those it has not seen."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """After each hidden layer."""
    epochs: Positive = 30
    """At most; the epoch counts that the validation rows like best."""
    batch_size: Positive = 512
    """Edges (and activations that several sources share) in a batch."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-3
    """Its peak."""
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of AdamW, on weights and not on biases and effects."""


@config(group="model/diffusion", target="micromega.models.diffusion.module:DiffusionModule")
class DiffusionModelConfig:
    """Which of the five models, and their settings."""

    kind: Kind = "empirical_bayes"
    """empirical_bayes: each edge's counts with a Beta prior around the network's probability. network: the network
    alone. em: maximum likelihood edge by edge (Saito et al. 2008). em_smoothed: the same with a Beta prior around the
    mean rate. rate: the mean rate for every edge."""
    network: NetworkConfig = NetworkConfig()


@config(group="evaluation/diffusion", target="micromega.models.diffusion.evaluate:evaluate")
class DiffusionEvaluationConfig:
    """What evaluate.py computes and exports."""

    compare: tuple[Kind, ...] = ("empirical_bayes", "network", "em_smoothed", "em", "rate")
    """Models fitted to the same exposures and judged beside the model itself."""
    bins: Annotated[int, Field(ge=2)] = 10
    """Of the reliability curve and the calibration error."""
    strongest: Positive = 20
    """Edges that the report names."""
    export: bool = True
    """Write activation.parquet for all edges of follows."""
