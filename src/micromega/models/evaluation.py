"""What evaluating a model gives back, whatever the model: plain arrays, written by `runs/evaluate.py`.

Shapes: B brands, M creators, C categories, D embedding length.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # scipy.stats is behind the one, FAISS behind the other
    from micromega.models.mir.intervals import PairedTest
    from micromega.models.retrieval import Shortlists

Floats = NDArray[np.float64]
MEDIAN_OF = {"first_rank": "median_first_rank"}
"""Values of a brand that are summed up by their median, and what that is called; all others by their mean."""


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """Scores of every pair of some brands and some creators.

    Attributes:
        brand_ids: (B,) ids.
        creator_ids: (M,) ids.
        scores: (B, M) rank logits; their unit is the model's own.
        deviation: (B, M) standard deviation of the logits, or None.
        positives: (B, M) whether the pair has worked together.
        weights: (M,) how many creators of the market each stands for where these are a sample; None: one.
    """

    brand_ids: NDArray[np.str_]
    creator_ids: NDArray[np.str_]
    scores: Floats
    deviation: Floats | None
    positives: NDArray[np.bool_]
    weights: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class BrandMetrics:
    """Metrics brand by brand, so that means, intervals and paired tests come from the same numbers.

    Attributes:
        brand_ids: (B,) ids of the test brands.
        categories: (B,) their categories, "" if unknown.
        candidates: how many creators were ranked for each.
        market: fingerprint of the market.
        methods: method -> metric -> (B,), NaN where a brand has none; the model itself comes first.
    """

    brand_ids: NDArray[np.str_]
    categories: NDArray[np.str_]
    candidates: int
    market: str
    methods: Mapping[str, Mapping[str, Floats]]

    @property
    def model(self) -> str:
        """Name of the model itself."""
        return next(iter(self.methods))


@dataclass(frozen=True, kw_only=True)
class CategoryRow:
    """The model on the test brands of one category (Gan et al. 2019, table 3).

    Attributes:
        category: its name.
        brands: how many test brands it has.
        metrics: metric -> value over those brands, NaN where not defined.
    """

    category: str
    brands: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SelfSimilarity:
    """How alike the brands of each category are (Gan et al. 2019, figure 5).

    Attributes:
        categories: (C,) those with two brands or more.
        brands: (C,) number of brands.
        average: (C,) mean cosine between two of them, histories pooled by the mean (the paper's S1-AP).
        weighted: (C,) the same with weighted pooling (S2-WAP).
        between: mean cosine between brands of different categories, (average, weighted), for comparison.
    """

    categories: NDArray[np.str_]
    brands: NDArray[np.int64]
    average: Floats
    weighted: Floats
    between: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CaseAccount:
    """An account of the case study.

    Attributes:
        name: display name, or id.
        category: line of business, "" if unknown.
        followers: count, if known.
        biography: profile text, "" if unknown.
        captions: of the latest posts that stand for the account, latest first.
        works_for: brands of this market that a creator has worked with.
        rank: place in the brand's list, 1 is best; None for the brand itself.
    """

    name: str
    category: str
    followers: int | None
    biography: str
    captions: tuple[str, ...]
    works_for: tuple[str, ...] = ()
    rank: int | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test brand with what the model puts first (Gan et al. 2019, figure 6).

    Attributes:
        brand: the brand.
        partner: the best placed creator who works with it.
        others: the two best placed who do not.
        partners: how many creators work with it.
    """

    brand: CaseAccount
    partner: CaseAccount
    others: tuple[CaseAccount, ...]
    partners: int


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """Brands and creators as vectors whose inner product is the score, and each brand's best creators.

    Attributes:
        brand_ids: (B,) ids.
        creator_ids: (M,) ids.
        brands: (B, D) vectors.
        creators: (M, D) vectors.
        shortlists: (B, k) rows of creators and rank logits.
        deviation: (B, k) standard deviation of these logits, or None.
    """

    brand_ids: NDArray[np.str_]
    creator_ids: NDArray[np.str_]
    brands: NDArray[np.float32]
    creators: NDArray[np.float32]
    shortlists: "Shortlists"
    deviation: Floats | None


@dataclass(frozen=True, kw_only=True)
class RankingEvaluation:
    """A ranker judged on held-out brands.

    Attributes:
        metrics: method -> metric -> value, on the test brands; the model itself comes first.
        by_brand: the same brand by brand, without runs that it is compared with.
        intervals: method -> metric -> (low, high), 95 % bootstrap over brands; empty where none were asked for.
        tests: other method -> metric -> the model's minus that method's, paired by brand.
        categories: one row per category of the test brands; empty where no category is known.
        self_similarity: None where it cannot be computed.
        cases: the case study.
        absent: what could not be computed here, and why, one sentence each.
        exported: pairs for the score table, or the shortlists that make it.
        validation: pairs of validation brands, which calibration is fitted on.
        test: pairs of test brands, which calibration is judged on.
        facts: plain values about the split and the data, for the report.
    """

    metrics: Mapping[str, Mapping[str, float]]
    by_brand: BrandMetrics
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=lambda: MappingProxyType({}))
    tests: Mapping[str, Mapping[str, "PairedTest"]] = field(default_factory=lambda: MappingProxyType({}))
    categories: tuple[CategoryRow, ...] = ()
    self_similarity: SelfSimilarity | None = None
    cases: tuple[Case, ...] = ()
    absent: tuple[str, ...] = ()
    exported: PairScores | Retrieved
    validation: PairScores
    test: PairScores
    facts: Mapping[str, Any]
