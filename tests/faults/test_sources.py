"""A few damages of every public data set (`scripts/fuzz_importers.py` tries all of them)."""

import random
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import sources

QUICK = ("UTF-16", "cell 'nan'", "row too short", "line of words", "compressed file cut off")


@pytest.mark.realdata
@pytest.mark.parametrize(
    "source", sources.SOURCES, ids=lambda source: "-".join([source.choice, *source.files[0].split(".")[:1]])
)
def test_a_damaged_file_is_named_or_does_no_harm(source, public_data, tmp_path):
    shutil.copytree(public_data / source.folder, tmp_path / "clean")
    clean = source.open(tmp_path / "clean", "error")
    file = source.files[0]
    tried = 0
    for name, what, change in sources.attempts(source, times=1):
        if name == file and what in QUICK:
            rng = random.Random(what)
            mode = "drop" if what.startswith("cell") else "error"
            verdict, message = sources.attempt(
                source, public_data / source.folder, clean, file, what, change, rng, mode
            )
            assert verdict in {"clear error", "imported"}, (what, verdict, message)
            tried += 1
    assert tried >= 2
