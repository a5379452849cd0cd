"""`DeepIV` and its modules: what it estimates, that it repeats, what checkpoints hold and refuse."""

import dataclasses
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from micromega.errors import CheckpointError, ConfigError, DataError
from micromega.models.deepiv import DeepIV, batches
from micromega.models.deepiv.batches import Rows, held_out_batches, spec_of
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.members import draw_members
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.loader import EpochBatches, ResumableLoader
from micromega.runs.checkpoint import load_checkpoint

FREE = {"smoothness": 0.0}
QUICK = {"treatment": {"epochs": 3, "hidden": (16, 8)}, "outcome": {"epochs": 3, "hidden": (16, 8), **FREE}}


def planted(rows=2_000, seed=0, shape=np.tanh):
    """The treatment is z, x and a shock that moves the outcome too: a regression takes the shock for an effect of t."""
    rng = np.random.default_rng(seed)
    z, x, shock, noise = rng.normal(size=(4, rows))
    t = 1.2 * z + 0.5 * x + 0.4 * shock
    return {"x": x[:, None], "z": z, "t": t, "y": shape(t) + 0.5 * x + 1.5 * shock + 0.1 * noise}


@pytest.fixture(scope="module")
def fitted():
    stage = {"epochs": 20, "learning_rate": 0.01, "hidden": (32, 16)}
    return DeepIV(starts=2, treatment=stage, outcome=stage | FREE).fit(**planted(3_000))


GRID = np.linspace(-1.5, 1.5, 13)


def test_finds_the_response_that_a_regression_misses(fitted):
    data, at = planted(3_000), np.zeros((1, 1))
    curve = fitted.predict(t=GRID, x=at, grid=True)[0]
    error = np.abs((curve - curve.mean()) - (np.tanh(GRID) - np.tanh(GRID).mean())).max()
    near = np.abs(data["x"][:, 0]) < 0.3
    line = np.polyfit(data["t"][near], data["y"][near], 3)
    regression = np.polyval(line, GRID)
    naive = np.abs((regression - regression.mean()) - (np.tanh(GRID) - np.tanh(GRID).mean())).max()
    assert naive > 0.4
    assert error < 0.2
    slope = fitted.elasticity(t=GRID, x=at, grid=True)[0]
    assert np.abs(slope - (1 - np.tanh(GRID) ** 2)).mean() < 0.2


def test_mixture_has_the_treatments_mean_and_deviation(fitted):
    z, x = np.linspace(-1.5, 1.5, 7), np.linspace(1, -1, 7)
    mixture = fitted.mixture(z=z, x=x[:, None])
    assert mixture.means.shape == (2, 7, 10)
    np.testing.assert_allclose(mixture.mean.mean(dim=0), 1.2 * z + 0.5 * x, atol=0.15)
    np.testing.assert_allclose(mixture.deviation.mean(dim=0), 0.4, atol=0.06)


def test_forms_of_the_same_question_agree(fitted):
    x = np.random.default_rng(0).normal(size=(13, 1))
    for ask in (fitted.predict, fitted.elasticity):
        grid = ask(t=GRID, x=x, grid=True)
        assert grid.shape == (13, 13)
        np.testing.assert_allclose(ask(t=GRID, x=x), np.diagonal(grid), rtol=1e-4, atol=1e-5)
        members = ask(t=GRID, x=x, grid=True, members=True)
        assert members.shape == (2, 13, 13)
        np.testing.assert_allclose(members.mean(axis=0), grid, rtol=1e-4, atol=1e-5)


def test_repeats_bit_by_bit_and_leaves_random_numbers_alone():
    data = planted(300)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = DeepIV(seed=3, **QUICK).fit(**data)
    assert torch.equal(before, torch.get_rng_state())
    torch.randn(5)
    second = DeepIV(seed=3, **QUICK).fit(**data)
    other = DeepIV(seed=4, **QUICK).fit(**data)
    assert first.treatment.fingerprint == second.treatment.fingerprint != other.treatment.fingerprint
    at = {"t": data["t"], "x": data["x"]}
    np.testing.assert_array_equal(first.predict(**at), second.predict(**at))
    assert (first.predict(**at) != other.predict(**at)).any()


