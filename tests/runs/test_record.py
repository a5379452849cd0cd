"""What a run folder says of itself, and what it never says."""

import json
from types import SimpleNamespace

import pytest
import yaml
from omegaconf import OmegaConf

from micromega.errors import CheckpointError
from micromega.runs import record

SECRET = "0123456789abcdef"


def test_configuration_is_resolved_and_redacted(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", SECRET)
    config = OmegaConf.create({"a": 1, "b": "${a}", "api_key": "xyz", "c": f"https://user:{SECRET}@host", "d": None})
    record.write_config(tmp_path, config)
    held = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert held == {"a": 1, "b": 1, "api_key": "<redacted>", "c": "https://user:<redacted>@host", "d": None}


def test_record_is_merged_redacted_and_survives_damage(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", SECRET)
    assert record.read_record(tmp_path) == {}
    record.update_record(tmp_path, status="running", tags=[SECRET], overrides=[f"x.api_key={SECRET[:4]}"])
    merged = record.update_record(tmp_path, status="done")
    assert merged == json.loads((tmp_path / "run.json").read_text()) == record.read_record(tmp_path)
    assert merged == {"status": "done", "tags": ["<redacted>"], "overrides": ["x.api_key=<redacted>"]}
    for broken in ("", "[1]", '{"status": "do'):
        (tmp_path / "run.json").write_text(broken)
        assert record.read_record(tmp_path) == {}


def test_lineage_names_what_can_change_a_result():
    market = SimpleNamespace(name="tiny", fingerprint="f" * 64)
    facts = record.lineage(signature="abc", seed=3, tags=("x",), overrides=["seed=3"], market=market)
    assert facts["market_fingerprint"] == "f" * 64
    assert (facts["signature"], facts["seed"], facts["tags"]) == ("abc", 3, ["x"])
    assert facts["packages"]["torch"] != "not installed"
    assert facts["started_at"].endswith("+00:00")
    assert facts["git_commit"] is None or len(facts["git_commit"].removesuffix("+dirty")) == 40


def test_feature_arrays_that_changed_since_a_run_are_noticed(tmp_path):
    market = SimpleNamespace(path="tiny", features=lambda name: SimpleNamespace(fingerprint={"a": "1", "b": "2"}[name]))
    record.check_arrays({}, market, tmp_path)
    kept = record.update_record(tmp_path, arrays={"a": "1"})
    record.check_arrays(kept, market, tmp_path)
    with pytest.raises(CheckpointError, match="other values of the feature b"):
        record.check_arrays({"arrays": {"a": "1", "b": "old"}}, market, tmp_path)
