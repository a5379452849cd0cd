"""Moments of posts in their own units, and the smooth line, each computed another way."""

import dataclasses

import numpy as np
import pytest

from micromega.market import simulate
from micromega.models.deepiv.describe import describe, local_linear, summary
from micromega.models.deepiv.from_market import causal_inputs


@pytest.fixture(scope="module")
def market():
    return simulate(seed=0, brands=4, creators=60, posts=5, audience="tiktok", products=0, follows=0)


@pytest.fixture(scope="module")
def inputs(market):
    return causal_inputs(market)


def test_tables_1_and_6_are_in_the_units_of_the_tables(market, inputs):
    found = describe(inputs, np.linspace(5, 12, 9))
    posts = {row["post_id"]: row for row in market.table("posts").to_pylist()}
    rows = [posts[name] for name in inputs.post_ids]
    of = {row.name: row for row in (found.treatment, found.outcome, *found.statistics)}
    for name, column in (
        ("Followers", "author_followers"),
        ("Impressions", "impressions"),
        ("Ranking under the hashtag", "ranking"),
        ("Age of the post, days", "age_days"),
        ("Trending hashtags", "trending_hashtags"),
    ):
        values = np.array([row[column] for row in rows], float)
        got = [of[name].mean, of[name].deviation, of[name].minimum, of[name].median, of[name].maximum]
        wanted = [values.mean(), values.std(ddof=1), values.min(), np.median(values), values.max()]
        assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9), name
        assert of[name].posts == len(rows)
    assert not any(name.startswith("log") for name in of)


def test_histograms_hold_all_posts_and_points_are_posts(inputs):
    found = describe(inputs, np.linspace(5, 12, 9))
    for histogram, values in ((found.log_followers, inputs.treatment), (found.log_impressions, inputs.outcome)):
        assert histogram.counts.sum() == len(values)
        inside = (values >= histogram.edges[10]) & (values < histogram.edges[11])
        assert histogram.counts[10] == inside.sum()
    pairs = set(zip(inputs.treatment.tolist(), inputs.outcome.tolist(), strict=True))
    assert set(map(tuple, found.points.tolist())) <= pairs


def test_content_is_no_statistic(inputs):
    with_content = dataclasses.replace(
        inputs, names=(*inputs.names, "r0"), controls=np.hstack([inputs.controls, inputs.controls[:, :1]])
    )
    names = [row.name for row in describe(with_content, np.linspace(5, 12, 9)).statistics]
    assert len(names) == len(inputs.names)
    assert "r0" not in names


def test_the_smooth_line_is_weighted_least_squares():
    rng = np.random.default_rng(0)
    t = np.round(rng.uniform(0, 10, 400) * 199) / 199  # on the edges of bins, where binning loses nothing
    y = np.sin(t) + rng.normal(size=400)
    at = np.array([0.5, 3.0, 7.7])
    found = local_linear(t, y, at, width=0.8)
    for point, got in zip(at, found, strict=True):
        weight = np.sqrt(np.exp(-0.5 * ((t - point) / 0.8) ** 2))
        design = np.column_stack([np.ones_like(t), t - point])
        assert got == pytest.approx(np.linalg.lstsq(design * weight[:, None], y * weight, rcond=None)[0][0], abs=2e-3)


def test_a_line_stays_a_line_even_far_from_all_posts():
    t = np.concatenate([np.linspace(0, 1, 50), [12.0]])
    np.testing.assert_allclose(
        local_linear(t, 3 - 2 * t, np.linspace(0, 1, 7), width=0.3), 3 - 2 * np.linspace(0, 1, 7)
    )
    assert np.isfinite(local_linear(t, 3 - 2 * t, np.linspace(0, 12, 30))).all()


def test_one_post_has_no_spread():
    assert summary("x", np.array([3.0])).deviation == 0
