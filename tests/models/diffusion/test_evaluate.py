"""Metrics by hand, groups by what was seen, and the score table."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import mannwhitneyu

from micromega.errors import CheckpointError
from micromega.models.diffusion.config import DiffusionDataConfig, DiffusionEvaluationConfig
from micromega.models.diffusion.data import DiffusionData
from micromega.models.diffusion.evaluate import evaluate, export
from micromega.models.diffusion.judge import CLIP, Judged, against, known_probabilities, log_loss, outcomes, score
from micromega.models.origin import ORIGIN


@pytest.fixture(scope="module")
def checkpoint(fitted, data):
    module = fitted("empirical_bayes")
    return {
        "state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), ORIGIN: data.origin,
    }  # fmt: skip


@pytest.fixture(scope="module")
def result(checkpoint, data):
    config = DiffusionEvaluationConfig(compare=("em", "rate"))
    return evaluate(config, checkpoint=checkpoint, data=data, seed=0)[0]


def test_scores_by_hand():
    judged = Judged(member=np.array([0, 1, 0, 1]), start=np.array([0, 1, 2, 4]), label=np.array([True, False, True]))
    p = np.array([0.3, 0.2])
    chance = judged.chance(p)
    np.testing.assert_allclose(chance, [0.3, 0.2, 1 - 0.7 * 0.8])
    found = score(judged, p, np.array([0.1, np.nan]), bins=2)
    assert found["log_loss"] == pytest.approx(-np.mean([np.log(0.3), np.log(0.8), np.log(0.44)]))
    assert found["brier"] == pytest.approx(np.mean([0.49, 0.04, 0.56**2]))
    wins = mannwhitneyu(chance[[0, 2]], chance[[1]]).statistic / 2
    assert found["auc"] == wins == 1.0
    assert found["rmse"] == pytest.approx(0.2)
    assert np.isnan(found["correlation"])
    assert log_loss(np.array([0.0]), np.array([True]))[0] == pytest.approx(-np.log(CLIP))


def test_errors_against_known_probabilities_by_hand():
    p, q = np.array([0.1, 0.2, 0.6]), np.array([0.2, 0.2, 0.4])
    found = against(p, q)
    assert found["rmse"] == pytest.approx(np.sqrt(0.05 / 3))
    assert found["mae"] == pytest.approx(0.1)
    assert found["correlation"] == pytest.approx(np.corrcoef(p, q)[0, 1])


def test_outcomes_of_groups_are_those_of_their_members(data):
    shared = dataclasses.replace(data.exposures, shared=True)
    judged = outcomes(shared, "test")
    rows = shared.rows("test")
    groups = {}
    for row in rows:
        groups.setdefault(shared.group[row], []).append(row)
    assert len(judged.label) == len(groups)
    for place, key in enumerate(sorted(groups)):
        members = groups[key]
        assert judged.label[place] == shared.activated[members].any()
        held = judged.member[judged.start[place] : judged.start[place + 1]]
        assert sorted(held) == sorted(shared.edge[members])
    assert len(outcomes(data.exposures, "test").label) == len(rows)


def test_the_model_comes_first_and_everything_is_told(result, data):
    assert list(result.metrics) == ["Network + counts", "EM (Saito et al.)", "Mean rate"]
    rate = result.metrics["Mean rate"]
    assert result.floor < result.metrics["Network + counts"]["log_loss"] < rate["log_loss"] + 0.002
    assert np.isnan(rate["correlation"])
    assert sum(group.edges for group in result.seen) == len(data.graph.source)
    assert sum(group.exposures for group in result.seen) == len(data.exposures.rows("test"))
    known = known_probabilities(data.market, data.graph)
    total = sum(group.edges * group.error["Mean rate"] ** 2 for group in result.seen)
    assert total / len(known) == pytest.approx(rate["rmse"] ** 2)
    assert result.against_truth.edges.sum() == len(known)
    assert result.exported is None
    assert sum(window["exposures"] for window in result.facts["windows"].values()) == len(data.exposures.edge)


def test_the_score_table_has_every_follow_in_its_direction(checkpoint, data, fitted, small_market):
    table, told = export(DiffusionEvaluationConfig(strongest=5), fitted("empirical_bayes"), data)
    follows = small_market.table("follows")
    pairs = set(zip(*(follows[name].to_pylist() for name in ("source_id", "target_id")), strict=True))
    assert set(zip(*(table[name].to_pylist() for name in ("source_id", "target_id")), strict=True)) == pairs
    assert told.rows == table.num_rows == len(pairs)
    best = told.strongest[0]
    probability = table["probability"].to_numpy()
    assert best.probability == probability.max()
    assert [edge.probability for edge in told.strongest] == sorted(probability, reverse=True)[:5]
    of_edge = [
        row for row in small_market.table("exposures").to_pylist()
        if (row["source_id"], row["target_id"]) == (best.source, best.target)
    ]  # fmt: skip
    assert best.exposures == len(of_edge)
    assert best.activations == sum(row["activated"] for row in of_edge)
    assert told.edges.sum() == told.rows
    truth = {
        (row["source_id"], row["target_id"]): row["probability"] for row in small_market.truth("activation").to_pylist()
    }
    assert best.known == truth[best.source, best.target]


def test_probabilities_that_follows_hold_are_known_ones_where_there_is_no_truth(small_market, tmp_path, data):
    follows = small_market.table("follows")
    real = dataclasses.replace(small_market, path=tmp_path)
    assert known_probabilities(real, data.graph) is None
    held = np.where(np.arange(follows.num_rows) == 3, 0.25, np.nan)
    given = follows.set_column(2, "probability", pa.array(held, from_pandas=True))
    known = known_probabilities(dataclasses.replace(real, tables={**real.tables, "follows": given}), data.graph)
    assert np.isfinite(known).sum() == 1
    row = follows.slice(3, 1)
    edge = data.graph.edge_of(data.graph.places(row["source_id"]), data.graph.places(row["target_id"]))
    assert known[edge] == 0.25


def test_a_real_market_has_no_truth(checkpoint, small_market, tmp_path):
    real = DiffusionData(DiffusionDataConfig(), dataclasses.replace(small_market, path=tmp_path))
    found, _ = evaluate(DiffusionEvaluationConfig(compare=()), checkpoint=checkpoint, data=real, seed=0)
    assert found.floor is None
    assert found.against_truth is None
    assert "not known" in found.absent[0]
    assert all(not group.error for group in found.seen)


def test_other_data_settings_are_refused(checkpoint, small_market):
    other = DiffusionData(DiffusionDataConfig(test=0.3), small_market)
    with pytest.raises(CheckpointError, match="other test"):
        evaluate(DiffusionEvaluationConfig(compare=()), checkpoint=checkpoint, data=other, seed=0)
