"""The metric classes and the matrix functions against the flat ones, scikit-learn, torchmetrics and each other."""

import warnings
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torchmetrics import MetricCollection
from torchmetrics.retrieval import RetrievalAUROC, RetrievalMRR, RetrievalRecall

from micromega.errors import DataError
from micromega.models.mir import metrics
from micromega.models.mir.metric_classes import MedianFirstRank, RankingAUC, RankingCAUC, RankingRecall

NAMES = ("auc", "cauc", "recall_at_5", "median_first_rank")
WAIT = timedelta(seconds=60)


def matrices(seed=0, brands=11, creators=40):
    """Scores with ties, and brands without positives, without negatives and without rivals of their category."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(brands, creators)).round(1).astype(np.float32)
    labels = rng.random(scores.shape) < 0.1
    same_category = rng.random(scores.shape) < 0.3
    labels[2], labels[9], same_category[4] = False, True, False
    return scores, labels, same_category


def computed(shards):
    """Values of all metrics after an update with each shard, a slice of the brands."""
    scores, labels, same_category = (torch.from_numpy(array) for array in matrices())
    found = {}
    for name, metric in {
        "auc": RankingAUC(),
        "cauc": RankingCAUC(),
        "recall_at_5": RankingRecall(5),
        "median_first_rank": MedianFirstRank(),
    }.items():
        for shard in shards:
            extra = [same_category[shard]] if name == "cauc" else []
            metric.update(scores[shard], labels[shard], *extra)
        found[name] = metric.compute().item()
    return found


def flat(scores, labels, same_category):
    rows = scores.ravel(), labels.ravel(), np.repeat(np.arange(len(scores)), scores.shape[1])
    return {
        "auc": metrics.auc(*rows),
        "cauc": metrics.cauc(*rows, same_category.ravel()),
        "recall_at_5": metrics.recall_at_k(*rows, k=5),
        "median_first_rank": metrics.median_first_rank(*rows),
    }


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 12), st.floats(0, 1), st.sampled_from([0, 1, 2**21]))
@settings(max_examples=150, deadline=None)
def test_matrix_functions_equal_the_flat_ones(seed, brands, creators, share, block):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 4, (brands, creators)).astype(np.float64)
    labels, same_category = rng.random(scores.shape) < share, rng.random(scores.shape) < 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BLOCK", block)
        found = metrics.ranking_metrics(scores, labels, same_category, (5,))
    expected = flat(scores, labels, same_category)
    assert tuple(found) == NAMES
    np.testing.assert_allclose([found[name] for name in NAMES], [expected[name] for name in NAMES], rtol=1e-12)


def test_each_brand_against_scikit_learn_and_by_hand():
    scores, labels, same_category = matrices()
    values = metrics.metrics_by_brand(scores, labels, same_category, (5,))
    for brand in range(len(scores)):
        s, y, same = scores[brand], labels[brand], same_category[brand]
        for name, kept in (("auc", np.ones(len(s), bool)), ("cauc", y | same)):
            both = 0 < y[kept].sum() < kept.sum()
            expected = roc_auc_score(y[kept], s[kept]) if both else np.nan
            assert values[name][brand] == pytest.approx(expected, rel=1e-12, nan_ok=True)
        places = np.array([(s >= score).sum() for score in s[y]])
        assert values["recall_at_5"][brand] == pytest.approx(
            (places <= 5).mean() if len(places) else np.nan, nan_ok=True
        )
        assert values["first_rank"][brand] == pytest.approx(places.min() if len(places) else np.nan, nan_ok=True)
    assert np.isnan(values["auc"]).tolist() == [brand in (2, 9) for brand in range(11)]
    assert np.isnan(values["cauc"]).tolist() == [brand in (2, 4, 9) for brand in range(11)]
    assert np.isnan(values["first_rank"]).tolist() == [brand == 2 for brand in range(11)]


@pytest.mark.parametrize("shards", [[slice(0, 11)], [slice(0, 4), slice(4, 4), slice(4, 11)]], ids=["one", "three"])
def test_classes_equal_the_functions(shards):
    expected, found = metrics.ranking_metrics(*matrices(), (5,)), computed(shards)
    assert found == pytest.approx(expected, rel=1e-12)


def test_classes_equal_torchmetrics_on_scores_without_ties():
    rng = np.random.default_rng(4)
    scores = torch.from_numpy(rng.permutation(600).reshape(12, 50) / 600)
    labels = torch.from_numpy(rng.random((12, 50)) < 0.1)
    labels[:, 0], labels[:, 1] = True, False
    index = torch.arange(12).repeat_interleave(50)
    peers = {
        RankingAUC(): RetrievalAUROC(),
        RankingRecall(10): RetrievalRecall(top_k=10),
        MedianFirstRank(): RetrievalMRR(aggregation=lambda values, dim: (1 / values).quantile(0.5)),
    }
    for ours, theirs in peers.items():
        ours.update(scores, labels)
        theirs.update(scores.flatten(), labels.flatten(), indexes=index)
        assert ours.compute().item() == pytest.approx(theirs.compute().item(), rel=1e-6)


def work(rank, folder):
    """Compute the metrics on unequal shards of the brands, and with a process that has none."""
    torch.set_num_threads(1)  # a forked process has none of its parent's threads
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2, timeout=WAIT)
    unequal = computed([[slice(0, 3), slice(3, 8)], [slice(8, 11)]][rank])
    strided = computed([slice(rank, None, 2)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*called before the ``update``")  # right, and no harm
        alone = computed([[slice(0, 11)], []][rank])
    torch.save({"unequal": unequal, "strided": strided, "alone": alone}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_with_unequal_shards_give_the_values_of_one(tmp_path):
    # Forked, since starting anew would import torchmetrics twice more, which takes longer than the whole file.
    processes = mp.start_processes(work, (str(tmp_path),), nprocs=2, join=False, daemon=True, start_method="fork")
    ended = [processes.join(timeout=WAIT.total_seconds()) for _ in range(2)]  # returns when one more has ended
    assert ended[-1], "a process hangs"
    expected = metrics.ranking_metrics(*matrices(), (5,))
    for rank in range(2):
        for found in torch.load(tmp_path / f"{rank}.pt", weights_only=True).values():
            assert found == pytest.approx(expected, rel=1e-12)


def test_in_a_collection_and_again_after_reset():
    scores, labels, same_category = (torch.from_numpy(array) for array in matrices())
    group = MetricCollection(
        {
            "auc": RankingAUC(),
            "cauc": RankingCAUC(),
            "recall_at_1": RankingRecall(1),
            "recall_at_5": RankingRecall(5),
            "median_first_rank": MedianFirstRank(),
        }
    )
    for rows in (slice(0, 5), slice(5, 11)):
        group.update(scores_BM=scores[rows], labels_BM=labels[rows], same_category_BM=same_category[rows])
    expected = metrics.ranking_metrics(*matrices(), (1, 5))
    assert {name: value.item() for name, value in group.compute().items()} == pytest.approx(expected, rel=1e-12)
    group.reset()
    group.update(scores_BM=scores[:5], labels_BM=labels[:5], same_category_BM=same_category[:5])
    few = metrics.ranking_metrics(*(array[:5] for array in matrices()), (1, 5))
    assert {name: value.item() for name, value in group.compute().items()} == pytest.approx(few, rel=1e-12)


def test_no_brand_with_a_value_gives_nan():
    for metric in (RankingAUC(), RankingRecall(3), MedianFirstRank()):
        metric.update(torch.randn(3, 4), torch.zeros(3, 4, dtype=torch.bool))
        assert metric.compute().isnan()
        metric.reset()
        metric.update(torch.randn(0, 4), torch.zeros(0, 4, dtype=torch.bool))
        assert metric.compute().isnan()


def test_bad_input_is_named():
    scores, labels, same_category = matrices()
    scores[3, 7] = np.nan  # a sort would put it first
    with pytest.raises(DataError, match="row 3, column 7 is nan"):
        metrics.metrics_by_brand(scores, labels, same_category, (5,))
    with pytest.raises(DataError, match="one shape"):
        metrics.metrics_by_brand(scores, labels[:, 1:], same_category, (5,))
    metric = RankingAUC()
    with pytest.raises(DataError, match="one shape"):
        metric.update(torch.zeros(2, 3), torch.zeros(2, 4, dtype=torch.bool))
    metric = RankingAUC()
    metric.update(torch.from_numpy(scores), torch.from_numpy(labels))
    with pytest.raises(DataError, match="1 of 11 brands"):
        metric.compute()
