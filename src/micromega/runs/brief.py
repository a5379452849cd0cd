"""Gathers what the report of a campaign shows."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.market import Market
from micromega.report import (
    Calibration,
    CampaignReport,
    Candidate,
    Evaluation,
    Event,
    ExamplePost,
    MethodResult,
    Offers,
    PlannedPost,
    TrainingRun,
)
from micromega.runs.record import EVALUATION
from micromega.runs.what_if import WhatIf
from micromega.scores import Reliability, Scores
from micromega.solvers.campaign.frontier import BudgetCurve
from micromega.solvers.campaign.problem import LINK, CampaignProblem
from micromega.solvers.campaign.shrink import shrunk_value
from micromega.solvers.plan import Certificate, Plan

SHORTLIST, EXAMPLES, MOST_RULES = 12, 2, 6
_NAMES = {"auc": "AUC", "cauc": "cAUC", "median_first_rank": "MedR"}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a plan comes from.

    Attributes:
        market: the market.
        brand_id: whom the plan is for.
        scores: the score table.
        evaluated: folder of the evaluation behind the scores, if known.
        trained: folder of the training behind that, if known.
    """

    market: Market
    brand_id: str
    scores: Scores
    evaluated: Path | None
    trained: Path | None


def campaign_report(
    sources: Sources,
    problem: CampaignProblem,
    plan: Plan,
    certificate: Certificate,
    curve: BudgetCurve,
    facts: Mapping[str, Any],
    beside: WhatIf,
) -> CampaignReport:
    """Collect a campaign's report.

    Args:
        sources: market, scores and run folders.
        problem: what was asked.
        plan: what was answered.
        certificate: what the checker found.
        curve: value at other budgets.
        facts: lineage of this run.
        beside: answers to what people ask next.

    Returns:
        What the page shows; parts whose files are missing are left out.
    """
    names = names_of(sources.market)
    evaluation = _json(sources.evaluated, EVALUATION)
    return CampaignReport(
        brand=_brands(problem, sources, names),
        market=sources.market.name,
        currency=problem.currency,
        value_unit=problem.unit,
        budget=problem.budget,
        planned=_planned(problem, plan, sources, names),
        events=_events(problem, sources.market),
        notice=_notice(sources.market, evaluation, sources.brand_id, problem),
        rules=_rules(problem),
        certificate=certificate,
        shrunk_value=shrunk_value(problem.effectiveness, problem.std, plan.chosen),
        marginal_value=float(plan.duals[0]) if problem.price.min() <= problem.budget else None,
        budget_curve=curve,
        offers=Offers(price=problem.price, value=problem.value, chosen=plan.chosen),
        binding=beside.binding,
        alternatives=beside.alternatives,
        questions=beside.questions,
        risk=beside.risk,
        shortlist=_shortlist(problem, plan, sources, names),
        evaluation=_evaluation(evaluation),
        calibration=_calibration(evaluation),
        training=_training(sources.trained),
        validation_metric="Rec@50",
        lineage=_lineage(sources, facts),
        notes=(*problem.notes, *plan.notes, *beside.notes, *sources.scores.lineage.notes),
    )


def _brands(problem: CampaignProblem, sources: Sources, names: Mapping[str, str]) -> str:
    """Name the brand, or all that share the plan."""
    several = [brand for brand in dict.fromkeys(problem.brand_id.tolist()) if brand]
    return ", ".join(names.get(brand, brand) for brand in several or [sources.brand_id])


def names_of(market: Market) -> dict[str, str]:
    """Name of each account, its id where it has none."""
    accounts = market.table("accounts")
    pairs = zip(accounts["account_id"].to_pylist(), accounts["name"].to_pylist(), strict=True)
    return {account: name or account for account, name in pairs}


def _notice(market: Market, evaluation: Mapping[str, Any], brand_id: str, problem: CampaignProblem) -> str | None:
    if problem.price.min() > problem.budget:
        cheapest = f"{problem.price.min():,.2f} {problem.currency}"
        return f"The budget pays for no post: the cheapest costs {cheapest}."
    if market.name.startswith("simulated"):
        return "This market is simulated: brands, creators and numbers are made up, to show how a plan is made."
    if brand_id in evaluation.get("facts", {}).get("train_brands", ()):
        return "The ranker was trained on this brand's own partners, so its fit probabilities here are too good."
    return None


