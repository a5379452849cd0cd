"""Judging probabilities on the test window, and edge by edge against known ones.

Shapes: M edges, N outcomes to be predicted: exposures, or targets of posts where outcomes are shared.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import spearmanr

from micromega.errors import DataError
from micromega.market.market import Market
from micromega.models.diffusion.evidence import Reals, any_of
from micromega.models.diffusion.graph import Graph
from micromega.models.diffusion.windows import Exposures
from micromega.models.mir.metrics import auc
from micromega.scores import expected_calibration_error

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken: EM says 0 of what then happens."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Outcomes of some windows.

    Attributes:
        member: (X,) edge of each exposure, outcome by outcome.
        start: (N + 1,) where each outcome's exposures begin.
        label: (N,) whether the target was activated.
    """

    member: NDArray[np.int64]
    start: NDArray[np.int64]
    label: NDArray[np.bool_]

    def chance(self, probability: Reals) -> Reals:
        """Chance of activation, (N,), from edges' probabilities, (M,)."""
        return any_of(probability[self.member], self.start)


def outcomes(exposures: Exposures, *windows: str) -> Judged:
    """List what is to be predicted.

    Args:
        exposures: of the market.
        windows: which of them.

    Returns:
        One outcome per exposure, or per target and post where outcomes are shared.
    """
    rows = exposures.rows(*windows)
    if not exposures.shared:
        return Judged(member=exposures.edge[rows], start=np.arange(len(rows) + 1), label=exposures.activated[rows])
    rows = rows[np.argsort(exposures.group[rows], kind="stable")]
    begin = np.flatnonzero(np.diff(exposures.group[rows], prepend=-1))
    return Judged(
        member=exposures.edge[rows],
        start=np.append(begin, len(rows)),
        label=np.logical_or.reduceat(exposures.activated[rows], begin),
    )


def log_loss(chance: Reals, label: NDArray[np.bool_]) -> Reals:
    """Minus the log-likelihood of each outcome, nats, (N,)."""
    clipped = np.clip(chance, CLIP, 1 - CLIP)
    lost: Reals = -np.where(label, np.log(clipped), np.log1p(-clipped))
    return lost


def score(judged: Judged, probability: Reals, known: Reals | None, *, bins: int) -> dict[str, float]:
    """Judge one model.

    Args:
        judged: outcomes of the test window.
        probability: (M,) of the edges.
        known: (M,) known probabilities, NaN where there is none; None: nothing is known.
        bins: of the calibration error, equal in mass.

    Returns:
        log_loss (nats), auc, brier, calibration_error; with known probabilities what `against` gives.
    """
    chance = judged.chance(probability)
    values = {
        "log_loss": float(log_loss(chance, judged.label).mean()),
        "auc": auc(chance, judged.label, np.zeros(len(chance), np.int64)),
        "brier": float(np.mean((chance - judged.label) ** 2)),
        "calibration_error": expected_calibration_error(chance, judged.label, bins=bins),
    }
    return values | ({} if known is None else against(probability, known))


def against(probability: Reals, known: Reals) -> dict[str, float]:
    """Compare edges' probabilities with known ones, every edge alike.

    Returns:
        rmse, mae, correlation (Pearson), rank_correlation (Spearman); NaN where one of both never varies.
    """
    held = np.isfinite(known)
    p, q = probability[held], known[held]
    varies = len(p) > 1 and np.ptp(p) > 0 and np.ptp(q) > 0
    return {
        "rmse": _rms(p - q),
        "mae": float(np.abs(p - q).mean()),
        "correlation": float(np.corrcoef(p, q)[0, 1]) if varies else float("nan"),
        "rank_correlation": float(spearmanr(p, q)[0]) if varies else float("nan"),
    }


def known_probabilities(market: Market, graph: Graph) -> Reals | None:
    """Read the probabilities of edges where they are known, (M,): a simulated market's truth, or follows.probability.

    No model reads them.

    Args:
        market: the market.
        graph: its edges.

    Returns:
        Probabilities, NaN for edges without one; None where none is known.
    """
    try:
        table = market.truth("activation")
    except DataError:
        follows = market.table("follows")
        table = follows.filter(pc.is_valid(follows["probability"]))
        if not table.num_rows:
            return None
    edge = graph.edge_of(graph.places(table["source_id"]), graph.places(table["target_id"]))
    known = np.full(len(graph.source), np.nan)
    known[edge] = table["probability"].to_numpy()
    return known


def _rms(values: Reals) -> float:
    return float(np.sqrt(np.mean(values**2)))
