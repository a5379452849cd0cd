"""LambdaMART finds signal where there is some and none where there is none, and lives in checkpoints like the rest."""

import dataclasses
import importlib
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from mir_markets import hand_made

from micromega.errors import CheckpointError, ConfigError, MissingExtraError
from micromega.features.text import text_features, tokenise
from micromega.models.lambdamart.config import LambdaMARTModelConfig
from micromega.models.lambdamart.module import LambdaMARTModule
from micromega.models.mir import auc
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.runs.checkpoint import load_checkpoint

QUICK = {"max_trees": 40, "components": 8, "learning_rate": 0.1}


def data_of(market, **changes):
    data = MIRData(MIRDataConfig(**{"min_positives": 2, "hashed_size": 64, **changes}), market)
    data.setup("fit")
    return data


def grown_on(data, **changes):
    module = LambdaMARTModule(LambdaMARTModelConfig(**{**QUICK, **changes}), data.spec).eval()
    module.attach(data)
    module.fit()
    return module


def held_out_auc(module, data):
    """AUC on test brands; the validation brands have chosen the number of trees."""
    rows = data.splits["test"]
    scores, labels = module.score(torch.from_numpy(rows)).numpy(), data.accounts.labels()[rows]
    return auc(scores.ravel(), labels.ravel(), np.repeat(np.arange(len(rows)), labels.shape[1]))


@pytest.fixture(scope="module")
def data(small_market):
    return data_of(small_market)


@pytest.fixture(scope="module")
def module(data):
    return grown_on(data)


def fitted(data, folder, **changes):
    module = LambdaMARTModule(LambdaMARTModelConfig(**{**QUICK, **changes}), data.spec)
    saved = pl.callbacks.ModelCheckpoint(folder, monitor="val/recall_at_50", mode="max", filename="best")
    trainer = pl.Trainer(
        max_epochs=40,
        accelerator="cpu",
        logger=False,
        callbacks=[saved],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )
    trainer.fit(module, datamodule=data)
    return module, trainer


def test_finds_partners_of_brands_that_it_has_not_seen(small_market):
    found = []
    for seed in range(4):
        data = data_of(small_market, seed=seed, test_share=0.4)
        found.append(held_out_auc(grown_on(data), data))
    assert np.mean(found) > 0.6  # 32 brands in four splits: chance is 0.5 ± 0.02


def world_without_signal(seed, brands):
    """Captions drawn at random: who mentions whom says nothing, except through a pair's own post."""
    generator = np.random.default_rng(seed)
    vocabulary = np.array([f"w{n}" for n in range(3000)])

    def caption():
        return " ".join(generator.choice(vocabulary, 12))

    posts = [(f"c{n:03}", caption(), []) for n in range(150) for _ in range(3)]
    for brand in range(brands):
        for creator in generator.choice(150, 5, replace=False):
            posts.append((f"c{creator:03}", caption(), [f"b{brand:02}"]))
    return hand_made(posts)


def auc_without_signal(seed, change=lambda data: None):
    data = data_of(
        world_without_signal(seed, brands=60),
        brand_posts="mentions",
        min_positives=3,
        hashed_size=256,
        candidates="all",
        test_share=0.4,
        seed=seed,
    )
    change(data)
    return held_out_auc(grown_on(data, seed=seed), data)


def test_in_a_world_without_signal_it_finds_nothing():
    # 120 pairs in each of six worlds: the standard error of the mean AUC is about 0.012.
    assert np.mean([auc_without_signal(seed) for seed in range(6)]) == pytest.approx(0.5, abs=0.04)


def keep_the_pairs_posts(data):
    """What a careless ranker does: a pair's own posts stay in the brand's view and in the creator's."""
    posts = data.market.table("posts")
    per_post = text_features(tokenise(posts["caption"]), None, 256)
    authors = np.array(posts["account_id"].to_pylist())
    for view, creator in zip(data.accounts.creator_view, data.accounts.creator_ids, strict=True):
        data.features["text"][view] = torch.from_numpy(per_post[authors == creator].mean(axis=0))
    data.accounts = dataclasses.replace(data.accounts, pair_view=data.accounts.pair_brand)


