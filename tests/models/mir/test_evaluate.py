"""What evaluation gives back agrees with the scores, the tables and the posts it was made from."""

import dataclasses

import numpy as np
import pytest
from mir_markets import WithoutPosts
from scipy.stats import rankdata

from micromega.errors import ConfigError, DataError
from micromega.market import simulate
from micromega.models.evaluation import BrandMetrics
from micromega.models.mir import metrics
from micromega.models.mir.baselines import popularity_scores
from micromega.models.mir.cases import _by_turns
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule
from micromega.models.mir.summary import category_rows, intervals, merged, overall, paired_tests

QUICK = MIREvaluationConfig(uncertainty_samples=0, bootstrap_samples=50)


@pytest.fixture(scope="module")
def market():
    return simulate(seed=0, brands=24, creators=120, posts=10)


def data_of(market, **changes):
    data = MIRData(MIRDataConfig(**{"min_positives": 2, "hashed_size": 32, **changes}), market)
    data.setup("test")
    return data


def checkpoint_of(data):
    module = MIRModule(MIRModelConfig(), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


@pytest.fixture(scope="module")
def data(market):
    return data_of(market)


@pytest.fixture(scope="module")
def checkpoint(data):
    return checkpoint_of(data)


@pytest.fixture(scope="module")
def result(data, checkpoint):
    return evaluate(QUICK, checkpoint=checkpoint, data=data, seed=0)


def flat(result, data):
    """Scores of the test brands among their rivals as the flat metric functions want them."""
    labels = result.test.positives
    rivals = labels.any(axis=0)  # with data.candidates=split
    scores, labels = result.test.scores[:, rivals], labels[:, rivals]
    return scores.ravel(), labels.ravel(), np.repeat(np.arange(len(labels)), labels.shape[1])


def test_the_methods_and_their_order(result):
    assert list(result.metrics) == ["MIR", "SBR", "RAND", "POP"]
    assert list(result.by_brand.methods) == list(result.metrics)
    assert set(result.tests) == {"SBR", "RAND", "POP"}


def test_overall_metrics_are_those_of_the_flat_functions(result, data):
    found, (scores, labels, queries) = result.metrics["MIR"], flat(result, data)
    assert found["auc"] == pytest.approx(metrics.auc(scores, labels, queries))
    assert found["recall_at_10"] == pytest.approx(metrics.recall_at_k(scores, labels, queries, k=10))
    assert found["median_first_rank"] == pytest.approx(metrics.median_first_rank(scores, labels, queries))


def test_values_by_brand_are_those_of_the_brand_alone(result, data):
    scores, labels, queries = flat(result, data)
    for row in range(len(result.by_brand.brand_ids)):
        mine = queries == row
        expected = metrics.auc(scores[mine], labels[mine], queries[mine])
        assert result.by_brand.methods["MIR"]["auc"][row] == pytest.approx(expected)


def test_intervals_are_of_the_brands_values_and_left_out_on_demand(result, data, checkpoint):
    many = intervals(result.by_brand, samples=2000, seed=0)
    for method, values in result.metrics.items():
        assert set(result.intervals[method]) == set(many[method]) >= {"auc", "recall_at_10", "median_first_rank"}
        for name, (low, high) in many[method].items():
            assert low <= values[name] <= high
    none = evaluate(dataclasses.replace(QUICK, bootstrap_samples=0), checkpoint=checkpoint, data=data, seed=0)
    assert not none.intervals
    assert not none.tests
    assert none.metrics == result.metrics


def test_differences_are_those_of_the_table(result):
    for other, found in result.tests.items():
        for name, test in found.items():
            if name != "median_first_rank":  # brands without the metric in either are left out of both
                assert test.difference == pytest.approx(result.metrics["MIR"][name] - result.metrics[other][name])


def test_category_rows_average_to_the_whole(result):
    counts = np.array([row.brands for row in result.categories])
    assert counts.sum() == len(result.by_brand.brand_ids)
    recalls = np.array([row.metrics["recall_at_10"] for row in result.categories])
    assert (counts * recalls).sum() / counts.sum() == pytest.approx(result.metrics["MIR"]["recall_at_10"])


def test_popularity_puts_followers_first_and_the_unknown_last():
    scores = popularity_scores(np.array([10.0, np.nan, 0.0, 300.0]), 2)
    assert rankdata(-scores[0]).tolist() == [2, 4, 3, 1]
    assert (scores[0] == scores[1]).all()


def test_popularity_orders_test_brands_by_the_followers_of_the_accounts(result, data, market):
    accounts = market.table("accounts").to_pylist()
    followers = {account["account_id"]: account["followers"] for account in accounts}
    known = np.array([followers[creator] for creator in result.test.creator_ids])
    _, labels, queries = flat(result, data)
    rivals = result.test.positives.any(axis=0)
    scores = np.tile(known[rivals], len(result.test.brand_ids))
    assert result.metrics["POP"]["auc"] == pytest.approx(metrics.auc(scores, labels, queries))


# The case study


def test_cases_show_the_first_partner_and_the_first_two_others(result, data, market):
    accounts = {account["account_id"]: account for account in market.table("accounts").to_pylist()}
    names = {account["name"] or key: key for key, account in accounts.items()}
    assert len(result.cases) == QUICK.cases
    assert len({case.brand.category for case in result.cases}) == QUICK.cases
    rivals = np.flatnonzero(result.test.positives.any(axis=0))
    for case in result.cases:
        row = result.test.brand_ids.tolist().index(names[case.brand.name])
        scores, fits = result.test.scores[row, rivals], result.test.positives[row, rivals]
        ranks = rankdata(-scores)
        assert case.partner.rank == ranks[fits].min()
        assert [other.rank for other in case.others] == sorted(ranks[~fits])[:2]
        assert case.partners == fits.sum()
        shown = result.test.creator_ids[rivals[ranks == case.partner.rank][0]]
        assert names[case.partner.name] == shown
        assert case.partner.followers == accounts[shown]["followers"]
        assert case.partner.biography == accounts[shown]["biography"]
        assert case.brand.name in case.partner.works_for
        assert all(case.brand.name not in other.works_for for other in case.others)


def test_captions_are_the_account_s_latest_and_never_about_a_brand(result, market):
    names = {account["name"] or account["account_id"]: account for account in market.table("accounts").to_pylist()}
    brands = {key["account_id"] for key in names.values() if key["kind"] == "brand"}
    posts = sorted(market.table("posts").to_pylist(), key=lambda post: post["posted_at"], reverse=True)
    for case in result.cases:
        for shown in (case.brand, case.partner, *case.others):
            own = [
                post["caption"]
                for post in posts
                if post["account_id"] == names[shown.name]["account_id"]
                and post["caption"].strip()
                and (shown is case.brand or not brands & {*post["mentioned_ids"], post["brand_id"]})
            ]
            assert list(shown.captions) == own[: len(shown.captions)]
            assert len(shown.captions) == min(4, len(own))


def test_categories_take_turns():
    order = _by_turns(np.array(["b", "a", "b", "a", "a", "c"]))
    assert order.tolist() == [0, 1, 5, 2, 3, 4]


def test_no_cases_on_demand(data, checkpoint):
    assert not evaluate(dataclasses.replace(QUICK, cases=0), checkpoint=checkpoint, data=data, seed=0).cases


# What is exported


def test_test_brands_have_the_same_scores_whatever_is_exported(data, checkpoint, result):
    config = dataclasses.replace(QUICK, uncertainty_samples=3)
    tested = evaluate(config, checkpoint=checkpoint, data=data, seed=0)
    every = evaluate(dataclasses.replace(config, brands="all"), checkpoint=checkpoint, data=data, seed=0)
    rows = [every.exported.brand_ids.tolist().index(brand) for brand in tested.exported.brand_ids]
    np.testing.assert_array_equal(every.exported.scores[rows], tested.exported.scores)
    np.testing.assert_array_equal(every.exported.deviation[rows], tested.exported.deviation)
    assert len(every.exported.brand_ids) == len(data.accounts.brand_ids)
    assert every.metrics == tested.metrics
    np.testing.assert_array_equal(tested.test.scores, result.test.scores)


def test_cold_brands_are_scored_and_not_judged(market):
    data = data_of(market, min_positives=8)
    cold = data.splits["cold"]
    assert len(cold) > 1
    config = dataclasses.replace(QUICK, brands="cold")
    found = evaluate(config, checkpoint=checkpoint_of(data), data=data, seed=0)
    assert found.exported.brand_ids.tolist() == data.accounts.brand_ids[cold].tolist()
    assert found.exported.scores.shape == (len(cold), len(data.accounts.creator_ids))
    assert np.isfinite(found.exported.scores).all()
    assert not set(found.by_brand.brand_ids) & set(found.exported.brand_ids)


def test_a_market_without_cold_brands_says_so(market):
    data = data_of(market, min_positives=1)
    assert not len(data.splits["cold"])
    config, checkpoint = dataclasses.replace(QUICK, brands="cold"), checkpoint_of(data)
    with pytest.raises(DataError, match=r"evaluation.brands=cold: every brand"):
        evaluate(config, checkpoint=checkpoint, data=data, seed=0)


def test_a_model_without_embeddings_cannot_be_retrieved_from(data, checkpoint):
    class PlainModule:
        pass

    with pytest.raises(ConfigError, match="retrieve: Plain scores pairs and has no embeddings"):
        evaluate(QUICK, checkpoint=checkpoint, data=data, seed=0, model=PlainModule, retrieve="exact")


def test_a_market_without_posts_is_judged_without_what_needs_them():
    data = MIRData(MIRDataConfig(modalities=("topics",), min_positives=2), WithoutPosts(brands=12, creators=40))
    data.setup("test")
    module = MIRModule(MIRModelConfig(modalities=("topics",)), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    found = evaluate(QUICK, checkpoint=checkpoint, data=data, seed=0)
    assert list(found.metrics) == ["MIR", "SBR", "RAND"]
    assert np.isnan(found.metrics["MIR"]["cauc"])
    assert np.isfinite(found.metrics["MIR"]["auc"])
    assert (found.cases, found.categories, found.self_similarity) == ((), (), None)
    words = " ".join(found.absent)
    assert all(part in words for part in ("category is known", "has no posts", "followers are known"))


# Runs side by side


def by_brand(brands=("x", "y", "z"), *, model="MIR", candidates=9, market="m", **values):
    values = values or {"auc": [0.5, 0.7, np.nan], "first_rank": [1.0, 2.0, 9.0]}
    return BrandMetrics(
        brand_ids=np.array(brands),
        categories=np.array(["p", "q", "p"][: len(brands)]),
        candidates=candidates,
        market=market,
        methods={model: {name: np.array(value) for name, value in values.items()}},
    )


def test_another_run_stands_beside_brand_by_brand():
    other = by_brand(("z", "x", "y"), model="LambdaMART", auc=[0.3, 0.1, 0.2])
    found = merged(by_brand(), {"trees": other}).methods
    assert list(found) == ["MIR", "trees"]
    assert found["trees"]["auc"].tolist() == [0.1, 0.2, 0.3]
    assert np.isnan(found["trees"]["first_rank"]).all()


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("MIR", {}, "the name MIR is taken"),
        ("a", {"brands": ("x", "y", "w")}, r"evaluation.compare.a: it has other test brands \(1 here .* z, w\)"),
        ("a", {"candidates": 8}, "ranked 8 creators for each brand, this run 9"),
        ("a", {"market": "n"}, "on another market"),
    ],
)
def test_a_run_of_other_brands_is_refused(name, changes, words):
    with pytest.raises(ConfigError, match=words):
        merged(by_brand(), {name: by_brand(**changes)})


def test_sums_leave_out_brands_without_a_value():
    assert overall(by_brand().methods["MIR"]) == {"auc": pytest.approx(0.6), "median_first_rank": 2.0}
    assert np.isnan(overall({"auc": np.array([np.nan])})["auc"])


def test_too_few_brands_give_no_interval_and_no_test():
    both = merged(by_brand(auc=[0.5, np.nan, np.nan]), {"a": by_brand(auc=[0.1, 0.2, 0.3])})
    assert intervals(both, samples=50, seed=0)["MIR"] == {}
    assert paired_tests(both, samples=50, seed=0) == {"a": {}}


def test_categories_that_are_not_known_make_no_rows():
    assert [row.category for row in category_rows(by_brand())] == ["p", "q"]
    unknown = dataclasses.replace(by_brand(), categories=np.array(["", "", ""]))
    assert category_rows(unknown) == ()
