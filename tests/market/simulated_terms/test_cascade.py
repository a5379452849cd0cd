"""Follows and exposures: networkx, scipy's tests, an exact enumeration and a replay step by step."""

import collections
import datetime as dt
import itertools

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from micromega.market.market import validate
from micromega.market.simulated.cascade import Graph, branching, cascade_tables, draw_attempts, draw_graph
from micromega.market.simulated.people import draw_people

NOON = np.datetime64("2024-03-01T12:00:00", "us")


def draw(seed=0, brands=5, creators=600, posts=20, follows=10.0, **settings):
    rng = np.random.default_rng(seed)
    people = draw_people(rng, brands=brands, creators=creators)
    author = np.repeat(np.arange(brands + creators), posts)
    post_ids = pa.array(np.char.mod("p%06d", np.arange(len(author))))
    posted_at = NOON + np.arange(len(author)).astype("timedelta64[h]")
    tables, truth = cascade_tables(
        rng, people, follows=follows, post_ids=post_ids, author=author, posted_at=posted_at, **settings
    )
    return people, author, tables, truth


@pytest.fixture(scope="module")
def network():
    return draw()


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(1)
    people = draw_people(rng, brands=1, creators=10_000)
    return people, draw_graph(rng, people, follows=10.0)


def test_default_sizes(network):
    _, _, tables, truth = network
    assert 5_700 < tables["follows"].num_rows < 6_300
    assert 45_000 < tables["exposures"].num_rows < 51_000
    assert truth["activation"].select(["source_id", "target_id"]).equals(tables["follows"])
    assert "probability" not in tables["follows"].column_names, "the truth is not for models"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), creators=st.integers(1, 15), follows=st.floats(0.1, 50))
def test_any_size_is_valid(seed, creators, follows):
    people, author, tables, truth = draw(seed, brands=1, creators=creators, posts=2, follows=follows)
    if not tables:
        assert creators == 1 or follows * creators < 3
        return
    accounts = pa.table({"account_id": people.ids, "kind": ["brand"] + ["creator"] * creators})
    posts = pa.table({"post_id": np.char.mod("p%06d", np.arange(len(author))), "account_id": people.ids[author]})
    _, notes = validate({"accounts": accounts, "posts": posts, **tables})
    assert notes == ()
    pairs = list(
        zip(tables["follows"]["source_id"].to_pylist(), tables["follows"]["target_id"].to_pylist(), strict=True)
    )
    assert all(source != target for source, target in pairs)
    probability = truth["activation"]["probability"].to_numpy()
    assert ((probability > 0) & (probability < 1)).all()


def test_exposures_activate_as_often_as_the_truth_says(network):
    """Binomial tests: edges in twenty groups by probability, then the edges with the most exposures one by one."""
    _, _, tables, truth = network
    edges = {(row["source_id"], row["target_id"]): i for i, row in enumerate(truth["activation"].to_pylist())}
    probability = truth["activation"]["probability"].to_numpy()
    seen, hits = np.zeros(len(edges), int), np.zeros(len(edges), int)
    for row in tables["exposures"].to_pylist():
        place = edges[row["source_id"], row["target_id"]]
        seen[place] += 1
        hits[place] += row["activated"]
    z = (hits - seen * probability).sum() / np.sqrt((seen * probability * (1 - probability)).sum())
    assert abs(z) < 4
    groups = np.array_split(np.argsort(probability), 20)
    z = [
        (hits[group] - seen[group] * probability[group]).sum()
        / np.sqrt((seen * probability * (1 - probability))[group].sum())
        for group in groups
    ]
    assert np.sum(np.square(z)) < stats.chi2(20).isf(1e-5)
    for place in np.argsort(-seen)[:30]:
        assert stats.binomtest(int(hits[place]), int(seen[place]), probability[place]).pvalue > 1e-5


