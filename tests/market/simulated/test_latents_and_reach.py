"""Styles, reach, growth and statistics as pure functions, against numerical and hand-computed oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from micromega.market.simulated import people as fame
from micromega.market.simulated import reach
from micromega.market.simulated.growth import DAY_SD, POST_SD, draw_growth
from micromega.market.simulated.latent import Content, appeal, draw_content, draw_frame, mean_exp_appeal
from micromega.market.simulated.statistics import draw_statistics, of_captions, worth


@pytest.fixture(scope="module")
def content() -> Content:
    rng = np.random.default_rng(0)
    posts = 200_000
    return draw_content(
        rng,
        draw_frame(rng),
        kind=rng.integers(0, 3, posts),
        subject=np.zeros((posts, 2)),
        author_appeal=rng.normal(size=posts),
    )


def test_quality_has_mean_zero_and_variance_one_whatever_the_kind(content):
    for kind in range(3):
        quality = content.quality[content.kind == kind]
        assert abs(quality.mean()) < 5 / np.sqrt(len(quality))
        assert abs(quality.var() - 1) < 0.02


def test_styles_tell_kinds_apart_but_not_without_error(content):
    centre = np.array([content.style[content.kind == kind].mean(axis=0) for kind in range(3)])
    nearest = ((content.style[:, None] - centre) ** 2).sum(axis=2).argmin(axis=1)
    assert 0.95 < (nearest == content.kind).mean() < 1.0


def test_appeal_is_not_linear_in_style(content):
    design = np.column_stack([content.style, np.ones(len(content.style))])
    fitted = design @ np.linalg.lstsq(design, content.quality, rcond=None)[0]
    assert 0.7 < np.corrcoef(fitted, content.quality)[0, 1] ** 2 < 0.95


@given(st.floats(-1.0, 1.0), st.floats(-3.0, 3.0))
@settings(max_examples=5, deadline=None)
def test_expected_exponential_of_appeal(weight, author):
    rng = np.random.default_rng(1)
    frame, posts = draw_frame(rng), 200_000
    drawn = draw_content(
        rng, frame, kind=np.zeros(posts, np.int64), subject=np.zeros((posts, 1)), author_appeal=np.full(posts, author)
    )
    assert np.array_equal(drawn.quality, appeal(drawn.style, frame))
    sample = np.exp(weight * drawn.quality)
    expected = mean_exp_appeal(weight, np.array([author]))[0]
    assert abs(sample.mean() - expected) < 5 * sample.std() / np.sqrt(posts) + 1e-12


@given(st.integers(0, 2), st.floats(0.0, 18.0), st.floats(0.0, 18.0))
@settings(deadline=None)
def test_the_curve_is_the_integral_of_the_elasticity(kind, anchor, log_followers):
    kinds = np.array([kind])
    area, _ = integrate.quad(
        lambda t: reach.elasticity(kinds, np.array([t]))[0], anchor, log_followers, points=[reach.PEAK[kind]], limit=200
    )
    assert reach.curve(kinds, np.array([log_followers]), anchor=anchor)[0] == pytest.approx(area, abs=1e-7)


def test_the_three_shapes_are_what_their_names_say():
    grid = np.linspace(np.log(100), np.log(5e6), 400)
    s_shaped, linear, concave = reach.elasticity(np.arange(3)[:, None], grid)
    top = s_shaped.argmax()
    assert 10 < top < 390
    assert (np.diff(s_shaped[: top + 1]) > 0).all()
    assert (np.diff(s_shaped[top:]) < 0).all()
    assert linear.max() - linear.min() < 0.06
    assert (np.diff(concave) < 0).all()
    assert concave[0] > 0.4
    assert ((s_shaped > 0) & (s_shaped < 1)).all()


def test_the_popularity_index_has_the_distribution_that_it_says():
    rng = np.random.default_rng(2)
    people = fame.draw_people(rng, brands=1, creators=100_000)
    assert abs(people.popularity.mean()) < 0.02
    assert abs(people.popularity.var() - 1) < 0.02
    for latent in (people.appeal, people.cross_posting, people.past):
        assert abs(latent.mean()) < 0.02
        assert abs(latent.var() - 1) < 0.05
    assert stats.kstest(fame.popularity_share(people.popularity), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(people.appeal, people.past)[0, 1] - 0.3) < 0.02
    assert abs(np.corrcoef(people.cross_posting, people.past)[0, 1]) < 0.02  # the instrument is not confounded
    assert np.corrcoef(people.cross_posting, people.popularity)[0, 1] > 0.4  # followers are
    span = np.log(people.followers[1:] / 5_000) / np.log(20)
    assert stats.kstest(span, "uniform").pvalue > 1e-3


@given(st.integers(2, 90), st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.floats(-4, 4))
def test_daily_impressions_never_fall_and_end_where_they_must(days, totals, start):
    totals = np.array(totals)
    grown = draw_growth(np.random.default_rng(0), totals, np.full(len(totals), start), days=days)
    assert grown.impressions.shape == (len(totals), days)
    assert (np.diff(grown.impressions, axis=1) >= 0).all()
    assert np.array_equal(grown.impressions[:, -1], totals)
    assert (grown.impressions >= 0).all()
    ends = np.exp(grown.log_rate) * np.log(days) + np.exp(grown.log_start)
    assert np.abs(np.log(ends / totals)).max() < 6 * DAY_SD  # a weighted mean of chances


def test_every_day_brings_what_is_expected_times_a_chance_of_its_own():
    totals = np.full(20_000, 10**12)
    grown = draw_growth(np.random.default_rng(0), totals, np.zeros(len(totals)), days=14)
    rate, begun = np.exp(grown.log_rate)[:, None], np.exp(grown.log_start)[:, None]
    expected = np.column_stack([begun, rate * np.diff(np.log(np.arange(1, 15)))])
    chance = np.diff(grown.impressions, axis=1, prepend=0) / expected
    assert chance.mean(axis=0) == pytest.approx(np.ones(14), abs=0.005)
    assert np.log(chance).std(axis=0) == pytest.approx(np.full(14, DAY_SD), rel=0.03)
    assert np.abs(np.corrcoef(chance.T) - np.eye(14)).max() < 0.03
    assert np.abs(np.corrcoef(chance.T, (begun / rate).T)[:14, 14]).max() < 0.03
    share = 1 / (1 + rate * np.log(14) / begun)
    assert np.log(share / (1 - share)).mean() == pytest.approx(0, abs=0.02)
    assert np.log(share / (1 - share)).std() == pytest.approx(POST_SD, rel=0.03)


def test_statistics_have_the_moments_of_the_paper():
    drawn = draw_statistics(np.random.default_rng(0), 300_000)
    paper = {  # Tian et al. 2022, Table 6: mean, standard deviation, median
        "tags": (6.662, 3.275, 6),
        "trending_tags": (1.078, 0.853, 1),
        "has_fyp": (0.604, 0.489, 1),
        "hashtag_age": (6.003, 13.316, 1),
        "is_trending": (0.767, 0.423, 1),
        "ranking": (1029, 586.495, 1037),
        "age": (35.212, 102.947, 1.327),
    }
    for name, (mean, sd, median) in paper.items():
        values = getattr(drawn, name).astype(float)
        assert values.mean() == pytest.approx(mean, rel=0.08), name
        assert values.std() == pytest.approx(sd, rel=0.08), name
        assert np.median(values) == pytest.approx(median, rel=0.01), name
    assert (drawn.trending_tags <= drawn.tags).all()
    assert (drawn.ranking >= 1).all()
    assert (drawn.ranking <= 2_000).all()
    assert abs(worth(drawn).mean()) < 0.03


def test_what_statistics_are_worth_by_hand():
    drawn = draw_statistics(np.random.default_rng(0), 1)
    one = of_captions(drawn, np.array([3]), np.array([True]))
    by_hand = (
        -0.25 * (drawn.ranking[0] - 1000) / (2000 / 12**0.5)
        + 0.20 * (drawn.is_trending[0] - 0.767)
        - 0.10 * (np.log1p(drawn.hashtag_age[0]) - 1)
        + 0.02 * (3 - 6.662)
        - 0.05 * 0.604
    )
    assert worth(one)[0] == pytest.approx(by_hand)
    unlisted = of_captions(drawn, np.array([0]), np.array([False]))
    assert worth(unlisted)[0] == pytest.approx(-0.02 * 6.662 - 0.05 * 0.604)
    assert unlisted.trending_tags[0] == 0
