"""A made-up campaign with every part of the report filled, and every text chosen by the caller."""

from datetime import date

import numpy as np
import pytest

from micromega.report.content import (
    BindingLimit,
    Calibration,
    CampaignReport,
    Candidate,
    Evaluation,
    Event,
    ExamplePost,
    MethodResult,
    Offers,
    OtherPlan,
    PlannedPost,
    RiskPoint,
    TrainingRun,
)
from micromega.scores import reliability_curve
from micromega.solvers.campaign.frontier import BudgetCurve
from micromega.solvers.plan import Certificate, Check, Status


def certificate(status=Status.OPTIMAL, *, ok=True, gap=0.00004, text=str):
    checks = (
        Check(
            name=text("budget"), ok=True, value=400.5, limit=500.0, slack=99.5, words=text("The plan is affordable.")
        ),
        Check(name=text("coverage"), ok=ok, value=2.0, limit=2.0, slack=0.0, words=text("At least 2 posts of beauty.")),
    )
    return Certificate(
        status=status,
        checks=checks,
        objective=4500.0,
        spend=400.5,
        upper_bound=4500.18,
        gap=gap,
        row_slack=np.zeros(2),
        cases=3,
    )


def curve(budgets, objective):
    value = np.array(objective)
    none = np.zeros(len(value))
    return BudgetCurve(
        budgets=np.array(budgets),
        objective=value,
        upper_bound=value,
        spend=none,
        creators=none.astype(int),
        shadow_price=none,
    )


def full(text=str, **changes):
    """Every part filled; each string goes through `text`, so that a test can replace them all."""
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 9, 900)
    examples = (ExamplePost(text=text("Linen in the morning"), likes=1200, comments=1, date=date(2025, 11, 3)),) * 3
    epochs = np.arange(6)
    fields = {
        "brand": text("Terra Home"),
        "market": text("simulated"),
        "currency": text("EUR"),
        "value_unit": text("engagements that fit"),
        "budget": 500.0,
        "planned": (
            PlannedPost(
                creator=text("ana"),
                content_type=text("post"),
                event=text("launch"),
                date=date(2026, 4, 18),
                price=100.5,
                value=1500.0,
                fit=0.25,
            ),
            PlannedPost(
                creator=text("bo"), content_type=text("story"), event=text("launch"), price=300.0, value=3000.0
            ),
        ),
        "events": (
            Event(name=text("launch"), date=date(2026, 4, 18), details=text("Lisbon")),
            Event(name=text("sale")),
        ),
        "notice": text("This market is simulated."),
        "rules": (text("At most 1 post per creator."),),
        "certificate": certificate(text=text),
        "shrunk_value": 3900.0,
        "marginal_value": 2.67,
        "budget_curve": curve([0.0, 250.0, 500.0, 1000.0], [np.nan, 2000.0, 4500.0, 5000.0]),
        "offers": Offers(
            price=np.array([100.5, 300.0, 900.0, 50.0]),
            value=np.array([1500.0, 3000.0, 3100.0, 10.0]),
            chosen=np.array([True, True, False, False]),
        ),
        "binding": (BindingLimit(name=text("at least 1 post on food"), worth=12.5),),
        "alternatives": (
            OtherPlan(
                question=text("Alternative 1"), value=4400.0, lost=0.022, joined=(text("cy"),), left=(text("bo"),)
            ),
        ),
        "questions": (OtherPlan(question=text("Why not di?"), value=None, lost=None, reason=text("No money.")),),
        "risk": (
            RiskPoint(rho=0.0, expected=4500.0, deviation=900.0, used=True),
            RiskPoint(rho=1.0, expected=4100.0, deviation=500.0),
        ),
        "shortlist": (
            Candidate(
                rank=1,
                creator=text("ana"),
                fit=0.25,
                fit_std=0.03,
                followers=23456,
                price=100.5,
                value=1500.0,
                posts_for_brand=2,
                in_plan=True,
                reasons=(text("Writes about linen."),),
                examples=examples,
            ),
            Candidate(rank=2, creator=text("cy"), fit=0.2, posts_for_brand=0),
            Candidate(rank=3, creator=text("di"), fit=0.1),
        ),
        "evaluation": Evaluation(
            methods=(
                MethodResult(method=text("RAND"), metrics={text("AUC"): (0.5, 0.01), "MedR": (97.0, 9.0)}),
                MethodResult(
                    method=text("MIR"), metrics={text("AUC"): (0.8464, 0.006), "MedR": (6.4, None)}, ours=True
                ),
            ),
            note=text("12 brands held out, five seeds."),
        ),
        "calibration": Calibration(curve=reliability_curve(probability, rng.random(900) < probability), error=0.0123),
        "training": tuple(
            TrainingRun(label=text(f"seed {i}"), epoch=epochs, loss=1 / (1 + epochs + i), validation=epochs / (6.0 + i))
            for i in range(2)
        ),
        "validation_metric": text("AUC"),
        "lineage": {text("Market fingerprint"): text("9b1c9b1c"), "Git commit": text("4c2d8f0")},
        "notes": (text("2 creators had no price."),),
        "limits": (text("A mention is not a paid deal."),),
    }
    return CampaignReport(**(fields | changes))


@pytest.fixture(name="full")
def full_fixture():
    return full


@pytest.fixture(name="curve")
def curve_fixture():
    return curve


@pytest.fixture(name="certificate")
def certificate_fixture():
    return certificate