def test_exposures_are_independent_cascades_replayed_step_by_step(network):
    """Whoever is newly active tries every follower who is not active yet, once; nothing else is in the table."""
    people, author, tables, _ = network
    followers = collections.defaultdict(set)
    for row in tables["follows"].to_pylist():
        followers[row["source_id"]].add(row["target_id"])
    posts = collections.defaultdict(list)
    for row in tables["exposures"].to_pylist():
        posts[row["post_id"]].append(row)
    longest = 0
    for post, rows in posts.items():
        place = int(post[1:])
        start = (NOON + np.timedelta64(place, "h")).item().replace(tzinfo=dt.UTC)
        steps = collections.defaultdict(list)
        for row in rows:
            steps[(row["at"] - start) // dt.timedelta(hours=6)].append(row)
        newly = {str(people.ids[author[place]])}
        active = set(newly)
        for step in range(max(steps) + 1):
            tried = {(row["source_id"], row["target_id"]) for row in steps[step]}
            assert tried == {(source, target) for source in newly for target in followers[source] - active}
            assert len(tried) == len(steps[step])
            newly = {row["target_id"] for row in steps[step] if row["activated"]}
            active |= newly
        last = max(steps)
        longest = max(longest, last)
        assert last == 11 or not any(followers[source] - active for source in newly)
    assert longest >= 3


def test_spread_is_that_of_all_live_edge_graphs():
    """Every subset of the edges of a small graph that may be live, weighted by its probability (Kempe et al. 2003)."""
    edges = [(0, 1, 0.5), (0, 2, 0.3), (1, 2, 0.6), (1, 3, 0.2), (2, 0, 0.4), (2, 3, 0.7), (3, 1, 0.35), (4, 0, 0.9)]
    columns = [np.array(column) for column in zip(*edges, strict=True)]
    graph = Graph(nodes=5, source=columns[0], target=columns[1], probability=columns[2])
    reached = np.zeros(5)
    for live in itertools.product([False, True], repeat=len(edges)):
        weight = np.prod([p if on else 1 - p for (_, _, p), on in zip(edges, live, strict=True)])
        alive = nx.DiGraph([(u, v) for (u, v, _), on in zip(edges, live, strict=True) if on])
        alive.add_nodes_from(range(5))
        reached[list(nx.descendants(alive, 0))] += weight
    cascades = 60_000
    attempts = draw_attempts(np.random.default_rng(0), graph, np.zeros(cascades, int))
    hit = np.unique(attempts.cascade[attempts.activated] * 5 + graph.target[attempts.edge[attempts.activated]])
    found = np.bincount(hit % 5, minlength=5)
    assert found[0] == found[4] == 0
    for node in (1, 2, 3):
        assert stats.binomtest(int(found[node]), cascades, reached[node]).pvalue > 1e-4


def test_degrees_are_scale_free(large):
    _, graph = large
    network = nx.DiGraph(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    assert nx.number_of_selfloops(network) == 0
    assert network.number_of_edges() == len(graph.source), "no edge twice"
    followers = np.sort([degree for _, degree in network.out_degree()])[::-1]
    assert followers.sum() / 10_000 == pytest.approx(10, rel=0.02)
    tail = followers[:500]
    exponent = 1 + 1 / np.mean(np.log(tail[:-1] / tail[-1]))  # Hill's estimator
    assert 2.1 < exponent < 3.0
    assert followers[0] > 500
    follows = np.array([degree for _, degree in network.in_degree()])
    assert np.median(follows) > 5
    assert np.percentile(follows, 99) < 50, "hardly anybody follows hundreds"


def test_reciprocity_and_homophily(large):
    people, graph = large
    network = nx.DiGraph(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    assert nx.reciprocity(network) == pytest.approx(2 * 0.125 / 1.125, abs=0.03)
    nx.set_node_attributes(network, dict(enumerate(people.category[1:].tolist())), "category")
    assert nx.attribute_assortativity_coefficient(network, "category") > 0.08
    fame = np.bincount(graph.source, minlength=10_000)
    assert 0.35 < stats.spearmanr(fame, people.followers[1:]).statistic < 0.95


def test_branching_against_a_loop():
    rng = np.random.default_rng(2)
    source, target = np.divmod(np.sort(rng.choice(900, 200, replace=False)), 30)
    probability = rng.random(200)
    onward = [sum(p for u, p in zip(source, probability, strict=True) if u == node) for node in range(30)]
    expected = sum(p * onward[v] for v, p in zip(target, probability, strict=True)) / probability.sum()
    assert branching(source, target, probability) == pytest.approx(expected)


@pytest.mark.parametrize("follows", [2.0, 10.0, 60.0])
def test_posts_die_out_whatever_the_number_of_follows(follows):
    rng = np.random.default_rng(3)
    people = draw_people(rng, brands=1, creators=2_000)
    graph = draw_graph(rng, people, follows=follows)
    assert branching(graph.source, graph.target, graph.probability) <= 0.65 + 1e-9
    assert graph.probability.mean() <= 0.2 + 1e-9
    attempts = draw_attempts(rng, graph, rng.integers(0, 2_000, 500))
    assert attempts.activated.sum() / 500 < 20


def test_activation_depends_on_closeness_and_attention(large):
    people, graph = large
    log_odds = np.log(graph.probability / (1 - graph.probability))
    subject = people.subject[1:]
    distance = ((subject[graph.source] - subject[graph.target]) ** 2).mean(axis=1)
    follows = np.bincount(graph.target, minlength=10_000)[graph.target]
    design = np.column_stack([np.ones(len(distance)), distance, np.log(follows)])
    found = np.linalg.lstsq(design, log_odds, rcond=None)[0]
    assert found[1:] == pytest.approx([-0.6, -0.5], abs=0.06)


def test_few_posts_end_the_exposures():
    _, _, tables, _ = draw(7, creators=200, posts=1)
    assert tables["exposures"].num_rows < 83 * 200
    brands = {f"p{i:06d}" for i in range(5)}
    assert not brands & set(tables["exposures"]["post_id"].to_pylist()), "brands are no nodes"
