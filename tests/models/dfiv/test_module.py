"""DFIV's features, halves and losses, each computed another way."""

import dataclasses

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from micromega.errors import DataError, NonFiniteLossError
from micromega.models.deepiv.arrays import _quiet
from micromega.models.deepiv.batches import held_out_batches, spec_of
from micromega.models.dfiv.config import DFIVModelConfig, FeatureConfig
from micromega.models.dfiv.features import FeatureNetworks, crossed
from micromega.models.dfiv.halves import Pairs, judging_batches, split_halves
from micromega.models.dfiv.module import DFIVModule
from micromega.models.dfiv.ridge import ridge
from micromega.models.loader import EpochBatches, ResumableLoader
from micromega.runs.callbacks import FiniteLoss

SMALL = DFIVModelConfig(
    instrument=FeatureConfig(hidden=(8,), features=4, updates=2),
    treatment=FeatureConfig(hidden=(6,), features=2, updates=1),
    control=FeatureConfig(hidden=(8,), features=3, updates=2),
    starts=2,
)


def rows(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z, x = torch.randn(n, 1, generator=generator), torch.randn(n, 2, generator=generator)
    t = z[:, 0] + torch.randn(n, generator=generator)
    return {"t": t, "z": z, "x": x, "y": t * x[:, 0] + torch.randn(n, generator=generator)}


def module_of(config=SMALL, values=None):
    values = values or rows()
    torch.manual_seed(0)
    return DFIVModule(config, spec_of(values, torch.ones(len(values["t"]))))


def test_crossed_features_are_kronecker_products_without_the_constant():
    phi, xi = torch.randn(2, 5, 3), torch.randn(2, 5, 4)
    found = crossed(phi, xi)
    for member in range(2):
        for row in range(5):
            wanted = torch.kron(
                torch.cat([torch.ones(1), phi[member, row]]), torch.cat([torch.ones(1), xi[member, row]])
            )
            torch.testing.assert_close(found[member, row], wanted[1:])


@pytest.mark.parametrize("controls", [0, 2])
def test_the_response_is_stage_2_on_features_of_the_treatment_itself(controls):
    torch.manual_seed(1)
    net = FeatureNetworks(SMALL, 2, controls, 1)
    t, x = torch.randn(1, 30), torch.randn(1, 30, controls)
    features = crossed(net.treatment_features(t), net.control_features(x).expand(2, -1, -1))
    stage = ridge(features, torch.randn(2, 30, 1), torch.ones(2, 30), 0.1, relative=False)
    net.keep(stage)
    torch.testing.assert_close(net(t[..., None], x)[..., 0], stage(features)[..., 0], rtol=1e-4, atol=1e-5)
    wide = net(t[..., None].expand(-1, -1, 3), x)
    torch.testing.assert_close(wide, wide[..., :1].expand_as(wide))


def test_halves_share_no_cluster_and_leave_none_out():
    cluster = np.repeat(np.arange(13), 4)
    weights = torch.ones(3, 52)
    weights[1, :8] = 0  # clusters 0 and 1 are not seen
    first = split_halves(cluster, weights, seed=0)
    for member in range(3):
        seen = set(cluster[weights[member].numpy() > 0])
        one = set(cluster[(first[member] & (weights[member] > 0)).numpy()])
        two = set(cluster[(~first[member] & (weights[member] > 0)).numpy()])
        assert not one & two
        assert one | two == seen
        assert len(one) == len(seen) // 2
    assert not torch.equal(first[0], first[2])
    assert torch.equal(first, split_halves(cluster, weights, seed=0))
    with pytest.raises(DataError, match="a member of DFIV sees one cluster"):
        split_halves(np.zeros(52), weights, seed=0)


def test_an_epoch_holds_every_row_of_both_halves_once():
    values = rows(21)
    weights = torch.ones(2, 21)
    weights[0, 3] = 0
    weights[1, 5] = 2
    first = split_halves(np.arange(21), weights, seed=0)
    pairs = Pairs(values, weights, first)
    seen = torch.zeros(2, 2, 21)
    for places in torch.randperm(len(pairs)).split(4):
        pair = pairs[0, places]
        for half, batch in enumerate((pair.first, pair.second)):
            seen[half].scatter_add_(1, batch.row, batch.weight)
            torch.testing.assert_close(batch.y, values["y"][batch.row])
    torch.testing.assert_close(seen[0], weights * first)
    torch.testing.assert_close(seen[1], weights * ~first)


def test_judging_batches_hold_each_members_rows_once_in_order():
    """Beside the copies that Deep IV's two stages make."""
    values = rows(21)
    weights, held_out = torch.ones(2, 21), torch.zeros(2, 21)
    weights[0, :4] = 0
    weights[1, 4:6] = 0
    weights[1, 9] = 3
    held_out[weights == 0] = 1.0
    first = split_halves(np.arange(21), weights, seed=0)
    for of, loader in zip(
        (weights * first, weights * ~first, held_out),
        judging_batches(values, weights, first, held_out, 4),
        strict=True,
    ):
        for found, wanted in zip(loader, held_out_batches(values, of, 4), strict=True):
            for name in ("row", "t", "z", "x", "y", "weight"):
                torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=0, atol=0)


