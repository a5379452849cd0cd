"""The effectiveness model through the commands: trained, resumed, judged beside the others, exported, reported."""

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
from micromega.models.effectiveness.module import EffectivenessModule
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
    "experiment=effectiveness/default",
    *("market.brands=12", "market.creators=120", "model.folds=2", "model.tier_rows=20"),
    *("model.network.epochs=2", "model.network.hidden=[8,8]", "model.network.batch_size=64"),
    *("model.trees.most=40", "model.trees.quantile_trees=20", "model.trees.leaf_size=10"),
    *("evaluation.explained=20", "evaluation.references=4", "evaluation.offsets=[0]", "evaluation.brands=[]"),
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


def test_train_evaluate_and_export(request_of):
    train.run(*request_of())
    request, config, folder = request_of(task="evaluate")
    evaluate.run(request, config, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == [
        "Hybrid", "Embeddings + MLP", "LightGBM, categorical ids", "Additive (eq. 13)", "Creator's mean",
    ]  # fmt: skip
    for values in metrics.values():
        assert values["log_rmse"] > values["noise_floor"] > 0.25
        assert {"coverage", "expectation_rank_correlation", "total_ratio", "half_width"} <= set(values)
    scores = read_scores(folder / "effectiveness.parquet", name="effectiveness", require_additive=True)
    assert scores.lineage.score_kind == "impressions"
    assert scores.lineage.currency == "USD"
    assert "expected impressions of one post" in scores.lineage.notes[0]
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["exported"]["rows"] == scores.table.num_rows
    assert content["exported"]["rank_correlation"] > 0
    assert sum(row["rows"] for row in content["coverage"][1:]) == content["coverage"][0]["rows"]
    page = (folder / "report.html").read_text()
    assert "What predictions rest on" in Page(page, VOID).text
    assert all(f'id="{name}"' in page for name in ("models", "calibration", "importance", "explained", "exported"))


def test_revenue_is_money_and_engagement_is_counted(request_of):
    for outcome, kind in (("revenue", "currency"), ("engagement", "engagement")):
        extra = (f"data.outcome={outcome}", "evaluation.compare=[]", "model.kind=trees")
        train.run(*request_of(*extra))
        request, config, folder = request_of(*extra, task="evaluate")
        evaluate.run(request, config, folder)
        assert list(json.loads((folder / "metrics.json").read_text())) == ["LightGBM, categorical ids"]
        assert read_scores(folder / "effectiveness.parquet", name="effectiveness").lineage.score_kind == kind


def test_an_interrupted_run_ends_like_an_unbroken_one(request_of, monkeypatch):
    once, broken = request_of(runs="once"), request_of(runs="broken")
    train.run(*once)
    step, seen = EffectivenessModule.training_step, []

    def stop_at_the_seventh(self, batch, batch_idx):
        seen.append(batch_idx)
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(EffectivenessModule, "training_step", stop_at_the_seventh)
    with pytest.raises(InterruptedBySignalError):
        train.run(*broken)
    monkeypatch.undo()
    assert record.read_record(broken[2])["status"] != "done"
    train.run(*broken)
    for name, values in weights_of(once[2]).items():
        assert torch.equal(weights_of(broken[2])[name], values), name


def test_other_data_settings_are_refused(request_of):
    train.run(*request_of("model.kind=creator_mean"))
    checkpoint = next((request_of("model.kind=creator_mean")[2] / FOLDER).glob("best*.ckpt"))
    request = request_of("model.kind=creator_mean", "data.outcome=revenue", f"ckpt_path={checkpoint}", task="evaluate")
    with pytest.raises(CheckpointError, match="trained with other outcome"):
        evaluate.run(*request)


def test_another_model_is_refused(request_of):
    train.run(*request_of("model.kind=creator_mean"))
    request, config, folder = request_of("model.kind=creator_mean", task="evaluate")
    with pytest.raises(ConfigError, match="set model=effectiveness"):
        evaluate.run(dataclasses.replace(request, model=VSVAEModelConfig()), config, folder)


def test_two_runs_are_the_same_to_the_last_bit(request_of):
    for runs in ("a", "b"):
        train.run(*request_of(runs=runs))
    first, second = (weights_of(request_of(runs=runs)[2]) for runs in ("a", "b"))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
