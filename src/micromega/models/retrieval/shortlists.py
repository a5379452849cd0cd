"""Shortlists of creators from vectors alone, exact or through an index whose recall has been measured."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.models.retrieval.ann import CreatorIndex
from micromega.models.retrieval.exact import Vectors, top_k_exact

log = logging.getLogger(__name__)

Mode = Literal["exact", "ann"]

FIRST = 10  # recall is measured among the first ten
RECALL = 0.99  # and must be at least this
MEASURED = 256  # brands that it is measured on
PROBES = 8  # lists read per query, to begin with
MOST_PROBES = 32  # or a quarter of all, if that is more: beyond that scoring every creator costs no more


@dataclass(frozen=True, kw_only=True)
class RetrievalFacts:
    """How shortlists were found.

    Attributes:
        asked: the mode that was asked for.
        served: the mode that answered; exact also where no index was good enough.
        library: what did the work, with its version.
        brands: B.
        creators: M.
        dimension: D.
        shortlist: creators per brand.
        recall_at_10: share of the exact first ten among those found, mean over the measured brands; 1 if exact.
        recall_standard_error: of that mean; 0 where every brand was measured.
        recall_brands: brands that recall was measured on; 0 if exact.
        lists: lists of the index; None if exact.
        probes: of these, lists read per query.
        build_seconds: wall time of building the index.
        milliseconds_per_query: wall time of answering all brands, over their number.
        warning: why the answer is exact where an index was asked for.
    """

    asked: Mode
    served: Mode
    library: str
    brands: int
    creators: int
    dimension: int
    shortlist: int
    recall_at_10: float = 1.0
    recall_standard_error: float = 0.0
    recall_brands: int = 0
    lists: int | None = None
    probes: int | None = None
    build_seconds: float | None = None
    milliseconds_per_query: float = 0.0
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Shortlists:
    """The best creators of each brand.

    Attributes:
        rows: (B, k) rows of the creators, best first.
        scores: (B, k) exact inner products.
        facts: how they were found.
        index: the index that found them; None if exact.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    facts: RetrievalFacts
    index: CreatorIndex | None


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What reading a number of lists finds.

    Attributes:
        probes: lists read per query.
        recall: mean recall@10.
        error: its standard error.
        brands: brands measured.
    """

    probes: int
    recall: float
    error: float
    brands: int

    @property
    def enough(self) -> bool:
        """Whether recall is at least 0.99, chance of the sample allowed for (two standard errors)."""
        return self.recall - 2 * self.error >= RECALL


def shortlist(queries_BD: Vectors, creators_MD: Vectors, k: int, *, mode: Mode, seed: int = 0) -> Shortlists:
    """Find the k best creators of each brand by inner product.

    With "ann" an index is built, its recall@10 measured against the exact answer on up to 256 brands, and the number of
    lists that a query reads doubled until recall is at least 0.99. Where a quarter of the lists is not enough (vectors
    without any clusters), the answer is exact, and a warning says so.

    Args:
        queries_BD: (B, D) brands, finite, at least one.
        creators_MD: (M, D) creators, finite, in memory or memory-mapped.
        k: creators per brand.
        mode: exact, or through an index.
        seed: of the index and of the measured brands.

    Returns:
        Rows and scores, (B, min(k, M)).

    Raises:
        DataError: shapes do not fit, or a value is not finite.
        MissingExtraError: mode is "ann" and FAISS is not installed.
    """
    if not len(queries_BD):
        raise DataError("Retrieval: there are no brands to find creators for.")
    if mode == "exact":
        return _exact(queries_BD, creators_MD, k)
    began = time.perf_counter()
    index = CreatorIndex.build(creators_MD, seed=seed)
    built = time.perf_counter() - began
    effort = choose_effort(index, queries_BD, creators_MD, k, seed=seed)
    if not effort.enough:
        warning = (
            f"retrieve=ann: reading {effort.probes:,} of {index.lists:,} lists per brand finds {effort.recall:.3f} of "
            f"the exact first {FIRST} ({RECALL} is wanted), and more would cost as much as scoring every creator. The "
            "vectors hardly cluster; the shortlists are exact instead."
        )
        log.warning("%s", warning)
        return _exact(queries_BD, creators_MD, k, warning=warning)
    began = time.perf_counter()
    rows_BK, scores_BK = index.search(queries_BD, k, probes=effort.probes)
    facts = RetrievalFacts(
        asked="ann",
        served="ann",
        library=index.library,
        **_sizes(queries_BD, creators_MD, rows_BK),
        recall_at_10=effort.recall,
        recall_standard_error=effort.error,
        recall_brands=effort.brands,
        lists=index.lists,
        probes=effort.probes,
        build_seconds=built,
        milliseconds_per_query=1e3 * (time.perf_counter() - began) / len(queries_BD),
    )
    return Shortlists(rows=rows_BK, scores=scores_BK, facts=facts, index=index)


def choose_effort(index: CreatorIndex, queries_BD: Vectors, creators_MD: Vectors, k: int, *, seed: int = 0) -> Effort:
    """Double the lists read per query until recall@10 is enough, at most to a quarter of the lists.

    Args:
        index: of `creators_MD`.
        queries_BD: (B, D) brands; up to 256 of them, drawn by `seed`, are measured.
        creators_MD: (M, D) creators.
        k: creators per brand that will be asked for.
        seed: of the draw.

    Returns:
        The first effort that is enough; else the largest.
    """
    brands = len(queries_BD)
    drawn = np.sort(np.random.default_rng(seed).choice(brands, min(MEASURED, brands), replace=False))
    sample_SD = np.asarray(queries_BD)[drawn]
    exact_SF = top_k_exact(sample_SD, creators_MD, FIRST)[0]
    most = min(max(index.lists // 4, MOST_PROBES), index.lists)
    probes = min(PROBES, most)
    while True:
        found_SK = index.search(sample_SD, max(k, FIRST), probes=probes)[0]
        recall_S = recall(found_SK[:, :FIRST], exact_SF)
        error = float(recall_S.std(ddof=1)) / math.sqrt(drawn.size) if drawn.size < brands else 0.0
        effort = Effort(probes=probes, recall=float(recall_S.mean()), error=error, brands=drawn.size)
        if effort.enough or probes == most:
            return effort
        probes = min(2 * probes, most)


def recall(found_SK: NDArray[np.int64], exact_SK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each exact shortlist that was found, (S,); rows of creators, each once per list."""
    return np.asarray((found_SK[:, :, None] == exact_SK[:, None, :]).any(axis=1).mean(axis=1))


def _exact(queries_BD: Vectors, creators_MD: Vectors, k: int, warning: str | None = None) -> Shortlists:
    began = time.perf_counter()
    rows_BK, scores_BK = top_k_exact(queries_BD, creators_MD, k)
    facts = RetrievalFacts(
        asked="exact" if warning is None else "ann",
        served="exact",
        library=f"numpy {np.__version__}",
        **_sizes(queries_BD, creators_MD, rows_BK),
        milliseconds_per_query=1e3 * (time.perf_counter() - began) / len(queries_BD),
        warning=warning,
    )
    return Shortlists(rows=rows_BK, scores=scores_BK, facts=facts, index=None)


def _sizes(queries_BD: Vectors, creators_MD: Vectors, rows_BK: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "brands": len(queries_BD),
        "creators": len(creators_MD),
        "dimension": creators_MD.shape[1],
        "shortlist": rows_BK.shape[1],
    }
