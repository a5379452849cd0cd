"""What evaluating the effectiveness model gives back: plain arrays. Shapes: N test rows, T tiers, Q groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TierCoverage:
    """How often outcomes fell into their intervals, for creators of one size.

    Attributes:
        tier: name, or "all".
        rows: test rows.
        calibration_rows: that set the width.
        own: whether the tier has factors of its own.
        coverage: share of the test rows inside.
        width: median upper end divided by lower end, outcome + 1.
    """

    tier: str
    rows: int
    calibration_rows: int
    own: bool
    coverage: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Predicted means against what came, in groups of test rows by predicted mean.

    Attributes:
        predicted: (Q,) mean prediction.
        found: (Q,) mean outcome.
        error: (Q,) standard error of `found`.
        expected: (Q,) mean of the known expectations; None where they are not known.
    """

    predicted: Reals
    found: Reals
    error: Reals
    expected: Reals | None


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One prediction and where it comes from.

    Attributes:
        creator: id.
        content_type: what was bought.
        event: id, "" for none.
        day: of the post, ISO.
        parts: what each domain adds to the log, in the order of `DOMAINS`.
        predicted: mean, in the outcome's unit.
        found: the outcome.
    """

    creator: str
    content_type: str
    event: str
    day: str
    parts: tuple[float, ...]
    predicted: float
    found: float


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What predictions rest on.

    Attributes:
        constant: log prediction before any domain is known.
        domains: domain -> mean absolute contribution over the explained rows, log units.
        columns: column -> the same by TreeSHAP, largest first; empty where there are no trees for the mean.
    """

    constant: float
    domains: Mapping[str, float]
    columns: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The score table for events to come.

    Attributes:
        rows: how many tuples.
        events: for how many events.
        creators: of how many creators.
        plan_day: day of the plan, ISO; all that is used is before it.
        total_ratio: sum of the known expectations divided by that of the means, on a sample; None where not known.
        rank_correlation: Spearman between means and known expectations on that sample.
        log_error: root mean squared difference of their logs, less its mean.
    """

    rows: int
    events: int
    creators: int
    plan_day: str
    total_ratio: float | None = None
    rank_correlation: float | None = None
    log_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class EffectivenessEvaluation:
    """The model judged on the last window in time, beside the others.

    Attributes:
        model: its title.
        outcome: impressions, engagement or revenue.
        unit: of the outcome, in words.
        level: of the intervals.
        metrics: title of a model -> metric -> value; the model itself comes first.
        coverage: by tier, all first; of the model.
        tier_coverage: title -> tier -> coverage.
        calibration: of the model.
        importance: of the model.
        importance_of: title -> domain -> mean absolute contribution.
        explained: some test rows.
        exported: None until the table is written.
        absent: what could not be computed, and why, one sentence each.
        facts: plain values about data and split.
    """

    model: str
    outcome: str
    unit: str
    level: float
    metrics: Mapping[str, Mapping[str, float]]
    coverage: tuple[TierCoverage, ...]
    tier_coverage: Mapping[str, Mapping[str, float]]
    calibration: Calibration
    importance: Importance
    importance_of: Mapping[str, Mapping[str, float]]
    explained: tuple[Explained, ...]
    exported: Exported | None = None
    absent: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
