import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_market import tiny_tables, write_tiny

from micromega.config.base import config
from micromega.errors import ConfigError, DataError
from micromega.market import Market, open_market, write_market
from micromega.market.config import Folder, Instagram2017, Simulated
from micromega.market.open import cached


@config(group="market/handmade", target="test_open:build")
class Handmade:
    source: str = ""


def from_file(settings: Handmade, cache: Path, calls: list[Path]) -> Market:
    def build(folder: Path) -> Market:
        calls.append(folder)
        name = Path(settings.source).read_text()
        return write_market(folder, tiny_tables(), name=name, currency="EUR")

    return cached(settings, cache, [Path(settings.source)], build)


def test_a_folder_is_loaded_where_it_lies(tmp_path):
    written = write_tiny(tmp_path / "m")
    market = open_market(Folder(path=str(tmp_path / "m")), tmp_path / "cache")
    assert (market.path, market.fingerprint) == (tmp_path / "m", written.fingerprint)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("settings", [Folder(), Instagram2017()])
def test_an_empty_path_is_a_config_error(settings, tmp_path):
    with pytest.raises(ConfigError, match=r"market\.path"):
        open_market(settings, tmp_path)


def test_something_else_than_a_market_config_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="got dict"):
        open_market({"path": "x"}, tmp_path)


def test_the_simulator_runs_once(tmp_path):
    settings = Simulated(brands=3, creators=5, posts=2)
    first = open_market(settings, tmp_path)
    stamp = (first.path / "market.yaml").stat().st_mtime_ns
    again = open_market(settings, tmp_path)
    assert again.path == first.path
    assert again.path.parent == tmp_path
    assert again.path.name.startswith("simulated-")
    assert (again.path / "market.yaml").stat().st_mtime_ns == stamp
    assert again.fingerprint == first.fingerprint
    other = open_market(dataclasses.replace(settings, seed=1), tmp_path)
    assert other.path != first.path
    assert other.fingerprint != first.fingerprint


def test_a_changed_source_is_built_anew(tmp_path):
    source, calls = tmp_path / "source.txt", []
    settings = Handmade(source=str(source))
    for name, builds in (("one", 1), ("one", 1), ("two", 2), ("one", 2)):
        source.write_text(name)
        assert from_file(settings, tmp_path / "cache", calls).name == name
        assert len(calls) == builds


def test_a_defect_of_the_source_is_not_hidden(tmp_path):
    def build(folder: Path) -> Market:
        raise DataError("source.txt: broken")

    with pytest.raises(DataError, match=r"source\.txt: broken"):
        cached(Handmade(), tmp_path, (), build)


def test_losing_the_race_reads_what_the_winner_wrote(tmp_path):
    def build(folder: Path) -> Market:
        write_market(folder, tiny_tables(), name="winner", currency="EUR")
        return write_market(folder, tiny_tables(), name="loser", currency="EUR")

    assert cached(Handmade(), tmp_path, (), build).name == "winner"


def test_a_damaged_cache_says_what_to_delete(tmp_path):
    settings = Simulated(brands=3, creators=5, posts=2)
    market = open_market(settings, tmp_path)
    (market.path / "posts.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=f"(?s)posts.parquet.*delete {market.path}"):
        open_market(settings, tmp_path)


def test_processes_that_start_together_share_one_market(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from micromega.market import open_market\n"
        "from micromega.market.config import Simulated\n"
        "print(open_market(Simulated(brands=12, creators=50, posts=4), Path(sys.argv[1])).path)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ends = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert len(list(tmp_path.iterdir())) == 1  # no temporary folder is left
