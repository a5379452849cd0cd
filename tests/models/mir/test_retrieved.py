"""With `retrieve` evaluation gives shortlists in place of all pairs, the same metrics, and holds no matrix of pairs."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from mir_markets import WithoutPosts
from torch.utils._python_dispatch import TorchDispatchMode

from micromega.errors import MissingExtraError
from micromega.models.mir import evaluate as code
from micromega.models.mir import module as network
from micromega.models.mir import retrieved
from micromega.models.mir.accounts import Accounts
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule
from micromega.models.mir.retrieved import judged_creators
from micromega.models.retrieval.shortlists import recall
from micromega.runs.calibration import calibrated

QUICK = MIREvaluationConfig(uncertainty_samples=0, bootstrap_samples=0, cases=2, shortlist=7)
NETWORK = {"embedding_size": 12, "hidden_size": 16}


def prepared(market, model=None, **changes):
    """A datamodule and the checkpoint of an untrained network."""
    data = MIRData(MIRDataConfig(**{"min_positives": 2, "hashed_size": 32, **changes}), market)
    data.setup("test")
    torch.manual_seed(0)
    module = MIRModule(MIRModelConfig(**NETWORK | (model or {}), modalities=data.config.modalities), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return data, checkpoint


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "competition"])
def made(request, small_market):
    return prepared(small_market, {"competition": request.param})


def run(made, config=QUICK, **arguments):
    data, checkpoint = made
    return evaluate(config, checkpoint=checkpoint, data=data, seed=0, **arguments)


@pytest.mark.parametrize("brands", ["test", "all", "cold"])
@pytest.mark.parametrize("blocks", [(network.BLOCK, network.SCORES), (7, 64)], ids=["one block", "many blocks"])
def test_the_shortlist_is_the_top_of_the_full_table(small_market, made, brands, blocks, monkeypatch):
    monkeypatch.setattr(network, "BLOCK", blocks[0])
    monkeypatch.setattr(network, "SCORES", blocks[1])
    if brands == "cold":
        competition = made[1]["hyper_parameters"]["config"]["competition"]
        made = prepared(small_market, {"competition": competition}, min_positives=8)
    config = dataclasses.replace(QUICK, brands=brands)
    full, short = run(made, config).exported, run(made, config, retrieve="exact").exported
    assert short.brand_ids.tolist() == full.brand_ids.tolist()
    best = np.argsort(-full.scores, axis=1, kind="stable")[:, : QUICK.shortlist]  # own posts: nothing is left out
    np.testing.assert_array_equal(short.shortlists.rows, best)
    np.testing.assert_array_equal(short.creator_ids, full.creator_ids)
    np.testing.assert_allclose(
        short.shortlists.scores, np.take_along_axis(full.scores, best, axis=1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("brand_posts", ["own", "mentions"])
def test_metrics_and_calibration_are_those_of_the_full_table(small_market, brand_posts, monkeypatch):
    made = prepared(small_market, {"competition": True}, brand_posts=brand_posts)
    full, short = run(made), run(made, retrieve="exact")
    assert short.metrics == full.metrics
    assert (short.cases, short.absent, short.facts) == (full.cases, full.absent, full.facts)
    assert set(short.test.weights) == {1.0}  # so few pairs that all are scored
    np.testing.assert_allclose(short.validation.scores, full.validation.scores, rtol=1e-4, atol=1e-5)
    slopes = [calibrated("platt", dataclasses.replace(found, **flipped(found))).calibration for found in (full, short)]
    assert slopes[0].slope == pytest.approx(slopes[1].slope, rel=1e-3)
    assert slopes[0].intercept == pytest.approx(slopes[1].intercept, rel=1e-3)
    monkeypatch.setattr(retrieved, "PAIRS", 1)
    monkeypatch.setattr(network, "SCORES", 64)
    sampled = run(made, retrieve="exact")
    assert sampled.metrics == full.metrics
    assert sampled.test.scores.shape[1] == full.facts["test_candidates"] + 1
    assert sampled.test.weights.sum() == pytest.approx(len(full.test.creator_ids))
    assert sampled.test.positives.sum() == full.test.positives.sum()


def flipped(found):
    """Scores with some signal, as those of an untrained network may have none."""
    pairs = found.validation
    return {"validation": dataclasses.replace(pairs, scores=pairs.scores + 2 * pairs.positives)}


def test_whole_brands_are_compared_where_metrics_leave_a_creator_out(small_market):
    data, checkpoint = prepared(small_market, brand_posts="mentions")
    found = run((data, checkpoint), retrieve="exact").exported
    whole = torch.from_numpy(data.splits["test"])  # the first views are those of whole brands
    module = MIRModule.restore(checkpoint)
    module.attach(data)
    scores = (module._brands(whole) @ module._creators(slice(module._first_creator, None)).T).detach().numpy()
    best = np.argsort(-scores, axis=1)[:, : QUICK.shortlist]
    np.testing.assert_array_equal(found.shortlists.rows, best)


@pytest.mark.parametrize("brand_posts", ["own", "mentions"])
def test_some_creators_are_shown_what_they_are_shown_among_all(small_market, brand_posts):
    accounts = prepared(small_market, brand_posts=brand_posts)[0].accounts
    brands, creators = np.array([5, 0, 9, 2]), np.arange(3, len(accounts.creator_ids), 4)
    views, shown = accounts.shown_views(brands)
    some_views, some_shown = accounts.shown_views(brands, creators)
    np.testing.assert_array_equal(some_views, views)
    np.testing.assert_array_equal(some_shown, shown[:, creators])
    assert accounts.labels()[brands].any()
    np.testing.assert_array_equal(accounts.labels(brands, creators), accounts.labels()[brands][:, creators])
    np.testing.assert_array_equal(
        accounts.same_category(brands, creators), accounts.same_category()[brands][:, creators]
    )


def test_others_are_sampled_and_every_rival_is_kept(monkeypatch):
    monkeypatch.setattr(retrieved, "PAIRS", 4_000)
    rivals = np.arange(5_000) % 100 == 3
    judged = judged_creators(10, rivals, seed=0)
    assert len(judged.creators) == 400  # 50 rivals and 350 others for 10 brands
    assert (np.diff(judged.creators) > 0).all()
    assert set(np.flatnonzero(rivals)) <= set(judged.creators)
    assert (judged.weights[rivals[judged.creators]] == 1).all()
    assert judged.weights.sum() == pytest.approx(5_000)
    assert judged_creators(10, np.ones(30, bool), seed=0).creators.tolist() == list(range(30))


@pytest.mark.parametrize("competition", [False, True])
def test_deviations_are_those_of_the_listed_pairs(small_market, competition):
    made = prepared(small_market, {"competition": competition, "dropout": 0.1})
    config = dataclasses.replace(QUICK, uncertainty_samples=300)
    full, short = run(made, config).exported, run(made, config, retrieve="exact").exported
    assert short.deviation.shape == short.shortlists.rows.shape
    expected = np.take_along_axis(full.deviation, short.shortlists.rows, axis=1)
    np.testing.assert_allclose(short.deviation, expected, rtol=0.35)  # other draws of the same
    assert (short.deviation / expected).mean() == pytest.approx(1, abs=0.05)
    assert run(made, retrieve="exact").exported.deviation is None


def test_an_index_finds_what_all_inner_products_find():
    pytest.importorskip("faiss", reason="the extra `retrieval` is not installed")
    made = prepared(WithoutPosts(brands=40, creators=4_000, centres=40), {"competition": True}, modalities=("topics",))
    exact, ann = (run(made, retrieve=mode).exported.shortlists for mode in ("exact", "ann"))
    assert recall(ann.rows, exact.rows).mean() >= 0.99
    assert ann.facts.asked == "ann"


def test_an_index_needs_its_library_before_any_scoring(made, monkeypatch):
    def missing():
        raise MissingExtraError("no FAISS")

    monkeypatch.setattr(code, "load_faiss", missing)
    monkeypatch.setattr(MIRModule, "score", None)
    with pytest.raises(MissingExtraError):
        run(made, retrieve="ann")


class Shapes(TorchDispatchMode):
    """Shapes of all tensors that operations give."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for found in result if isinstance(result, tuple | list) else [result]:
            if isinstance(found, torch.Tensor):
                self.seen.add(tuple(found.shape))
        return result


