"""DFIV through the commands: the estimator's own weights, resumed exactly, judged by name, and the best size."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from fingerprints import Killed, result

from micromega import cli
from micromega.config.signature import run_name
from micromega.config.validate import validate
from micromega.errors import CheckpointError, ConfigError
from micromega.market.open import open_market
from micromega.models.deepiv.data import DeepIVData
from micromega.models.dfiv import DFIV
from micromega.models.dfiv.module import DFIVModule
from micromega.runs import evaluate, optimize, record, train
from micromega.runs.checkpoint import FOLDER, AtomicCheckpointIO, load_checkpoint, newest_valid
from micromega.runs.signals import InterruptedBySignalError
from micromega.runs.trained import trained_checkpoint
from micromega.scores import read_scores

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
]
NETWORKS = {
    "instrument": {"hidden": [8], "features": 4, "updates": 2},
    "treatment": {"hidden": [6], "features": 2, "updates": 2},
    "control": {"hidden": [8], "features": 3, "updates": 2},
}
TRAINING = {"epochs": 2, "batch_size": 64, "starts": 2}
TINY = (
    *("experiment=deepiv/dfiv", "market.brands=8", "market.creators=80", "market.posts=5"),
    *(f"model.{network}.{name}={value}" for network, of in NETWORKS.items() for name, value in of.items()),
    *(f"model.{name}={value}" for name, value in TRAINING.items()),
    *("evaluation.grid=9", "evaluation.replicates=20", "evaluation.hashtags=2", "evaluation.rivals=[]"),
    *("evaluation.diagnostic_posts=300", "callbacks.latest.every_n_train_steps=1"),
)


@pytest.fixture
def request_of(tmp_path, markets):
    from hydra import compose, initialize_config_dir

    def make(*overrides, task="train", runs="runs", tiny=TINY):
        paths = [f"paths.root={tmp_path}", f"paths.runs={tmp_path / runs}", f"paths.markets={markets}"]
        with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
            config = compose(task, [*tiny, *paths, *overrides])
        return validate(config), config, tmp_path / runs / task / run_name(config, task)

    return make


@pytest.fixture
def estimated(request_of):
    """The estimator, fitted to the rows of the tiny market, with the market's datamodule."""
    request = request_of()[0]
    data = DeepIVData(request.data, open_market(request.market, Path(request.paths.markets)))
    arrays = {name: values.numpy() for name, values in data.values.items()}
    return DFIV(**NETWORKS, **TRAINING).fit(**arrays, cluster=data.inputs.author), data


def test_train_evaluate_optimise(request_of, estimated):
    model, data = estimated
    trained = request_of()
    train.run(*trained)
    assert trained[2].name.startswith("dfiv-")
    assert {"val/best", "val/loss"} <= set(json.loads((trained[2] / "metrics.json").read_text()))
    assert not record.read_record(trained[2])["stages"]
    stored = load_checkpoint(trained_checkpoint(trained[2]))  # weights alone: no code is read from it
    for name, values in model.module.state_dict().items():
        np.testing.assert_array_equal(stored["state_dict"][name], values, err_msg=name)

    evaluated = request_of("evaluation.rivals=[naive]", task="evaluate")
    evaluate.run(*evaluated)
    metrics = json.loads((evaluated[2] / "metrics.json").read_text())
    assert list(metrics) == ["DFIV", "naive network"]
    scores = read_scores(evaluated[2] / "response.parquet", name="response")
    assert scores.lineage.model == "dfiv"
    assert scores.lineage.score_kind == "log_impressions"
    content = json.loads((evaluated[2] / "evaluation.json").read_text())
    grid = np.array(content["log_followers"])
    slopes = model.elasticity(t=grid, x=data.values["x"], grid=True)
    shown = [row["elasticity"] for row in scores.table.to_pylist() if row["subject_id"] == "all posts"]
    np.testing.assert_allclose(shown, slopes.mean(axis=0), rtol=1e-4)
    check_errors(metrics["DFIV"], slopes, grid, data)
    page = (evaluated[2] / "report.html").read_text()
    assert "<title>DFIV on simulated" in page
    assert "<h1><bdi>DFIV</bdi></h1>" in page
    assert ">Deep IV" not in page, "no heading, cell or label"

    planned = request_of("evaluation.rivals=[naive]", task="optimize")
    optimize.run(*planned)
    certificate = json.loads((planned[2] / "certificate.json").read_text())
    assert all(check["ok"] for check in certificate["checks"])
    assert (planned[2] / "plan.parquet").is_file()


def check_errors(found, slopes, grid, data):
    """Mean absolute error of the FEI of every kind, from the market's truth without evaluation's code."""
    kind_of = {row["post_id"]: row["kind"] for row in data.market.truth("posts").to_pylist()}
    kinds = np.array([kind_of[post] for post in data.inputs.post_ids])
    inside = (grid >= np.quantile(data.inputs.treatment, 0.005)) & (grid <= np.quantile(data.inputs.treatment, 0.995))
    curves = data.market.truth("curves").to_pylist()
    assert len(set(kinds)) == 3
    for kind in set(kinds):
        truth = sorted((row["log_followers"], row["fei"]) for row in curves if row["kind"] == kind)
        wanted = np.interp(grid[inside], *np.array(truth).T)
        error = np.abs(slopes[kinds == kind][:, inside] - wanted).mean()
        assert found[f"elasticity_error_{kind}"] == pytest.approx(error, rel=1e-4)


