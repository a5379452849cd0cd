"""A few attempts of every fault of the fault table (`make faults` makes all of them)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import asked
import damage
import kills
import tables
from lab import Lab

QUICK = (kills.killed_while_writing, tables.damaged_tables)
SLOW = (
    kills.killed_training,
    kills.stopped_by_signal,
    kills.same_second,
    damage.full_disk,
    damage.damaged_checkpoint,
    damage.not_a_number,
    tables.damaged_scores,
    asked.impossible_campaigns,
    asked.secrets,
    asked.attacks,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("lab"), quick=True)


@pytest.mark.parametrize("inject", QUICK, ids=lambda inject: inject.__name__)
def test_survived(lab, inject):
    row = inject(lab)
    assert row.tried
    assert not row.failures


@pytest.mark.slow
@pytest.mark.parametrize("inject", SLOW, ids=lambda inject: inject.__name__)
def test_survived_slow(lab, inject):
    row = inject(lab)
    assert row.tried
    assert not row.failures
