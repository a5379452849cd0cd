"""Sign classifiers and value predictors find a planted signal, and nothing where there is none."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from micromega.market import simulate
from micromega.models.growth import fit_growth
from micromega.models.vsvae.config import VSVAEEvaluationConfig
from micromega.models.vsvae.evaluate import _popularity
from micromega.models.vsvae.popularity import of_unseen, predict_popularity

POSTS = 3_000
TRAIN, VALIDATION, TEST = np.arange(2_000), np.arange(2_000, 2_500), np.arange(2_500, POSTS)


def vectors(seed=0):
    return np.random.default_rng(seed).standard_normal((POSTS, 6)).astype(np.float32)


def foretell(representations, residuals, **options):
    parts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    return predict_popularity(representations, residuals, **(parts | {"epochs": 12} | options))


def test_a_curved_signal_is_found():
    r = vectors()
    residual = np.abs(r[:, 0]) + 0.5 * r[:, 1] - 0.8 + 0.1 * np.random.default_rng(1).standard_normal(POSTS)
    (row,) = foretell({"r": r}, {"growth rate": 300 * residual}).rows
    assert row.accuracy > 0.85
    assert row.r_squared > 0.9
    assert row.posts == 500
    assert row.majority == pytest.approx(max((residual[TEST] > 0).mean(), (residual[TEST] <= 0).mean()))


def test_no_signal_leaves_the_usual_sign():
    residual = np.random.default_rng(1).standard_normal(POSTS) + 1  # 84 % above 0
    (row,) = foretell({"r": vectors()}, {"starting impressions": residual}).rows
    assert row.majority == pytest.approx((residual[TEST] > 0).mean())
    assert row.accuracy == pytest.approx(row.majority, abs=0.01)
    assert row.r_squared == pytest.approx(0, abs=0.03)


def test_what_was_best_on_validation_posts_is_kept():
    random = np.random.default_rng(3)
    r, residual = random.standard_normal((POSTS, 200)), random.standard_normal(POSTS)
    (row,) = foretell({"r": r}, {"growth rate": residual}, epochs=30).rows  # learns its training posts by heart
    assert row.r_squared == pytest.approx(0, abs=0.05)


def test_the_usual_sign_is_that_of_the_training_posts():
    residual = np.where(np.arange(POSTS) < 2_000, 1.0, -1.0)
    residual[:100] = -1
    (row,) = foretell({"r": vectors()}, {"growth rate": residual}).rows
    assert row.majority == 0


def test_test_posts_are_not_learned_from():
    r = vectors()
    residual = np.where(r[:, 0] > 0, 1.0, -1.0)
    residual[TEST] *= -1
    (row,) = foretell({"r": r}, {"growth rate": residual}).rows
    assert row.accuracy < 0.1
    assert row.r_squared < -1


def test_rows_by_target_and_representation_with_spread_over_seeds():
    r = vectors()
    residual = r[:, 0] + np.random.default_rng(1).standard_normal(POSTS)
    found = foretell(
        {"r": r, "PCA": vectors(5)},
        {"growth rate": residual, "starting impressions": -residual},
        seeds=(0, 1, 2),
        epochs=3,
        bayesian_r2={"rate": 0.33},
    )
    assert [(row.target, row.representation, row.seeds) for row in found.rows] == [
        ("growth rate", "r", 3), ("growth rate", "PCA", 3),
        ("starting impressions", "r", 3), ("starting impressions", "PCA", 3),
    ]  # fmt: skip
    assert found.rows[0].accuracy > found.rows[1].accuracy + 0.1
    assert 0 < found.rows[0].accuracy_std < 0.05
    assert 0 < found.rows[0].r_squared_std < 0.05
    assert found.bayesian_r2 == {"rate": 0.33}
    singles = [
        foretell({"r": r}, {"growth rate": residual}, seeds=(seed,), epochs=3).rows[0].accuracy for seed in range(3)
    ]
    assert found.rows[0].accuracy == pytest.approx(np.mean(singles))
    assert found.rows[0].accuracy_std == pytest.approx(np.std(singles, ddof=1))


def test_posts_without_views_are_left_out():
    r = vectors()
    residual = r[:, 0].astype(np.float64)
    residual[::2] = np.nan
    (row,) = foretell({"r": r}, {"growth rate": residual}).rows
    assert row.posts == 250
    assert row.accuracy > 0.9


def test_too_few_posts_give_no_row():
    residual = np.full(POSTS, np.nan)
    residual[:49] = residual[2_000:] = 1.0
    assert foretell({"r": vectors()}, {"growth rate": residual}).rows == ()


def test_a_target_without_spread_and_columns_without_spread():
    flat = np.ones((POSTS, 3), dtype=np.float32)
    (row,) = foretell({"r": flat}, {"growth rate": np.full(POSTS, 2.0)}).rows
    assert row.accuracy == row.majority == 1
    assert np.isnan(row.r_squared)


def test_the_seed_decides_and_the_global_state_is_left_alone():
    r = vectors()
    residual = r[:, 0] + np.random.default_rng(1).standard_normal(POSTS)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = foretell({"r": r}, {"growth rate": residual}, epochs=2)
    assert torch.equal(before, torch.get_rng_state())
    assert one == foretell({"r": r}, {"growth rate": residual}, epochs=2)


def test_posts_of_creators_who_have_training_posts_can_be_left_out():
    creators = pa.chunked_array([["a", "b", "c", "a"], ["d", "c", "e", "b"]])
    splits = {"train": np.array([0, 1]), "validation": np.array([2, 3, 4]), "test": np.array([5, 6, 7])}
    left = of_unseen(splits, creators)
    assert {name: rows.tolist() for name, rows in left.items()} == {
        "train": [0, 1], "validation": [2, 4], "test": [5, 6]
    }  # fmt: skip


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """Simulated posts of which every other is listed on its first day alone, with what the evaluation reads of them."""
    folder = tmp_path_factory.mktemp("popularity") / "market"
    market = simulate(seed=0, brands=4, creators=200, posts=3, audience="tiktok", products=0, follows=0, folder=folder)
    views = market.table("views")
    row, day = np.arange(len(views)) // 14, views["day"].to_numpy()
    kept = views.filter(pa.array((row % 2 == 0) | (day == 1)))
    posts = market.table("posts")
    rows = np.random.default_rng(0).permutation(len(posts))
    splits = {"train": np.sort(rows[:400]), "validation": np.sort(rows[400:500]), "test": np.sort(rows[500:])}
    return SimpleNamespace(
        market=replace(market, tables={**market.tables, "views": kept}), splits=splits,
        post_ids=posts["post_id"].combine_chunks(),
    )  # fmt: skip


def judged(data, **options):
    config = VSVAEEvaluationConfig(popularity_epochs=1, growth_initial="log", **options)
    r, absent = np.random.default_rng(1).normal(size=(len(data.post_ids), 4)).astype(np.float32), []
    found = _popularity(config, data, r, r[:, :2], 0, torch.device("cpu"), absent)
    return found, absent


def test_growth_is_foretold_of_posts_that_were_listed_twice_and_starts_of_all(grown):
    found, absent = judged(grown)
    assert absent == []
    posts = {row.target: row.posts for row in found.rows}
    assert posts["starting impressions"] == len(grown.splits["test"])
    assert posts["growth rate"] == (grown.splits["test"] % 2 == 0).sum()


def test_the_options_of_the_growth_model_are_handed_on(grown, monkeypatch):
    asked = []

    def listen(*arrays, **options):
        asked.append((arrays, options))
        return fit_growth(*arrays, **options)

    monkeypatch.setattr("micromega.models.vsvae.evaluate.fit_growth", listen)
    judged(grown, growth_group="author", growth_clock="first_listed", growth_noise="relative", growth_tau=0.3)
    (arrays, options) = asked[0]
    assert options == {"noise": "relative", "tau": 0.3, "initial": "log", "tolerance": 0.01}
    assert set(arrays[2]) == set(grown.market.table("posts")["account_id"].to_pylist())


def test_posts_of_creators_who_were_not_seen(grown):
    creators = np.array(grown.market.table("posts")["account_id"].to_pylist())
    new = ~np.isin(creators[grown.splits["test"]], creators[grown.splits["train"]])
    found, _ = judged(grown, popularity_creators="unseen")
    assert {row.posts for row in found.rows if row.target == "starting impressions"} == {int(new.sum())}
    assert 0 < new.sum() < len(new)
