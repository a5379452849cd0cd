"""Deep IV broken off in either stage and resumed: the weights of both stages are those of a run that was not."""

import os
import signal
from pathlib import Path

import pytest
from fingerprints import Killed, result
from hydra import compose, initialize_config_dir

from micromega import cli
from micromega.config.signature import run_name
from micromega.config.validate import validate
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.runs import record, train
from micromega.runs.signals import InterruptedBySignalError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
]
STAGE = {"hidden": "[8,8]", "epochs": 2, "batch_size": 64}
TINY = (
    *("experiment=deepiv/default", "market.brands=8", "market.creators=80", "market.posts=5", "model.starts=2"),
    *(f"model.{stage}.{name}={value}" for stage in ("treatment", "outcome") for name, value in STAGE.items()),
    "callbacks.latest.every_n_train_steps=1",
)


@pytest.fixture
def request_of(tmp_path, markets):
    def make(*overrides, runs):
        paths = [f"paths.root={tmp_path}", f"paths.runs={tmp_path / runs}", f"paths.markets={markets}"]
        with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
            config = compose("train", [*TINY, *paths, *overrides])
        return validate(config), config, tmp_path / runs / "train" / run_name(config, "train")

    return make


def results(folder):
    """Of stage 1 and of stage 2."""
    return result(Path(record.read_record(folder)["stages"]["treatment"])), result(folder)


@pytest.mark.parametrize("part", [pytest.param(part, id=f"{part:.0%}") for part in (0.1, 0.4, 0.6, 0.9, 1.0)])
def test_broken_off_after_a_checkpoint_it_ends_as_if_it_had_not_been(request_of, saves, part):
    whole, broken = request_of(runs="whole"), request_of(runs="broken")
    train.run(*whole)
    saves.stop_after = max(1, round(part * len(saves)))
    saves.clear()
    with pytest.raises(Killed):
        train.run(*broken)
    saves.stop_after = None
    train.run(*broken)
    assert results(broken[2]) == results(whole[2])


@pytest.mark.parametrize("module", [TreatmentModule, OutcomeModule])
def test_a_signal_in_either_stage_saves_and_the_same_request_resumes(request_of, monkeypatch, module):
    sparse = "callbacks.latest.every_n_train_steps=1000"
    whole, stopped = request_of(sparse, runs="whole"), request_of(sparse, runs="stopped")
    train.run(*whole)
    original = module.training_step

    def training_step(of, batch, batch_idx):
        if isinstance(of, module) and of.trainer.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(of, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(module, "training_step", training_step)
        with pytest.raises(InterruptedBySignalError, match="signal-step-000000005"):
            train.run(*stopped)
    train.run(*stopped)
    assert results(stopped[2]) == results(whole[2])
