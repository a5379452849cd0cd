"""A run broken off after any checkpoint and started again ends with the bits of an unbroken one."""

import os
import signal

import pytest
from fingerprints import Killed, result

from micromega.errors import CheckpointError
from micromega.runs import train
from micromega.runs.signals import InterruptedBySignalError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
]
STOP_EARLY = (
    "callbacks.early_stopping={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/auc,mode:max,patience:1}"
)
SETTINGS = {
    "plain": (),
    "workers": ("data.num_workers=2",),
    "one batch an epoch, early stopping": ("data.batch_size=4096", "trainer.max_epochs=12", STOP_EARLY),
    "accumulated gradients": ("+trainer.accumulate_grad_batches=2",),
    "validation within epochs": ("+trainer.val_check_interval=0.5",),
    "the best recipe": (
        *("data.lists=pairs", "data.hard_negatives=4", "data.batch_size=8", "data.modalities=[words,account]"),
        *("model.modalities=[words,account]", "model.shared_directions=8", "model.fusion=linear", "model.dropout=0.1"),
        *("model.score=cosine", "model.loss=softmax", "model.competition=true"),
        *("model.optimiser=adamw", "model.weight_decay=0.001", "model.schedule=one_cycle"),
    ),
}


def broken_off(request, after, saves):
    saves.clear()
    saves.stop_after = after
    with pytest.raises(Killed):
        train.run(*request)
    saves.stop_after = None
    train.run(*request)
    return result(request[2])


def check(request_of, saves, overrides, choose):
    whole = request_of(*overrides, runs="whole")
    train.run(*whole)
    count, expected = len(saves), result(whole[2])
    for after in choose(count):
        assert broken_off(request_of(*overrides, runs=f"broken-{after}"), after, saves) == expected, after


def test_in_the_middle_of_an_epoch(request_of, saves):
    check(request_of, saves, (), lambda count: [4])


def test_around_the_end_of_an_epoch_and_of_training(request_of, saves):
    """Nine batches an epoch: after the eighth, the best, the next epoch's start; then the end."""
    check(request_of, saves, (), lambda count: [8, 9, 10, count])


def test_in_the_middle_of_an_epoch_with_workers(request_of, saves):
    check(request_of, saves, SETTINGS["workers"], lambda count: [4])


def test_the_best_recipe_in_the_middle_of_each_epoch_and_between(request_of, saves):
    """Eight batches an epoch; the hard negatives of the second, its place in the one cycle and the drawn dropout."""
    check(request_of, saves, SETTINGS["the best recipe"], lambda count: [3, 9, 12])


def test_one_batch_an_epoch_and_early_stopping(request_of, saves):
    check(request_of, saves, SETTINGS["one batch an epoch, early stopping"], lambda count: [2, count])


def logs_at(monkeypatch, place):
    """Let one batch of each epoch alone log a metric."""
    from micromega.models.mir.module import MIRModule

    original = MIRModule.training_step

    def training_step(module, batch, index):
        loss = original(module, batch, index)
        if index == place % module.trainer.num_training_batches:
            module.log("train/some", loss.detach(), on_step=False, on_epoch=True, batch_size=1)
        return loss

    monkeypatch.setattr(MIRModule, "training_step", training_step)


def test_a_metric_that_the_last_batch_alone_logs(request_of, saves, monkeypatch):
    """Its empty sum of the new epoch stands in the checkpoint, and the first batch after it does not log it."""
    logs_at(monkeypatch, -1)
    check(request_of, saves, (), lambda count: [13])


