"""The five score tables, their units, and the lineage that every score file carries.

A score file is Parquet. Its key-value metadata say what the numbers mean (`score_kind`), which model and checkpoint
made them, on which market and with which configuration. A number whose unit is unknown cannot reach a solver.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Self

import pyarrow as pa

from micromega.errors import ScoreError
from micromega.scores.response import ResponseFacts

CONTRACT_VERSION = 1
"""Raised when a column, a unit or a metadata key changes its meaning; readers refuse every other version."""

METADATA_PREFIX = "micromega."


class ScoreKind(StrEnum):
    """The unit of a table's scores."""

    RANK_LOGIT = "rank_logit"
    """Order within a brand; differences and sums mean nothing."""
    PROBABILITY = "probability"
    """In [0, 1]."""
    IMPRESSIONS = "impressions"
    """Times shown."""
    ENGAGEMENT = "engagement"
    """Likes, comments and shares."""
    LOG_IMPRESSIONS = "log_impressions"
    """Natural logarithm of impressions."""
    ELASTICITY = "elasticity"
    """Per cent more impressions for one per cent more followers."""
    CURRENCY = "currency"
    """Money, in the currency that the lineage names."""
    VECTOR = "vector"
    """Coordinates of an embedding: no unit, only comparisons within one table."""

    @property
    def additive(self) -> bool:
        """Whether a sum of scores over the rows of a plan has a meaning."""
        return self in {ScoreKind.PROBABILITY, ScoreKind.IMPRESSIONS, ScoreKind.ENGAGEMENT, ScoreKind.CURRENCY}


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """What one score table must hold.

    Attributes:
        name: table name; the file is usually `<name>.parquet`.
        schema: column names, types and which columns may be null.
        key: columns that are unique together.
        kinds: units that this table may have.
        bounds: closed range of numeric columns (None: open).
        optional: columns that a file may lack; a reader gets nulls.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    kinds: tuple[ScoreKind, ...]
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=lambda: MappingProxyType({}))
    optional: tuple[str, ...] = ()

    def bounds_for(self, kind: ScoreKind) -> dict[str, tuple[float | None, float | None]]:
        """Ranges of the columns, where the unit itself narrows the score's."""
        bounds = dict(self.bounds)
        if kind is ScoreKind.PROBABILITY and "score" in self.schema.names:
            bounds["score"] = (0.0, 1.0)
        return bounds


def _columns(**types: pa.DataType) -> pa.Schema:
    """Schema in the order of the arguments; a trailing underscore marks a column that may be null."""
    return pa.schema([pa.field(name.rstrip("_"), kind, nullable=name.endswith("_")) for name, kind in types.items()])


_TEXT, _INT, _REAL = pa.string(), pa.int64(), pa.float64()

TABLES: Mapping[str, TableSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            TableSpec(
                name="affinity",
                schema=_columns(brand_id=_TEXT, creator_id=_TEXT, score=_REAL, score_std_=_REAL, rank=_INT),
                key=("brand_id", "creator_id"),
                kinds=(ScoreKind.RANK_LOGIT, ScoreKind.PROBABILITY),
                bounds={"score_std": (0.0, None), "rank": (1.0, None)},
            ),
            TableSpec(
                name="response",
                # lower and upper bound the column that score_kind names; null together where no band was computed.
                # direct_shift: what a direct effect of the instrument of 1, in log impressions per standard deviation,
                # would take off the elasticity; null for subjects where that is not known.
                schema=_columns(
                    subject_id=_TEXT,
                    log_followers=_REAL,
                    log_impressions=_REAL,
                    elasticity=_REAL,
                    lower_=_REAL,
                    upper_=_REAL,
                    direct_shift_=_REAL,
                ),
                key=("subject_id", "log_followers"),
                kinds=(ScoreKind.LOG_IMPRESSIONS, ScoreKind.ELASTICITY),
                optional=("direct_shift",),
            ),
            TableSpec(
                name="effectiveness",
                schema=_columns(
                    creator_id=_TEXT,
                    content_type=_TEXT,
                    event_id=_TEXT,
                    offset_days=_INT,
                    mean=_REAL,
                    std_=_REAL,
                    price=_REAL,
                ),
                key=("creator_id", "content_type", "event_id", "offset_days"),
                kinds=(ScoreKind.IMPRESSIONS, ScoreKind.ENGAGEMENT, ScoreKind.LOG_IMPRESSIONS, ScoreKind.CURRENCY),
                bounds={"std": (0.0, None), "price": (0.0, None)},
            ),
            TableSpec(
                name="activation",
                schema=_columns(source_id=_TEXT, target_id=_TEXT, probability=_REAL),
                key=("source_id", "target_id"),
                kinds=(ScoreKind.PROBABILITY,),
                bounds={"probability": (0.0, 1.0)},
            ),
            TableSpec(
                name="embedding",
                schema=_columns(subject_id=_TEXT, vector=pa.list_(pa.float32())),
                key=("subject_id",),
                kinds=(ScoreKind.VECTOR,),
            ),
        )
    }
)
"""The score tables by name."""


