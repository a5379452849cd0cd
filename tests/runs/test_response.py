"""Deep IV through the commands: two stages, each resumed and reused; curves; the best size of a creator."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from micromega import cli
from micromega.config.signature import run_name
from micromega.config.validate import validate
from micromega.errors import CheckpointError, ConfigError, ScoreError
from micromega.models.deepiv.shapes import tier_averages
from micromega.report.response_words import signed
from micromega.runs import evaluate, optimize, record, train
from micromega.runs.checkpoint import FOLDER, load_checkpoint
from micromega.runs.response import response_facts
from micromega.scores import read_scores

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
]
TINY = (
    "experiment=deepiv/default",
    *("market.brands=8", "market.creators=80", "market.posts=5", "problem=sizing", "model.starts=2"),
    *(f"model.{stage}.{setting}" for stage in ("treatment", "outcome") for setting in ("hidden=[8,8]", "epochs=2")),
    *(
        "evaluation.grid=9",
        "evaluation.replicates=20",
        "evaluation.hashtags=2",
        "callbacks.latest.every_n_train_steps=1",
    ),
)


@pytest.fixture
def request_of(tmp_path, markets):
    from hydra import compose, initialize_config_dir

    def make(*overrides, task="train", runs="runs"):
        paths = [f"paths.root={tmp_path}", f"paths.runs={tmp_path / runs}", f"paths.markets={markets}"]
        with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
            config = compose(task, [*TINY, *paths, *overrides])
        return validate(config), config, tmp_path / runs / task / run_name(config, task)

    return make


def weights_of(folder):
    return load_checkpoint(folder / FOLDER / record.read_record(folder)["best_checkpoint"])["state_dict"]


def stage_of(folder):
    return record.read_record(folder)["stages"]["treatment"]


def test_train_evaluate_optimise(request_of):
    train.run(*request_of())
    evaluated = request_of(task="evaluate")
    evaluate.run(*evaluated)
    metrics = json.loads((evaluated[2] / "metrics.json").read_text())
    assert list(metrics)[:3] == ["Deep IV", "naive network", "2SLS, linear"]
    for values in metrics.values():
        assert {"elasticity_error_linear", "elasticity_error_concave", "elasticity_error_s-shaped"} <= set(values)
        assert {"held_out_error", "integrated_error", "mean_elasticity", "elasticity_error"} <= set(values)
    scores = read_scores(evaluated[2] / "response.parquet", name="response")
    assert scores.lineage.score_kind == "log_impressions"
    rows = scores.table.to_pylist()
    assert rows[0]["subject_id"] == "all posts"
    assert len(rows) % 9 == 0
    assert all(row["lower"] <= row["log_impressions"] <= row["upper"] for row in rows[:9])
    content = json.loads((evaluated[2] / "evaluation.json").read_text())
    assert "Exclusion cannot be tested" in content["diagnostics"]["verdict"]["sentences"][-1]
    assert content["diagnostics"]["gain"]["rows"] > 0
    assert len(content["diagnostics"]["direct"]["shift"]) == 9
    assert [method["name"] for method in content["methods"]] == list(metrics)
    assert any("evaluation.tactics" in sentence for sentence in content["absent"])
    assert "Exclusion cannot be tested" in (evaluated[2] / "report.html").read_text()
    planned = request_of(task="optimize")
    optimize.run(*planned)
    certificate = json.loads((planned[2] / "certificate.json").read_text())
    assert all(check["ok"] for check in certificate["checks"])
    assert (planned[2] / "plan.parquet").is_file()
    assert "followers" in (planned[2] / "report.html").read_text()


def test_stage_one_is_shared_by_requests_that_differ_in_stage_two(request_of):
    first, second = request_of(), request_of("model.outcome.weight_decay=0.01")
    third = request_of("model.treatment.weight_decay=0.01")
    for wanted in (first, second, third):
        train.run(*wanted)
    assert stage_of(first[2]) == stage_of(second[2]) != stage_of(third[2])
    assert record.read_record(second[2])["status"] == "done"


def test_stage_two_is_the_same_whether_stage_one_was_there(request_of):
    once, later = request_of(runs="once"), request_of(runs="later")
    train.run(*once)
    train.run(*request_of("model.outcome.weight_decay=0.01", runs="later"))
    train.run(*later)
    for name, values in weights_of(once[2]).items():
        np.testing.assert_array_equal(weights_of(later[2])[name], values, err_msg=name)


def test_stage_two_refuses_another_stage_one(request_of):
    own, other = request_of(), request_of("model.treatment.weight_decay=0.01")
    train.run(*own)
    train.run(*other)
    record.update_record(own[2], stages={"treatment": stage_of(other[2])})
    with pytest.raises(CheckpointError, match="was trained on the stage 1"):
        evaluate.run(*request_of(task="evaluate"))


def test_a_checkpoint_of_other_controls_is_refused(request_of):
    first = request_of("data.statistics=[num_hashtags]")
    train.run(*first)
    checkpoint = next((first[2] / FOLDER).glob("best*.ckpt"))
    request = request_of("data.statistics=[log_ranking]", f"ckpt_path={checkpoint}", task="evaluate")
    with pytest.raises(CheckpointError, match="trained with other controls"):
        evaluate.run(*request)


def test_a_checkpoint_outside_its_run_folder_says_what_is_missing(request_of, tmp_path):
    first = request_of()
    train.run(*first)
    moved = tmp_path / "elsewhere" / "checkpoints" / "moved.ckpt"
    moved.parent.mkdir(parents=True)
    moved.write_bytes(next((first[2] / FOLDER).glob("best*.ckpt")).read_bytes())
    with pytest.raises(CheckpointError, match=r"does not say on which stage 1"):
        evaluate.run(*request_of(f"ckpt_path={moved}", task="evaluate"))


def test_a_subject_without_a_curve_is_named(request_of):
    train.run(*request_of())
    evaluate.run(*request_of(task="evaluate"))
    with pytest.raises(ConfigError, match=r"problem.subject: 'Dance' has no response curve"):
        optimize.run(*request_of("problem.subject=Dance", task="optimize"))


def test_sizes_need_a_response_table(request_of):
    with pytest.raises(ScoreError, match=r"response.parquet"):
        optimize.run(*request_of(task="optimize"))


@pytest.mark.parametrize(("creators", "posts", "gone"), [(40, 5, []), (12, 50, ["gain", "gamma"])])
def test_a_small_market_has_the_diagnostics_that_it_allows(request_of, creators, posts, gone):
    """Four creators are held out of the first, and one of the second."""
    pytest.importorskip("sklearn")
    small = (f"market.creators={creators}", f"market.posts={posts}", "market.brands=2", "model.starts=1")
    train.run(*request_of(*small))
    evaluated = request_of(*small, task="evaluate")
    evaluate.run(*evaluated)
    content = json.loads((evaluated[2] / "evaluation.json").read_text())
    known = content["diagnostics"]
    assert sorted(name for name in ("gain", "gamma", "residuals", "direct") if known[name] is None) == gone
    said = [sentence for sentence in content["absent"] if "was not computed" in sentence]
    assert len(said) == len(gone)
    page = (evaluated[2] / "report.html").read_text()
    assert all(sentence in page for sentence in said)
    curve, method = content["subjects"][0]["elasticity"], content["methods"][0]
    wanted = tier_averages(content["log_followers"], curve["elasticity"], content["support"])
    for tiers in (curve["tiers"], method["tiers"]):
        assert np.array(tiers, float) == pytest.approx(wanted, nan_ok=True, rel=1e-5)
    assert curve["shape"] == method["shape"] == known["direct"]["shapes"][len(known["direct"]["shapes"]) // 2]


def zero_of(scores):
    """δ at which the only curve is as high at the last observed size as at the first; whether its elasticities fit."""
    u, h, fei, shift = (
        scores.table[name].to_numpy() for name in ("log_followers", "log_impressions", "elasticity", "direct_shift")
    )
    area = np.diff(u) * (fei[1:] + fei[:-1]) / 2
    fits = np.abs(area - np.diff(h)).sum() <= 0.05 * np.abs(np.diff(h)).sum()
    ends = np.array(scores.lineage.response.support)
    rise = np.diff((CubicHermiteSpline(u, h, fei) if fits else PchipInterpolator(u, h))(ends))[0]
    inside = np.union1d(ends, u[(u > ends[0]) & (u < ends[1])])
    return rise / np.trapezoid(np.interp(inside, u, shift), inside), fits


def test_a_market_whose_posts_have_one_size_has_no_range_of_observed_sizes():
    judged = SimpleNamespace(facts={"bands": "pointwise", "level": 0.9}, support=(9.0, 9.0))
    facts = response_facts(judged, centre=9.01)
    assert (facts.support, facts.centre) == (None, 9.01)


@pytest.mark.parametrize("bands", ["pointwise", "simultaneous"])
def test_sizes_are_told_what_the_band_holds_and_what_was_observed(request_of, bands):
    """First posts of a creator have no instrument here: sizes of the market that the model did not learn from."""
    small = (
        *("data.instrument=earlier_posts", "model.starts=1", "evaluation.rivals=[]", "evaluation.groups=[]"),
        *(f"evaluation.bands={bands}", "evaluation.level=0.8"),
    )
    train.run(*request_of(*small))
    evaluated = request_of(*small, task="evaluate")
    evaluate.run(*evaluated)
    content = json.loads((evaluated[2] / "evaluation.json").read_text())
    scores = read_scores(evaluated[2] / "response.parquet", name="response")
    facts = scores.lineage.response
    assert (facts.band, facts.level, list(facts.support)) == (bands, 0.8, content["support"])
    assert facts.support[0] < facts.centre < facts.support[1]
    assert scores.table["direct_shift"].to_pylist() == content["diagnostics"]["direct"]["shift"]
    planned = request_of(*small, task="optimize")
    optimize.run(*planned)
    page = (planned[2] / "report.html").read_text()
    low, high = (f"{np.exp(end):,.0f}" for end in facts.support)
    assert f"observed: {low} to {high} followers, of nearly all posts that the model learnt from." in page
    assert content["facts"]["dropped"]
    assert "80\N{NO-BREAK SPACE}% band of the curve" in page
    assert not any(words in page for words in ("95 %", "95\N{NO-BREAK SPACE}%"))
    assert ("the interval is too narrow" in page) == (bands == "pointwise")
    assert ("evaluation.bands=simultaneous" in page) == (bands == "pointwise")
    zero, fits = zero_of(scores)
    said = f"δ = {signed(zero)}, where the average slope of this page’s curve would be 0"
    assert said in page.replace("\N{NO-BREAK SPACE}", " ")
    if fits:  # else the posts' average elasticity is 0 at another δ
        assert zero == pytest.approx(content["diagnostics"]["direct"]["zero"], rel=0.1)
    with pytest.raises(ConfigError, match=r"problem.level: .* level 0.8, not 0.95"):
        optimize.run(*request_of(*small, "problem.level=0.95", task="optimize"))
