"""One process at a time in a run folder; the lock ends with the process, however that ends."""

import subprocess
import sys
import time

from micromega.runs.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from micromega.runs.lock import locked
with locked(Path(sys.argv[1])):
    Path(sys.argv[1], "held").touch()
    time.sleep(60)
"""
TAKE = """
import logging, sys
from pathlib import Path
from micromega.runs.lock import locked
logging.basicConfig(level="INFO")
with locked(Path(sys.argv[1])):
    Path(sys.argv[1], "taken").touch()
"""


def start(code, folder):
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, text=True)


def wait_for(path):
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_second_waits_until_the_first_is_killed_and_says_so(tmp_path):
    first = start(HOLD, tmp_path)
    wait_for(tmp_path / "held")
    second = start(TAKE, tmp_path)
    time.sleep(1.0)
    assert second.poll() is None
    assert not (tmp_path / "taken").exists()
    first.kill()
    assert second.wait(30) == 0
    message = second.stderr.read()
    first.communicate()
    second.stderr.close()
    assert f"Waiting: process {first.pid} on " in message
    assert (tmp_path / "taken").exists()


def test_lock_again_in_one_process_and_leftovers(tmp_path):
    left = tmp_path / "new" / f".config.yaml.{'ab' * 16}.tmp"
    for _ in range(2):
        with locked(tmp_path / "new"):
            assert not left.exists()
        left.write_text("half")


def test_other_ranks_take_no_lock_and_remove_nothing(tmp_path, monkeypatch):
    left = tmp_path / f".a.{'ab' * 16}.tmp"
    left.write_text("")
    with locked(tmp_path):
        left.write_text("being written by rank 0")
        monkeypatch.setenv("LOCAL_RANK", "1")
        with locked(tmp_path):
            assert left.exists()
