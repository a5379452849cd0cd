"""Ridge probes against scikit-learn, and the truth against the simulator's tables."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from micromega.market import simulate
from micromega.models.vsvae.probes import PENALTIES, probe, r_squared, ridge, true_latents


@pytest.mark.parametrize(("posts", "noise"), [(200, 0.1), (200, 5.0), (40, 1.0)])
def test_ridge_is_scikit_learn_s(posts, noise):
    random = np.random.default_rng(posts)
    x, new = 3 + random.standard_normal((posts, 30)) * np.arange(1, 31), random.standard_normal((50, 30))
    y = x[:, :3] + noise * 10 * random.standard_normal((posts, 3))
    scaler = StandardScaler().fit(x)
    reference = RidgeCV(alphas=PENALTIES).fit(scaler.transform(x), y)
    np.testing.assert_allclose(ridge(x, y, new), reference.predict(scaler.transform(new)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_penalty_is_that_of_leaving_each_post_out(seed):
    posts, random = 9, np.random.default_rng(seed)
    x = random.standard_normal((posts, 4))
    y = x[:, :1] + random.standard_normal((posts, 1))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)

    def left_out(penalty):
        errors = []
        for row in range(posts):
            keep = np.arange(posts) != row
            mean_x, mean_y = scaled[keep].mean(axis=0), y[keep].mean(axis=0)
            held = scaled[keep] - mean_x
            slope = np.linalg.solve(held.T @ held + penalty * np.eye(4), held.T @ (y[keep] - mean_y))
            errors.append((y[row] - mean_y - (scaled[row] - mean_x) @ slope) ** 2)
        return np.mean(errors)

    best = min(PENALTIES, key=left_out)
    slope = np.linalg.solve(scaled.T @ scaled + best * np.eye(4), scaled.T @ (y - y.mean(axis=0)))
    np.testing.assert_allclose(ridge(x, y, x), y.mean(axis=0) + scaled @ slope, rtol=1e-8)


def test_constant_and_repeated_columns_do_no_harm():
    random = np.random.default_rng(0)
    x = random.standard_normal((100, 3))
    y = x[:, :1] + 0.1 * random.standard_normal((100, 1))
    wide = np.column_stack((x, x[:, 0], np.full(100, 7.0)))
    assert r_squared(y, ridge(wide, y, wide)) > 0.98


def test_r_squared_weighs_dimensions_by_variance():
    random = np.random.default_rng(0)
    truth = random.standard_normal((80, 4)) * [1, 10, 0.1, 3]
    said = truth + random.standard_normal((80, 4))
    assert r_squared(truth, said) == pytest.approx(r2_score(truth, said, multioutput="variance_weighted"))


def test_a_representation_is_judged_on_held_out_posts():
    random = np.random.default_rng(0)
    latent = random.standard_normal((3_000, 2))
    good = latent @ random.standard_normal((2, 8)) + 0.1 * random.standard_normal((3_000, 8))
    noise = random.standard_normal((3_000, 8))
    latent[5] = np.nan
    (found,) = probe(
        {"r": good, "noise": noise}, {"subject": latent}, train=np.arange(2_000), test=np.arange(2_000, 3_000)
    )
    assert (found.target, found.dimensions, found.posts) == ("subject", 2, 1_000)
    assert found.scores["r"] > 0.95
    assert abs(found.scores["noise"]) < 0.02


def test_a_truth_of_unknown_posts_gives_no_probe():
    truth = {"quality": np.full((10, 1), np.nan)}
    assert probe({"r": np.ones((10, 2))}, truth, train=np.arange(5), test=np.arange(5, 10)) == ()


def test_truths_stand_in_the_order_of_the_posts(tmp_path):
    market = simulate(seed=0, brands=4, creators=12, posts=3, folder=tmp_path / "market")
    ids = market.table("posts")["post_id"].combine_chunks()
    asked = pa.array([ids[7].as_py(), "nobody", ids[0].as_py()])
    found = true_latents(market, asked)
    assert {name: value.shape for name, value in found.items()} == {
        "subject": (3, 16), "style": (3, 8), "quality": (3, 1), "log_rate": (3, 1), "log_start": (3, 1),
    }  # fmt: skip
    rows = {row["post_id"]: row for row in market.truth("content").to_pylist()}
    np.testing.assert_allclose(
        found["subject"][[0, 2]], [rows[ids[7].as_py()]["subject"], rows[ids[0].as_py()]["subject"]]
    )
    assert all(np.isnan(value[1]).all() for value in found.values())
    quality = {row["post_id"]: row["quality"] for row in market.truth("posts").to_pylist()}
    np.testing.assert_allclose(found["quality"][2], quality[ids[0].as_py()])


def test_markets_without_truth_or_views_give_what_they_have(tmp_path):
    market = simulate(seed=0, brands=4, creators=12, posts=3, view_days=0, folder=tmp_path / "market")
    ids = market.table("posts")["post_id"].combine_chunks()
    assert set(true_latents(market, ids)) == {"subject", "style", "quality"}
    for file in (tmp_path / "market" / "truth").glob("*.parquet"):
        file.unlink()
    assert true_latents(market, ids) == {}
