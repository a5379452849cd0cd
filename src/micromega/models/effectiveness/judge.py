"""Judging predictions on the test window, and against known expectations where the market is simulated.

Shapes: N test rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import spearmanr

from micromega.errors import DataError
from micromega.models.effectiveness.conformal import Conformal
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.module import EffectivenessModule
from micromega.models.effectiveness.predictor import Prediction
from micromega.models.effectiveness.result import Calibration, TierCoverage
from micromega.tiers import TIERS

Reals = NDArray[np.float64]
GROUPS = 10
"""Of test rows by prediction, for calibration."""
FEWEST = 50
"""Test rows that a tier needs for its coverage to be told."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Test rows: what came, and what was to be expected.

    Attributes:
        rows: (N,) of the past campaigns.
        outcome: (N,) in its unit.
        log_outcome: (N,) log(outcome + 1).
        tier: (N,) of the creators.
        expected: (N,) known expectations; None where they are not known.
    """

    rows: NDArray[np.int64]
    outcome: Reals
    log_outcome: Reals
    tier: NDArray[np.int64]
    expected: Reals | None


def test_rows(data: EffectivenessData) -> Judged:
    """Collect the test rows of a market, with the truth where there is one."""
    rows = data.split.rows["test"]
    try:
        truth = data.market.truth("campaigns")
    except DataError:
        expected = None
    else:
        ids = data.past.campaign_id.take(rows)
        place = pc.index_in(ids, value_set=truth["campaign_id"].combine_chunks())
        expected = truth[f"expected_{data.config.outcome}"].take(place).to_numpy()
    return Judged(
        rows=rows,
        outcome=data.past.outcome[rows],
        log_outcome=data.log_outcome[rows],
        tier=data.tier[rows],
        expected=expected,
    )


def inside(judged: Judged, found: Prediction, conformal: Conformal, level: float) -> NDArray[np.bool_]:
    """Whether each outcome fell into its interval, (N,)."""
    reach = found.half_width * conformal.factor(level, judged.tier)
    held: NDArray[np.bool_] = np.abs(judged.log_outcome - found.log) <= reach
    return held


def score(judged: Judged, found: Prediction, conformal: Conformal, level: float) -> dict[str, float]:
    """Judge one model.

    Args:
        judged: test rows.
        found: predictions for them.
        conformal: of the model.
        level: of the intervals.

    Returns:
        log_rmse: of log(outcome + 1). noise_floor: the same of whoever knows the expectation exactly.
        expectation_error: root mean squared difference from the log of the known expectation, less its mean.
        rank_correlation, expectation_rank_correlation: Spearman with the outcome and with the expectation.
        total_ratio: sum of outcomes divided by that of means, 1 is right. standardised_error: root mean square of
        (outcome − mean) / std, 1 is right. coverage: share inside the intervals. worst_tier_coverage: of the tier
        farthest from the level. half_width: mean half width of the intervals, log units.
    """
    held, residual = inside(judged, found, conformal, level), judged.log_outcome - found.log
    by_tier = coverage_by_tier(judged, held)
    values = {
        "log_rmse": _rms(residual),
        "rank_correlation": float(spearmanr(found.log, judged.outcome)[0]),
        "total_ratio": float(judged.outcome.sum() / found.mean.sum()),
        "standardised_error": _rms((judged.outcome - found.mean) / found.deviation),
        "coverage": float(held.mean()),
        "worst_tier_coverage": max(by_tier.values(), key=lambda share: abs(share - level), default=float("nan")),
        "half_width": float(np.mean(found.half_width * conformal.factor(level, judged.tier))),
    }
    if judged.expected is not None:
        log_expected = np.log(judged.expected)
        values |= {
            "noise_floor": float(np.std(judged.log_outcome - log_expected)),
            "expectation_error": float(np.std(found.log - log_expected)),
            "expectation_rank_correlation": float(spearmanr(found.log, judged.expected)[0]),
        }
    return values


def coverage_by_tier(judged: Judged, held: NDArray[np.bool_]) -> Mapping[str, float]:
    """Tier -> share of its test rows inside, for tiers with `FEWEST` rows."""
    counts = np.bincount(judged.tier, minlength=len(TIERS))
    return {
        name: float(held[judged.tier == place].mean()) for place, name in enumerate(TIERS) if counts[place] >= FEWEST
    }


def coverage_rows(
    judged: Judged, found: Prediction, module: EffectivenessModule, level: float
) -> tuple[TierCoverage, ...]:
    """Coverage of all test rows and of each tier that has any."""
    conformal = module.conformal()
    held = inside(judged, found, conformal, level)
    width = np.exp(2 * found.half_width * conformal.factor(level, judged.tier))
    calibration = np.bincount(conformal.tier, minlength=len(TIERS))

    def row(name: str, where: NDArray[np.bool_], behind: int, *, own: bool) -> TierCoverage:
        return TierCoverage(
            tier=name,
            rows=int(where.sum()),
            calibration_rows=behind,
            own=own,
            coverage=float(held[where].mean()),
            width=float(np.median(width[where])),
        )

    rows = [row("all", np.ones(len(held), bool), len(conformal.score), own=True)]
    for place, name in enumerate(TIERS):
        where = judged.tier == place
        if where.any():
            rows.append(row(name, where, int(calibration[place]), own=bool(calibration[place] >= conformal.fewest)))
    return tuple(rows)


def calibration(judged: Judged, found: Prediction) -> Calibration:
    """Compare predicted means with outcomes in tenths of the test rows by prediction."""
    groups = np.array_split(np.argsort(found.mean, kind="stable"), min(GROUPS, len(found.mean)))

    def means(values: Reals) -> Reals:
        return np.array([values[group].mean() for group in groups])

    return Calibration(
        predicted=means(found.mean),
        found=means(judged.outcome),
        error=np.array([judged.outcome[group].std() / np.sqrt(len(group)) for group in groups]),
        expected=None if judged.expected is None else means(judged.expected),
    )


def _rms(values: Reals) -> float:
    return float(np.sqrt(np.mean(values**2)))
