"""The ranking metrics against scikit-learn, brute force and their own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from micromega.errors import DataError
from micromega.models.mir import auc, cauc, median_first_rank, recall_at_k


@st.composite
def rankings(draw):
    n = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(float)))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    queries = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 3)))
    return scores, labels, queries


def per_query(scores, labels, queries):
    for query in np.unique(queries):
        mine = queries == query
        yield scores[mine], labels[mine]


@given(rankings())
@settings(max_examples=200, deadline=None)
def test_auc_equals_scikit_learn_per_query(ranking):
    expected = [roc_auc_score(y, s) for s, y in per_query(*ranking) if 0 < y.sum() < len(y)]
    found = auc(*ranking)
    assert np.isnan(found) if not expected else found == pytest.approx(np.mean(expected), abs=1e-12)


@given(rankings(), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_recall_and_first_rank_equal_brute_force(ranking, k):
    recalls, firsts = [], []
    for s, y in per_query(*ranking):
        ranks = [_last_place(s, i) for i in np.flatnonzero(y)]
        if ranks:
            recalls.append(np.mean([rank <= k for rank in ranks]))
            firsts.append(min(ranks))
    if not recalls:
        assert np.isnan(recall_at_k(*ranking, k=k))
        return
    assert recall_at_k(*ranking, k=k) == pytest.approx(np.mean(recalls), abs=1e-12)
    assert median_first_rank(*ranking) == pytest.approx(np.median(firsts))


def _last_place(scores, index):
    """Place of an item when every item of its score goes before it (the tie's last place)."""
    return int(sum(score >= scores[index] for score in scores))


@given(rankings(), st.sampled_from([np.exp, np.arctan, lambda s: 3 * s - 100, lambda s: s**3]))
@settings(max_examples=100, deadline=None)
def test_increasing_transforms_change_nothing(ranking, transform):
    scores, labels, queries = ranking
    same = np.ones(len(scores), bool)
    for metric in (auc, median_first_rank, lambda *a: recall_at_k(*a, k=3), lambda *a: cauc(*a, same)):
        np.testing.assert_array_equal(metric(scores, labels, queries), metric(transform(scores), labels, queries))


def test_all_negative_scores_are_ranked_too():
    # torchmetrics' RetrievalRecall gives 0 here, since it drops positives with scores below 0.
    scores, labels, queries = [-1.0, -2.0, -3.0], [1, 0, 0], [0, 0, 0]
    assert recall_at_k(scores, labels, queries, k=1) == 1
    assert auc(scores, labels, queries) == 1
    assert median_first_rank(scores, labels, queries) == 1


def test_cauc_compares_with_the_own_category_alone():
    scores, labels, queries = [0.5, 0.9, 0.1], [1, 0, 0], [0, 0, 0]
    assert auc(scores, labels, queries) == 0.5
    assert cauc(scores, labels, queries, [False, False, True]) == 1
    assert cauc(scores, labels, queries, [False, True, False]) == 0


def test_constant_scores_are_chance_and_never_a_lucky_first_place():
    scores, labels, queries = np.zeros(10), np.eye(10)[0], np.zeros(10)
    assert auc(scores, labels, queries) == 0.5
    assert median_first_rank(scores, labels, queries) == 10
    assert recall_at_k(scores, labels, queries, k=9) == 0


def test_order_of_rows_does_not_matter():
    generator = np.random.default_rng(0)
    scores, labels, queries = generator.normal(size=300), generator.random(300) < 0.1, generator.integers(0, 7, 300)
    order = generator.permutation(300)
    for metric in (auc, median_first_rank, lambda *a: recall_at_k(*a, k=5)):
        assert metric(scores, labels, queries) == metric(scores[order], labels[order], queries[order])


@pytest.mark.parametrize(
    ("scores", "message"), [([1.0, float("nan")], "row 1"), ([1.0], "one length"), ([[1.0], [2.0]], "flat")]
)
def test_bad_input_is_named(scores, message):
    with pytest.raises(DataError, match=message):
        auc(scores, [1, 0], [0, 0])