def _fits(sources: Sources) -> dict[str, tuple[int, float, float | None]]:
    if "brand_id" not in sources.scores.table.column_names:
        return {}  # an effectiveness table: no probabilities of fit
    table = sources.scores.table.filter(pc.equal(sources.scores.table["brand_id"], sources.brand_id))
    columns = (table[name].to_pylist() for name in ("creator_id", "rank", "score", "score_std"))
    return {creator: (rank, score, std) for creator, rank, score, std in zip(*columns, strict=True)}


def _planned(
    problem: CampaignProblem, plan: Plan, sources: Sources, names: Mapping[str, str]
) -> tuple[PlannedPost, ...]:
    fits = _fits(sources)
    several = len(np.unique(problem.brand_id)) > 1

    def event(row: int) -> str:
        brand = str(problem.brand_id[row])
        return f"{names.get(brand, brand)}: {problem.event_id[row]}" if several else str(problem.event_id[row])

    rows = np.flatnonzero(plan.chosen)
    rows = rows[np.lexsort((-problem.value[rows], problem.event_id[rows]))]
    return tuple(
        PlannedPost(
            creator=names.get(str(problem.creator_id[row]), str(problem.creator_id[row])),
            content_type=str(problem.content_type[row]),
            event=event(int(row)),
            date=problem.date[row].item(),
            price=float(problem.price[row]),
            value=float(problem.value[row]),
            fit=fits.get(str(problem.creator_id[row]), (0, None, None))[1],
        )
        for row in rows
    )


def _events(problem: CampaignProblem, market: Market) -> tuple[Event, ...]:
    ids, first = np.unique(problem.event_id, return_index=True)
    details = {}
    if "events" in market.tables:
        events = market.tables["events"]
        for event in events.filter(pc.is_in(events["event_id"], pa.array(ids.tolist()))).to_pylist():
            details[event["event_id"]] = ", ".join(
                str(event[key]) for key in ("genre", "location", "type") if event[key]
            )
    days = problem.date - problem.offset_days
    return tuple(
        Event(name=str(event), date=days[row].item(), details=details.get(str(event), ""))
        for event, row in zip(ids, first, strict=True)
    )


def _rules(problem: CampaignProblem) -> tuple[str, ...]:
    """Say each setting's rules; of many rows that differ in an id alone ("at most 1 post by creator c7"), say one."""
    rows = problem.rows
    rules = [f"Spend at most {problem.budget:,.0f} {problem.currency}."]
    for setting in dict.fromkeys(setting for setting in rows.settings if setting != LINK):
        mine = [name for name, of in zip(rows.names, rows.settings, strict=True) if of == setting]
        if len(mine) > MOST_RULES:
            mine = [f"{mine[0].rsplit(' ', 1)[0]} (each of {len(mine):,})"]
        rules += [text[0].upper() + text[1:] + "." for text in mine]
    return tuple(rules)


def _shortlist(
    problem: CampaignProblem, plan: Plan, sources: Sources, names: Mapping[str, str]
) -> tuple[Candidate, ...]:
    accounts = sources.market.table("accounts")
    followers = dict(zip(accounts["account_id"].to_pylist(), accounts["followers"].to_pylist(), strict=True))
    category = dict(zip(accounts["account_id"].to_pylist(), accounts["category"].to_pylist(), strict=True))
    if not _fits(sources):
        return ()
    worked = _worked_before(sources)
    cheapest: dict[str, int] = {}
    for row in np.argsort(-problem.price, kind="stable"):
        cheapest[str(problem.creator_id[row])] = int(row)
    planned = set(problem.creator_id[plan.chosen].tolist())
    chosen = sorted(_fits(sources).items(), key=lambda item: item[1][0])[:SHORTLIST]
    examples = _examples(sources, [creator for creator, _ in chosen])
    return tuple(
        Candidate(
            rank=rank,
            creator=names.get(creator, creator),
            fit=score,
            fit_std=std,
            followers=followers.get(creator),
            price=float(problem.price[cheapest[creator]]) if creator in cheapest else None,
            value=float(problem.value[cheapest[creator]]) if creator in cheapest else None,
            posts_for_brand=worked.get(creator, 0),
            in_plan=creator in planned,
            reasons=_reasons(category.get(creator), category.get(sources.brand_id)),
            examples=examples.get(creator, ()),
        )
        for creator, (rank, score, std) in chosen
    )


