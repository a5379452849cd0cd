"""Posts to vectors through the commands: train, break off, evaluate, export."""

import json

import numpy as np
import pytest
import torch
from fingerprints import Killed, result

from micromega import cli
from micromega.config.signature import run_name
from micromega.config.validate import validate
from micromega.errors import CheckpointError, ConfigError, DataError
from micromega.models.vsvae.evaluate import _device
from micromega.runs import evaluate, train
from micromega.scores import read_scores
from micromega.scores.embedding import vectors_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
]
TINY = (
    "experiment=vsvae/small",
    *("market.brands=8", "market.creators=60", "market.posts=5", "data.batch_size=64", "data.min_count=2"),
    *("model.latent_size=4", "model.text_hidden=4", "model.text_size=8", "model.frames_hidden=8"),
    *("model.image_sizes=[16,8]", "model.audio_size=8", "model.editing_size=4", "trainer.max_epochs=2"),
    *("callbacks.latest.every_n_train_steps=1", "evaluation.importance_samples=4", "evaluation.popularity_epochs=2"),
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


def test_train_evaluate_export(request_of):
    train.run(*request_of())
    request = request_of(task="evaluate")
    evaluate.run(*request)
    folder = request[2]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == ["VSVAE", "no information", "PCA"]
    assert {"text_accuracy", "frames_mse", "audio_mse", "editing_mse"} <= set(metrics["VSVAE"])
    scores = read_scores(folder / "embedding.parquet", name="embedding")
    vectors = vectors_of(scores.table)
    assert vectors.shape == (340, 4)
    assert np.isfinite(vectors).all()
    assert vectors.std(axis=0).min() > 0
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["bounds"]["elbo"] < found["bounds"]["importance_weighted"]
    assert found["facts"]["posts"] == {"train": 272, "validation": 34, "test": 34}
    assert {probe["target"] for probe in found["probes"]} >= {"subject", "quality"}
    assert "<title>" in (folder / "report.html").read_text()
    assert not list(folder.glob("*.part"))


def test_test_posts_alone(request_of):
    train.run(*request_of())
    request = request_of("evaluation.posts=test", "evaluation.popularity=false", task="evaluate")
    evaluate.run(*request)
    assert read_scores(request[2] / "embedding.parquet", name="embedding").table.num_rows == 34


@pytest.mark.parametrize(
    "overrides", [(), ("model.posterior=mixture", "model.modality_dropout=0.3", "data.num_workers=1")]
)
def test_broken_off_is_as_never_stopped(request_of, saves, overrides):
    whole = request_of(*overrides, runs="whole")
    train.run(*whole)
    assert len(saves) > 6
    saves.clear()
    saves.stop_after = 4
    broken = request_of(*overrides, runs="broken")
    with pytest.raises(Killed):
        train.run(*broken)
    saves.stop_after = None
    train.run(*broken)
    assert result(broken[2]) == result(whole[2])


def test_a_checkpoint_describes_another_market_with_its_own_words(request_of):
    first = request_of()
    train.run(*first)
    checkpoint = next((first[2] / "checkpoints").glob("best*.ckpt"))
    request = request_of("market.seed=5", f"ckpt_path={checkpoint}", "evaluation.popularity=false", task="evaluate")
    evaluate.run(*request)
    assert read_scores(request[2] / "embedding.parquet", name="embedding").table.num_rows == 340


def test_a_checkpoint_of_other_parts_is_refused(request_of):
    first = request_of()
    train.run(*first)
    checkpoint = next((first[2] / "checkpoints").glob("best*.ckpt"))
    with pytest.raises(CheckpointError, match=r"audio \(21 then, none now\)"):
        evaluate.run(*request_of("data.parts=[caption,editing]", f"ckpt_path={checkpoint}", task="evaluate"))


def test_training_does_not_go_on_where_its_posts_would_be_held_out(request_of):
    first = request_of()
    train.run(*first)
    checkpoint = next((first[2] / "checkpoints").glob("latest*.ckpt"))
    with pytest.raises(CheckpointError, match=r"held out here were trained on.*data\.seed=0\."):
        train.run(*request_of("seed=1", "trainer.max_epochs=3", f"ckpt_path={checkpoint}"))


def test_a_checkpoint_of_another_split_or_model_is_refused(request_of, tmp_path):
    first = request_of("data.parts=[caption]")
    train.run(*first)
    checkpoint = next((first[2] / "checkpoints").glob("best*.ckpt"))
    wanted = ("data.parts=[caption]", "market.seed=0", "seed=7", f"ckpt_path={checkpoint}")
    with pytest.raises(CheckpointError, match=r"held out here were trained on.*data\.seed=0\."):
        evaluate.run(*request_of(*wanted, task="evaluate"))
    other = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"config": {}}}, other)
    with pytest.raises(CheckpointError, match="no checkpoint of a VS-VAE"):
        evaluate.run(*request_of(f"ckpt_path={other}", task="evaluate"))


def test_a_checkpoint_of_other_columns_is_refused(request_of):
    wanted = ("data.parts=[editing]", "data.arrays={}", "model.learn_words=false")
    first = request_of(*wanted, "data.columns=[duration_s]")
    train.run(*first)
    checkpoint = next((first[2] / "checkpoints").glob("best*.ckpt"))
    with pytest.raises(CheckpointError, match=r"other columns. Give data.columns=\[duration_s\]"):
        evaluate.run(*request_of(*wanted, "data.columns=[likes]", f"ckpt_path={checkpoint}", task="evaluate"))


def test_a_market_that_growth_cannot_be_fitted_to_is_judged_without(request_of, monkeypatch):
    def refuse(*_, **__):
        raise DataError("impressions are all 0.")

    train.run(*request_of("data.parts=[caption]"))
    request = request_of("data.parts=[caption]", task="evaluate")
    monkeypatch.setattr("micromega.models.vsvae.evaluate.fit_growth", refuse)
    evaluate.run(*request)
    found = json.loads((request[2] / "evaluation.json").read_text())
    assert found["popularity"] is None
    assert "The popularity test was not made. impressions are all 0." in found["absent"]


def test_an_accelerator_that_torch_was_only_built_for_is_not_used(monkeypatch):
    monkeypatch.setattr(
        torch.accelerator,
        "current_accelerator",
        lambda check_available=False: None if check_available else torch.device("cuda"),
    )
    assert _device() == torch.device("cpu")


def test_texts_alone(request_of):
    overrides = ("data.parts=[caption]", "evaluation.popularity=false")
    train.run(*request_of(*overrides))
    request = request_of(*overrides, task="evaluate")
    evaluate.run(*request)
    assert list(json.loads((request[2] / "metrics.json").read_text())["VSVAE"]) == ["text_accuracy", "caption_accuracy"]


def test_half_precision_and_accumulated_gradients(request_of):
    request = request_of("+trainer.precision=bf16-mixed", "+trainer.accumulate_grad_batches=2")
    train.run(*request)
    assert np.isfinite(json.loads((request[2] / "metrics.json").read_text())["val/elbo"])


def test_shortlists_are_for_rankers(request_of):
    with pytest.raises(ConfigError, match="only a ranker has shortlists"):
        evaluate.run(*request_of("retrieve=exact", task="evaluate"))
