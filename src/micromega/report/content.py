"""What a campaign report shows: plain values, gathered by the caller. No files, no models, no clock."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from micromega.errors import DataError
from micromega.solvers.plan import Certificate

if TYPE_CHECKING:  # at run time they would bring in scipy.optimize and cvxpy, which a page does not need
    from micromega.scores.calibrate import Reliability
    from micromega.solvers.campaign.frontier import BudgetCurve

FloatArray = npt.NDArray[np.float64]

STANDARD_LIMITS = (
    "Fit is a prediction learned from which creators mentioned which brands before. A mention is not proof of a paid "
    "deal, and a missing mention is not proof of a bad fit.",
    "The expected effect of a post rests on what the creator's past posts achieved. A single post can do much better "
    "or much worse.",
    "The plan picks the highest predictions, and the highest predictions tend to be too high. Expect somewhat less "
    "than the total.",
    "“Certified” means that the plan keeps every rule and that no other plan is better on these predictions. It does "
    "not mean that the predictions are right.",
    "Prices are those of the price list or rate card in use. Agree them with the creator before booking.",
)
"""What every campaign report must admit, in plain words."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """An occasion that posts are made for.

    Attributes:
        name: event id or title.
        date: calendar day, if known.
        details: location, genre and the like, in words.
    """

    name: str
    date: dt.date | None = None
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class PlannedPost:
    """One row of the plan: who posts what, when, for how much.

    Attributes:
        creator: id or name.
        content_type: kind of post.
        event: event that it is made for.
        date: calendar day of the post, if known.
        price: in the report's currency.
        value: expected effect, in the report's `value_unit`.
        fit: predicted probability that creator and brand fit, in [0, 1].
    """

    creator: str
    content_type: str
    event: str
    date: dt.date | None = None
    price: float
    value: float
    fit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BindingLimit:
    """A limit that costs something.

    Attributes:
        name: what it limits, in words.
        worth: what loosening it by one would add, in the plan's unit.
    """

    name: str
    worth: float


@dataclass(frozen=True, kw_only=True)
class OtherPlan:
    """Another plan beside the one that is shown.

    Attributes:
        question: that it answers, in words.
        value: in the plan's unit; None where there is no plan.
        lost: share of the plan's value that it gives up; None without a plan.
        joined: names of creators who come in.
        left: names of creators who go.
        reason: why there is no plan.
    """

    question: str
    value: float | None
    lost: float | None
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RiskPoint:
    """The best plan at one aversion to risk.

    Attributes:
        rho: aversion.
        expected: in the plan's unit.
        deviation: standard deviation of the total if predictions err independently, same unit.
        used: whether it is the plan that is shown.
    """

    rho: float
    expected: float
    deviation: float
    used: bool = False


@dataclass(frozen=True, kw_only=True)
class ExamplePost:
    """A past post that shows what a creator does.

    Attributes:
        text: caption as it was posted; shown escaped and shortened.
        likes: count, if known.
        comments: count, if known.
        date: day of the post, if known.
    """

    text: str
    likes: int | None = None
    comments: int | None = None
    date: dt.date | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One creator of the shortlist, with the reasons.

    Attributes:
        rank: 1 is the best fit.
        creator: id or name.
        fit: probability in [0, 1].
        fit_std: its standard deviation.
        followers: count.
        price: of one post, in the report's currency.
        value: expected effect of one post, in the report's `value_unit`.
        posts_for_brand: past posts that mention the brand; 0 means none known, None that nobody looked.
        in_plan: whether the plan books this creator.
        reasons: further reasons, one short sentence each.
        examples: past posts.
    """

    rank: int
    creator: str
    fit: float
    fit_std: float | None = None
    followers: int | None = None
    price: float | None = None
    value: float | None = None
    posts_for_brand: int | None = None
    in_plan: bool = False
    reasons: tuple[str, ...] = ()
    examples: tuple[ExamplePost, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Offers:
    """Every post that the plan could have bought, for the picture of what was chosen and what was not.

    Attributes:
        price: (N,) in the report's currency.
        value: (N,) in the report's `value_unit`.
        chosen: (N,) whether the plan buys it.
    """

    price: FloatArray
    value: FloatArray
    chosen: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        _same_length("Offers", price=self.price, value=self.value, chosen=self.chosen)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRun:
    """One training run.

    Attributes:
        label: for instance "seed 1".
        epoch: (E,) epoch of each value.
        loss: (E,) mean training loss; NaN where it was not logged.
        validation: (E,) validation metric; NaN where it was not computed.
    """

    label: str
    epoch: npt.NDArray[np.int64]
    loss: FloatArray
    validation: FloatArray | None = None

    def __post_init__(self) -> None:
        _same_length("TrainingRun", epoch=self.epoch, loss=self.loss, validation=self.validation)


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """How well one method ranks on held-out brands.

    Attributes:
        method: name.
        metrics: metric name -> (mean, standard deviation over seeds or None); NaN means where it is not defined.
        ours: whether the plan uses this method.
    """

    method: str
    metrics: Mapping[str, tuple[float, float | None]]
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Methods side by side.

    Attributes:
        methods: in the order of the table's rows; columns are the metrics in order of first appearance.
        lower_is_better: metrics of which small values are good.
        note: what was held out and how many seeds, one sentence.
    """

    methods: tuple[MethodResult, ...]
    lower_is_better: frozenset[str] = frozenset({"MedR"})
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How far the predicted probabilities hold on pairs that were held out.

    Attributes:
        curve: predicted against observed.
        error: expected calibration error, in [0, 1].
    """

    curve: "Reliability"
    error: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignReport:
    """All that the page of one campaign shows. Parts that are None or empty are left out.

    Attributes:
        brand: name of the brand.
        market: name of the market.
        currency: code or sign, put before amounts.
        value_unit: what the plan maximises, in words that fit after a number.
        budget: in `currency`.
        planned: the plan's rows.
        events: the event plan.
        notice: what a reader must know first, for instance that the market is simulated.
        rules: the constraints, one short sentence each.
        certificate: what the checker found.
        shrunk_value: the total after shrinking for the optimiser's curse, in `value_unit`.
        marginal_value: what one more unit of currency adds, in `value_unit` (the budget's shadow price).
        budget_curve: value at other budgets, from `micromega.solvers.campaign.frontier`.
        offers: all that could have been bought.
        binding: limits that cost something, the dearest first.
        alternatives: nearly as good plans with other creators.
        questions: why somebody is not in the plan, and what if somebody declined.
        risk: best plans by aversion to risk.
        shortlist: best creators for the brand, by rank.
        evaluation: the ranker against baselines.
        calibration: predicted against observed probability.
        training: training runs.
        validation_metric: name of the runs' validation metric.
        lineage: label -> value, in the order shown: fingerprints, commit, versions, seed, signature, time.
        notes: what happened on the way, one sentence each.
        limits: limits and assumptions, one or two sentences each.
    """

    brand: str
    market: str
    currency: str
    value_unit: str = "engagements that fit"
    budget: float
    planned: tuple[PlannedPost, ...]
    events: tuple[Event, ...] = ()
    notice: str | None = None
    rules: tuple[str, ...] = ()
    certificate: Certificate | None = None
    shrunk_value: float | None = None
    marginal_value: float | None = None
    budget_curve: "BudgetCurve | None" = None
    offers: Offers | None = None
    binding: tuple[BindingLimit, ...] = ()
    alternatives: tuple[OtherPlan, ...] = ()
    questions: tuple[OtherPlan, ...] = ()
    risk: tuple[RiskPoint, ...] = ()
    shortlist: tuple[Candidate, ...] = ()
    evaluation: Evaluation | None = None
    calibration: Calibration | None = None
    training: tuple[TrainingRun, ...] = ()
    validation_metric: str = "AUC"
    lineage: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = STANDARD_LIMITS

    @property
    def spend(self) -> float:
        """Sum of the planned prices, in `currency`."""
        return float(sum(post.price for post in self.planned))

    @property
    def value(self) -> float:
        """Sum of the planned effects, in `value_unit`."""
        return float(sum(post.value for post in self.planned))

    @property
    def creators(self) -> int:
        """Number of different creators in the plan."""
        return len({post.creator for post in self.planned})


def _same_length(holder: str, **arrays: Sequence[object] | npt.NDArray[np.generic] | None) -> None:
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{holder}: the arrays must have one length, got {lengths}.")