def _reasons(category: str | None, brand_category: str | None) -> tuple[str, ...]:
    if category is None:
        return ()
    return (f"Category {category}, the brand's own.",) if category == brand_category else (f"Category {category}.",)


def _worked_before(sources: Sources) -> dict[str, int]:
    mentions = sources.market.table("mentions")
    mine = mentions.filter(pc.equal(mentions["brand_id"], sources.brand_id))
    return dict(zip(mine["creator_id"].to_pylist(), mine["posts"].to_pylist(), strict=True))


def _examples(sources: Sources, creators: list[str]) -> dict[str, tuple[ExamplePost, ...]]:
    """Give each creator's most liked posts."""
    posts = sources.market.table("posts")
    mine = posts.filter(pc.and_(pc.is_in(posts["account_id"], pa.array(creators)), pc.is_valid(posts["caption"])))
    mine = mine.select(["account_id", "caption", "likes", "comments", "posted_at"]).sort_by([("likes", "descending")])
    found: dict[str, list[ExamplePost]] = {creator: [] for creator in creators}
    for post in mine.to_pylist():
        if len(found[post["account_id"]]) < EXAMPLES:
            day = post["posted_at"].date() if post["posted_at"] else None
            found[post["account_id"]].append(
                ExamplePost(text=post["caption"], likes=post["likes"], comments=post["comments"], date=day)
            )
    return {creator: tuple(items) for creator, items in found.items()}


def _json(folder: Path | None, name: str) -> dict[str, Any]:
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        return {}
    loaded = json.loads(path.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {}


def _evaluation(content: Mapping[str, Any]) -> Evaluation | None:
    if not content:
        return None
    methods = tuple(
        MethodResult(
            method=method,
            metrics={
                _metric_name(name): (float("nan") if value is None else value, None) for name, value in values.items()
            },
            ours=position == 0,
        )
        for position, (method, values) in enumerate(content["metrics"].items())
    )
    brands = content["facts"]["brands"]["test"]
    creators = content["facts"]["test_candidates"]
    return Evaluation(
        methods=methods, note=f"{brands} held-out brands, {creators:,} candidate creators each, one seed."
    )


def _metric_name(name: str) -> str:
    return _NAMES.get(name, name.replace("recall_at_", "Rec@"))


def _calibration(content: Mapping[str, Any]) -> Calibration | None:
    found = content.get("calibration")
    if not found:
        return None
    curve = Reliability(**{key: np.array(values) for key, values in found["curve"].items()})
    return Calibration(curve=curve, error=found["expected_calibration_error"])


def _training(folder: Path | None) -> tuple[TrainingRun, ...]:
    path = None if folder is None else folder / "metrics.csv"
    if path is None or not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return ()
    return (
        TrainingRun(
            label="this run",
            epoch=np.array([int(float(row["epoch"])) + 1 for row in rows]),
            loss=_column(rows, "train/loss"),
            validation=_column(rows, "val/recall_at_50"),
        ),
    )


def _column(rows: list[dict[str, str]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([float(row.get(name) or "nan") for row in rows])


def _lineage(sources: Sources, facts: Mapping[str, Any]) -> dict[str, str]:
    scores = sources.scores.lineage
    rows = {
        "Plan signature": facts["signature"],
        "Score table": sources.scores.path.name,
        "Score signature": scores.config_signature,
        "Checkpoint (SHA-256)": scores.checkpoint_sha256 or "",
        "Market fingerprint": sources.market.fingerprint,
        "Code (git commit)": facts["git_commit"] or "",
        "Seed": str(facts["seed"]),
        "Made": facts["started_at"],
        "Versions": ", ".join(f"{name} {version}" for name, version in facts["packages"].items()),
    }
    return {label: value for label, value in rows.items() if value}
