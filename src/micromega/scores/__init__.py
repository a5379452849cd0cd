"""Scores: the contract between learning and deciding. One Parquet file per table, with its lineage inside."""

from micromega.scores.affinity import affinity_table
from micromega.scores.calibrate import (
    Platt,
    Reliability,
    calibrate_affinity,
    expected_calibration_error,
    fit_platt,
    reliability_curve,
)
from micromega.scores.read import Scores, read_scores
from micromega.scores.schema import CONTRACT_VERSION, TABLES, Lineage, ScoreKind, TableSpec
from micromega.scores.write import write_scores

__all__ = [
    "CONTRACT_VERSION",
    "TABLES",
    "Lineage",
    "Platt",
    "Reliability",
    "ScoreKind",
    "Scores",
    "TableSpec",
    "affinity_table",
    "calibrate_affinity",
    "expected_calibration_error",
    "fit_platt",
    "read_scores",
    "reliability_curve",
    "write_scores",
]
