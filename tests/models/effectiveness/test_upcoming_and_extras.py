"""What can be bought for events to come, block by block; score tables as inputs and as output."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from micromega.errors import ConfigError, DataError, ScoreError
from micromega.models.effectiveness.config import EffectivenessDataConfig, EffectivenessEvaluationConfig
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.truth import compare_with_truth
from micromega.models.effectiveness.upcoming import find_upcoming, predict_upcoming
from micromega.scores import Lineage, affinity_table, embedding_table, read_scores, write_scores
from micromega.scores.stream import write_scores_in_blocks

CONFIG = EffectivenessEvaluationConfig(offsets=(-30, -3, 0))


def lineage(market, kind="impressions"):
    return Lineage(
        score_kind=kind,
        model="effectiveness",
        market_fingerprint=market.fingerprint,
        config_signature="s",
        currency="USD",
    )


def test_all_tuples_of_upcoming_events_and_no_others(data, small_market, fitted):
    upcoming = find_upcoming(CONFIG, data)
    tables = [*predict_upcoming(upcoming, fitted("trees"), data, batch_rows=777)]
    assert all(table.num_rows == 777 for table in tables[:-1])
    found = pa.concat_tables(tables)
    last = pc.max(pc.cast(small_market.table("posts")["posted_at"], pa.date32())).as_py()
    prices = {
        (row["creator_id"], row["content_type"]): row["price"] for row in small_market.table("prices").to_pylist()
    }
    expected = {}
    for event in small_market.table("events").to_pylist():
        for offset in CONFIG.offsets:
            if event["date"] > last and (event["date"] - last).days + offset > 0:
                expected |= {(*offer, event["event_id"], offset): price for offer, price in prices.items()}
    assert any(offset == -30 for *_, offset in expected)
    assert upcoming.past_slots > 0  # thirty days before an event that is a week away is over
    keys = list(zip(*(found[name].to_pylist() for name in found.column_names[:4]), strict=True))
    assert dict(zip(keys, found["price"].to_pylist(), strict=True)) == expected
    assert len(keys) == len(expected) == upcoming.rows
    assert (found["mean"].to_numpy() > 0).all()
    assert (found["std"].to_numpy() > 0).all()


def test_predictions_do_not_depend_on_the_size_of_blocks(data, fitted):
    upcoming = find_upcoming(dataclasses.replace(CONFIG, offsets=(0,)), data)
    whole = pa.concat_tables(predict_upcoming(upcoming, fitted("hybrid"), data, batch_rows=10**6))
    parts = pa.concat_tables(predict_upcoming(upcoming, fitted("hybrid"), data, batch_rows=500))
    assert parts.drop_columns(["mean", "std"]).equals(whole.drop_columns(["mean", "std"]))
    for name in ("mean", "std"):  # sums of floats in another order can tip a row over a tree's threshold
        close = np.isclose(parts[name].to_numpy(), whole[name].to_numpy(), rtol=1e-5)
        assert close.mean() > 0.999


def test_brands_offsets_and_what_is_missing(data, small_market):
    brand = data.catalog.brands[2]
    some = find_upcoming(EffectivenessEvaluationConfig(brands=(brand,), offsets=(0,)), data)
    assert set(data.catalog.events.brand[some.event].tolist()) == {2}
    with pytest.raises(ConfigError, match=r"evaluation.brands: nobody"):
        find_upcoming(EffectivenessEvaluationConfig(brands=("nobody",)), data)
    with pytest.raises(DataError, match="is over"):
        find_upcoming(EffectivenessEvaluationConfig(offsets=(-400,)), data)
    past = small_market.table("events").filter(
        pc.starts_with(small_market.table("events")["event_id"], "h")
    )  # fmt: skip
    bare = dataclasses.replace(small_market, tables={**small_market.tables, "events": past})
    with pytest.raises(DataError, match=r"evaluation.export=false"):
        find_upcoming(CONFIG, EffectivenessData(EffectivenessDataConfig(), bare))


def test_a_table_in_blocks_equals_the_same_table_at_once(data, small_market, fitted, tmp_path):
    upcoming = find_upcoming(dataclasses.replace(CONFIG, offsets=(0,)), data)
    blocks = [*predict_upcoming(upcoming, fitted("trees"), data, batch_rows=1_000)]
    made = lineage(small_market)
    rows = write_scores_in_blocks(iter(blocks), tmp_path / "a.parquet", name="effectiveness", lineage=made)
    write_scores(pa.concat_tables(blocks), tmp_path / "b.parquet", name="effectiveness", lineage=made)
    one, other = (read_scores(tmp_path / f"{name}.parquet", name="effectiveness") for name in "ab")
    assert rows == one.table.num_rows == upcoming.rows
    assert one.table.equals(other.table)
    assert pq.read_schema(tmp_path / "a.parquet").metadata == pq.read_schema(tmp_path / "b.parquet").metadata
    assert not list(tmp_path.glob(".*"))


def test_a_bad_block_leaves_no_file(data, small_market, fitted, tmp_path):
    upcoming = find_upcoming(dataclasses.replace(CONFIG, offsets=(0,)), data)
    block = next(predict_upcoming(upcoming, fitted("trees"), data, batch_rows=100))
    bad = block.set_column(4, "mean", pa.array(np.full(100, np.nan)))
    with pytest.raises(ScoreError, match="not finite"):
        write_scores_in_blocks(
            iter([block, bad]), tmp_path / "a.parquet", name="effectiveness", lineage=lineage(small_market)
        )
    assert not list(tmp_path.iterdir())


def test_predictions_rank_posts_to_come_as_the_truth_does(data, small_market, fitted):
    upcoming = find_upcoming(EffectivenessEvaluationConfig(offsets=(0,)), data)
    blocks = [*predict_upcoming(upcoming, fitted("trees"), data, batch_rows=50_000)]
    found = compare_with_truth(small_market, blocks, "impressions")
    assert found["rank_correlation"] > 0.4
    assert 0.6 < found["total_ratio"] < 1.6
    assert compare_with_truth(dataclasses.replace(small_market, path=small_market.path / "no"), blocks, "x") == {}


def test_scores_of_other_models_are_columns(small_market, tmp_path):
    brands, creators = (
        [row["account_id"] for row in small_market.table("accounts").to_pylist() if row["kind"] == kind]
        for kind in ("brand", "creator")
    )
    score = np.arange(12.0 * 150).reshape(12, 150)
    table = affinity_table(brand_ids=np.repeat(brands, 150), creator_ids=np.tile(creators, 12), scores=score.ravel())
    write_scores(table, tmp_path / "a.parquet", name="affinity", lineage=lineage(small_market, "rank_logit"))
    posts = small_market.table("posts")["post_id"].to_pylist()
    vectors = embedding_table(subject_ids=posts, vectors=np.random.default_rng(0).normal(size=(len(posts), 3)))
    write_scores(vectors, tmp_path / "e.parquet", name="embedding", lineage=lineage(small_market, "vector"))
    curve = pa.table(
        {
            "subject_id": ["all posts"] * 2,
            "log_followers": [8.0, 12.0],
            "log_impressions": [8.0, 10.0],
            "elasticity": [0.5, 0.5],
            "lower": pa.array([None, None], pa.float64()),
            "upper": pa.array([None, None], pa.float64()),
        }
    )
    write_scores(curve, tmp_path / "r.parquet", name="response", lineage=lineage(small_market, "log_impressions"))
    config = EffectivenessDataConfig(
        affinity=str(tmp_path / "a.parquet"),
        embedding=str(tmp_path / "e.parquet"),
        response=str(tmp_path / "r.parquet"),
    )
    data = EffectivenessData(config, small_market)
    names = data.describer.columns.names
    tuples, numbers = data.split.tuples, data.features.numbers
    ids = [data.catalog.brands.index(brand) for brand in brands]
    expected = score[np.argsort(ids)][data.catalog.events.brand[tuples.event], tuples.creator]
    np.testing.assert_allclose(numbers[:, names.index("affinity")], expected)
    followers = np.log(data.catalog.creators.followers[tuples.creator])
    np.testing.assert_allclose(numbers[:, names.index("response_impressions")], 4 + followers / 2, rtol=1e-5)
    vector = numbers[:, [names.index(f"vector_{n}") for n in range(3)]]
    none_yet = np.isnan(numbers[:, names.index("own_impressions")])
    np.testing.assert_array_equal(np.isnan(vector[:, 0]), none_yet)
    assert (~none_yet).any()
    assert data.origin["affinity"] is not None
    other = dataclasses.replace(small_market, fingerprint="other")
    with pytest.raises(ScoreError, match="was made from market"):
        _ = EffectivenessData(config, other).describer
