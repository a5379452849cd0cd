"""W&B never kills a run, continues after a kill, and learns no secret."""

import sys

import pytest

from micromega.errors import ConfigError
from micromega.runs import tracking
from micromega.runs.record import read_record, update_record

NODE = {"_target_": "pytorch_lightning.loggers.WandbLogger", "project": "p", "entity": None, "offline": False}
SECRET = "5ec3e75ec3e75ec3e75ec3e75ec3e75ec3e7abcd"


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "online")


def test_without_a_key_offline_and_said_once(tmp_path, caplog):
    settings = tracking.wandb_settings(NODE, tmp_path)
    assert settings["offline"] is True
    assert caplog.text.count("no API key") == 1
    assert "entity" not in settings
    assert settings["save_dir"] == str(tmp_path)


@pytest.mark.parametrize("where", ["environment", "netrc"])
def test_with_a_key_online(tmp_path, monkeypatch, caplog, where):
    if where == "environment":
        monkeypatch.setenv("WANDB_API_KEY", SECRET)
    else:
        (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
        (tmp_path / ".netrc").chmod(0o600)
    assert tracking.wandb_settings(NODE, tmp_path)["offline"] is False
    assert not caplog.text


def test_offline_on_request_says_nothing(tmp_path, monkeypatch, caplog):
    assert tracking.wandb_settings(NODE | {"offline": True}, tmp_path)["offline"] is True
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking.wandb_settings(NODE, tmp_path)["offline"] is False
    assert not caplog.text


def test_the_id_is_stored_before_and_kept_after(tmp_path):
    first = tracking.wandb_settings(NODE, tmp_path)
    assert read_record(tmp_path)["wandb_id"] == first["id"]
    update_record(tmp_path, status="running")
    second = tracking.wandb_settings(NODE, tmp_path)
    assert (second["id"], second["resume"]) == (first["id"], "allow")
    assert tracking.wandb_settings(NODE, tmp_path / "..")["id"] != first["id"]


class Spy:
    """A logger that shows what W&B would see when it begins."""

    seen: list = []  # noqa: RUF012

    def __init__(self, **settings):
        self.settings = settings

    def log_hyperparams(self, values):
        if "refuse" in self.settings:
            raise TypeError("init() got an unexpected keyword argument 'refuse'")
        Spy.seen.append((self.settings, values, list(sys.argv)))


@pytest.fixture
def finished(monkeypatch):
    codes = []
    Spy.seen.clear()
    monkeypatch.setattr(tracking, "instantiate", lambda node: Spy(**node))
    monkeypatch.setattr(tracking, "_finish", lambda uses_wandb, exit_code: codes.append((uses_wandb, exit_code)))
    return codes


def test_no_secret_reaches_wandb(tmp_path, monkeypatch, finished):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    command = ["train.py", f"x.password={SECRET}", f"tags=[{SECRET}]", "seed=1"]
    monkeypatch.setattr(sys, "argv", command)
    node = NODE | {"notes": f"key {SECRET}", "offline": True}
    with tracking.loggers({"wandb": node}, tmp_path, {"a": {"api_key": SECRET}, "b": [SECRET]}):
        assert sys.argv == command
    assert SECRET not in str(Spy.seen)
    assert Spy.seen[0][1] == {"a": {"api_key": "<redacted>"}, "b": ["<redacted>"]}
    assert Spy.seen[0][2][3] == "seed=1"
    assert finished == [(True, 0)]


def test_an_error_finishes_the_wandb_run_as_failed(tmp_path, finished):
    def broken():
        with tracking.loggers({"wandb": NODE | {"offline": True}}, tmp_path, {}):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        broken()
    assert finished == [(True, 1)]


def test_settings_that_wandb_refuses_are_a_config_error(tmp_path, finished):
    node = NODE | {"offline": True, "refuse": 1}
    with pytest.raises(ConfigError, match="refuses its settings"), tracking.loggers({"wandb": node}, tmp_path, {}):
        pass
