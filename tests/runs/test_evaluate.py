"""Evaluating leaves metrics, values by brand, scores and a report; runs on the same brands stand side by side."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

from micromega.errors import ConfigError, ScoreError
from micromega.models.evaluation import BrandMetrics, PairScores, RankingEvaluation
from micromega.runs import evaluate, train
from micromega.runs.brand_metrics import read_brand_metrics, read_compared, write_brand_metrics
from micromega.runs.calibration import calibrated
from micromega.scores import read_scores

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
SHORT = ("trainer.max_epochs=1", "callbacks.latest.every_n_train_steps=1000")
LOGITS = ("evaluation.calibration=none", "evaluation.uncertainty_samples=0", "evaluation.bootstrap_samples=50")


@pytest.fixture
def run(request_of):
    """Train (once) and evaluate; give the run folder."""

    def make(*overrides):
        train.run(*request_of(*SHORT))
        request = request_of(*SHORT, *LOGITS, *overrides, task="evaluate")
        evaluate.run(*request)
        return request[2]

    return make


def test_a_run_leaves_its_tables_and_its_report(run):
    folder = run()
    written = json.loads((folder / "metrics.json").read_text())
    content = json.loads((folder / "evaluation.json").read_text())
    assert list(written) == ["MIR", "SBR", "RAND", "POP"]
    assert content["metrics"] == written
    assert content["calibration"] is None
    assert set(content["intervals"]) == set(written)
    assert set(content["tests"]["SBR"]["auc"]) == {"difference", "low", "high", "p_value", "brands"}
    scores = read_scores(folder / "affinity.parquet")
    assert scores.lineage.score_kind == "rank_logit"
    assert scores.table["score_std"].null_count == scores.table.num_rows
    table = pq.read_table(folder / "brand_metrics.parquet")
    assert table.column_names[:3] == ["method", "brand_id", "category"]
    for method, values in written.items():  # the file by brand gives the overall values
        mine = table.filter(pc.equal(table["method"], method))
        assert pc.mean(mine["auc"]).as_py() == pytest.approx(values["auc"])
        assert np.median(mine["first_rank"].to_numpy()) == values["median_first_rank"]
    assert "<h1><bdi>MIR</bdi></h1>" in (folder / "report.html").read_text()


def test_runs_on_the_same_brands_stand_side_by_side(run):
    first = run()
    alone = json.loads((first / "metrics.json").read_text())
    second = run(f"evaluation.compare={{earlier: {first}}}")
    together = json.loads((second / "metrics.json").read_text())
    assert list(together) == ["MIR", "SBR", "RAND", "POP", "earlier"]
    assert together["earlier"] == alone["MIR"]
    found = json.loads((second / "evaluation.json").read_text())["tests"]["earlier"]["auc"]
    assert found["difference"] == 0
    assert found["p_value"] == 1
    assert list(read_brand_metrics(second).methods) == ["MIR", "SBR", "RAND", "POP"]  # no run is passed on
    assert "another run" in (second / "report.html").read_text()


def test_scores_of_another_trained_run_are_mixed_in(run, request_of):
    other = request_of(*SHORT, "model.hidden_size=8")
    train.run(*other)
    folder = run(f"evaluation.blend={{small: {other[2]}}}")
    written = json.loads((folder / "metrics.json").read_text())
    assert list(written) == ["MIR + small", "MIR", "small", "SBR", "RAND", "POP"]
    notes = read_scores(folder / "affinity.parquet").lineage.notes
    assert any(note.startswith("Mixed: 50% of this checkpoint, the rest of small (") for note in notes)
    page = (folder / "report.html").read_text()
    assert "<h1><bdi>MIR + small</bdi></h1>" in page
    assert page.count("part of the mixture, alone") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "config.yaml cannot be read"),
        ("[", "config.yaml is damaged"),
        ("", "has no data and model"),
        ("data: {_target_: micromega.models.vsvae.data.PostData}\nmodel: {_target_: a.b}", "model"),
    ],
)
def test_a_run_to_mix_with_must_be_a_trained_ranker(request_of, tmp_path, content, words):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    request = request_of(*SHORT, *LOGITS, f"evaluation.blend={{other: {tmp_path}}}", task="evaluate")
    with pytest.raises(ConfigError, match=rf"evaluation.blend.other: .*{words}"):
        evaluate.run(*request)


def test_a_run_to_compare_with_must_exist(request_of, tmp_path):
    request = request_of(*SHORT, *LOGITS, f"evaluation.compare={{other: {tmp_path}}}", task="evaluate")
    with pytest.raises(ConfigError, match=r"evaluation.compare.other: .*brand_metrics.parquet does not exist"):
        evaluate.run(*request)


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        ((), True),
        (("retrieve=none",), False),
        (("evaluation.brands=test",), False),
        (("data.published_split=false",), False),
    ],
)
def test_shortlists_of_all_brands_need_one_set_of_vectors(request_of, monkeypatch, overrides, refused):
    class Opened(Exception):
        pass

    def further(*_):
        raise Opened

    held = SimpleNamespace(feature_names=("text", "text_test"))
    monkeypatch.setattr(evaluate, "open_market", lambda *_: held)
    monkeypatch.setattr(evaluate, "trained_checkpoint", further)
    wanted = ("data.published_split=true", "evaluation.brands=all", "retrieve=exact", *overrides)
    request = request_of(*SHORT, *wanted, task="evaluate")
    with pytest.raises(ConfigError if refused else Opened) as error:
        evaluate.run(*request)
    if refused:
        assert "creators have other text for test brands" in str(error.value)
        held.feature_names = ("text",)
        with pytest.raises(Opened):
            evaluate.run(*request)


def test_without_the_extra_the_numbers_are_written_and_the_report_is_missed(run, monkeypatch, caplog):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("micromega.report.")]:
        monkeypatch.delitem(sys.modules, name)
    folder = run()
    assert (folder / "affinity.parquet").is_file()
    assert not (folder / "report.html").exists()
    assert 'No report is written. The report needs jinja2. Run: pip install "micromega[report]"' in caplog.text


# Values by brand


METRICS = BrandMetrics(
    brand_ids=np.array(["b1", "b0"]),
    categories=np.array(["", "é"]),
    candidates=12,
    market="f" * 64,
    methods={
        "MIR": {"auc": np.array([0.5, np.nan]), "first_rank": np.array([1.0, 3.0])},
        "SBR": {"auc": np.array([0.25, 1.0]), "first_rank": np.array([2.0, 4.0])},
    },
)


def test_values_by_brand_come_back_as_they_were(tmp_path):
    write_brand_metrics(METRICS, tmp_path / "brand_metrics.parquet")
    found = read_brand_metrics(tmp_path)
    assert found.brand_ids.tolist() == ["b1", "b0"]
    assert found.categories.tolist() == ["", "é"]
    assert (found.candidates, found.market, found.model) == (12, "f" * 64, "MIR")
    for method, values in METRICS.methods.items():
        for name, value in values.items():
            np.testing.assert_array_equal(found.methods[method][name], value)
    assert pq.read_table(tmp_path / "brand_metrics.parquet")["auc"].null_count == 1


@pytest.mark.parametrize("damage", ["cut", "foreign", "no facts", "empty"])
def test_a_damaged_table_is_refused_by_name(damage, tmp_path):
    path = tmp_path / "brand_metrics.parquet"
    write_brand_metrics(METRICS, path)
    table = pq.read_table(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "foreign":
        pq.write_table(table.drop_columns(["method"]), path)
    elif damage == "no facts":
        pq.write_table(table.replace_schema_metadata({}), path)
    else:
        pq.write_table(table.slice(0, 0), path)
    with pytest.raises(ConfigError, match=r"evaluation.compare.x: .*brand_metrics.parquet .*Evaluate that run again"):
        read_compared({"x": str(tmp_path)})


# Calibration


def result_of(*, seed=0, slope=2.0):
    """Logits whose log-odds of being a positive are slope · logit − 1."""
    rng = np.random.default_rng(seed)

    def pairs(brands):
        scores = rng.normal(size=(brands, 500))
        chance = 1 / (1 + np.exp(1 - slope * scores))
        return PairScores(
            brand_ids=np.array([f"b{n}" for n in range(brands)]),
            creator_ids=np.array([f"c{n}" for n in range(500)]),
            scores=scores,
            deviation=None,
            positives=rng.random(scores.shape) < chance,
        )

    validation, test = pairs(40), pairs(40)
    return RankingEvaluation(metrics={}, by_brand=METRICS, exported=test, validation=validation, test=test, facts={})


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_both_calibrations_find_the_true_probabilities(method):
    found = calibrated(method, result_of())
    points = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(logit(found.calibration(points)), 2 * points - 1, atol=0.3)
    assert found.after.error < 0.01
    assert found.before.error > 0.1  # the logits are off by a slope and a shift
    plain = json.loads(json.dumps(found.plain()))
    assert plain["method"] == method
    assert plain["expected_calibration_error"] == found.after.error
    assert plain["before"]["expected_calibration_error"] == found.before.error
    assert set(plain["curve"]) == {"predicted", "observed", "lower", "upper", "count"}
    assert ("slope" in plain) == (method == "platt")


def test_none_leaves_logits_and_a_ranking_that_is_upside_down_is_refused():
    assert calibrated("none", result_of()) is None
    with pytest.raises(ScoreError, match="reverse"):
        calibrated("platt", result_of(slope=-2.0))
