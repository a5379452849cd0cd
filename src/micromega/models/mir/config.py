"""Configuration of the ranker: its data, its network and training, its evaluation."""

import dataclasses
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from micromega.config.base import config

Modalities = Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...], Field(min_length=1)]
START_TEMPERATURE = 0.07


@config(group="data/mir", target="micromega.models.mir.data:MIRData")
class MIRDataConfig:
    """How a market becomes brands, creators, and lists of them to learn from."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Split of the brands and order of the lists."""
    brand_posts: Literal["own", "mentions"] = "own"
    """What represents a brand: its own posts, or other creators' posts that mention it (the evaluated creator left
    out)."""
    modalities: Modalities = ("text", "account")
    """Features that are made: text (captions by post), words (shares of words over all captions of an account),
    account (followers and the like), visual (pictures), profile (category and biography); any other name is a feature
    array of the market with a row per account. SBR and the labels' similarity use all of them, the network those of
    model.modalities."""
    visual: Annotated[tuple[str, ...], Field(min_length=1)] = ("image_frames",)
    """Feature arrays of the market that make up the modality visual, side by side; of a post's frames, the mean."""
    word_vectors: str | None = None
    """GloVe text file for captions; null: none."""
    hashed_size: Annotated[int, Field(ge=0)] = 512
    """Length of the hashed bag of words beside it; 0: none."""
    word_buckets: Annotated[int, Field(ge=1)] = 8192
    """Length of the modality words; words are hashed into so many places."""
    history: Annotated[int, Field(ge=1)] = 50
    """N_hist: how many of an account's latest posts count."""
    pooling: Literal["average", "weighted"] = "average"
    """Eq. 2 or eq. 3."""
    gamma: Annotated[float, Field(ge=0)] = 1 / 3
    """γ of eq. 4."""
    local_response_normalisation: bool = False
    """Normalise pooled pictures across channels, as the paper does; costs accuracy on every market tried."""
    keep_posts: bool = False
    """Keep the features of single posts in memory, which model.pooling=attention learns from."""
    scaling: Literal["standard", "power"] = "standard"
    """standard: every number to mean 0 and deviation 1; power: its signed square root, then each modality to length
    1."""
    min_posts: Annotated[int, Field(ge=1)] = 2
    """Creators with fewer posts (after leaving out those about brands) are no candidates."""
    min_positives: Annotated[int, Field(ge=1)] = 3
    """Brands with fewer creators take no part in training and metrics; evaluation.brands=cold scores them."""
    exclude_categories: tuple[str, ...] = ()
    """Brand categories to leave out, for instance media."""
    candidates: Literal["split", "all"] = "split"
    """Who competes in training and in metrics: creators who work with a brand of the same split (the paper's protocol:
    its test list holds the 790 creators of the test brands), or everybody. With "all", the partners of held-out brands
    serve as negatives in training, which teaches the ranker to avoid exactly those it should find."""
    published_split: bool = False
    """Take training and test part from the market's table `splits`; validation brands are drawn from the former."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of brands that choose the checkpoint and calibrate the scores."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of brands held out until evaluate.py."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """α of eq. 8: weight of engagement against similarity in the label of a positive."""
    label_scale: Literal["unit", "raw"] = "unit"
    """unit: engagement as its quantile among training positives and SIM as (1 + SIM)/2, both in [0, 1]; raw: eq. 8 as
    it stands, where engagement (about 0.007) vanishes beside SIM and all labels are nearly equal."""
    label: Literal["zero", "similarity"] = "zero"
    """Competence of a negative: 0, or (1 − α)·SIM (the literal eq. 8, which destroys the ranking)."""
    lists: Literal["buckets", "pairs"] = "buckets"
    """What a row of a batch is: a list of K creators by K-buckets sampling, or a partner of a brand who competes with
    all others (model.loss=softmax) or with those of the batch (model.loss=info_nce)."""
    hard_negatives: Annotated[int, Field(ge=0)] = 0
    """With lists=pairs: creators of the brand's own category added to the rivals of each partner, drawn anew."""
    list_length: Annotated[int, Field(ge=2, le=8)] = 3
    """K of the K-buckets sampling."""
    lists_per_brand: Annotated[int, Field(ge=1)] | None = None
    """Lists per brand and epoch; null: the paper's capacity."""
    resample: bool = True
    """Draw new lists every epoch; false: the first epoch's, in the same order, for ever (debug=overfit)."""
    batch_size: Annotated[int, Field(ge=1)] = 1024
    """Lists per step."""
    num_workers: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _no_idle_setting(self) -> Self:
        if self.hard_negatives and self.lists != "pairs":
            raise ValueError(
                "data.hard_negatives is for data.lists=pairs: set that, with model.loss=softmax or info_nce, or "
                "data.hard_negatives=0"
            )
        return self


