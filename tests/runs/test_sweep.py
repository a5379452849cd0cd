"""A search that was killed: what is left to do, what is asked for again, and with which seed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `sweeps` is not installed")

from hydra import compose, initialize_config_dir  # noqa: E402
from hydra.core.global_hydra import GlobalHydra  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from micromega.config import schema, signature  # noqa: E402
from micromega.runs.sweep import ResumeStudy  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:Deprecated API features:DeprecationWarning",  # optuna 2.10 on sqlalchemy 1.4
    "ignore:(enqueue|create|add)_trial is experimental",  # in optuna 2.10
)
REPOSITORY = Path(__file__).parents[2]
SPACE = {"dropout": optuna.distributions.UniformDistribution(0, 1)}


@pytest.fixture(autouse=True)
def no_configuration_left_behind():
    yield
    HydraConfig.instance().cfg = None
    GlobalHydra.instance().clear()


def start(folder, *overrides):
    """Start the search as Hydra does, up to the first trial, and let it go; return Hydra's configuration."""
    schema.register()
    signature.register_resolvers()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        wanted = ["hparams_search=mir_optuna", f"paths.root={folder}", "hydra.sweeper.n_trials=5", *overrides]
        config = compose("train", overrides=wanted, return_hydra_config=True)
    callback = ResumeStudy()
    callback.on_multirun_start(config)
    callback.on_multirun_end(config)
    return config.hydra


def study(folder):
    (database,) = folder.glob("runs/sweeps/*/study.db")
    return optuna.load_study(study_name="mir_optuna", storage=f"sqlite:///{database}")


def test_a_new_study_has_everything_to_do_in_a_folder_that_is_made(tmp_path):
    hydra = start(tmp_path, "seed=3")
    assert (hydra.sweeper.n_trials, hydra.sweeper.sampler.seed) == (5, 3)
    assert not study(tmp_path).trials


def test_an_interrupted_trial_is_the_next_one_with_the_same_values(tmp_path):
    start(tmp_path)
    before = study(tmp_path)
    for value in (0.5, None, 0.7):  # two completed; the one between them failed by itself
        trial = before.ask(SPACE)
        before.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)
    killed = before.ask(SPACE)

    hydra = start(tmp_path)
    assert hydra.sweeper.n_trials == 3
    assert hydra.sweeper.sampler.seed == 4
    again = study(tmp_path).ask(SPACE)
    assert again.number == 4
    assert again.params == killed.params
    assert study(tmp_path).trials[killed.number].state == TrialState.FAIL


def test_a_trial_that_is_killed_twice_is_resumed_twice_and_never_doubled(tmp_path):
    start(tmp_path)
    first = study(tmp_path).ask(SPACE)
    start(tmp_path)
    start(tmp_path)  # killed before the trial was taken up
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.FAIL, TrialState.WAITING]
    second = study(tmp_path).ask(SPACE)
    start(tmp_path)
    assert second.params == study(tmp_path).ask(SPACE).params == first.params


def test_a_search_killed_while_it_queues_an_interrupted_trial_queues_it_once(tmp_path):
    start(tmp_path)
    before = study(tmp_path)
    killed = before.ask(SPACE)
    before.enqueue_trial(killed.params)  # and no more
    start(tmp_path)
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study(tmp_path).ask(SPACE).params == killed.params


def test_a_finished_study_has_nothing_to_do_until_more_is_wanted(tmp_path):
    start(tmp_path)
    finished = study(tmp_path)
    for _ in range(5):
        finished.tell(finished.ask(SPACE), 0.1)
    assert start(tmp_path).sweeper.n_trials == 0
    assert start(tmp_path, "hydra.sweeper.n_trials=7").sweeper.n_trials == 2


def test_trials_keep_the_studys_folder(tmp_path):
    hydra = start(tmp_path)
    assert hydra.overrides.hydra[-1] == f"hydra.sweep.dir='{hydra.sweep.dir}'"
    assert Path(hydra.sweep.dir).parent == tmp_path / "runs" / "sweeps"


def test_another_request_has_another_study(tmp_path):
    assert start(tmp_path).sweeper.storage == start(tmp_path, "tags=[again]").sweeper.storage
    assert start(tmp_path).sweeper.storage != start(tmp_path, "market.seed=1").sweeper.storage


