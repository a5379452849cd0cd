"""Run folders: the same request finds its folder again, another one has its own, changed data are refused."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
import yaml
from fingerprints import result

from micromega.errors import CheckpointError, ConfigError, NonFiniteLossError
from micromega.runs import train

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
SHORT = ("trainer.max_epochs=1", "callbacks.latest.every_n_train_steps=1000")


def test_the_same_request_is_trained_once_and_another_one_apart(request_of, caplog):
    caplog.set_level("INFO")
    first, again, other = request_of(*SHORT), request_of(*SHORT, "tags=[x]"), request_of(*SHORT, "seed=1")
    assert first[2] == again[2] != other[2]
    train.run(*first)
    written = {path: path.stat().st_mtime_ns for path in first[2].rglob("*") if path.name != "run.lock"}
    train.run(*again)
    assert "Already trained" in caplog.text
    assert written == {path: path.stat().st_mtime_ns for path in first[2].rglob("*") if path.name != "run.lock"}
    train.run(*other)
    assert result(other[2])["state_dict"] != result(first[2])["state_dict"]
    record = json.loads((first[2] / "run.json").read_text())
    assert record["status"] == "done"
    assert record["signature"] == first[2].name.rsplit("-", 1)[1]
    assert yaml.safe_load((other[2] / "config.yaml").read_text())["seed"] == 1
    with pytest.raises(CheckpointError, match=r"already holds a run \(done\)"):
        train.run(*request_of(*SHORT, "resume=never"))


def test_the_same_seed_gives_the_same_bits(request_of):
    one, two = request_of(*SHORT, runs="one"), request_of(*SHORT, runs="two")
    train.run(*one)
    train.run(*two)
    assert result(one[2]) == result(two[2])


def test_changed_tables_are_refused(request_of, tmp_path):
    from micromega.market import simulate, write_market

    simulated = simulate(seed=0, brands=16, creators=80, posts=6)
    tables = {name: simulated.table(name) for name in ("accounts", "posts", "mentions")}
    write_market(tmp_path / "m", tables, name="m", currency="EUR")
    request = request_of(*SHORT, "market=folder", f"market.path={tmp_path / 'm'}", market=())
    train.run(*request)
    posts = tables["posts"]
    changed = posts.set_column(posts.column_names.index("likes"), "likes", [[5] * posts.num_rows])
    shutil.rmtree(tmp_path / "m")
    write_market(tmp_path / "m", tables | {"posts": changed}, name="m", currency="EUR")
    with pytest.raises(CheckpointError, match=r"the tables have changed. Remove the folder to train anew"):
        train.run(*request)
    assert pq.read_table(tmp_path / "m" / "posts.parquet").num_rows == posts.num_rows


def test_a_loss_that_is_no_number_leaves_no_checkpoint_and_no_done(request_of):
    request = request_of(*SHORT, "model.initial_range=1e20")
    with pytest.raises(NonFiniteLossError, match=r"at step 0 .*brands \(.*creators \("):
        train.run(*request)
    assert not list(request[2].rglob("*.ckpt"))
    assert json.loads((request[2] / "run.json").read_text())["status"] == "running"


def test_trainer_settings_that_lightning_refuses_are_config_errors(request_of):
    with pytest.raises(ConfigError, match="trainer: "):
        train.run(*request_of(*SHORT, "trainer.accelerator=abacus"))


def test_an_unknown_optimised_metric_lists_the_known_ones(request_of):
    with pytest.raises(ConfigError, match="'nonsense' is not among the metrics: epochs, val/auc"):
        train.run(*request_of(*SHORT, "optimized_metric=nonsense"))


def test_fast_dev_run_saves_nothing(request_of):
    request = request_of("debug=fdr")
    train.run(*request)
    assert not list(request[2].rglob("*.ckpt"))
