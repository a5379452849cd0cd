import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parent))  # for the module fingerprints, shared by the tests of this folder
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))  # for the module lab: commands as processes

TINY_MARKET = ("market.brands=16", "market.creators=80", "market.posts=6")
TINY_TRAINING = (
    "data.min_positives=2",
    "data.batch_size=64",
    "trainer.max_epochs=2",
    "callbacks.latest.every_n_train_steps=1",
    "callbacks.early_stopping=null",
)


@pytest.fixture(scope="session")
def markets(tmp_path_factory):
    return tmp_path_factory.mktemp("markets")


@pytest.fixture
def request_of(tmp_path, markets):
    """Compose a request in this process: (validated request, configuration, run folder), what `run` takes."""
    from micromega import cli
    from micromega.config.signature import run_name
    from micromega.config.validate import validate

    def make(*overrides, task="train", runs="runs", market=TINY_MARKET):
        paths = [f"paths.root={tmp_path}", f"paths.runs={tmp_path / runs}", f"paths.markets={markets}"]
        with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
            config = compose(task, [*market, *TINY_TRAINING, *paths, *overrides])
        return validate(config), config, tmp_path / runs / task / run_name(config, task)

    return make


@pytest.fixture
def saves(monkeypatch):
    """Names of the checkpoints saved; `stop_after` breaks the run off after so many."""
    from fingerprints import Killed

    from micromega.runs.checkpoint import AtomicCheckpointIO

    original = AtomicCheckpointIO.save_checkpoint

    class Saves(list):
        stop_after = None

    names = Saves()

    def save(self, checkpoint, path, storage_options=None):
        original(self, checkpoint, path, storage_options)
        names.append(path)
        if len(names) == names.stop_after:
            raise Killed

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
    return names
