"""Self-similarity of categories against a loop over pairs, and both poolings against datamodules that use them."""

import itertools

import numpy as np
import pytest
from mir_markets import hand_made

from micromega.models.mir.config import MIRDataConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.self_similarity import mean_cosines, self_similarity


def by_loop(unit, categories):
    cosines = {}
    for i, j in itertools.combinations(range(len(unit)), 2):
        if unit[i].any() and unit[j].any():
            key = categories[i] if categories[i] == categories[j] else None
            cosines.setdefault(key, []).append(float(unit[i] @ unit[j]))
    return {key: np.mean(values) for key, values in cosines.items()}


@pytest.mark.parametrize("seed", range(5))
def test_means_are_those_of_a_loop_over_pairs(seed):
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(17, 6)) + 0.5
    unit[rng.random(17) < 0.2] = 0
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    categories = rng.choice(["a", "b", "c", "d"], 17)
    within, between = mean_cosines(unit, categories)
    expected = by_loop(unit, categories)
    for name, value in zip(np.unique(categories), within, strict=True):
        assert value == pytest.approx(expected[name]) if name in expected else np.isnan(value)
    assert between == pytest.approx(expected[None])


def test_a_category_of_one_has_no_self_similarity():
    within, between = mean_cosines(np.eye(3), np.array(["a", "a", "b"]))
    assert within[0] == pytest.approx(0)
    assert np.isnan(within[1])
    assert between == pytest.approx(0)
    assert np.isnan(mean_cosines(np.eye(2), np.array(["a", "a"]))[1])


def test_both_poolings_are_those_of_datamodules_that_use_them(small_market):
    found = {}
    for pooling in ("average", "weighted"):
        data = MIRData(MIRDataConfig(min_positives=2, hashed_size=32, pooling=pooling), small_market)
        data.setup("test")
        found[pooling] = self_similarity(data)
        rows = slice(0, len(data.accounts.brand_ids) - data.accounts.cold)
        features = np.concatenate([values[rows] for values in data.accounts.features.values()], axis=1).astype(float)
        centred = features - features.mean(axis=0)
        spread = features.std(axis=0)
        unit = centred[:, spread > 1e-9] / spread[spread > 1e-9]
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        expected = by_loop(unit, data.accounts.brand_categories[rows])
        shown = dict(zip(found[pooling].categories, getattr(found[pooling], pooling), strict=True))
        assert shown == {name: pytest.approx(value, abs=1e-5) for name, value in expected.items() if name}
    np.testing.assert_allclose(found["average"].average, found["weighted"].average, atol=1e-5)
    np.testing.assert_allclose(found["average"].weighted, found["weighted"].weighted, atol=1e-5)
    assert np.abs(found["average"].average - found["average"].weighted).max() > 1e-3


def test_nothing_is_compared_where_no_category_is_known():
    posts = [(f"b{n}", "soup of the day", []) for n in range(4)]
    posts += [(f"c{n}", text, brands) for n in range(4) for text, brands in (("own", []), (f"@b{n}", [f"b{n}"]))]
    posts += [(f"c{n}", "another", []) for n in range(4)]
    config = MIRDataConfig(min_positives=1, hashed_size=8, validation_share=0.3, test_share=0.3)
    data = MIRData(config, hand_made(posts))
    data.setup("test")
    assert self_similarity(data) is None
