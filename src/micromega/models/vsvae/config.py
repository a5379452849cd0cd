"""Configuration of the VS-VAE: its data, its network and training, its evaluation."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config

Positive = Annotated[int, Field(ge=1)]
Modality = Literal["text", "image", "audio", "editing"]
Modalities = Annotated[tuple[Modality, ...], Field(min_length=1)]
Part = Literal["caption", "sticker", "speech", "frames", "objects", "sentiment", "audio", "editing"]


@config(group="data/vsvae", target="micromega.models.vsvae.data:PostData")
class VSVAEDataConfig:
    """How posts become batches of words, frames and numbers."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Split of the posts and order of the batches."""
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] = (
        "caption",
        "sticker",
        "speech",
        "frames",
        "objects",
        "sentiment",
        "audio",
        "editing",
    )
    """What a post is made of. caption, sticker and speech are texts of the posts table; the others feature arrays."""
    arrays: dict[Part, str] = dataclasses.field(
        default_factory=lambda: {
            "frames": "image_frames",
            "objects": "image_objects",
            "sentiment": "image_sentiment",
            "audio": "audio",
            "editing": "editing",
        }
    )
    """Feature array of the market behind each part."""
    columns: tuple[str, ...] = ()
    """Columns of posts that stand at the end of the part editing (or are it, where the market has no such array):
    numbers, of which the logarithm of one more is taken, and true or false."""
    word_vectors: str | None = None
    """GloVe or Word2Vec file (the paper: Word2Vec); null: hashed vectors, which know no synonyms."""
    hashed_size: Positive = 64
    """Length of hashed vectors."""
    max_words: Positive = 5_000
    """Size of the vocabulary, most frequent words of the training posts first; the rest is "<unk>"."""
    min_count: Positive = 5
    """Rarer words of the training posts are "<unk>"."""
    max_length: Positive = 50
    """Words kept of each text."""
    max_frames: Positive = 13
    """Frames kept of each video: one every five seconds of at most a minute."""
    standardise: bool = True
    """Bring every number of the feature arrays to mean 0 and deviation 1 on the training posts; false: the paper."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """8:1:1 within each hashtag (Web Appendix B)."""
    batch_size: Positive = 256
    """Posts per step."""
    bucketing: Annotated[int, Field(ge=0)] = 50
    """Posts of like length share a batch: so many batches are drawn and sorted together; 0: no sorting."""
    resample: bool = True
    """Shuffle anew every epoch; false: the first epoch's order for ever (debug=overfit)."""
    num_workers: Annotated[int, Field(ge=0)] = 0