def test_units_do_not_matter():
    data = planted(600)
    settings = {**QUICK, "folds": 2}
    plain = DeepIV(**settings).fit(**data)
    scaled = {"x": data["x"] * 64 + 512, "z": data["z"] * 0.25, "t": data["t"] * 4 + 16, "y": data["y"] * 8 - 32}
    other = DeepIV(**settings).fit(**scaled)
    expected = plain.predict(t=data["t"], x=data["x"])
    np.testing.assert_allclose(other.predict(t=scaled["t"], x=scaled["x"]), 8 * expected - 32, atol=0.05)
    slope = plain.elasticity(t=data["t"], x=data["x"])
    np.testing.assert_allclose(other.elasticity(t=scaled["t"], x=scaled["x"]), 2 * slope, atol=0.02)


def test_members_of_a_stack_train_as_each_would_alone():
    """Clipping, weights and the optimiser act on each member by itself."""
    data = {name: torch.as_tensor(of).float() for name, of in planted(256).items()}
    data["z"] = data["z"][:, None]
    config = DeepIVModelConfig(
        starts=3, treatment={"epochs": 2, "batch_size": 64, "clip": 0.05, "schedule": "constant"}
    )
    seen = (torch.rand(3, 256, generator=torch.Generator().manual_seed(0)) < 0.8).float()
    together = TreatmentModule(config, spec_of(data, torch.ones(256)))
    alone = TreatmentModule(dataclasses.replace(config, starts=1), spec_of(data, torch.ones(256)))
    for one, stacked in zip(alone.network.parameters(), together.network.parameters(), strict=True):
        one.data.copy_(stacked.data[1:2])
    for module, weights in ((together, seen), (alone, seen[1:2])):
        rows = Rows(data, weights)
        rows.trained = torch.arange(256)
        trainer = pl.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with warnings.catch_warnings(action="ignore"):  # Lightning's hints
            trainer.fit(module, ResumableLoader(rows, EpochBatches(256, 64, seed=0)))
    for one, stacked in zip(alone.network.parameters(), together.network.parameters(), strict=True):
        torch.testing.assert_close(one.data, stacked.data[1:2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rule", ["hermite", "quantile", "monte_carlo"])
def test_every_rule_trains_to_the_same_response(rule):
    data, stage = planted(1_200), {"epochs": 15, "learning_rate": 0.01, "hidden": (32, 16)}
    nodes = {"hermite": 3, "quantile": 16, "monte_carlo": 8}[rule]
    model = DeepIV(folds=2, treatment=stage, outcome={**stage, **FREE, "rule": rule, "nodes": nodes}).fit(**data)
    slope = model.elasticity(t=GRID, x=np.zeros((1, 1)), grid=True)[0]
    assert np.abs(slope - (1 - np.tanh(GRID) ** 2)).mean() < 0.3


def test_nonnegative_and_smoothness_shape_the_response():
    stage = {"epochs": 15, "learning_rate": 0.01, "hidden": (32, 16)}

    def slopes(shape, **extra):
        model = DeepIV(treatment=stage, outcome={**stage, **FREE, **extra}).fit(**planted(800, shape=shape))
        return model.elasticity(t=GRID, x=np.zeros((1, 1)), grid=True)[0]

    assert slopes(np.negative).max() < -0.3
    assert slopes(np.negative, nonnegative=True).min() > -0.2
    assert np.ptp(slopes(np.square)) > 3
    assert np.ptp(slopes(np.square, smoothness=3.0)) < 1.5


def test_bands_hold_the_draws_and_need_them(fitted):
    data = planted(300)
    cluster = np.arange(300) // 3
    model = DeepIV(bootstrap=4, folds=2, starts=1, **QUICK).fit(**data, cluster=cluster)
    x = data["x"][:5]
    band = model.bands(t=GRID, x=x, grid=True)
    draws = model.elasticity(t=GRID, x=x, grid=True, members=True).reshape(4, 2, 5, 13).mean(axis=1)
    np.testing.assert_allclose(band.estimate, draws.mean(axis=0), atol=1e-6)
    assert (band.lower <= band.upper).all()
    assert (band.lower >= draws.min(axis=0) - 1e-6).all()
    average = model.bands(t=GRID, x=x, grid=True, average=True, simultaneous=True, quantity="response")
    expected = model.predict(t=GRID, x=x, grid=True).mean(axis=0)
    np.testing.assert_allclose(average.estimate, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="bootstrap=50"):
        fitted.bands(t=GRID, x=x)
    with pytest.raises(ConfigError, match="grid=True"):
        model.bands(t=GRID[:5], x=x, simultaneous=True)


def test_rows_of_weight_zero_do_not_count():
    data = planted(400)
    spoiled = {name: of.copy() for name, of in data.items()}
    weights = np.ones(400)
    weights[::5] = 0
    spoiled["y"][::5] = 50.0
    spoiled["t"][::5] = -90.0
    clean = DeepIV(**QUICK).fit(**data, weights=weights)
    dirty = DeepIV(**QUICK).fit(**spoiled, weights=weights)
    np.testing.assert_array_equal(clean.predict(t=GRID, x=GRID[:, None]), dirty.predict(t=GRID, x=GRID[:, None]))


def test_many_instruments_no_controls_and_the_papers_setting():
    data = planted(300)
    z = np.stack([data["z"], np.random.default_rng(1).normal(size=300)], axis=1)
    paper = {"activation": "relu", "dropout": 0.2, "learning_rate": 1e-5, "schedule": "constant", "epochs": 2}
    model = DeepIV(treatment=paper, outcome=paper | FREE).fit(x=np.zeros((300, 0)), z=z, t=data["t"], y=data["y"])
    assert np.isfinite(model.predict(t=GRID, x=np.zeros((13, 0)))).all()
    assert model.config.treatment.components == 10
    assert model.config.treatment.hidden == model.config.outcome.hidden == (128, 64, 32)


def test_the_scale_is_that_of_numpy_in_blocks_or_not(monkeypatch):
    rng = np.random.default_rng(0)
    data = {"t": rng.normal(5, 2, 250), "z": rng.normal(size=(250, 1)), "x": rng.normal(3, 0.1, (250, 2))}
    values = {name: torch.from_numpy(of).float() for name, of in (data | {"y": rng.normal(size=250)}).items()}
    weight = torch.from_numpy(rng.integers(0, 3, 250)).float()
    for block in (64, 1_000):
        monkeypatch.setattr(batches, "_BLOCK", block)
        found = spec_of(values, weight)
        for name, value in values.items():
            rows = value.double().numpy()
            centre = np.average(rows, axis=0, weights=weight.numpy())
            spread = np.sqrt(np.average((rows - centre) ** 2, axis=0, weights=weight.numpy()))
            np.testing.assert_allclose(found.mean[name], centre, rtol=1e-6)
            np.testing.assert_allclose(found.deviation[name], spread, rtol=1e-6)


def modules_of(config, data, cluster, folder):
    """Both stages in a trainer with real checkpoints, as train.py has them."""
    values = {name: torch.as_tensor(of).float() for name, of in data.items()}
    values["z"] = values["z"][:, None]
    members = draw_members(config, cluster)
    seen, held_out = torch.from_numpy(members.weights), torch.from_numpy(members.held_out)
    spec = spec_of(values, torch.ones(len(cluster)))
    treatment = TreatmentModule(config, spec)
    fit_with_checkpoints(treatment, Rows(values, seen), held_out_batches(values, held_out, 64), folder / "treatment")
    given = integrate(
        treatment,
        values,
        config.outcome,
        weights=seen,
        held_out=held_out,
        mixed=torch.from_numpy(members.mixed),
        draw=torch.from_numpy(members.draw),
    )
    outcome = OutcomeModule(config, dataclasses.replace(spec, treatment=treatment.fingerprint))
    fit_with_checkpoints(outcome, given.rows, given.held_out, folder / "outcome")
    return treatment, outcome


@pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning")
def fit_with_checkpoints(module, rows, held_out, folder):
    keep = ModelCheckpoint(dirpath=folder, filename="best", monitor="val/best", mode="min")
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        callbacks=[keep],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, ResumableLoader(rows, EpochBatches(len(rows), 64, seed=0)), held_out)
    assert {"train/loss", "val/loss", "val/best"} <= set(trainer.callback_metrics)
    assert float(trainer.callback_metrics["val/best"]) == pytest.approx(float(module.best.loss.mean()))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_checkpoints_are_plain_restore_and_refuse_another_stage_1(tmp_path):
    config = DeepIVModelConfig(folds=2, **QUICK)
    data, cluster = planted(300), np.arange(300) // 3
    treatment, outcome = modules_of(config, data, cluster, tmp_path)
    stored = load_checkpoint(tmp_path / "treatment" / "best.ckpt")  # weights_only=True
    again = TreatmentModule.restore(stored)
    assert again.fingerprint == treatment.fingerprint
    other = TreatmentModule(config, spec_of(values_of(data), torch.ones(300)))
    stored = load_checkpoint(tmp_path / "outcome" / "best.ckpt")
    restored = OutcomeModule.restore(stored, again)
    t, x = torch.linspace(-1, 1, 5)[None, None], torch.zeros(1, 1, 1)
    torch.testing.assert_close(restored.response(t, x), outcome.response(t, x), rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="stage 1 that belongs"):
        OutcomeModule.restore(stored, other)
    with pytest.raises(CheckpointError, match="train that first"):
        OutcomeModule(config, spec_of(values_of(data), torch.ones(300)))
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    foreign = OutcomeModule(config, dataclasses.replace(spec_of(values_of(data), torch.ones(300)), treatment="0" * 64))
    with pytest.raises(CheckpointError, match="stage 1 that belongs"):
        trainer.fit(foreign, [], ckpt_path=tmp_path / "outcome" / "best.ckpt", weights_only=True)


def values_of(data):
    values = {name: torch.as_tensor(of).float() for name, of in data.items()}
    return {**values, "z": values["z"][:, None]}


def test_each_member_keeps_its_best_epoch():
    """A rate far too high makes later epochs worse: what is kept is the lowest held-out loss, member by member."""
    data, seen = planted(200), []
    wild = {"epochs": 8, "hidden": (8,), "learning_rate": 0.5, "schedule": "constant", "batch_size": 64}

    class Watched(TreatmentModule):
        def on_validation_epoch_end(self):
            seen.append(self._held_out.mean(self).clone())
            super().on_validation_epoch_end()

    config = DeepIVModelConfig(starts=3, treatment=wild)
    values = values_of(data)
    members = draw_members(config, np.arange(200))
    held_out = torch.from_numpy(members.held_out)
    module = Watched(config, spec_of(values, torch.ones(200)))
    trainer = pl.Trainer(
        max_epochs=8,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    rows = Rows(values, torch.from_numpy(members.weights))
    with warnings.catch_warnings(action="ignore"):  # Lightning's hints
        trainer.fit(
            module, ResumableLoader(rows, EpochBatches(len(rows), 64, 0)), held_out_batches(values, held_out, 64)
        )
    losses = torch.stack(seen)
    torch.testing.assert_close(module.best.loss, losses.min(dim=0).values.float())
    assert (losses.argmin(dim=0) < 7).any()
    with torch.no_grad():
        for member in range(3):
            rows_here = torch.nonzero(held_out[member])[:, 0]
            mixture = module.mixture(values["z"][None, rows_here], values["x"][None, rows_here])
            density = mixture.log_density(module.scale.standard("t", values["t"][None, rows_here]))
            torch.testing.assert_close(-density[member].mean(), module.best.loss[member], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"t": np.zeros(300)}, "have to vary"),
        ({"y": np.full(300, np.nan)}, r"y holds 300 value\(s\) that are not finite \(rows 0, 1, 2\)"),
        ({"x": np.zeros((299, 1))}, "one row each.*x 299"),
        ({"x": np.zeros(300)}, r"x has shape \(300,\); 2 dimension"),
        ({"z": np.zeros((300, 0))}, "needs an instrument"),
        ({"weights": np.full(300, -1.0)}, "300 are negative"),
        ({"cluster": np.zeros(300)}, "1 distinct value"),
        ({"z": ["a"] * 300}, "z has to be an array of numbers"),
    ],
)
def test_bad_input_is_named(change, says):
    with pytest.raises(DataError, match=says):
        DeepIV(**QUICK).fit(**{**planted(300), **change})


def test_bad_settings_and_questions_are_named(fitted):
    with pytest.raises(ConfigError, match="start: unknown key"):
        DeepIV(start=3)
    with pytest.raises(ConfigError, match=r"outcome\.nodes"):
        DeepIV(outcome={"nodes": 0})
    with pytest.raises(RuntimeError, match="call fit first"):
        DeepIV().predict(t=[1.0], x=[[0.0]])
    with pytest.raises(DataError, match=r"x has shape \(2, 3\)"):
        fitted.predict(t=[0.0, 1.0], x=np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"t has shape \(3,\)"):
        fitted.elasticity(t=np.zeros(3), x=np.zeros((2, 1)))


def test_the_example_of_the_docstring_runs():
    import doctest

    from micromega.models.deepiv import estimator

    results = doctest.testmod(estimator)
    assert results.attempted >= 8
    assert results.failed == 0
