"""What the models see: strictly the past, vectorised sums against a loop, and the regression against a fit by hand."""

import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from micromega.market.market import Market
from micromega.models.effectiveness.catalog import Tuples, read_catalog, read_past
from micromega.models.effectiveness.config import EffectivenessDataConfig
from micromega.models.effectiveness.features import make_describer
from micromega.models.effectiveness.running import Running
from micromega.models.effectiveness.season import Season, waves
from micromega.models.effectiveness.usual import FEWEST, Usual
from micromega.models.effectiveness.windows import WINDOWS, split_by_time

CONFIG = EffectivenessDataConfig()


def describe(market, catalog, tuples, config=CONFIG):
    describer = make_describer(config, market, catalog, read_past(market, catalog, "impressions"))
    return describer.columns, describer.describe(tuples)


def with_tables(market, **tables):
    return dataclasses.replace(market, tables={**market.tables, **tables})


def changed_from(table, dates, day, columns):
    """The table with other numbers in all rows that are dated on a day or later."""
    late = pc.greater_equal(pc.cast(dates, pa.date32()), pa.scalar(day, pa.date32()))
    for name in columns:
        column = table[name]
        other = pc.cast(pc.add(pc.multiply(pc.cast(column, pa.float64()), 7), 3), column.type)
        table = table.set_column(table.schema.get_field_index(name), name, pc.if_else(late, other, column))
    return table, int(pc.sum(late).as_py())


@pytest.fixture(scope="module")
def catalog(small_market):
    return read_catalog(small_market)


@pytest.fixture(scope="module")
def split(small_market, catalog):
    return split_by_time(CONFIG, read_past(small_market, catalog, "impressions").tuples, catalog.events.ids)


def test_changing_the_future_changes_no_feature(small_market, catalog, split):
    day = split.first_day["calibrate"] + 20
    date = np.datetime64(day, "D").item()
    tuples = split.tuples
    early = np.flatnonzero(tuples.known_before <= day)
    tables = small_market.tables
    campaigns, later = changed_from(
        tables["campaigns"], tables["campaigns"]["posted_on"], date, ("impressions", "price", "engagement")
    )
    trends, _ = changed_from(tables["trends"], tables["trends"]["date"], date, ("index",))
    posts, _ = changed_from(tables["posts"], tables["posts"]["posted_at"], date, ("impressions", "likes", "comments"))
    assert later > 30
    _, before = describe(small_market, catalog, tuples.take(early))
    changed = with_tables(small_market, campaigns=campaigns, trends=trends, posts=posts)
    _, after = describe(changed, catalog, tuples.take(early))
    np.testing.assert_array_equal(after.categories, before.categories)
    np.testing.assert_allclose(after.numbers, before.numbers, rtol=1e-5, atol=1e-5)
    gone = with_tables(
        small_market,
        campaigns=tables["campaigns"].filter(
            pc.less(pc.cast(tables["campaigns"]["posted_on"], pa.date32()), pa.scalar(date, pa.date32()))
        ),
        trends=trends.filter(pc.less(trends["date"], pa.scalar(date, pa.date32()))),
    )
    _, without = describe(gone, catalog, tuples.take(early))
    np.testing.assert_allclose(without.numbers, before.numbers, rtol=1e-5, atol=1e-5)


def test_changing_the_past_changes_features_of_each_source(small_market, catalog, split):
    """Else the test above could pass because nothing is read at all."""
    tuples = split.tuples.take(split.rows["test"])
    columns, before = describe(small_market, catalog, tuples)
    first = np.datetime64(0, "D").item()
    tables = small_market.tables
    for name, dates, numbers, seen in (
        ("campaigns", "posted_on", ("impressions",), "creator_beyond_usual"),
        ("trends", "date", ("index",), "trend_now"),
        ("posts", "posted_at", ("impressions",), "own_impressions"),
    ):
        other, _ = changed_from(tables[name], tables[name][dates], first, numbers)
        _, after = describe(with_tables(small_market, **{name: other}), catalog, tuples)
        place = columns.names.index(seen)
        held = ~np.isnan(before.numbers[:, place])
        assert held.any()
        assert (after.numbers[held, place] != before.numbers[held, place]).mean() > 0.9, name


def test_order_of_rows_in_tables_does_not_matter(small_market, catalog, split):
    tables = {}
    for name in ("campaigns", "trends", "posts"):
        order = np.random.default_rng(0).permutation(small_market.tables[name].num_rows)
        tables[name] = small_market.tables[name].take(pa.array(order))
    tuples = split.tuples.take(split.rows["test"])
    _, before = describe(small_market, catalog, tuples)
    _, after = describe(with_tables(small_market, **tables), catalog, tuples)
    np.testing.assert_allclose(after.numbers, before.numbers, rtol=1e-5, atol=1e-5)


