"""The report: one HTML file that a manager can open, print and forward, with nothing to load from elsewhere.

`micromega.report.page.render` makes it, and needs the extra `report`.
"""

from micromega.report.content import (
    STANDARD_LIMITS,
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

__all__ = [
    "STANDARD_LIMITS",
    "Calibration",
    "CampaignReport",
    "Candidate",
    "Evaluation",
    "Event",
    "ExamplePost",
    "MethodResult",
    "Offers",
    "PlannedPost",
    "TrainingRun",
]
