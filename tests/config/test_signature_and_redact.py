"""A request's identity, and secrets kept out of files."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from micromega.config import schema, signature
from micromega.config.redact import HIDDEN, redact


@pytest.fixture(scope="module")
def make(repository):
    schema.register()
    signature.register_resolvers()

    def compose_one(*overrides, task="train"):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
            return compose(task, overrides=list(overrides))

    return compose_one


def test_the_same_request_has_the_same_signature_wherever_it_runs(make):
    assert signature.signature(make(), "train") == signature.signature(make("paths.root=/elsewhere"), "train")
    same = make("tags=[a]", "logger=wandb", "print_config=true", "resume=never", "paths.runs=/other")
    assert signature.signature(make(), "train") == signature.signature(same, "train")


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "model.dropout=0.1",
        "data.list_length=4",
        "market.seed=1",
        "trainer.max_epochs=3",
        "callbacks.early_stopping=null",
    ],
)
def test_another_request_has_another_signature(make, override):
    assert signature.signature(make(), "train") != signature.signature(make(override), "train")


def test_later_commands_find_the_earlier_ones_by_the_same_settings(make):
    settings = ("experiment=mir/simulated", "seed=3")
    for task in ("train", "evaluate", "optimize"):
        assert signature.run_name(make(*settings, task=task), "train") == signature.run_name(make(*settings), "train")
    changed = make(*settings, "problem.budget=77", task="optimize")
    assert signature.signature(changed, "evaluate") == signature.signature(make(*settings), "evaluate")
    assert signature.signature(changed, "optimize") != signature.signature(make(*settings, task="optimize"), "optimize")


def test_run_names_are_readable(make):
    assert signature.run_name(make(), "train").startswith("mir-simulated-")
    assert signature.run_name(make("market=instagram_2017"), "train").startswith("mir-instagram_2017-")


def test_secrets_are_hidden_by_name_by_value_and_on_the_command_line(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cr3t-value")
    found = redact(
        {
            "logger": {"api_key": "abc", "token": None, "project": "p"},
            "list": ["logger.wandb.api_key=abc", "seed=1", "note: s3cr3t-value here"],
            "hidden_size": 3,
        }
    )
    assert found["logger"] == {"api_key": HIDDEN, "token": None, "project": "p"}
    assert found["list"] == [f"logger.wandb.api_key={HIDDEN}", "seed=1", f"note: {HIDDEN} here"]
    assert found["hidden_size"] == 3


def test_ordinary_settings_that_look_a_little_like_secrets_stay(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "1")
    assert redact({"tokeniser": 1, "n": "1"})["n"] == "1"


@pytest.mark.parametrize(
    "override", ["evaluation.cases=1", "evaluation.compare={other: /runs/x}", "evaluation.shortlist=9"]
)
def test_what_only_a_report_shows_has_no_signature(make, override):
    names = {signature.signature(make(*settings, task="optimize"), "optimize") for settings in ((), (override,))}
    assert len(names) == 1
    assert signature.signature(make("evaluation.brands=all", task="optimize"), "optimize") not in names


def test_shortlists_have_a_folder_of_their_own_and_leave_that_of_all_pairs(make):
    requests = [(), ("retrieve=exact",), ("retrieve=ann",), ("retrieve=ann", "evaluation.shortlist=9")]
    for task in ("evaluate", "optimize"):
        assert len({signature.signature(make(*settings, task=task), task) for settings in requests}) == len(requests)
    assert len({signature.signature(make(*settings), "train") for settings in requests}) == 1
    named = signature.signature(make("retrieve=none", task="evaluate"), "evaluate")
    assert named == signature.signature(make(task="evaluate"), "evaluate")
