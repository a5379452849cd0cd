"""Configuration of the effectiveness model: its data, its five kinds, its evaluation."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=0.5)]
Rate = Annotated[float, Field(gt=0, le=1)]
Outcome = Literal["impressions", "engagement", "revenue"]
Kind = Literal["hybrid", "mlp", "trees", "additive", "creator_mean"]


@config(group="data/effectiveness", target="micromega.models.effectiveness.data:EffectivenessData")
class EffectivenessDataConfig:
    """How past campaigns become rows: what is predicted, and what was known on the day of the plan."""

    seed: Count = 0
    """Draw of the days on which past plans are taken to have been made; order of the batches."""
    outcome: Outcome = "impressions"
    """What a post brings: impressions or engagement (counts), revenue (money)."""
    tune: Share = 0.1
    """Share of the campaigns, those after the training ones, that says when to stop."""
    calibrate: Share = 0.15
    """Share after those; no stage of the fit sees them. They set the intervals and the mean."""
    test: Share = 0.15
    """Share of the last campaigns, on which everything is judged."""
    settle_days: Count = 7
    """Days from a post until its outcome is known."""
    trend_days: Count = 7
    """Days from the date of a trend until it is known: one dated Monday tells of its whole week."""
    lead_days: Positive = 97
    """Training rows are seen from so many days before their post at most, as plans are made ahead."""
    shrinkage: Annotated[float, Field(gt=0)] = 3.0
    """Mean outcomes of groups are drawn to 0 as if so many more campaigns had been usual."""
    affinity: str | None = None
    """Affinity score table, a feature of brand and creator; null: none."""
    embedding: str | None = None
    """Embedding score table, of creators or of posts (their mean before the day of the plan); null: none."""
    response: str | None = None
    """Response score table, whose curve of all posts is read at the creator's followers; null: none."""
    allow_other_market: bool = False
    """Take score tables that were made from other tables than the market's."""
    resample: bool = True
    """Shuffle anew every epoch; false: the first epoch's order for ever (debug=overfit)."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class NetworkConfig:
    """Embeddings and multilayer perceptron, and how they are trained."""

    creator_size: Positive = 8
    """Numbers of a creator's embedding; other categories have at most 4."""
    hidden: Annotated[tuple[Positive, ...], Field(min_length=1)] = (64, 32)
    """Units of the hidden layers; of each of the three networks where the model is additive."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """After each hidden layer."""
    unknown: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of training rows whose creator is hidden, so that the network knows what to say of new ones."""
    epochs: Positive = 15
    """At most; of each network the epoch counts that the tuning rows like best."""
    batch_size: Positive = 512
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-3
    """Its peak."""
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of AdamW, on weights and not on biases."""
    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Longest gradient of each network; null: any."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TreesConfig:
    """Gradient-boosted trees (LightGBM), for the mean of logs and for both quantiles."""

    most: Positive = 600
    """Trees at most; those up to the best on the tuning rows are kept."""
    patience: Positive = 40
    """Trees without a gain after which growing stops."""
    learning_rate: Rate = 0.04
    leaves: Annotated[int, Field(ge=2)] = 15
    """Most leaves of a tree."""
    leaf_size: Positive = 30
    """Fewest rows in a leaf."""
    column_share: Rate = 0.6
    """Share of the columns that a tree may use."""
    row_share: Rate = 0.8
    """Share of the rows that a tree is grown on."""
    l2: Annotated[float, Field(ge=0)] = 5.0
    """Shrinks the values of leaves."""
    quantile_trees: Positive = 150
    """Trees at most for each of the two quantiles: their width says which rows are harder, calibration how wide."""
    threads: Positive = 1
    """The trees are the same for any number."""


@config(group="model/effectiveness", target="micromega.models.effectiveness.module:EffectivenessModule")
class EffectivenessModelConfig:
    """Which of the five models, and their settings."""

    seed: Count = 0
    """Draw of folds, of trees' rows and columns."""
    kind: Kind = "hybrid"
    """hybrid: trees on out-of-fold predictions, rotated out-of-fold embeddings and all features (sections 6 and 7).
    mlp: the network alone. trees: trees with categorical ids. additive: g_I + g_H + g_M (eq. 13). creator_mean: each
    creator's mean outcome so far."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Of events, for out-of-fold predictions and embeddings of the hybrid."""
    network: NetworkConfig = NetworkConfig()
    trees: TreesConfig = TreesConfig()
    tier_rows: Positive = 100
    """A tier of creators with so many calibration rows has interval factors of its own; smaller ones share one."""


@config(group="evaluation/effectiveness", target="micromega.models.effectiveness.evaluate:evaluate")
class EffectivenessEvaluationConfig:
    """What evaluate.py computes and exports."""

    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """Of the intervals whose coverage is judged."""
    compare: tuple[Kind, ...] = ("hybrid", "mlp", "trees", "additive", "creator_mean")
    """Models fitted to the same rows and judged beside the model itself."""
    explained: Positive = 200
    """Test rows whose predictions are split between creator, history and market."""
    references: Positive = 24
    """Training rows that stand for "not known" in that split, where the model is not additive."""
    export: bool = True
    """Write effectiveness.parquet for all posts that could be bought for events to come."""
    brands: tuple[str, ...] = ()
    """Brands whose events are exported; empty: all."""
    offsets: Annotated[tuple[int, ...], Field(min_length=1)] = (-7, -3, 0)
    """Days from the event on which a post may go out."""
    batch_rows: Positive = 50_000
    """Posts predicted at a time; bounds the memory."""
