"""What the report of a ranker shows: plain values, gathered by the caller. No files, no models, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from micromega.models.evaluation import Case, CategoryRow, SelfSimilarity
from micromega.report.content import Calibration

if TYPE_CHECKING:  # at run time it would bring in scipy.stats, which a page does not need
    from micromega.models.mir.intervals import PairedTest

RANKING_LIMITS = (
    "“Works together” is what the market’s mentions say: a mention is not proof of a paid deal, and a creator who was "
    "never mentioned counts as one who does not fit.",
    "Intervals and tests say how much other brands drawn from this market could differ. They leave out what another "
    "training run or another split of the brands would change.",
    "The tests are not corrected for their number: one in twenty comparisons of equal methods falls below p = 0.05.",
)
"""What every report of a ranker must admit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RankingReport:
    """All that the page of one evaluated ranker shows. Parts that are None or empty are left out.

    Attributes:
        market: name of the market.
        brands: how many test brands.
        candidates: how many creators were ranked for each.
        metrics: method -> metric -> value; the model itself comes first; NaN where not defined.
        baselines: which of the methods are the baselines.
        parts: which are the rankers that the model is a mixture of, each alone; the rest are other runs.
        intervals: method -> metric -> 95 % interval.
        tests: other method -> metric -> the model's minus that method's.
        notice: what a reader must know first, for instance that the market is simulated.
        categories: the model by category (table 3 of the paper).
        self_similarity: how alike the brands of a category are (figure 5).
        cases: some brands and what the model puts first (figure 6).
        brand_posts: "own", or "mentions" where brands are known by other accounts' posts.
        calibration_method: platt or isotonic.
        before: the logits read as log-odds.
        after: the calibrated probabilities.
        absent: what could not be computed, and why.
        limits: one or two sentences each.
        facts: label -> value, of the split and the data.
        lineage: label -> value: fingerprints, commit, versions, seed, signature, time.
    """

    market: str
    brands: int
    candidates: int
    metrics: Mapping[str, Mapping[str, float]]
    baselines: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=lambda: MappingProxyType({}))
    tests: Mapping[str, Mapping[str, "PairedTest"]] = field(default_factory=lambda: MappingProxyType({}))
    notice: str | None = None
    categories: tuple[CategoryRow, ...] = ()
    self_similarity: SelfSimilarity | None = None
    cases: tuple[Case, ...] = ()
    brand_posts: str = "own"
    calibration_method: str = "platt"
    before: Calibration | None = None
    after: Calibration | None = None
    absent: tuple[str, ...] = ()
    limits: tuple[str, ...] = RANKING_LIMITS
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lineage: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def model(self) -> str:
        """Name of the model."""
        return next(iter(self.metrics))

    @property
    def headline(self) -> str:
        """The metric of the first sentence: the shortest shortlist's recall, or AUC."""
        recalls = [name for name in self.metrics[self.model] if name.startswith("recall_at_")]
        return min(recalls, key=lambda name: int(name.rsplit("_", 1)[1]), default="auc")
