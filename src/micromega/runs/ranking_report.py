"""Gathers what the report of an evaluated ranker shows."""

from collections.abc import Mapping
from typing import Any

from micromega.market.market import Market
from micromega.models.evaluation import RankingEvaluation
from micromega.report.content import Calibration
from micromega.report.ranking_content import RankingReport
from micromega.report.ranking_words import BASELINES
from micromega.runs.calibration import Calibrated, Judged


def ranking_report(
    result: RankingEvaluation,
    calibration: Calibrated | None,
    retrieved: Mapping[str, Any] | None = None,
    *,
    market: Market,
    lineage: Mapping[str, str],
) -> RankingReport:
    """Collect a ranker's report.

    Args:
        result: what evaluation has found.
        calibration: of its logits, if any.
        retrieved: how shortlists were found, if they were asked for.
        market: the market.
        lineage: label -> value of what it says of its making.

    Returns:
        What the page shows.
    """
    counted = result.facts
    simulated = market.name.startswith("simulated")
    return RankingReport(
        market=market.name,
        brands=len(result.by_brand.brand_ids),
        candidates=result.by_brand.candidates,
        metrics=result.metrics,
        baselines=tuple(method for method in result.by_brand.methods if method in BASELINES),
        parts=tuple(method for method in result.by_brand.methods if method not in BASELINES)[1:],
        intervals=result.intervals,
        tests=result.tests,
        notice="This market is simulated: brands, creators and posts are made up." if simulated else None,
        categories=result.categories,
        self_similarity=result.self_similarity,
        cases=result.cases,
        brand_posts=counted["brand_posts"],
        calibration_method=calibration.method if calibration else "none",
        before=_shown(calibration.before) if calibration else None,
        after=_shown(calibration.after) if calibration else None,
        absent=result.absent,
        facts=_counts(counted) | ({"Shortlists": _retrieval(retrieved)} if retrieved else {}),
        lineage=lineage,
    )


def _counts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Brands": ", ".join(f"{count:,} {split}" for split, count in facts["brands"].items() if count),
        "Creators": f"{facts['creators']:,}, of whom {facts['test_candidates']:,} compete for the test brands",
        "Known pairs": f"{facts['positive_pairs']:,}, of which {facts['test_pairs']:,} of test brands",
        "Brands are known by": "their own posts" if facts["brand_posts"] == "own" else "posts that mention them",
    }


def _retrieval(facts: Mapping[str, Any]) -> str:
    """How shortlists were found, in words."""
    found = f"first {facts['shortlist']} of {facts['creators']:,} creators by {facts['served']} search"
    if facts["served"] == "ann":
        found += f", recall@10 {facts['recall_at_10']:.3f} against exact search"
    return found + (f". {facts['warning']}" if facts["warning"] else "")


def _shown(judged: Judged) -> Calibration:
    return Calibration(curve=judged.curve, error=judged.error)
