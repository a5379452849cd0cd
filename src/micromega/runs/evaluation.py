"""What one evaluation knows of itself, whatever the model."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from micromega.config.schema import RunConfig
from micromega.config.signature import signature
from micromega.files import sha256_of
from micromega.market.market import Market
from micromega.scores import Lineage, ScoreKind

REPORT = "report.html"
METRICS = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class EvaluationRun:
    """One evaluation.

    Attributes:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder.
        market: the market.
        checkpoint: file of the trained model.
        facts: of this run: signature, seed and the like.
    """

    request: RunConfig
    config: DictConfig
    folder: Path
    market: Market
    checkpoint: Path
    facts: Mapping[str, Any]

    def lineage(self, kind: ScoreKind, notes: tuple[str, ...] = ()) -> Lineage:
        """Say where a score table comes from."""
        return Lineage(
            score_kind=kind,
            model=str(type(self.request.model).config_group).rsplit("/", 1)[-1],
            checkpoint_sha256=sha256_of(self.checkpoint),
            market_fingerprint=self.market.fingerprint,
            config_signature=signature(self.config, "evaluate"),
            git_commit=self.facts["git_commit"],
            currency=self.market.currency,
            notes=notes,
        )

    def shown(self, lineage: Lineage) -> dict[str, str]:
        """Label -> value of what a report says of its making."""
        rows = {
            "Signature": self.facts["signature"],
            "Checkpoint (SHA-256)": lineage.checkpoint_sha256 or "",
            "Market fingerprint": lineage.market_fingerprint,
            "Code (git commit)": self.facts["git_commit"] or "",
            "Seed": str(self.facts["seed"]),
            "Made": self.facts["started_at"],
            "Versions": ", ".join(f"{name} {version}" for name, version in self.facts["packages"].items()),
        }
        return {label: value for label, value in rows.items() if value}


def metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Lay out method -> metric -> value for the log; what a method lacks is a dash."""
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    width = max(len(name) for name in names)
    label = max(6, *(len(method) for method in metrics))
    rows = ["  ".join([f"{'':{label}}", *(f"{name:>{width}}" for name in names)])]
    for method, values in metrics.items():
        cells = (
            f"{values[n]:{width}.4f}" if math.isfinite(values.get(n, math.nan)) else f"{'–':>{width}}" for n in names
        )
        rows.append("  ".join([f"{method:{label}}", *cells]))
    return "\n".join(rows)


def to_json(value: Any) -> str:
    """JSON text of dataclasses, arrays and plain values; what is not defined (a cAUC without rivals) is null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