def table_spec(name: str, *, file: str) -> TableSpec:
    """What the table of this name must hold; `file` is for the message where there is no such table."""
    if name not in TABLES:
        raise ScoreError(f'{file}: there is no score table "{name}". Allowed: {", ".join(TABLES)}.')
    return TABLES[name]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a score table comes from; stored in the Parquet metadata of the file.

    Attributes:
        score_kind: unit of the scores.
        model: name of the model, for instance "mir".
        market_fingerprint: `Market.fingerprint` of the market that was scored.
        config_signature: signature of the run's configuration.
        checkpoint_sha256: hash of the checkpoint file; None for models without weights.
        git_commit: commit of the code; None outside a repository.
        currency: currency of prices and money; None where the table holds none.
        notes: whatever a reader of the scores should know, one sentence each.
        response: of a response table, what its bands hold and which sizes were observed; None: not known.
        created_at: time of writing, UTC.
        contract_version: version of this contract.
    """

    score_kind: ScoreKind
    model: str
    market_fingerprint: str
    config_signature: str
    checkpoint_sha256: str | None = None
    git_commit: str | None = None
    currency: str | None = None
    notes: tuple[str, ...] = ()
    response: ResponseFacts | None = None
    created_at: datetime = field(default_factory=_now)
    contract_version: int = CONTRACT_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "score_kind", ScoreKind(self.score_kind))
        object.__setattr__(self, "notes", tuple(self.notes))
        for name in ("model", "market_fingerprint", "config_signature"):
            if not getattr(self, name):
                raise ScoreError(f"Lineage: {name} is empty. A score table must say where it comes from.")
        if self.created_at.utcoffset() != timedelta(0):
            raise ScoreError(f"Lineage: created_at is {self.created_at!s}, which is not UTC. Use datetime.now(UTC).")

    def to_metadata(self) -> dict[str, str]:
        """Parquet metadata; fields that are None are left out."""
        texts = {
            "score_kind": self.score_kind.value,
            "model": self.model,
            "market_fingerprint": self.market_fingerprint,
            "config_signature": self.config_signature,
            "checkpoint_sha256": self.checkpoint_sha256,
            "git_commit": self.git_commit,
            "currency": self.currency,
            "notes": json.dumps(self.notes, ensure_ascii=False),
            "response": None if self.response is None else self.response.to_text(),
            "created_at": self.created_at.isoformat(),
            "contract_version": str(self.contract_version),
        }
        return {METADATA_PREFIX + key: text for key, text in texts.items() if text is not None}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, file: str) -> Self:
        """Read the lineage back.

        Args:
            metadata: key-value metadata of the file, as text.
            file: file name, for messages.

        Raises:
            ScoreError: a key is missing or cannot be understood, or the contract version is another one.
        """
        texts = {
            f.name: metadata[METADATA_PREFIX + f.name] for f in fields(cls) if METADATA_PREFIX + f.name in metadata
        }
        version = texts.pop("contract_version", None)
        if version is None:
            raise ScoreError(
                f"{file}: has no lineage in its Parquet metadata, so its units and its market are unknown. "
                "Write score tables with micromega.scores.write_scores."
            )
        if version != str(CONTRACT_VERSION):
            raise ScoreError(
                f"{file}: follows version {version} of the score contract; this micromega reads version "
                f"{CONTRACT_VERSION}. Write the scores again with this version (evaluate.py)."
            )
        try:
            return cls(
                score_kind=ScoreKind(texts.pop("score_kind")),
                notes=tuple(json.loads(texts.pop("notes", "[]"))),
                response=ResponseFacts.from_text(texts.pop("response")) if "response" in texts else None,
                created_at=datetime.fromisoformat(texts.pop("created_at")),
                model=texts.pop("model"),
                market_fingerprint=texts.pop("market_fingerprint"),
                config_signature=texts.pop("config_signature"),
                checkpoint_sha256=texts.pop("checkpoint_sha256", None),
                git_commit=texts.pop("git_commit", None),
                currency=texts.pop("currency", None),
            )
        except (KeyError, ValueError, TypeError, OverflowError, ScoreError) as error:
            raise ScoreError(
                f"{file}: the lineage in its Parquet metadata is incomplete or damaged ({error}). "
                "Write the scores again (evaluate.py)."
            ) from error