@pytest.mark.parametrize("competition", [False, True])
def test_no_matrix_of_brands_by_creators_is_ever_held(competition, monkeypatch):
    brands, creators = 1_000, 20_000
    made = prepared(
        WithoutPosts(brands=brands, creators=creators), {"competition": competition, **NETWORK}, modalities=("topics",)
    )
    monkeypatch.setattr(network, "BLOCK", 512)
    monkeypatch.setattr(network, "SCORES", 1 << 16)
    monkeypatch.setattr(retrieved, "PAIRS", 1 << 16)
    asked = []
    shown_views = Accounts.shown_views

    def recorded(self, brands, creators=None):
        views, shown = shown_views(self, brands, creators)
        asked.append(shown.shape)
        return views, shown

    monkeypatch.setattr(Accounts, "shown_views", recorded)
    config = dataclasses.replace(QUICK, uncertainty_samples=3, brands="all")
    tracemalloc.start()
    with Shapes() as shapes:
        found = run(made, config, retrieve="exact")
    peak = tracemalloc.get_traced_memory()[1]  # of numpy's arrays and Python's objects
    tracemalloc.stop()
    assert found.exported.shortlists.rows.shape == (brands, QUICK.shortlist)
    rows, columns = zip(*asked, strict=True)
    assert max(columns) < creators / 8
    assert competition == (max(rows) == brands and len(asked) > creators / 512)
    wide = [shape for shape in shapes.seen if len(shape) == 2 and shape[1] > creators / 8]
    assert wide == []
    assert peak < brands * creators * 4