def test_a_metric_that_the_first_batch_alone_logs_does_not_stop_the_resumed_run(request_of, saves, monkeypatch):
    logs_at(monkeypatch, 0)
    request = request_of()
    assert "train/some" in broken_off(request, 13, saves)["csv"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_after_every_checkpoint(request_of, saves, name):
    check(request_of, saves, SETTINGS[name], lambda count: range(1, count + 1))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_a_signal_saves_and_the_same_request_resumes(request_of, monkeypatch, number, status):
    from micromega.models.mir.module import MIRModule

    sparse = ("callbacks.latest.every_n_train_steps=1000",)
    whole = request_of(*sparse, runs="whole")
    train.run(*whole)
    original = MIRModule.training_step

    def training_step(module, batch, index):
        if module.trainer.global_step == 4:
            os.kill(os.getpid(), number)
        return original(module, batch, index)

    stopped = request_of(*sparse, runs="stopped")
    with monkeypatch.context() as patch:
        patch.setattr(MIRModule, "training_step", training_step)
        with pytest.raises(InterruptedBySignalError, match="signal-step-000000005") as caught:
            train.run(*stopped)
    assert caught.value.exit_status == status
    train.run(*stopped)
    assert result(stopped[2]) == result(whole[2])
    kept = [path.name for path in (stopped[2] / "checkpoints").glob("*step*") if not path.name.startswith("best")]
    assert sorted(kept) == ["latest-step-000000018.ckpt", "signal-step-000000005.ckpt"]


def test_a_signal_in_validation_is_heard_at_the_next_epochs_start(request_of, monkeypatch):
    from micromega.models.mir.module import MIRModule

    whole, stopped = request_of(runs="whole"), request_of(runs="stopped")
    train.run(*whole)
    original, epochs = MIRModule.validation_step, []

    def validation_step(module, batch, index):
        epochs.append(module.trainer.current_epoch)
        if len(epochs) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(module, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(MIRModule, "validation_step", validation_step)
        with pytest.raises(InterruptedBySignalError, match="signal-step-000000009"):
            train.run(*stopped)
    train.run(*stopped)
    assert result(stopped[2]) == result(whole[2])


def test_another_runs_best_checkpoint_continues_with_the_next_epoch(request_of):
    first = request_of("trainer.max_epochs=1", runs="first")
    train.run(*first)
    (start,) = (first[2] / "checkpoints").glob("best*")
    whole, second = request_of(runs="whole"), request_of(f"ckpt_path={start}", runs="second")
    train.run(*whole)
    train.run(*second)
    expected, found = result(whole[2]), result(second[2])
    assert found["state_dict"] == expected["state_dict"]
    assert found["csv"] == expected["csv"]


@pytest.fixture
def finished(request_of):
    """A checkpoint of a run of one epoch, nine steps, with either schedule."""

    def make(schedule):
        first = request_of("trainer.max_epochs=1", f"model.schedule={schedule}", runs="first")
        train.run(*first)
        (start,) = (first[2] / "checkpoints").glob("best*")
        return f"ckpt_path={start}"

    return make


@pytest.mark.parametrize("schedule", ["exponential", "one_cycle"])
def test_another_runs_last_epoch_leaves_nothing_to_train(request_of, finished, schedule):
    wanted = ("trainer.max_epochs=1", f"model.schedule={schedule}", finished(schedule))
    with pytest.raises(CheckpointError, match=r"trained for 1 epochs, and trainer\.max_epochs is 1.* Raise"):
        train.run(*request_of(*wanted, runs="second"))


def test_a_cycle_of_the_learning_rate_is_not_stretched(request_of, finished):
    wanted = ("trainer.max_epochs=2", "model.schedule=one_cycle", finished("one_cycle"))
    with pytest.raises(CheckpointError, match=r"once over 9 steps, and this training has 18.* without ckpt_path"):
        train.run(*request_of(*wanted, runs="second"))


def test_a_cycle_goes_on_from_another_runs_checkpoint_to_its_end(request_of, saves):
    whole = request_of("model.schedule=one_cycle", runs="whole")
    train.run(*whole)
    saves.clear()
    saves.stop_after = 4
    broken = request_of("model.schedule=one_cycle", runs="broken")
    with pytest.raises(Killed):
        train.run(*broken)
    saves.stop_after = None
    second = request_of("model.schedule=one_cycle", f"ckpt_path={saves[3]}", runs="second")
    train.run(*second)
    assert result(second[2])["state_dict"] == result(whole[2])["state_dict"]


@pytest.mark.parametrize("other", ["model.schedule=one_cycle", "model.optimiser=sgd"])
def test_the_state_of_another_optimiser_or_schedule_is_refused(request_of, finished, other):
    with pytest.raises(CheckpointError, match=r"trained with model\.\w+=(exponential|adam), whose state says nothing"):
        train.run(*request_of("trainer.max_epochs=2", other, finished("exponential"), runs="second"))


def test_a_run_folder_may_be_moved_while_broken_off(request_of, saves, tmp_path):
    """The best of the first epoch stays known, so the end is the same."""
    whole, old, new = (request_of("trainer.max_epochs=3", runs=name) for name in ("whole", "old", "new"))
    train.run(*whole)
    saves.clear()
    saves.stop_after = 14
    with pytest.raises(Killed):
        train.run(*old)
    saves.stop_after = None
    (tmp_path / "old").rename(tmp_path / "new")
    train.run(*new)
    assert result(new[2]) == result(whole[2])
    assert [path.name for path in (new[2] / "checkpoints").glob("best*")] == [
        path.name for path in (whole[2] / "checkpoints").glob("best*")
    ]
