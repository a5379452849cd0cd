"""Directions that modalities share, against canonical correlations and principal components made elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA

from micromega.errors import ConfigError
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.module import MIRModule
from micromega.models.mir.shared import SharedDirections, shared_directions


def two_modalities(rows=400, seed=0):
    """Three common directions of falling strength, and habits of each modality that are larger."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(rows, 3)) * [2.0, 1.2, 0.7]
    made = []
    for width in (8, 6):
        own = generator.normal(size=(rows, 2)) * 3
        mixed = common @ generator.normal(size=(3, width)) + own @ generator.normal(size=(2, width))
        made.append(torch.from_numpy(mixed + 0.3 * generator.normal(size=(rows, width)) + 5).float())
    return common, made


def values_of(modalities, count):
    joined = torch.cat(modalities, dim=1).double()
    return ((joined - joined.mean(dim=0)) @ shared_directions(modalities, count).double()).numpy()


def test_two_modalities_give_the_canonical_variates():
    _, modalities = two_modalities()
    found = values_of(modalities, 3)
    a, b = CCA(n_components=3, scale=False, max_iter=5000, tol=1e-10).fit_transform(
        *(m.double().numpy() for m in modalities)
    )
    variates = a / a.std(axis=0) + b / b.std(axis=0)
    for k in range(3):
        assert abs(np.corrcoef(found[:, k], variates[:, k])[0, 1]) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(np.corrcoef(found.T), np.eye(3), atol=1e-4)


def test_what_is_common_is_found_and_habits_are_not():
    common, modalities = two_modalities()
    found = values_of(modalities, 3)
    plain = PCA(n_components=3, whiten=True).fit_transform(torch.cat(modalities, dim=1).numpy())

    def recovered(values):
        left = common - values @ np.linalg.lstsq(values, common, rcond=None)[0]
        return 1 - left.var(axis=0).sum() / common.var(axis=0).sum()

    assert recovered(found - found.mean(axis=0)) > 0.95
    assert recovered(plain) < 0.7


def test_one_modality_gives_its_whitened_principal_components():
    _, (only, _) = two_modalities()
    found, expected = values_of([only], 4), PCA(n_components=4, whiten=True).fit_transform(only.double().numpy())
    for k in range(4):
        assert abs(np.corrcoef(found[:, k], expected[:, k])[0, 1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("rows", "width"), [(60, 300), (300, 280)])
def test_wide_modalities_go_through_the_smaller_matrix(rows, width):
    generator = np.random.default_rng(3)
    wide = generator.normal(size=(rows, 5)) * [9, 7, 5, 4, 3] @ generator.normal(size=(5, width))
    wide = torch.from_numpy(wide + 0.01 * generator.normal(size=(rows, width)))
    found, expected = values_of([wide], 5), PCA(n_components=5, whiten=True).fit_transform(wide.numpy())
    for k in range(5):
        assert abs(np.corrcoef(found[:, k], expected[:, k])[0, 1]) == pytest.approx(1, abs=1e-5)


def test_directions_beyond_what_there_is_are_zeros_and_constant_columns_do_no_harm():
    _, modalities = two_modalities()
    modalities[0][:, 2] = 7.0
    directions = shared_directions(modalities, 40)
    assert directions.shape == (14, 40)
    assert torch.isfinite(directions).all()
    assert not directions[:, 14:].any()


def test_the_same_accounts_give_the_same_directions():
    _, modalities = two_modalities()
    assert torch.equal(shared_directions(modalities, 4), shared_directions([m.clone() for m in modalities], 4))


@pytest.fixture(scope="module")
def data(small_market):
    made = MIRData(
        MIRDataConfig(min_positives=2, modalities=("words", "account"), word_buckets=256, lists="pairs"), small_market
    )
    made.setup("fit")
    return made


def module_of(data, **changes):
    torch.manual_seed(0)
    settings = {"shared_directions": 4, "fusion": "linear", "embedding_size": 6, "score": "cosine", "loss": "softmax"}
    return MIRModule(MIRModelConfig(**{**settings, "modalities": ("words", "account"), **changes}), data.spec)


def fitted(data, **changes):
    module = module_of(data, **changes)
    module.trainer = type("Trainer", (), {"datamodule": data})()
    module.setup("fit")
    return module


def test_a_checkpoint_holds_the_directions(data, tmp_path):
    module = fitted(data).eval()
    assert module._get("features_shared").shape == (len(data.features["words"]), 4)
    torch.save({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, tmp_path / "c.ckpt")
    restored = MIRModule.restore(torch.load(tmp_path / "c.ckpt", weights_only=True))
    restored.attach(data)
    brands = torch.from_numpy(data.splits["test"])
    torch.testing.assert_close(restored.score(brands), module.score(brands))


def test_held_out_brands_do_not_move_the_directions(data, small_market):
    other = MIRData(data.config, small_market)
    other.setup("fit")
    for name, values in other.features.items():
        values[other.splits["test"]] = -3 * values[other.splits["test"]] + 1
        other.features[name] = values
    assert torch.equal(fitted(data).shared.directions, fitted(other).shared.directions)


def test_learned_pooling_and_shared_directions_are_refused_together(small_market):
    with_text = MIRData(MIRDataConfig(min_positives=2, hashed_size=16, lists="pairs", keep_posts=True), small_market)
    with_text.setup("fit")
    with pytest.raises(ConfigError, match=r"model\.pooling=fixed"):
        module_of(with_text, pooling="attention", modalities=("text", "account"))


def test_an_unknown_number_of_modalities_is_described_by_its_names():
    shared = SharedDirections({"a": 2, "b": 3}, 2)
    shared.fit({"a": torch.randn(30, 2), "b": torch.randn(30, 3)})
    swapped = {"b": torch.ones(1, 3), "a": torch.zeros(1, 2)}
    torch.testing.assert_close(shared(swapped), shared({"a": torch.zeros(1, 2), "b": torch.ones(1, 3)}))


def test_competition_takes_what_all_brands_would_pay(data):
    plain, module = fitted(data).eval(), fitted(data, competition=True).eval()
    everybody = torch.arange(len(data.accounts.brand_ids) - data.accounts.cold)
    scores = plain.score(everybody).double().numpy()
    expected = scores - np.log(np.exp(scores).sum(axis=0))
    np.testing.assert_allclose(module.score(everybody).numpy(), expected, rtol=1e-3, atol=1e-4)
    brands, creators = module.embeddings(everybody)
    np.testing.assert_allclose((brands @ creators.T).numpy(), expected, rtol=1e-3, atol=1e-4)


def test_a_cold_brand_competes_for_creators_without_being_a_rival(small_market):
    cold_data = MIRData(
        MIRDataConfig(min_positives=4, modalities=("words", "account"), word_buckets=256, lists="pairs"), small_market
    )
    cold_data.setup("fit")
    module, plain = fitted(cold_data, competition=True).eval(), fitted(cold_data).eval()
    cold, taking_part = (torch.from_numpy(rows) for rows in (cold_data.splits["cold"], module._taking_part()))
    assert len(cold)
    demand = plain.score(taking_part).logsumexp(dim=0)
    torch.testing.assert_close(module.score(cold), plain.score(cold) - demand, rtol=1e-3, atol=1e-4)
    mixed = torch.cat([cold[:1], taking_part[2:4]])
    torch.testing.assert_close(module.score(mixed), plain.score(mixed) - demand, rtol=1e-3, atol=1e-4)
