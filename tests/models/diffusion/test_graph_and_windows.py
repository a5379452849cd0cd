"""Edges, neighbours, windows and columns: networkx, rows in another order, and nothing from after training."""

import dataclasses
import datetime as dt

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from micromega.errors import ConfigError, DataError
from micromega.models.diffusion.config import DiffusionDataConfig
from micromega.models.diffusion.data import DiffusionData
from micromega.models.diffusion.features import COUNT
from micromega.models.diffusion.graph import neighbours
from micromega.scores import Lineage, ScoreKind, embedding_table, write_scores


def replaced(market, **tables):
    return dataclasses.replace(market, tables={**market.tables, **tables})


def made(market, **settings):
    data = DiffusionData(DiffusionDataConfig(**settings), market)
    data.setup("fit")
    return data


def lineage(market, kind):
    return Lineage(
        score_kind=kind, model="m", market_fingerprint=market.fingerprint, config_signature="s", currency="EUR"
    )


def test_neighbours_are_networkxs(data):
    graph = data.graph
    follows = nx.DiGraph(list(zip(graph.source.tolist(), graph.target.tolist(), strict=True)))
    either, found = follows.to_undirected(), neighbours(graph)
    for edge in range(0, len(graph.source), 37):
        one, other = int(graph.source[edge]), int(graph.target[edge])
        assert found["common"][edge] == len(list(nx.common_neighbors(either, one, other)))
        assert found["reciprocal"][edge] == follows.has_edge(other, one)
    pairs = list(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    expected = [value for _, _, value in nx.jaccard_coefficient(either, pairs)]
    np.testing.assert_allclose(found["jaccard"], expected)
    assert (graph.edge_of(graph.source, graph.target) == np.arange(len(graph.source))).all()


def test_exposures_without_a_follow_are_edges_too_and_are_not_exported(small_market):
    follows = small_market.table("follows")
    data = made(replaced(small_market, follows=follows.slice(50)))
    assert data.graph.followed.sum() == follows.num_rows - 50
    assert 0 < (~data.graph.followed).sum() <= 50
    assert len(data.exposures.edge) == small_market.table("exposures").num_rows


def test_posts_stay_whole_and_windows_follow_in_time(data, small_market):
    exposures = data.exposures
    for name, share in (("train", 0.7), ("validate", 0.15), ("test", 0.15)):
        assert len(exposures.rows(name)) / len(exposures.edge) == pytest.approx(share, abs=0.02)
    post = exposures.group // len(data.graph.ids)
    assert max(len(np.unique(exposures.window[post == one])) for one in np.unique(post)[:50]) == 1
    table = small_market.table("exposures").group_by("post_id").aggregate([("at", "min")])
    first = table["at_min"].cast(pa.int64()).to_numpy()
    assert (np.diff(np.array(exposures.first).astype(np.int64)) > 0).all()
    assert first.min() == exposures.first[0].astype(np.int64)
    assert exposures.first[2].astype(np.int64) in first


def test_posts_may_be_split_at_random(small_market):
    both = [made(small_market, split="post", seed=seed).exposures for seed in (0, 1)]
    assert not np.array_equal(both[0].window, both[1].window)
    assert both[0].first == ()
    undated = small_market.table("exposures")
    gone = undated.set_column(4, "at", pa.nulls(undated.num_rows, undated.schema.field("at").type))
    with pytest.raises(DataError, match=r"data\.split=post"):
        made(replaced(small_market, exposures=gone))
    np.testing.assert_array_equal(
        made(replaced(small_market, exposures=gone), split="post").exposures.window, both[0].window
    )


def test_whose_the_outcome_is_follows_from_the_data(small_market):
    table = small_market.table("exposures")
    assert not made(small_market).exposures.shared  # the simulator tells each exposure's own
    held = table.group_by(["post_id", "target_id"]).aggregate([("activated", "any")])
    together = table.drop(["activated"]).join(held, ["post_id", "target_id"]).rename_columns(
        [*table.drop(["activated"]).column_names, "activated"]
    )  # fmt: skip
    market = replaced(small_market, exposures=together.select(table.column_names).combine_chunks())
    shared = made(market)
    assert shared.exposures.shared
    assert len(shared.evidence["all"].start) > 100
    assert shared.evidence["all"].exposures == table.num_rows
    assert not made(market, outcome="own").exposures.shared


def test_rows_in_another_order_give_the_same_columns(data, small_market):
    rng = np.random.default_rng(0)
    mixed = {name: table.take(pa.array(rng.permutation(table.num_rows))) for name, table in small_market.tables.items()}
    other = made(dataclasses.replace(small_market, tables=mixed))
    for name in ("node", "codes", "edge", "source"):
        np.testing.assert_array_equal(getattr(other.features, name), getattr(data.features, name))
    for name in ("edge", "group", "activated", "window"):
        np.testing.assert_array_equal(getattr(other.exposures, name), getattr(data.exposures, name))


def test_nothing_after_training_changes_a_column_or_what_training_sees(data, small_market):
    """Other outcomes and other likes later leave columns and training evidence as they are."""
    end = data.exposures.first[1].astype("datetime64[us]").astype(dt.datetime).replace(tzinfo=dt.UTC)
    table, posts = small_market.table("exposures"), small_market.table("posts")
    firsts = table.group_by("post_id").aggregate([("at", "min")])
    late_posts = firsts.filter(pc.greater_equal(firsts["at_min"], pa.scalar(end)))["post_id"]
    late = np.asarray(pc.is_in(table["post_id"], value_set=late_posts.combine_chunks()))
    assert 0.25 < late.mean() < 0.35
    activated = table["activated"].to_numpy(zero_copy_only=False).astype(bool)
    changed = table.set_column(3, "activated", pa.array(np.where(late, ~activated, activated)))
    likes = np.asarray(posts["likes"].to_numpy(zero_copy_only=False), np.float64)
    after = np.asarray(pc.greater_equal(posts["posted_at"], pa.scalar(end - dt.timedelta(days=7))))
    assert 0.2 < after.mean() < 0.8
    place = posts.schema.get_field_index("likes")
    liked = posts.set_column(place, "likes", pa.array(np.where(after, likes + 1000, likes).astype(np.int64)))
    other = made(replaced(small_market, exposures=changed, posts=liked))
    np.testing.assert_array_equal(other.features.node, data.features.node)
    np.testing.assert_array_equal(other.features.edge, data.features.edge)
    for name in ("failures", "successes"):
        np.testing.assert_array_equal(getattr(other.evidence["train"], name), getattr(data.evidence["train"], name))
        assert not np.array_equal(getattr(other.evidence["test"], name), getattr(data.evidence["test"], name))
    earlier = posts.set_column(place, "likes", pa.array((likes + 1000 * ~after).astype(np.int64)))
    assert not np.array_equal(made(replaced(small_market, posts=earlier)).features.node, data.features.node)


def test_columns_are_what_they_say(data, small_market):
    features, graph = data.features, data.graph
    names, edge = features.columns.edge, features.edge
    follows = small_market.table("follows")
    here = features.node[:, features.columns.node.index("log_following_here")]
    expected = np.bincount(graph.places(follows["target_id"]), minlength=len(graph.ids))
    np.testing.assert_allclose(np.expm1(here), expected, atol=1e-3)
    trials = data.evidence["train"].trials
    count = edge[:, names.index(COUNT)]
    np.testing.assert_allclose(np.exp(count[trials > 0]), trials[trials > 0], rtol=1e-5)
    assert np.isnan(count[trials == 0]).all()
    category = dict(
        zip(*(small_market.table("accounts")[n].to_pylist() for n in ("account_id", "category")), strict=True)
    )
    ids = graph.ids.to_pylist()
    same = [category[ids[s]] == category[ids[t]] for s, t in zip(graph.source, graph.target, strict=True)]
    np.testing.assert_array_equal(edge[:, names.index("same_category")], same)


def test_vectors_of_accounts_and_of_posts_become_columns(small_market, tmp_path, data):
    rng, ids = np.random.default_rng(0), data.graph.ids.to_pylist()
    vectors = rng.normal(size=(len(ids) - 1, 3)).astype(np.float32)  # the last account has none
    table = embedding_table(subject_ids=ids[:-1], vectors=vectors)
    write_scores(table, tmp_path / "a.parquet", name="embedding", lineage=lineage(small_market, ScoreKind.VECTOR))
    found = made(small_market, embedding=str(tmp_path / "a.parquet")).features
    place = found.columns.node.index("vector_0")
    np.testing.assert_allclose(found.node[:-1, place : place + 3], vectors, rtol=1e-6)
    assert np.isnan(found.node[-1, place])
    posts = small_market.table("posts")
    of_posts = rng.normal(size=(posts.num_rows, 2)).astype(np.float32)
    table = embedding_table(subject_ids=posts["post_id"].to_pylist(), vectors=of_posts)
    write_scores(table, tmp_path / "p.parquet", name="embedding", lineage=lineage(small_market, ScoreKind.VECTOR))
    found = made(small_market, embedding=str(tmp_path / "p.parquet"))
    before = np.asarray(posts["posted_at"].cast(pa.int64())) < found.exposures.first[1].astype(np.int64)
    account = ids[5]
    chosen = before & (np.array(posts["account_id"].to_pylist()) == account)
    np.testing.assert_allclose(
        found.features.node[5, found.features.columns.node.index("vector_0")], of_posts[chosen, 0].mean(), rtol=1e-5
    )
    table = embedding_table(subject_ids=["nobody"], vectors=np.ones((1, 2)))
    write_scores(table, tmp_path / "n.parquet", name="embedding", lineage=lineage(small_market, ScoreKind.VECTOR))
    with pytest.raises(ConfigError, match=r"data\.embedding"):
        made(small_market, embedding=str(tmp_path / "n.parquet"))


def test_affinity_is_found_whichever_way_the_edge_runs(small_market, tmp_path):
    accounts = small_market.table("accounts")
    brand = accounts.filter(pc.equal(accounts["kind"], "brand"))["account_id"][0].as_py()
    creators = accounts.filter(pc.equal(accounts["kind"], "creator"))["account_id"][:2].to_pylist()
    more = pa.table({"source_id": [brand, creators[1]], "target_id": [creators[0], brand]})
    follows = small_market.table("follows")
    more = more.append_column("probability", pa.nulls(2, follows.schema.field("probability").type))
    market = replaced(small_market, follows=pa.concat_tables([follows, more.cast(follows.schema)]).combine_chunks())
    scores = pa.table({"brand_id": [brand] * 2, "creator_id": creators, "score": [0.25, 0.75],
                       "score_std": pa.nulls(2, pa.float64()), "rank": [2, 1]})  # fmt: skip
    write_scores(scores, tmp_path / "f.parquet", lineage=lineage(market, ScoreKind.PROBABILITY))
    data = made(market, affinity=str(tmp_path / "f.parquet"))
    column = data.features.edge[:, data.features.columns.edge.index("affinity")]
    pairs = zip(data.graph.places(more["source_id"]), data.graph.places(more["target_id"]), strict=True)
    edges = [int(data.graph.edge_of(*map(np.atleast_1d, pair))[0]) for pair in pairs]
    assert column[edges].tolist() == [0.25, 0.75]
    assert np.isnan(np.delete(column, edges)).all()
    with pytest.raises(ConfigError, match=r"data\.affinity"):
        made(small_market, affinity=str(tmp_path / "f.parquet"))


def test_feature_arrays_of_the_market_are_averaged_by_account():
    from micromega.market import simulate

    market = simulate(seed=0, brands=4, creators=40, posts=5, products=0, view_days=0, scale=0.01)
    found = made(market, features=("editing",))
    array = market.features("editing")
    posts = market.table("posts")
    row = array.rows_of(posts["post_id"])
    before = np.asarray(posts["posted_at"].cast(pa.int64())) < found.exposures.first[1].astype(np.int64)
    ids = found.graph.ids.to_pylist()
    chosen = before & (row >= 0) & (np.array(posts["account_id"].to_pylist()) == ids[10])
    values = array.values.reshape(len(array), -1)[row[chosen]].astype(np.float64).mean(axis=0)
    place = found.features.columns.node.index("editing_0")
    np.testing.assert_allclose(found.features.node[10, place : place + len(values)], values, rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigError, match="sequences"):
        made(market, features=("image_frames",))


@pytest.mark.parametrize(("missing", "words"), [("follows", "no table follows"), ("exposures", "no table exposures")])
def test_a_market_that_lacks_a_table_says_so(small_market, missing, words):
    tables = {name: table for name, table in small_market.tables.items() if name != missing}
    with pytest.raises(DataError, match=words):
        made(dataclasses.replace(small_market, tables=tables))


def test_too_few_exposures_are_refused(small_market):
    with pytest.raises(DataError, match="the window"):
        made(replaced(small_market, exposures=small_market.table("exposures").slice(0, 1)))
