"""`scripts/bench_mir.py`: what it measures with, not how fast anything is."""

import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import bench_mir
        import ltr_peers
    finally:
        sys.path.remove(str(SCRIPTS))
    return bench_mir, ltr_peers


@pytest.fixture(scope="module")
def bench(scripts):
    return scripts[0]


@pytest.fixture(scope="module")
def market(bench, tmp_path_factory):
    return bench.simulate(
        seed=0, brands=24, creators=120, posts=4, scale=0.005, view_days=0, products=0, follows=0,
        folder=tmp_path_factory.mktemp("bench") / "market",
    )  # fmt: skip


def test_quick_is_smaller_in_every_respect(bench):
    quick, full = vars(bench.options(["--quick"])), vars(bench.options([]))
    assert quick.keys() == full.keys() >= bench.QUICK.keys()
    assert all(quick[name] < full[name] for name in bench.QUICK if name != "batches")
    assert set(quick["batches"]) < set(full["batches"])


def test_the_stopwatch_counts_only_while_it_runs(bench):
    watch = bench.Stopwatch()

    def work():
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass

    watch.start()
    work()
    first = watch.stop()
    work()
    assert watch.stop() == first >= 0.05
    watch.start()
    work()
    assert watch.stop() >= first + 0.05


def test_levels_are_reached_at_the_first_time_and_never_if_never(bench):
    curves = [[(1.0, 0.1), (2.0, 0.4), (3.0, 0.3)], [(1.0, 0.2), (5.0, 0.2)], [(1.0, 0.1), (7.0, 0.5)]]
    assert [bench.reached(curve, 0.3) for curve in curves] == [2.0, bench.NEVER, 7.0]
    assert bench.median_reached(curves, 0.3) == 7.0
    assert bench.median_reached(curves, 0.45) == bench.NEVER
    assert bench.best(curves) == 0.4


def test_the_judge_gives_the_recall_of_sklearn_and_shows_each_creator_its_view(bench, market):
    data = bench.data_of(market)
    judge = bench.Judge(data)
    scores = np.random.default_rng(0).normal(size=judge.labels.shape)
    first_ten = np.argsort(np.argsort(-scores, axis=1), axis=1) < 10
    expected = [recall_score(label, chosen) for label, chosen in zip(judge.labels, first_ten, strict=True)]
    assert judge.recall(scores) == pytest.approx(np.mean(expected))
    pairs = {
        (b, m): v
        for b, m, v in zip(*(getattr(data.accounts, f"pair_{x}") for x in ("brand", "creator", "view")), strict=True)
    }
    for row, column in np.argwhere(judge.labels):
        assert judge.views[row, column] == pairs[judge.brands[row], judge.creators[row, column]]


def test_peers_see_both_sides_and_their_product(bench, market):
    data = bench.data_of(market, **bench.LISTS)
    pairs = bench.Pairs(data, product=True)
    drawn = next(pairs.batches(7, seed=0))
    assert drawn["label"].shape == (7, bench.K)
    described = pairs.describe(drawn["brand_view"], drawn["creator"])
    assert described.shape == (7, bench.K, pairs.columns)
    brand = data.standardised()[drawn["brand_view"][3, 1]]
    creator = data.standardised()[data.accounts.creator_view[drawn["creator"][3, 1]]]
    np.testing.assert_array_equal(described[3, 1].numpy(), np.concatenate([brand, creator, brand * creator]))
    assert bench.Pairs(data, product=False).columns == 2 * len(brand)


def test_a_curve_of_ours_runs_over_training_time(bench, market):
    curve = bench.our_curve("softmax on pairs", market, 0, budget=0.2)
    seconds, recalls = np.array(curve).T
    assert (np.diff(seconds) > 0).all()
    assert ((recalls >= 0) & (recalls <= 1)).all()


def test_lightgbm_is_judged_tree_after_tree(bench, market):
    pytest.importorskip("lightgbm")
    curve = bench.lightgbm_curve(market, 0, trees=4)
    assert 1 <= len(curve) <= 4
    assert all(0 <= recall <= 1 and seconds > 0 for seconds, recall in curve)


def test_a_library_that_cannot_be_fetched_is_said_to_be_missing(scripts, tmp_path, monkeypatch):
    _, peers = scripts
    monkeypatch.setitem(peers.FILES, "pytorchltr", "pytorchltr==0.2.1 --hash=sha256:" + "0" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found = peers.pytorchltr(tmp_path)
    assert isinstance(found, str)
    assert "pytorchltr" in found
    assert str(tmp_path) not in sys.path


def test_a_fetched_library_is_imported_from_its_archive(scripts, tmp_path, monkeypatch):
    _, peers = scripts
    package = tmp_path / "source" / "pytorchltr-0" / "pytorchltr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "loss.py").write_text("LambdaNDCGLoss2 = 7\n")
    with tarfile.open(tmp_path / "pytorchltr-0.tar.gz", "w:gz") as archive:
        archive.add(package.parent, "pytorchltr-0")
    for name in ("pytorchltr", "pytorchltr.loss"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert peers.pytorchltr(tmp_path).Loss == 7
    for name in ("pytorchltr", "pytorchltr.loss"):
        del sys.modules[name]


def test_stand_ins_compose_transforms_in_order(scripts):
    compose = scripts[1].stand_ins()["torchvision.transforms"].Compose
    assert compose([lambda x: x + 1, lambda x: x * 10])(torch.tensor(1)) == 20
