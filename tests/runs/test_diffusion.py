"""The diffusion model through the commands: trained, resumed, judged beside the others, exported, reported."""

import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import torch
from html_page import Page

from micromega import cli
from micromega.config.signature import run_name
from micromega.config.validate import validate
from micromega.errors import CheckpointError, ConfigError
from micromega.market.open import open_market
from micromega.models.diffusion.module import DiffusionModule
from micromega.models.vsvae.config import VSVAEModelConfig
from micromega.runs import evaluate, record, train
from micromega.runs.checkpoint import FOLDER, load_checkpoint
from micromega.runs.signals import InterruptedBySignalError
from micromega.scores import read_scores

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
]
VOID = {"meta", "br"}
TINY = (
    "experiment=diffusion/default",
    *("market.brands=6", "market.creators=120", "market.posts=5"),
    *("model.network.epochs=2", "model.network.hidden=[8]", "model.network.batch_size=128"),
    "callbacks.latest.every_n_train_steps=1",
)


@pytest.fixture
def request_of(tmp_path, markets):
    from hydra import compose, initialize_config_dir

    def make(*overrides, task="train", runs="runs"):
        paths = [f"paths.root={tmp_path}", f"paths.runs={tmp_path / runs}", f"paths.markets={markets}"]
        with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
            config = compose(task, [*TINY, *paths, *overrides])
        return validate(config), config, tmp_path / runs / task / run_name(config, task)

    return make


def weights_of(folder):
    return load_checkpoint(folder / FOLDER / record.read_record(folder)["best_checkpoint"])["state_dict"]


def test_train_evaluate_and_export(request_of, markets):
    train.run(*request_of())
    request, config, folder = request_of(task="evaluate")
    evaluate.run(request, config, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == ["Network + counts", "Network", "EM, smoothed", "EM (Saito et al.)", "Mean rate"]
    for values in metrics.values():
        assert {"log_loss", "auc", "brier", "calibration_error", "rmse"} <= set(values)
    market = open_market(request.market, markets)
    scores = read_scores(
        folder / "activation.parquet", name="activation", market_fingerprint=market.fingerprint, require_additive=True
    )
    assert scores.lineage.score_kind == "probability"
    assert scores.lineage.model == "diffusion"
    assert "source_id has passed on" in scores.lineage.notes[0]
    follows = market.table("follows")
    expected, found = (
        set(zip(table["source_id"].to_pylist(), table["target_id"].to_pylist(), strict=True))
        for table in (follows, scores.table)
    )
    assert found == expected
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["exported"]["rows"] == follows.num_rows
    page = (folder / "report.html").read_text()
    assert "Strongest edges" in Page(page, VOID).text
    assert all(f'id="{name}"' in page for name in ("models", "calibration", "truth", "seen", "exported"))


@pytest.mark.parametrize("kind", ["em", "rate"])
def test_models_without_a_network_train_and_write_scores(request_of, kind):
    extra = (f"model.kind={kind}", "evaluation.compare=[]")
    train.run(*request_of(*extra))
    request, config, folder = request_of(*extra, task="evaluate")
    evaluate.run(request, config, folder)
    assert len(json.loads((folder / "metrics.json").read_text())) == 1
    probability = read_scores(folder / "activation.parquet", name="activation").table["probability"].to_numpy()
    assert (np.ptp(probability) == 0) == (kind == "rate")


def test_no_table_is_written_where_none_is_asked_for(request_of):
    extra = ("model.kind=rate", "evaluation.compare=[]", "evaluation.export=false")
    train.run(*request_of(*extra))
    request, config, folder = request_of(*extra, task="evaluate")
    evaluate.run(request, config, folder)
    assert not (folder / "activation.parquet").exists()
    assert "Strongest edges" not in (folder / "report.html").read_text()


def test_an_interrupted_run_ends_like_an_unbroken_one(request_of, monkeypatch):
    once, broken = request_of(runs="once"), request_of(runs="broken")
    train.run(*once)
    step, seen = DiffusionModule.training_step, []

    def stop_at_the_seventh(self, batch, batch_idx):
        seen.append(batch_idx)
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(DiffusionModule, "training_step", stop_at_the_seventh)
    with pytest.raises(InterruptedBySignalError):
        train.run(*broken)
    monkeypatch.undo()
    assert record.read_record(broken[2])["status"] != "done"
    train.run(*broken)
    for name, values in weights_of(once[2]).items():
        assert torch.equal(weights_of(broken[2])[name], values), name


def test_two_runs_are_the_same_to_the_last_bit(request_of):
    for runs in ("a", "b"):
        train.run(*request_of(runs=runs))
    first, second = (weights_of(request_of(runs=runs)[2]) for runs in ("a", "b"))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_other_data_settings_are_refused(request_of):
    train.run(*request_of("model.kind=rate"))
    checkpoint = next((request_of("model.kind=rate")[2] / FOLDER).glob("best*.ckpt"))
    request = request_of("model.kind=rate", "data.split=post", f"ckpt_path={checkpoint}", task="evaluate")
    with pytest.raises(CheckpointError, match="trained with other split"):
        evaluate.run(*request)


def test_another_model_is_refused(request_of):
    train.run(*request_of("model.kind=rate"))
    request, config, folder = request_of("model.kind=rate", task="evaluate")
    with pytest.raises(ConfigError, match="set model=diffusion"):
        evaluate.run(dataclasses.replace(request, model=VSVAEModelConfig()), config, folder)


@pytest.mark.parametrize(
    ("override", "words"),
    [("model.kind=guess", "model.kind"), ("data.test=0.7", "data.test"), ("model.network.hide=1", "network.hide")],
)
def test_wrong_settings_are_named(request_of, override, words):
    with pytest.raises(ConfigError, match=words):
        request_of(override)