@config(group="model/vsvae", target="micromega.models.vsvae.module:VSVAEModule")
class VSVAEModelConfig:
    """The encoders, the posterior, the decoders and how they are trained."""

    latent_size: Positive = 32
    """Length of r; 256 in the paper."""
    text_hidden: Positive = 32
    """Of each direction of each Bi-LSTM; 64 in the paper."""
    text_size: Positive = 64
    """Of the three texts together."""
    frames_hidden: Positive = 128
    """Of the LSTM over frames; 4,096 in the paper."""
    image_sizes: Annotated[tuple[Positive, ...], Field(min_length=1)] = (256, 128)
    """Dense layers above frames, objects and sentiments; 4,096, 1,024 and 512 in the paper."""
    audio_size: Positive = 64
    editing_size: Positive = 16
    mean_pooling: bool = False
    """Encoders read the mean of a text's words and of the frames beside the last states of LSTMs (false: the paper),
    which take many steps to learn to hold what a mean says at once."""
    linear_path: bool = False
    """Let a straight line past the dense layers lead from what they read to the posterior, and one past the decoders
    from r to each part (false: the paper). What is linear in the data is then learned in fewer epochs."""
    learn_words: bool = False
    """Train the word vectors too; false: they stay as the file has them, as in the paper."""
    posterior: Literal["joint", "product", "mixture"] = "joint"
    """One network over all modalities (the paper), or a product or a mixture of one expert per modality, which need no
    imputation where modalities are missing."""
    modality_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that a modality of a post is hidden from the encoder in training (never all); the decoder still has to
    restore it."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """On the inputs of the encoders' dense layers, and of those that decode pictures."""
    likelihood_scale: Literal["unit", "learned"] = "learned"
    """Deviation of the Gaussian likelihoods: 1 (mean squared error, the paper), or one learned for each part, so that
    4,096 numbers of a picture do not drown 16 of editing."""
    weights: dict[Part, Annotated[float, Field(ge=0)]] = dataclasses.field(default_factory=dict)
    """Weight of the log likelihood of single parts; 1 where not named. One of a part that is not in data.parts is not
    used, so that an experiment's weights do for a market that lacks some parts."""
    kl: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the divergence from the prior at the end of its schedule; 1 is the evidence lower bound."""
    kl_schedule: Literal["constant", "linear", "cyclical"] = "linear"
    """constant (the paper); linear: rises from 0 over kl_epochs; cyclical: the same again and again."""
    kl_epochs: Annotated[float, Field(gt=0)] = 5.0
    """Epochs of a rise."""
    free_nats: Annotated[float, Field(ge=0)] = 0.0
    """Divergence of each dimension (mean over the batch) below which it costs nothing."""
    optimiser: Literal["adam", "adamw"] = "adamw"
    """adam adds L2 to the gradient (the paper's regulariser), adamw shrinks the weights."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    schedule: Literal["constant", "one_cycle"] = "constant"
    """one_cycle: the rate rises to learning_rate in the first tenth of training and falls to nothing in the rest."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of weights, not of biases; the paper's L2 of 0.05 is 0.1 here, since its penalty has no factor 1/2."""


@config(group="evaluation/vsvae", target="micromega.models.vsvae.evaluate:evaluate")
class VSVAEEvaluationConfig:
    """What evaluate.py computes for the VS-VAE."""

    posts: Literal["all", "test", "none"] = "all"
    """Whose r is written to embedding.parquet."""
    batch_size: Positive = 1024
    importance_samples: Annotated[int, Field(ge=0)] = 64
    """Samples behind the importance-weighted bound of held-out posts; 0: none."""
    held_out: Positive = 10_000
    """Test posts that bounds, neighbours and predictions are judged on, at most."""
    neighbours: Annotated[int, Field(ge=1)] = 3
    """Nearest posts in r-space shown for each focal post (Figure 5)."""
    focal_posts: Annotated[int, Field(ge=0)] = 3
    """Of different hashtags, drawn at random."""
    popularity: bool = True
    """Predict from r who grows more than expected (Web Appendix G), where the market has views."""
    popularity_epochs: Positive = 30
    popularity_creators: Literal["all", "unseen"] = "all"
    """Whose posts it is judged on: "unseen" leaves out test and validation posts of creators who have training posts,
    so that nothing is foretold by knowing the creator."""
    growth_noise: Literal["cumulative", "relative", "absolute"] = "cumulative"
    """Of the growth model behind it: gains are independent, each with a share of what is expected of it; or counts are
    independent, with a share of a post's impressions, or with one spread in impressions for all (the paper), in which
    the largest posts own the likelihood."""
    growth_tau: Annotated[float, Field(gt=0)] | None = None
    """That share or spread where it is known, as where counts are rounded; null: estimated, which takes posts that are
    listed on three days or more."""
    growth_initial: Literal["linear", "log"] = "linear"
    """How the first day's impressions explain the growth rate: as they are (the paper), or their log."""
    growth_group: Literal["hashtag", "commonest_hashtag", "author"] = "hashtag"
    """What has coefficients of its own: the hashtag under which a post is listed (the paper); of a post's own hashtags
    the one that most posts carry; the creator."""
    growth_clock: Literal["views", "first_listed"] = "views"
    """Whether days are those of the table views, or count from the first that is listed of each post, whose age on that
    day becomes a covariate."""