@config(group="model/mir", target="micromega.models.mir.module:MIRModule")
class MIRModelConfig:
    """The two towers and how they are trained."""

    modalities: Modalities = ("text", "account")
    """Of data.modalities."""
    fusion: Literal["bilinear", "concatenation", "linear", "gated"] = "bilinear"
    """How modalities meet: element-wise product of two-layer branches (eq. 7); two layers or one on all of them side by
    side; or branches weighted by a gate."""
    shared_directions: Annotated[int, Field(ge=0)] = 0
    """Reduce the modalities to so many directions that they share, found without labels; 0: take them as they are."""
    modality_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that a modality of an account is hidden in training; never all of them."""
    pooling: Literal["fixed", "attention"] = "fixed"
    """Posts to account: data.pooling, or weights learned post by post."""
    attention_size: Annotated[int, Field(ge=1)] = 32
    """Hidden units behind those weights."""
    hidden_size: Annotated[int, Field(ge=1)] = 256
    """d_h1 and d_h2 of eq. 7."""
    hidden_sizes: dict[str, Annotated[int, Field(ge=1)]] = dataclasses.field(default_factory=dict)
    """d_h of single modalities of data.modalities where it differs, for model.fusion=bilinear; 300 for text and 4,096
    for pictures in the paper."""
    embedding_size: Annotated[int, Field(ge=1)] = 256
    """d_a of eq. 7."""
    tied: bool = True
    """One tower for brands and creators; false in the paper."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    dropout_on: Literal["weights", "activations"] = "activations"
    """What dropout acts on: first-layer weights (the paper's setting) or inputs of the layers."""
    initial_range: Annotated[float, Field(gt=0)] | None = None
    """Weights start uniform in ± this (0.1 in the paper); null: scaled to the fan-in."""
    score: Literal["dot", "cosine"] = "dot"
    """f(b, m): mean over d_a of the product (the paper), or cosine divided by a learned temperature."""
    competition: bool = False
    """Take from a creator's scores the log-sum-exp over all brands: who fits many brands is less likely to be one's
    own partner."""
    temperature: Annotated[float, Field(ge=0.01, le=1)] = START_TEMPERATURE
    """Where the learned temperature starts."""
    loss: Literal["top_one", "list_mle", "approx_ndcg", "lambda_loss", "softmax", "info_nce"] = "top_one"
    """On lists of K: the paper's top-1-over-K cross-entropy, or one of later work on learning to rank. With
    data.lists=pairs: softmax over all candidates, or over those of the batch with logQ correction."""
    creator_choice: Annotated[float, Field(ge=0)] = 0.0
    """With data.lists=pairs: weight of each partner's choice among the brands of the batch; 0: only brands choose."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over the lists of a batch; the authors' code sums."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, lt=10)] = 1e-3
    schedule: Literal["exponential", "one_cycle"] = "exponential"
    """The rate falls by a factor each epoch (the paper), or rises and falls once over the whole training."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor per epoch."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of AdamW."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """λ of eq. 17."""

    @model_validator(mode="after")
    def _no_idle_setting(self) -> Self:
        if self.modality_dropout and self.shared_directions:
            raise ValueError(
                "model.modality_dropout has no modality to hide behind model.shared_directions: set one of them to 0"
            )
        if self.score != "cosine" and self.temperature != START_TEMPERATURE:
            raise ValueError("model.temperature is for model.score=cosine: set that, or leave model.temperature out")
        if self.creator_choice and self.loss not in ("softmax", "info_nce"):
            raise ValueError(
                "model.creator_choice is for model.loss=softmax or info_nce: set one of these, with data.lists=pairs, "
                "or model.creator_choice=0"
            )
        if self.weight_decay and self.optimiser != "adamw":
            raise ValueError("model.weight_decay is for model.optimiser=adamw: set that, or model.weight_decay=0")
        return self


@config(group="evaluation/mir", target="micromega.models.mir.evaluate:evaluate")
class MIREvaluationConfig:
    """What evaluate.py computes for the ranker."""

    brands: Literal["test", "all", "cold"] = "test"
    """Whose score rows are written; all: also of brands seen in training, whose scores are too good; cold: of brands
    that have posts and fewer partners than data.min_positives, or none."""
    calibration: Literal["platt", "isotonic", "none"] = "platt"
    """How logits become probabilities of being a positive, fitted on validation brands; none: they stay logits."""
    uncertainty_samples: Annotated[int, Field(ge=0)] = 32
    """Dropout passes behind `score_std` of the pairs that are written; 0: no uncertainty."""
    recall_at: tuple[Annotated[int, Field(ge=1)], ...] = (10, 50)
    bootstrap_samples: Annotated[int, Field(ge=0)] = 2000
    """Resamplings of the test brands behind the intervals of the metrics; 0: none."""
    compare: dict[str, str] = dataclasses.field(default_factory=dict)
    """Other evaluated runs for the tables of the report, name -> run folder; they must have the same test brands."""
    blend: dict[str, str] = dataclasses.field(default_factory=dict)
    """Other trained rankers whose scores are mixed with the model's, name -> run folder of train.py."""
    blend_weight: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of those in the mixture, all together; a brand's scores by each ranker have mean 0 and deviation 1."""
    cases: Annotated[int, Field(ge=0)] = 4
    """Test brands shown in the report with their first partner and first two others, and what these posted."""
    shortlist: Annotated[int, Field(ge=1)] = 50
    """With retrieve=exact or ann: creators per brand in the score table; all others have no score."""
