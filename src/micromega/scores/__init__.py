"""Scores: the contract between learning and deciding. One Parquet file per table, with its lineage inside."""

from micromega.scores.affinity import affinity_table
from micromega.scores.calibrate import (
    Calibration,
    Platt,
    Reliability,
    calibrate_affinity,
    expected_calibration_error,
    fit_platt,
    reliability_curve,
)
from micromega.scores.embedding import embedding_table, vectors_of
from micromega.scores.isotonic import Isotonic, fit_isotonic
from micromega.scores.read import Scores, read_scores
from micromega.scores.response import ResponseFacts
from micromega.scores.schema import CONTRACT_VERSION, TABLES, Lineage, ScoreKind, TableSpec
from micromega.scores.write import write_scores

__all__ = [
    "CONTRACT_VERSION",
    "TABLES",
    "Calibration",
    "Isotonic",
    "Lineage",
    "Platt",
    "Reliability",
    "ResponseFacts",
    "ScoreKind",
    "Scores",
    "TableSpec",
    "affinity_table",
    "calibrate_affinity",
    "embedding_table",
    "expected_calibration_error",
    "fit_isotonic",
    "fit_platt",
    "read_scores",
    "reliability_curve",
    "vectors_of",
    "write_scores",
]