def test_losses_have_the_gradient_of_solving_within():
    """The coefficients are held still; differentiating through their solution must give the same."""
    module = module_of().double()
    values = {name: value.double() for name, value in rows().items()}
    weights = torch.ones(2, 40).double()
    pair = Pairs(values, weights, split_halves(np.arange(40), weights, seed=0))[0, torch.arange(20)]
    weight = pair.first.weight.double()
    instrument = torch.randn(2, 20, 4, dtype=torch.float64, requires_grad=True)
    treatment = torch.randn(2, 20, 2, dtype=torch.float64)
    (found,) = torch.autograd.grad(module.first_loss(instrument, treatment, weight), instrument)
    stage = ridge(instrument, treatment, weight, 0.1, relative=True)
    error = ((treatment - stage(instrument)) ** 2).mean(dim=1) + stage.punishment()
    (wanted,) = torch.autograd.grad((error / treatment.var(dim=1, correction=0)).sum(), instrument)
    torch.testing.assert_close(found, wanted)

    predicted = torch.randn(2, 20, 2, dtype=torch.float64, requires_grad=True)
    control = torch.randn(2, 20, 3, dtype=torch.float64)
    second = dataclasses.replace(pair.second, y=pair.second.y.double(), weight=pair.second.weight.double())
    (found,) = torch.autograd.grad(module.second_loss(predicted, control, second), predicted)
    y = module.scale.standard("y", second.y)[..., None]
    stage = ridge(crossed(predicted, control), y, second.weight, 0.1, relative=False)
    error = ((y - stage(crossed(predicted, control))) ** 2).mean(dim=1)[:, 0] + stage.punishment()[:, 0]
    (wanted,) = torch.autograd.grad(error.sum(), predicted)
    torch.testing.assert_close(found, wanted)


def test_validation_solves_both_stages_on_their_rows_and_judges_on_the_others():
    """In batches of 7, against all rows at once."""
    values = rows(60)
    weights, held_out = torch.ones(2, 60), torch.zeros(2, 60)
    weights[0, :9] = 0
    weights[1, 9:20] = 0
    held_out[weights == 0] = 1.0
    first = split_halves(np.arange(60), weights, seed=0)
    module = module_of(values=values)
    module.log = lambda *_, **__: None
    module._trainer = type(
        "T", (), {"state": type("S", (), {"fn": None})(), "sanity_checking": False, "world_size": 1}
    )()
    module.on_validation_epoch_start()
    with torch.no_grad():
        for number, loader in enumerate(judging_batches(values, weights, first, held_out, 7)):
            for batch in loader:
                module.validation_step(batch, 0, number)
        loss = module._held_out.mean(module)
        net = module.network
        for member in range(2):
            one, two, out = ((of[member] > 0).nonzero()[:, 0] for of in (weights * first, weights * ~first, held_out))
            standard = {name: module.scale.standard(name, value) for name, value in values.items()}
            psi = net.instrument_features(standard["z"][None], standard["x"][None])[[member]]
            phi = net.treatment_features(standard["t"][None])[[member]]
            xi = net.control_features(standard["x"][None])[[member]]
            stage = ridge(psi[:, one], phi[:, one], torch.ones(1, len(one)), 0.1, relative=True)
            both, y = crossed(stage(psi), xi), standard["y"][None, :, None]
            last = ridge(both[:, two], y[:, two], torch.ones(1, len(two)), 0.1, relative=False)
            wanted = ((y - last(both))[:, out] ** 2).mean()
            assert float(loss[member]) == pytest.approx(float(wanted), rel=1e-3)


def test_a_checkpoint_restores_the_response():
    module = module_of()
    with torch.no_grad():
        module.best.network.coefficient.normal_()
    stored = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    again = DFIVModule.restore(stored)
    t, x = torch.randn(1, 5, 3), torch.randn(1, 5, 2)
    torch.testing.assert_close(again.response(t, x), module.response(t, x))
    assert again.response(t, x).shape == (2, 5, 3)


def fitted(epochs, checkpoint=None, callbacks=()):
    """Train on 60 rows in steps of 8 a half."""
    values = rows(60)
    weights = torch.ones(2, 60)
    weights[:, :12] = 0
    first = split_halves(np.arange(60), weights, seed=0)
    pairs = Pairs(values, weights, first)
    module = module_of(values=values)
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0, callbacks=[*callbacks],
        )  # fmt: skip
        held_out = judging_batches(values, weights, first, 1 - weights, 32)
        trainer.fit(module, ResumableLoader(pairs, EpochBatches(len(pairs), 8, 0)), held_out, ckpt_path=checkpoint)
    return module, trainer


def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path):
    whole, trainer = fitted(4)
    assert trainer.global_step == 4 * 3, "a batch is one step, however often networks move in it"
    _, half = fitted(2)
    half.save_checkpoint(tmp_path / "half.ckpt")
    resumed, _ = fitted(4, tmp_path / "half.ckpt")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)
    assert torch.isfinite(whole.best.loss).all()


def test_every_network_moves_and_a_bad_loss_stops_training():
    before, (after, _) = module_of(values=rows(60)), fitted(1)
    for (name, old), new in zip(before.network.named_parameters(), after.network.parameters(), strict=True):
        assert not torch.equal(old, new), name
    poisoned = type("Poison", (pl.Callback,), {"on_train_start": lambda self, trainer, module: _poison(module)})()
    with pytest.raises(NonFiniteLossError, match="rows of each half"):
        fitted(1, callbacks=[poisoned, FiniteLoss()])


def _poison(module):
    with torch.no_grad():
        module.network.of_treatment.layers[0].bias.fill_(torch.nan)
