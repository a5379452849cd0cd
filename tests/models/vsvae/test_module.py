"""Training: it learns, every weight takes part, checkpoints are plain, schedules do what they say."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parent))

from posts_made_up import SIZES, TEXTS, batch, small, spec

from micromega.errors import CheckpointError, ConfigError
from micromega.models.vsvae.module import VSVAEModule
from micromega.models.vsvae.parts import MODALITIES
from micromega.models.vsvae.schedule import charged, divergence_weight, one_cycle

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
]


class Posts(pl.LightningDataModule):
    def __init__(self, *batches, **changed):
        super().__init__()
        self.batches = batches
        self.origin = {"market_fingerprint": "f", "arrays": {"audio": "a"}, "split": {"seed": 0}}
        self.post_ids = [f"p{number}" for number in range(99)]

    def train_dataloader(self):
        return DataLoader(list(self.batches), batch_size=None)

    def val_dataloader(self):
        return DataLoader(list(self.batches), batch_size=None)


def fit(module, *batches, epochs=1, **settings):
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
    trainer.fit(module, datamodule=Posts(*batches))
    return trainer


@pytest.mark.parametrize("posterior", ["joint", "product", "mixture"])
def test_eight_posts_are_learned_by_heart(posterior):
    posts = batch(posts=8, absent=0.2)
    torch.manual_seed(0)
    module = VSVAEModule(
        small(posterior=posterior, learning_rate=0.03, kl=0.0, latent_size=8, text_hidden=16, text_size=16), spec()
    )
    before = module.network.log_likelihood(module.network.encode(posts).mean, posts)
    fit(module, *[posts] * 100, limit_val_batches=0)
    after = module.network.log_likelihood(module.network.encode(posts).mean, posts)
    for part in SIZES:
        assert after[part].mean() > before[part].mean(), part
    r = module.network.encode(posts).mean
    rebuilt = module.network.reconstruct(r, posts)["audio"]
    has = posts.lengths["audio"] > 0
    truth = posts.values["audio"][has]
    if posterior != "mixture":  # its mean is none of the places it has learned to decode from
        assert ((rebuilt[has] - truth) ** 2).mean() < 0.5 * truth.var(dim=0).mean()


@pytest.mark.parametrize("changed", [{}, {"mean_pooling": True, "linear_path": True}])
@pytest.mark.parametrize("posterior", ["joint", "product", "mixture"])
def test_every_weight_gets_a_gradient(posterior, changed):
    torch.manual_seed(0)
    module = VSVAEModule(small(posterior=posterior, learn_words=True, modality_dropout=0.3, **changed), spec())
    module._trainer = SimpleNamespace(
        num_training_batches=1, accumulate_grad_batches=1, world_size=1, global_step=1, barebones=True
    )
    module.log = lambda *_, **__: None
    posts = batch(posts=40)
    sum(module.training_step(posts, 0) for _ in range(3)).backward()
    for name, parameter in module.named_parameters():
        of_experts = posterior != "joint" and "absent" in name and name.split(".")[2] in {"audio", "editing"}
        if not of_experts:  # an expert of one part is left out where the part is missing
            assert parameter.grad is not None, name
            assert parameter.grad.abs().any(), name


def test_no_weight_is_left_out_where_a_process_sees_a_part_of_nobody():
    """DistributedDataParallel waits for every weight; modality dropout may hide a text that the posts do have."""
    module = VSVAEModule(small(modality_dropout=0.3), spec())
    module._trainer = SimpleNamespace(
        num_training_batches=1, accumulate_grad_batches=1, world_size=2, global_step=1, barebones=True
    )
    module.log = lambda *_, **__: None
    posts = batch(absent=0.0)
    module._hidden = lambda posts: posts.hide(dict.fromkeys(TEXTS, torch.ones(6, dtype=torch.bool)))
    module.training_step(posts, 0).backward()
    assert [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("posterior", ["joint", "mixture"])
def test_validation_draws_the_same_each_time_and_leaves_other_draws_alone(posterior):
    module = VSVAEModule(small(posterior=posterior), spec())
    logged = []
    module.log_dict = lambda values, **_: logged.append(values)
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        module.validation_step(batch(absent=0.0), 3)
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(logged[0][name], logged[1][name]) for name in logged[0])


def test_words_that_posts_lack_cannot_be_learned():
    with pytest.raises(ConfigError, match=r"learn_words=true: data\.parts has no text"):
        VSVAEModule(small(learn_words=True), dataclasses.replace(spec({"editing": 2}), words=()))


def test_a_weight_counts_where_posts_have_the_part():
    found = []
    for weights in ({}, {"frames": 0.1}, {"editing": 0.1}):
        torch.manual_seed(0)
        module = VSVAEModule(small(weights=weights), spec({"editing": 2}))
        module._trainer = SimpleNamespace(
            num_training_batches=1, accumulate_grad_batches=1, world_size=1, global_step=1, barebones=True
        )
        module.log = lambda *_, **__: None
        found.append(module.training_step(batch(sizes={"editing": 2}), 0).item())
    assert found[0] == found[1] != found[2]


def test_checkpoints_are_plain_and_restore_the_module(tmp_path):
    posts = batch()
    module = VSVAEModule(small(weights={"audio": 2.0}), spec())
    trainer = fit(module, posts)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    restored = VSVAEModule.restore(checkpoint)
    module.eval()
    assert restored.config == module.config
    assert torch.equal(restored.network.encode(posts).mean, module.network.encode(posts).mean)
    assert checkpoint["micromega_origin"] == {"market_fingerprint": "f", "arrays": {"audio": "a"}, "split": {"seed": 0}}
    assert checkpoint["hyper_parameters"]["words"] == [f"word{number}" for number in range(11)]


def test_what_is_logged():
    posts = batch(posts=50, absent=0.0)
    module = VSVAEModule(small(), spec())
    logged = fit(module, posts, posts).callback_metrics
    assert {"train/loss", "val/elbo", "val/divergence", "val/active_units", "val/log_likelihood_caption"} <= set(logged)
    parts = sum(float(logged[f"val/log_likelihood_{part}"]) for part in SIZES)
    assert float(logged["val/elbo"]) == pytest.approx(parts - float(logged["val/divergence"]), rel=1e-5)
    variance = module.network.encode(posts).mean.var(dim=0, unbiased=False)
    assert float(logged["val/active_units"]) == int((variance > 0.01).sum())


@given(st.floats(0.05, 0.95), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_modality_dropout_never_hides_everything_nor_what_is_not_there(rate, seed):
    module = VSVAEModule(small(modality_dropout=rate), spec())
    posts = batch(posts=30, seed=seed, absent=0.6)
    torch.manual_seed(seed)
    shown = module._hidden(posts)
    for part, lengths in shown.lengths.items():
        assert ((lengths == posts.lengths[part]) | (lengths == 0)).all()
    had = torch.stack([of > 0 for of in posts.lengths.values()]).any(dim=0)
    has = torch.stack([of > 0 for of in shown.lengths.values()]).any(dim=0)
    assert torch.equal(had, has)
    for parts in MODALITIES.values():  # whole modalities go
        gone = torch.stack([(posts.lengths[p] > 0) & (shown.lengths[p] == 0) for p in parts]).any(dim=0)
        left = torch.stack([shown.lengths[p] > 0 for p in parts]).any(dim=0)
        assert not (gone & left).any()


def test_modality_dropout_hides_at_its_rate():
    module = VSVAEModule(small(modality_dropout=0.3), spec())
    posts = batch(posts=4000, absent=0.0)
    shown = module._hidden(posts)
    share = (shown.lengths["audio"] == 0).double().mean()
    assert share == pytest.approx(0.3, abs=0.03)


def test_schedules():
    assert [divergence_weight(e, "linear", 4, 0.5) for e in (0, 1, 2, 4, 9)] == [0, 0.125, 0.25, 0.5, 0.5]
    assert [divergence_weight(e, "cyclical", 2, 1.0) for e in (0, 1, 2, 3, 4, 5)] == [0, 0.5, 1, 1, 0, 0.5]
    assert divergence_weight(0, "constant", 2, 0.7) == 0.7


def test_free_nats_are_per_dimension_and_have_no_gradient():
    divergence = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    paid = charged(divergence, 0.5)
    paid.backward()
    assert float(paid.detach()) == pytest.approx(0.5 + 3.0)
    assert torch.equal(divergence.grad, torch.tensor([[0.0, 0.5], [0.0, 0.5]]))
    assert float(charged(divergence.detach(), 0.0)) == pytest.approx(0.2 + 3.0)


def test_the_weight_of_the_divergence_rises_by_epochs():
    module = VSVAEModule(small(kl_schedule="linear", kl_epochs=2.0), spec())
    seen = []
    original = module._divergence_weight
    module._divergence_weight = lambda: seen.append(original()) or seen[-1]
    fit(module, *[batch()] * 4, epochs=3)
    assert seen == pytest.approx([min(1, step / 8) for step in range(12)])


def test_the_weight_of_the_divergence_rises_by_epochs_where_gradients_are_accumulated():
    module = VSVAEModule(small(kl_schedule="linear", kl_epochs=2.0), spec())
    seen = []
    original = module._divergence_weight
    module._divergence_weight = lambda: seen.append(original()) or seen[-1]
    fit(module, *[batch()] * 5, epochs=3, accumulate_grad_batches=2)  # steps after batches 2, 4 and 5
    steps = [0, 0, 1, 1, 2]
    assert seen == pytest.approx([min(1, (3 * epoch + step) / 6) for epoch in range(3) for step in steps])


def test_weights_shrink_and_biases_do_not():
    groups = VSVAEModule(small(weight_decay=0.1), spec()).configure_optimizers().param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert all(p.ndim <= 1 for p in groups[1]["params"])


def test_the_rate_of_one_cycle_rises_and_falls_with_the_steps_of_training():
    module = VSVAEModule(small(schedule="one_cycle", learning_rate=0.01), spec())
    seen = []
    step = module.training_step
    module.training_step = lambda *of: seen.append(module.optimizers().param_groups[0]["lr"]) or step(*of)
    fit(module, *[batch()] * 10, epochs=4)
    assert len(seen) == 40
    assert max(seen) == pytest.approx(0.01)
    assert seen.index(max(seen)) == 3
    assert seen[3:] == sorted(seen[3:], reverse=True)
    assert seen[-1] < 1e-3 * max(seen)


@pytest.mark.parametrize("steps", range(1, 32))
def test_one_cycle_may_be_short(steps):
    """Torch divides by zero where the rise has exactly one step, as a tenth of ten has."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    cycle, seen = one_cycle(optimiser, 0.01, steps), []
    for step in range(steps):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            cycle.step()
    assert max(seen) <= 0.01
    assert seen[-1] < 1e-6


def test_one_cycle_needs_an_end():
    with pytest.raises(ConfigError, match=r"one_cycle needs an end: set trainer.max_epochs"):
        fit(VSVAEModule(small(schedule="one_cycle"), spec()), batch(), epochs=-1)


def test_training_does_not_go_on_with_another_schedule(tmp_path):
    module = VSVAEModule(small(schedule="one_cycle"), spec())
    fit(module, batch()).save_checkpoint(tmp_path / "last.ckpt")
    module = VSVAEModule(small(), spec())
    module._trainer = SimpleNamespace(datamodule=Posts(batch()), barebones=True)
    with pytest.raises(CheckpointError, match=r"model.schedule=one_cycle, whose state says nothing to constant"):
        module.on_load_checkpoint(torch.load(tmp_path / "last.ckpt", weights_only=True))