def test_bands_come_from_the_bootstrap(request_of):
    wanted = ("model.bootstrap=3", "model.starts=1", "evaluation.groups=[]")
    train.run(*request_of(*wanted))
    evaluated = request_of(*wanted, task="evaluate")
    evaluate.run(*evaluated)
    content = json.loads((evaluated[2] / "evaluation.json").read_text())
    assert (content["facts"]["bootstrap"], content["facts"]["members"]) == (3, 3)
    (subject,) = content["subjects"]
    assert (np.array(subject["elasticity"]["upper"]) > np.array(subject["elasticity"]["lower"])).all()


@pytest.mark.parametrize(
    "choose", [lambda count: [2, 4, 5, count], pytest.param(lambda count: range(1, count + 1), marks=pytest.mark.slow)]
)
def test_broken_off_after_a_checkpoint_it_ends_as_if_it_had_not_been(request_of, saves, choose):
    """Four batches an epoch: within an epoch, after the best is saved, at the start of the next epoch, at the end."""
    whole = request_of(runs="whole")
    train.run(*whole)
    count, expected = len(saves), result(whole[2])
    assert load_checkpoint(newest_valid(whole[2] / FOLDER))["global_step"] == 2 * 4
    for after in choose(count):
        saves.clear()
        saves.stop_after = after
        request = request_of(runs=f"broken-{after}")
        with pytest.raises(Killed):
            train.run(*request)
        saves.stop_after = None
        train.run(*request)
        assert result(request[2]) == expected, after


def test_a_signal_saves_and_the_same_request_resumes(request_of, monkeypatch):
    sparse = "callbacks.latest.every_n_train_steps=1000"
    whole, stopped = request_of(sparse, runs="whole"), request_of(sparse, runs="stopped")
    train.run(*whole)
    original = DFIVModule.training_step

    def training_step(module, batch, batch_idx):
        if module.trainer.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(DFIVModule, "training_step", training_step)
        with pytest.raises(InterruptedBySignalError, match="signal-step-000000005"):
            train.run(*stopped)
    train.run(*stopped)
    assert result(stopped[2]) == result(whole[2])


def test_the_same_seed_gives_the_same_bits_and_another_does_not(request_of):
    one, two, other = request_of(runs="one"), request_of(runs="two"), request_of("seed=1", runs="one")
    for request in (one, two, other):
        train.run(*request)
    assert result(one[2]) == result(two[2])
    assert result(other[2])["state_dict"] != result(one[2])["state_dict"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.max_epochs=3", r"model\.epochs=2 has no effect beside trainer\.max_epochs=3"),
        ("+trainer.limit_val_batches=0", "in validation"),
        ("trainer.gradient_clip_val=1.0", "clipping"),
        ("+trainer.accumulate_grad_batches=2", "accumulation"),
        ("callbacks.best.monitor=val/recall_at_50", r"callbacks: .*val/recall_at_50"),
    ],
)
def test_settings_of_the_trainer_that_cannot_be_followed_are_refused(request_of, override, words):
    with pytest.raises(ConfigError, match=words):
        train.run(*request_of(override))


def test_a_first_look_needs_no_other_epochs(request_of):
    request = request_of("+trainer.fast_dev_run=true")
    train.run(*request)
    assert not list(request[2].rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.bootstrap=2", "model.validation_share=0.2"], r"model\.validation_share is for model\.bootstrap=0"),
        (["+model.folds=2"], r"model\.folds: unknown key"),
        (["+model.treatment.nodes=3"], r"model\.treatment\.nodes"),
        (
            ["model.activation=relu", *(f"model.{network}.hidden=[]" for network in NETWORKS)],
            r"model\.activation is for hidden layers",
        ),
    ],
)
def test_settings_of_the_model_that_would_do_nothing_are_refused(request_of, overrides, words):
    with pytest.raises(ConfigError, match=words):
        request_of(*overrides)


def test_the_data_of_a_ranker_are_refused(request_of):
    with pytest.raises(ConfigError, match="set data=deepiv"):
        train.run(*request_of("model=dfiv", "market.brands=16", "market.creators=80", "market.posts=6", tiny=()))


def test_a_model_without_a_response_is_not_judged(request_of):
    train.run(*request_of())
    checkpoint = next(request_of()[2].rglob("best*.ckpt"))
    small = ("market.brands=8", "market.creators=80", "market.posts=5")
    request = request_of(
        "data=deepiv", "evaluation=deepiv", f"ckpt_path={checkpoint}", *small, task="evaluate", tiny=()
    )
    with pytest.raises(ConfigError, match=r"set model=deepiv or model=dfiv"):
        evaluate.run(*request)


def test_a_checkpoint_of_another_model_is_refused(request_of, tmp_path):
    train.run(*request_of())
    stored = load_checkpoint(trained_checkpoint(request_of()[2]))
    stored["hyper_parameters"] = {"config": {"treatment": {}, "outcome": {}}}
    AtomicCheckpointIO().save_checkpoint(stored, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="another model"):
        evaluate.run(*request_of(f"ckpt_path={tmp_path / 'other.ckpt'}", task="evaluate"))


def test_a_checkpoint_of_other_controls_is_refused(request_of):
    first = request_of("data.statistics=[num_hashtags]")
    train.run(*first)
    checkpoint = next((first[2] / FOLDER).glob("best*.ckpt"))
    request = request_of("data.statistics=[log_ranking]", f"ckpt_path={checkpoint}", task="evaluate")
    with pytest.raises(CheckpointError, match="trained with other controls"):
        evaluate.run(*request)
