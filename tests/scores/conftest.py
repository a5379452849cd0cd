"""A valid table of each kind, to be written as it is or broken on purpose."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from micromega.scores import TABLES, Lineage, ResponseFacts, affinity_table

FINGERPRINT = "9b1c" * 16
WRITTEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def lineage(kind: str, **changes) -> Lineage:
    fields = {
        "score_kind": kind,
        "model": "mir",
        "market_fingerprint": FINGERPRINT,
        "config_signature": "a1b2c3",
        "checkpoint_sha256": "0" * 64,
        "git_commit": "deadbeef",
        "currency": "EUR",
        "notes": ("Five seeds.", "“Quoted” — naïve, 名"),
        "created_at": WRITTEN,
    }
    return Lineage(**(fields | changes))


def good(name: str) -> tuple[pa.Table, Lineage]:
    if name == "affinity":
        table = affinity_table(
            brand_ids=["b1"] * 3 + ["b2"] * 2,
            creator_ids=["x", "y", "z", "x", "y"],
            scores=[0.2, 0.9, 0.5, 0.1, 0.1],
            score_std=[0.01, 0.02, 0.03, 0.04, 0.05],
        )
        return table, lineage("probability")
    if name == "response":
        columns = {
            "subject_id": ["p1", "p1", "p2"],
            "log_followers": [9.0, 10.0, 9.45],
            "log_impressions": [11.0, 11.5, 12.0],
            "elasticity": [0.4, -0.1, 0.2],
            "lower": [0.1, -0.3, None],
            "upper": [0.6, 0.1, None],
            "direct_shift": [0.3, 0.25, None],
        }
        facts = ResponseFacts(band="simultaneous", level=0.9, support=(9.1, 9.9), centre=9.45)
        return pa.table(columns, schema=TABLES[name].schema), lineage("elasticity", response=facts)
    if name == "effectiveness":
        columns = {
            "creator_id": ["x", "x", "y"],
            "content_type": ["post", "story", "post"],
            "event_id": ["e1", "e1", "e1"],
            "offset_days": [-3, 0, 2],
            "mean": [1200.0, -4.5, 0.0],
            "std": [10.0, 0.0, None],
            "price": [100.0, 0.0, 45.5],
        }
        return pa.table(columns, schema=TABLES[name].schema), lineage("impressions")
    if name == "activation":
        columns = {"source_id": ["x", "x"], "target_id": ["x", "y"], "probability": [1.0, 0.0]}
        return pa.table(columns, schema=TABLES[name].schema), lineage("probability")
    columns = {"subject_id": ["x", "y"], "vector": [[0.5, -1.0, 2.0], [0.0, 0.0, 1e-3]]}
    return pa.table(columns, schema=TABLES[name].schema), lineage("vector")


@pytest.fixture(name="lineage")
def lineage_fixture():
    return lineage


@pytest.fixture(name="good")
def good_fixture():
    return good