def test_several_devices_are_refused(tmp_path):
    with pytest.raises(SystemExit) as leaving:
        start(tmp_path, "trainer=ddp")
    assert leaving.value.code == 2


def test_a_database_that_is_none_ends_the_search(tmp_path):
    start(tmp_path)
    (database,) = tmp_path.glob("runs/sweeps/*/study.db")
    database.write_text("not a database " * 100)
    with pytest.raises(SystemExit) as leaving:
        start(tmp_path)
    assert leaving.value.code == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_search_killed_in_a_trial_goes_on_with_it(tmp_path, number):
    command = [
        sys.executable, str(REPOSITORY / "train.py"), "hparams_search=mir_optuna", "hydra.sweeper.n_trials=2",
        "market.brands=16", "market.creators=80", "market.posts=6", "data.min_positives=2",
        "trainer.max_epochs=80", "callbacks=no_early_stopping", "callbacks.latest.every_n_train_steps=5",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if list(tmp_path.glob("runs/train/*/checkpoints/latest-*.ckpt")) or process.poll() is not None:
            break
        time.sleep(0.1)
    os.kill(process.pid, number)
    assert process.wait(timeout=60) == (-number if number == signal.SIGKILL else 128 + number)

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Trial 0 was interrupted" in done.stdout + done.stderr
    assert "Resuming from" in done.stdout + done.stderr
    (database,) = tmp_path.glob("runs/sweeps/*/study.db")
    trials = optuna.load_study(study_name="mir_optuna", storage=f"sqlite:///{database}").trials
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert trials[0].params == trials[1].params
    assert len(list(tmp_path.glob("runs/train/mir-*"))) == 2


@pytest.mark.slow
def test_twenty_trials_killed_twice_are_twenty_trials(tmp_path):
    """None is lost and none is trained twice, at whichever moment of a trial, or between two, the kills come."""
    command = [
        sys.executable, str(REPOSITORY / "train.py"), "hparams_search=mir_best", "hydra.sweeper.n_trials=20",
        "market.brands=16", "market.creators=80", "market.posts=6", "data.min_positives=2", "data.batch_size=8",
        "trainer.max_epochs=4", "callbacks.latest.every_n_train_steps=3",
    ]  # fmt: skip
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    draw, moments = random.Random(seed), []
    log = tmp_path / "log"

    def done():
        return len(list(tmp_path.glob("runs/train/*/metrics.json")))

    with log.open("w") as output:
        for least, most in ((1, 9), (10, 18)):
            process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
            wanted, ends = draw.randint(least, most), time.monotonic() + 300
            while done() < wanted and process.poll() is None and time.monotonic() < ends:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 1))
            process.kill()
            assert process.wait(timeout=60) == -signal.SIGKILL, log.read_text()
            moments.append(done())
        last = subprocess.run(command, cwd=tmp_path, stdout=output, stderr=output, timeout=600, check=False)
    assert last.returncode == 0, log.read_text()
    (database,) = tmp_path.glob("runs/sweeps/*/study.db")
    trials = optuna.load_study(study_name="mir_best", storage=f"sqlite:///{database}").trials
    by_state = {state: [trial for trial in trials if trial.state == state] for state in TrialState}
    completed, failed = by_state[TrialState.COMPLETE], by_state[TrialState.FAIL]
    folders = [path.parent for path in tmp_path.glob("runs/train/*/metrics.json")]
    trained = [line.split(": ")[-1] for line in log.read_text().splitlines() if "Trained. Checkpoints" in line]
    print(f"seed {seed}: killed with {moments} trials done; {len(trials)} started, {len(failed)} of them interrupted; ")
    print(f"{log.read_text().count('Resuming from')} resumed from a checkpoint; {len(set(trained))} runs trained")

    assert len(completed) == len(folders) == 20
    assert len(list(tmp_path.glob("runs/train/*"))) == 20
    assert len(failed) == len(trials) - 20 <= 2
    assert len({json.dumps(trial.params, sort_keys=True) for trial in completed}) == 20
    for trial in failed:  # killed while its values were drawn, it has some of them
        assert any(trial.params.items() <= other.params.items() for other in completed)
    assert len(trained) == len(set(trained)) >= 18  # two kills may come between a run's end and its line
    values = [json.loads((folder / "metrics.json").read_text())["val/recall_at_10"] for folder in folders]
    assert sorted(values) == pytest.approx(sorted(trial.value for trial in completed))
