"""Configuration of the ranker: its data, its network and training, its evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config


@config(group="data/mir", target="micromega.models.mir.data:MIRData")
class MIRDataConfig:
    """How a market becomes brands, creators, and lists of them to learn from."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Split of the brands and order of the lists."""
    brand_posts: Literal["own", "mentions"] = "own"
    """What represents a brand: its own posts, or other creators' posts that mention it (the evaluated creator left
    out)."""
    modalities: Annotated[tuple[Literal["text", "account", "visual"], ...], Field(min_length=1, max_length=3)] = (
        "text",
        "account",
    )
    """Features that are made: captions, followers and the like, pictures. SBR and the labels' similarity use all of
    them, the network those of model.modalities."""
    visual: Annotated[tuple[str, ...], Field(min_length=1)] = ("image_frames",)
    """Feature arrays of the market that make up the modality visual, side by side; of a post's frames, the mean."""
    word_vectors: str | None = None
    """GloVe text file for captions; null: none."""
    hashed_size: Annotated[int, Field(ge=0)] = 512
    """Length of the hashed bag of words beside it; 0: none."""
    history: Annotated[int, Field(ge=1)] = 50
    """N_hist: how many of an account's latest posts count."""
    pooling: Literal["average", "weighted"] = "average"
    """Eq. 2 or eq. 3."""
    gamma: Annotated[float, Field(ge=0)] = 1 / 3
    """γ of eq. 4."""
    min_posts: Annotated[int, Field(ge=1)] = 2
    """Creators with fewer posts (after leaving out those about brands) are no candidates."""
    min_positives: Annotated[int, Field(ge=2)] = 3
    """Brands with fewer creators are left out."""
    exclude_categories: tuple[str, ...] = ()
    """Brand categories to leave out, for instance media."""
    candidates: Literal["split", "all"] = "split"
    """Who competes in training and in metrics: creators who work with a brand of the same split (the paper's protocol:
    its test list holds the 790 creators of the test brands), or everybody. With "all", the partners of held-out brands
    serve as negatives in training, which teaches the ranker to avoid exactly those it should find."""
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
    list_length: Annotated[int, Field(ge=2, le=8)] = 3
    """K of the K-buckets sampling."""
    lists_per_brand: Annotated[int, Field(ge=1)] | None = None
    """Lists per brand and epoch; null: the paper's capacity."""
    resample: bool = True
    """Draw new lists every epoch; false: the first epoch's, in the same order, for ever (debug=overfit)."""
    batch_size: Annotated[int, Field(ge=1)] = 1024
    """Lists per step."""
    num_workers: Annotated[int, Field(ge=0)] = 0


@config(group="model/mir", target="micromega.models.mir.module:MIRModule")
class MIRModelConfig:
    """The two towers and how they are trained."""

    modalities: Annotated[tuple[Literal["text", "account", "visual"], ...], Field(min_length=1, max_length=3)] = (
        "text",
        "account",
    )
    """Of data.modalities; their branches meet in an element-wise product (eq. 7)."""
    hidden_size: Annotated[int, Field(ge=1)] = 256
    """d_h1 and d_h2 of eq. 7."""
    embedding_size: Annotated[int, Field(ge=1)] = 256
    """d_a of eq. 7."""
    tied: bool = True
    """One tower for brands and creators; false in the paper."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    dropout_on: Literal["weights", "activations"] = "activations"
    """What dropout acts on: first-layer weights (the paper's setting) or inputs of the layers."""
    initial_range: Annotated[float, Field(gt=0)] | None = None
    """Weights start uniform in ± this (0.1 in the paper); null: scaled to the fan-in."""
    loss: Literal["top_one", "list_mle", "approx_ndcg", "lambda_loss"] = "top_one"
    """On lists of K: the paper's top-1-over-K cross-entropy, or one of later work on learning to rank."""
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, lt=10)] = 1e-3
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor per epoch."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """λ of eq. 17."""


@config(group="evaluation/mir", target="micromega.models.mir.evaluate:evaluate")
class MIREvaluationConfig:
    """What evaluate.py computes for the ranker."""

    brands: Literal["test", "all"] = "test"
    """Whose score rows are written; scores of brands seen in training are too good."""
    calibrate: bool = True
    """Turn logits into probabilities of being a positive, fitted on validation brands."""
    uncertainty_samples: Annotated[int, Field(ge=0)] = 32
    """Dropout passes behind `score_std`; 0: no uncertainty."""
    recall_at: tuple[Annotated[int, Field(ge=1)], ...] = (10, 50)
