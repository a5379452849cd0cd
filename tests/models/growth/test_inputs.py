"""Bad input is named."""

import numpy as np
import pytest

from micromega.errors import ConfigError, DataError
from micromega.models.growth import fit_growth

GOOD = {
    "impressions": np.cumsum(np.random.default_rng(0).integers(1, 50, (12, 4)), axis=1).astype(float),
    "days": [1, 2, 3, 4],
    "hashtag": list("aabbccaabbcc"),
    "covariates": np.random.default_rng(1).normal(size=(12, 2)),
}


def changed(name, row, value):
    values = np.array(GOOD[name], dtype=float)
    values[row] = value
    return {name: values}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (changed("impressions", (3, 1), -4), r"impressions: 1 bad value\(s\) \(row, column 3, 1: -4\)"),
        (changed("impressions", (3, 1), np.inf), "impressions: 1 bad value"),
        (changed("impressions", 3, np.nan), "needs the count of one day"),
        (changed("impressions", slice(None), 0), "all 0"),
        (changed("covariates", (5, 0), np.nan), "covariates: 1 bad value"),
        (changed("covariates", (slice(None), 1), 2), "column 1 is constant"),
        ({"covariates": np.ones(12)}, "2 dimension"),
        ({"covariates": np.ones((11, 2))}, "one row per post"),
        ({"covariates": [["x", "y"]] * 12}, "array of numbers"),
        ({"hashtag": ["a"] * 12}, "1 distinct value"),
        ({"hashtag": ["a"] * 11}, "one row per post"),
        ({"hashtag": [None, *"abbccaabbcc"]}, "hashtag: 1 bad value"),
        ({"hashtag": [np.nan, *range(11)]}, "hashtag: 1 bad value"),
        ({"days": [0, 1, 2, 3]}, "days holds 0"),
        ({"days": [1, 2, 2, 3]}, "twice"),
        ({"days": [1, 2, 3]}, "4 columns"),
        ({"days": [1], "impressions": GOOD["impressions"][:, :1]}, "two or more"),
        ({"impressions": np.empty((0, 4))}, "a row or more"),
        (changed("impressions", (slice(None), 0), 7), "the same for all posts on day 1"),
    ],
)
def test_data_errors(wrong, says):
    with pytest.raises(DataError, match=says):
        fit_growth(**{**GOOD, **wrong})


@pytest.mark.parametrize("noise", ["relative", "cumulative"])
def test_noise_in_proportion_needs_impressions(noise):
    with pytest.raises(DataError, match=r"1 post\(s\) were never shown \(row 2 first\)"):
        fit_growth(**{**GOOD, **changed("impressions", 2, 0)}, noise=noise)


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise": "both"}, {"initial": "sqrt"}, {"iterations": 0}, {"tolerance": 0.0}, {"mean_sd": -1.0},
        {"noise_prior": (0.0, 1.0)}, {"tau": 0.0},
    ],
)  # fmt: skip
def test_config_errors(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong)) if "prior" not in next(iter(wrong)) else "Gamma"):
        fit_growth(**GOOD, **wrong)


def test_a_dozen_posts_are_enough_to_run():
    fit = fit_growth(**GOOD, iterations=50)
    assert np.isfinite(fit.a).all()
    assert fit.hashtags.tolist() == ["a", "b", "c"]