def test_the_test_above_sees_a_leak_where_there_is_one():
    assert np.mean([auc_without_signal(seed, keep_the_pairs_posts) for seed in range(2)]) > 0.7


def test_scores_are_those_of_the_pairs_one_by_one(module, data):
    rows = torch.tensor([5, 2, 9])
    scores = module.score(rows)
    torch.testing.assert_close(module.score(torch.arange(len(data.accounts.brand_ids)))[rows], scores)
    views, shown = data.accounts.shown_views(rows.numpy())
    for place, creator in [(0, 0), (1, 17), (2, 3)]:
        columns = module._columns(views[shown[place, creator]][None], np.array([creator]))
        assert module._grown().predict(columns)[0] == pytest.approx(float(scores[place, creator]), rel=1e-5)


def test_the_same_seed_gives_the_same_trees_with_any_number_of_threads(module, data):
    torch.testing.assert_close(grown_on(data).trees, module.trees, rtol=0, atol=0)
    rows = torch.arange(4)
    one, two, other = (grown_on(data, **{"max_trees": 8, "threads": 1, **c}) for c in ({}, {"threads": 2}, {"seed": 1}))
    torch.testing.assert_close(two.score(rows), one.score(rows), rtol=0, atol=0)
    assert not torch.equal(other.score(rows), one.score(rows))


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_training_takes_one_step_and_its_checkpoint_gives_the_same_scores(small_market, tmp_path):
    data = data_of(small_market)
    module, trainer = fitted(data, tmp_path)
    assert (trainer.global_step, trainer.current_epoch) == (1, 1)
    assert {"val/auc", "val/recall_at_10", "val/recall_at_50", "val/median_first_rank"} <= set(trainer.callback_metrics)
    checkpoint = load_checkpoint(tmp_path / "best.ckpt")
    rows = torch.arange(len(data.accounts.brand_ids))
    scores = module.score(rows)
    restored = LambdaMARTModule.restore(checkpoint)
    restored.attach(data)
    torch.testing.assert_close(restored.score(rows), scores, rtol=0, atol=0)
    other = grown_on(data, max_trees=2)
    assert not torch.equal(other.score(rows), scores)
    other.load_state_dict(checkpoint["state_dict"])
    torch.testing.assert_close(other.score(rows), scores, rtol=0, atol=0)
    assert checkpoint["micromega_origin"]["train_brands"] == data.accounts.brand_ids[data.splits["train"]].tolist()


def checkpoint_of(module):
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def test_evaluation_takes_it_for_the_ranker_and_refuses_brands_of_its_training(module, data, small_market):
    config = MIREvaluationConfig(bootstrap_samples=50)
    result = evaluate(config, checkpoint=checkpoint_of(module), data=data, seed=0, model=LambdaMARTModule)
    assert next(iter(result.metrics)) == "LambdaMART"
    assert result.exported.deviation is None
    with pytest.raises(CheckpointError, match="held-out brands were in this checkpoint's training"):
        evaluate(
            config,
            checkpoint=checkpoint_of(module),
            data=data_of(small_market, seed=1),
            seed=1,
            model=LambdaMARTModule,
        )


def test_other_arrays_of_the_same_market_are_refused(module):
    checkpoint = checkpoint_of(module)
    checkpoint["micromega_origin"] = {**checkpoint["micromega_origin"], "arrays": {"image_frames": "0"}}
    with pytest.raises(CheckpointError, match="image_frames"):
        module.on_load_checkpoint(checkpoint)


def test_a_checkpoint_without_trees_says_so(data):
    module = LambdaMARTModule(LambdaMARTModelConfig(), data.spec)
    module.attach(data)
    with pytest.raises(CheckpointError, match="holds no trees"):
        module.score(torch.arange(2))


def test_modalities_that_the_data_lack_are_refused(data):
    with pytest.raises(ConfigError, match="visual"):
        LambdaMARTModule(LambdaMARTModelConfig(modalities=("text", "visual")), data.spec)


def test_without_lightgbm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    trees = sys.modules["micromega.models.lambdamart.trees"]
    with pytest.raises(MissingExtraError, match=r"pip install 'micromega\[gbm\]'"):
        importlib.reload(trees)
