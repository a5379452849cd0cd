"""Configuration of Deep IV: its data, its two stages and its members, its evaluation."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rule = Literal["gauss", "hermite", "quantile", "monte_carlo"]
Group = Literal["hashtag", "tactic", "topic", "campaign"]
Rival = Literal["naive", "2sls", "2sls_2", "2sls_3", "dfiv", "kernel", "deepiv", "control_function"]


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class StageConfig:
    """A network and how it is trained; both stages have one."""

    hidden: Annotated[tuple[Positive, ...], Field(min_length=1)] = (128, 64, 32)
    """Units of the hidden layers (Web Appendix C)."""
    activation: Literal["silu", "relu"] = "silu"
    """silu: its derivative is smooth, and an elasticity is a derivative; relu: the paper."""
    dropout: Share = 0.0
    """After each hidden layer; 0.2 in the paper."""
    epochs: Positive = 60
    batch_size: Positive = 256
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    """Its peak, where the schedule has one; 1e-5 in the paper."""
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Of AdamW, on weights and not on biases."""
    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Longest gradient of each member; null: any."""
    patience: Positive | None = None
    """Stop when no member has improved for so many epochs; null: never. The best epoch of each is kept in any case."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TreatmentConfig(StageConfig):
    """Stage 1: the distribution of the treatment given instrument and controls."""

    components: Positive = 10
    """Gaussians of the mixture."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OutcomeConfig(StageConfig):
    """Stage 2: the response of the outcome to the treatment."""

    estimation: Literal["integral", "control_function"] = "integral"
    """integral: eq. 5. control_function (Imbens and Newey 2009): impressions at the followers as they came are
    h(t, x) + λ(v, x), where the rank v of the followers among those of the same instrument and controls, F(t | x, z),
    stands for what moves both. Far less noisy, and it assumes more (verdict.py): at a given x, all that moves followers
    beside the instrument is one number, more of which means more followers, and the instrument is independent of it
    and of all else that moves impressions."""
    confounding: Annotated[tuple[Positive, ...], Field(min_length=1)] = (32, 16)
    """Units of the hidden layers of λ."""
    treatment_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the standardised treatment where it enters the network. Networks learn smooth functions first; above 1,
    what is curved in the treatment is learned before what is curved in the controls."""
    rule: Rule = "gauss"
    """How the integral of eq. 5 is taken. gauss: the Gauss rule of the whole mixture, for smooth activations; hermite:
    so many nodes in each component; quantile: midpoints; monte_carlo: two independent samples anew at each step, whose
    gradient is unbiased. The first three are computed once."""
    nodes: Positive = 8
    """Of a row; of each component with hermite; in each of the two samples with monte_carlo."""
    nonnegative: bool = False
    """Punish negative slopes between the nodes of a row. That makes them rare; it does not exclude them, least of all
    where the treatments of no row reach."""
    smoothness: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the mean squared second derivative over the nodes of a row; standardised units. The default suits the
    demand design, whose response is linear in the treatment; it flattens curved ones, and 0 is better there. 0 in the
    paper."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.estimation == "control_function" and self.rule == "monte_carlo":
            raise ValueError(
                "rule=monte_carlo is a way to take the integral of eq. 5, and estimation=control_function takes none: "
                "leave the rule at gauss."
            )
        return self


@config(group="data/deepiv", target="micromega.models.deepiv.data:DeepIVData")
class DeepIVDataConfig:
    """How posts become treatment, instrument, controls and outcome."""

    seed: Count = 0
    """Draw of clusters, folds and held-out rows; order of the batches."""
    instrument: Literal["past_hearts", "other_posts", "earlier_posts"] = "past_hearts"
    """log(1 + mean hearts) of the author's earlier posts as posts.past_hearts has it (section 3.3); of the other posts,
    from the account's hearts and videos without the post itself; or of the earlier ones among the posts at hand."""
    statistics: tuple[str, ...] | None = None
    """Post statistics (Table 6) as controls; null: all that differ between posts."""
    embedding: str | None = None
    """Embedding score table whose vector r of each post is a control too; null: none."""
    allow_other_market: bool = False
    """Take an embedding that was made from other tables than the market's."""
    resample: bool = True
    """Shuffle anew every epoch; false: the first epoch's order for ever (debug=overfit)."""


@config(group="model/deepiv", target="micromega.models.deepiv.module:OutcomeModule")
class DeepIVModelConfig:
    """The two stages, and how many networks each has.

    bootstrap × folds × starts networks ("members") are trained at once; what the model says is their mean.
    """

    treatment: TreatmentConfig = TreatmentConfig()
    outcome: OutcomeConfig = OutcomeConfig()
    starts: Positive = 1
    """Networks that differ in their first weights and in the rows held out, for each draw and fold."""
    folds: Positive = 1
    """From 2 on: cross-fitting (Shao et al. 2024, DML-IV). Each network leaves out one fold of the clusters, and the
    treatment of a row is integrated over the mixtures of those that have not seen its cluster."""
    bootstrap: Count = 0
    """Draws of clusters with replacement, for bands; 0: the data as they are."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Clusters held out of each network to choose its epoch, where neither folds nor a bootstrap leave any out."""


@config(group="evaluation/deepiv", target="micromega.models.deepiv.evaluate:evaluate")
class DeepIVEvaluationConfig:
    """What evaluate.py computes for Deep IV."""

    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the bands."""
    grid: Annotated[int, Field(ge=2)] = 50
    """Sizes of an audience at which curves are computed."""
    posts: Positive = 10_000
    """Over which curves are averaged, at most."""
    groups: tuple[Group, ...] = ("hashtag", "tactic", "topic", "campaign")
    """Kinds of groups of posts with curves of their own, of 30 posts at least; the report says which the market lacks.
    A campaign is a hashtag with sponsored posts."""
    hashtags: Count = 12
    """Hashtags, tactics and topics with curves of their own, those with most posts."""
    campaigns: Count = 30
    """Campaigns with curves of their own, as many as in the paper's Table 4."""
    tactics: str | None = None
    """CSV file with columns hashtag and tactic (Table 3: informational, entertaining, socializing); null: none."""
    bands: Literal["pointwise", "simultaneous"] = "pointwise"
    """pointwise: percentiles at each size; simultaneous: wide enough to hold the whole curve with that level, by the
    largest studentised distance over sizes (Montiel Olea and Plagborg-Moller 2019)."""
    replicates: Annotated[int, Field(ge=2)] = 200
    """Of the bootstrap over creators behind the curves' intervals."""
    rivals: tuple[Rival, ...] = ("naive", "2sls", "2sls_2")
    """Other estimators, fitted to the same posts: a network that takes followers as they come, two-stage least squares
    (linear, degree 2, degree 3), DFIV, kernel IV, and one network of each stage of Deep IV with the estimation named,
    where the model itself has another (settings are those of the model; ranks are not cross-fitted). The last four take
    as long as a training or longer."""
    kernel_posts: Positive = 20_000
    """That kernel IV is fitted to, at most: it holds 36 KB for each."""
    refits: bool = True
    """Train stage 1 once more without the instrument, for what it adds to the likelihood of followers, and stage 2 with
    the instrument as the outcome, for what a direct effect would do to the curve: one network each."""
    diagnostic_posts: Positive = 20_000
    """On which the instrument's validity is tested, at most."""