def test_running_sums_equal_a_loop():
    generator = np.random.default_rng(1)
    group, day = generator.integers(-1, 6, 300), generator.integers(100, 160, 300)
    values = generator.normal(size=(300, 2))
    values[generator.random((300, 2)) < 0.2] = np.nan
    asked, before = generator.integers(-1, 8, 200), generator.integers(90, 175, 200)
    found = Running(group, day, values).before(asked, before)
    for n in range(200):
        rows = (group == asked[n]) & (day < before[n]) & (asked[n] >= 0)
        assert found.records[n] == rows.sum()
        np.testing.assert_allclose(found.total[n], np.nansum(values[rows], axis=0), atol=1e-9)
        np.testing.assert_array_equal(found.count[n], (~np.isnan(values[rows])).sum(axis=0))
        expected = before[n] - day[rows].max() if rows.any() else np.nan
        np.testing.assert_array_equal(found.age[n], expected)
    shrunk = found.mean(2.0, 1.0)[:, 0]
    known = found.count[:, 0] > 0
    np.testing.assert_allclose(shrunk[known], (found.total[known, 0] + 2) / (found.count[known, 0] + 2))
    assert np.isnan(shrunk[~known]).all()


def test_running_sums_of_no_records_know_nothing():
    empty = Running(np.array([-1]), np.array([5]), np.ones((1, 1)))
    found = empty.before(np.array([0, 3]), np.array([1, 9]))
    assert not found.records.any()
    assert np.isnan(found.mean()).all()


def test_the_usual_is_ridge_on_what_was_known():
    generator = np.random.default_rng(2)
    x = np.column_stack([np.ones(120), generator.normal(size=(120, 2))])
    y, day = x @ [1.0, 2.0, -1.0] + generator.normal(size=120), generator.integers(0, 50, 120)
    usual = Usual(x, y, day)
    at = usual.at(x, np.full(120, 25))
    known = day < 25
    assert known.sum() > FEWEST
    slopes = np.linalg.solve(x[known].T @ x[known] + np.diag([1e-6, 1, 1]), x[known].T @ y[known])
    np.testing.assert_allclose(at, x @ slopes, rtol=1e-9)
    assert np.isnan(usual.at(x, np.full(120, 1))).all()


def test_the_season_is_ridge_on_what_was_known():
    generator = np.random.default_rng(5)
    day = np.repeat(np.arange(0, 700, 7), 3)
    pair = np.tile([0, 1, -1], 100)
    value = np.sin(2 * np.pi * day / 365.25) + (pair == 1) + 0.1 * generator.normal(size=300)
    order = generator.permutation(300)
    season = Season(pair[order], day[order], day[order] + 7, value[order])
    rows = (pair == 1) & (day + 7 < 400)
    x = waves(day[rows])
    slopes = np.linalg.solve(x.T @ x + np.diag([6, 6, 6, 30, 30]), x.T @ value[rows])
    asked = np.array([450, 520])
    found = season.at(np.array([1, 1]), asked, np.array([400, 400]))
    np.testing.assert_allclose(found, waves(asked) @ slopes, rtol=1e-9)
    assert np.isnan(season.at(np.array([1, -1, 9]), np.full(3, 450), np.array([7, 400, 400]))).all()
    late = season.at(np.zeros(5, int), np.arange(800, 1050, 50), np.full(5, 699))
    assert np.abs(late - np.sin(2 * np.pi * np.arange(800, 1050, 50) / 365.25)).max() < 0.25


def test_windows_follow_each_other_and_see_only_what_is_settled(split):
    tuples, rows = split.tuples, split.rows
    for name, following in itertools.pairwise(WINDOWS):
        assert tuples.event_day[rows[name]].max() < split.first_day[following]
        assert (tuples.posted[rows[name]] + CONFIG.settle_days < split.first_day[following]).all()
    assert (tuples.known_before <= tuples.posted).all()
    assert (tuples.known_before <= tuples.event_day).all()
    for name in WINDOWS[1:]:
        assert (tuples.known_before[rows[name]] <= split.first_day[name]).all()
    lead = (tuples.posted - tuples.known_before)[rows["train"]]
    assert lead.max() > 60
    event = tuples.event[rows["train"]]
    plan = np.minimum(tuples.posted, tuples.event_day) - tuples.known_before
    for one in np.unique(event)[:10]:  # one draw for all posts of an event
        assert len(np.unique(plan[rows["train"]][event == one])) == 1


def test_unknown_parts_are_unknown_and_not_the_last_code(small_market, catalog):
    one = {name: np.array([-1]) for name in ("creator", "event")}
    tuples = Tuples(
        **one, content_type=np.array([0]), event_day=np.array([19_700]), posted=np.array([19_700]),
        known_before=np.array([19_690]), price=np.array([np.nan]),
    )  # fmt: skip
    columns, found = describe(small_market, catalog, tuples)
    assert found.categories[0].tolist() == [0, 1, 0, 0, 0, 0]
    row = dict(zip(columns.names, found.numbers[0], strict=True))
    assert all(np.isnan(row[name]) for name in ("log_price", "log_followers", "log_scale", "trend_now"))
    assert row["creator_campaigns"] == row["same_place"] == 0
    assert np.isfinite(row["creator_mean_outcome"])  # everybody's, where the creator has none


def test_a_market_without_trends_posts_and_prices_still_has_features(small_market, catalog, split):
    tables = {name: table for name, table in small_market.tables.items() if name not in ("trends", "posts", "prices")}
    bare: Market = dataclasses.replace(small_market, tables=tables)
    columns, found = describe(bare, read_catalog(bare), split.tuples)
    assert "trend_now" not in columns.names
    assert len(found) == len(split.tuples)
