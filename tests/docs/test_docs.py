"""The commands of docs/running.md and docs/ranker.md run as the pages give them, on less data and for fewer epochs."""

import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli

REPOSITORY = Path(__file__).parents[2]
RUNNING, RANKER = ((REPOSITORY / "docs" / page).read_text(encoding="utf-8") for page in ("running.md", "ranker.md"))
SMALL = (  # enough for a ranker that beats chance, so that its scores can be calibrated
    "market.creators=300 trainer.max_epochs=4 data.hashed_size=256 evaluation.uncertainty_samples=2 "
    "solver.relative_gap=0.01 solver.proof_cases=1"
)
TINY = (
    "market.brands=16 market.creators=80 market.posts=6 data.min_positives=2 trainer.max_epochs=2 "
    "trainer.log_every_n_steps=1"
)
SHORT = "trainer.max_epochs=1 data.hashed_size=16"


def commands(page, *, containing="", without="\0"):
    lines = re.findall(r"^(?:\$ )?python ((?:train|evaluate|optimize)\.py .*)$", page, flags=re.MULTILINE)
    return [line for line in lines if containing in line and without not in line]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the commands are started: folders and markets are shared by the tests of this file."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture
def run(place, monkeypatch, capsys):
    """Run a command line in this process; return its exit status and what it printed."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.chdir(place)

    def run_one(line, small=""):
        script, *arguments = shlex.split(line)
        monkeypatch.setattr(sys, "argv", [str(REPOSITORY / script), *arguments, *small.split()])
        HydraConfig.instance().cfg = None  # as in a new process
        capsys.readouterr()
        try:
            getattr(cli, script.removesuffix(".py"))()
            status = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        for handler in [handler for handler in root.handlers if handler not in before[0]]:
            root.removeHandler(handler)  # Hydra's: one writes to what pytest has captured, one to a file
            handler.close()
        seen = capsys.readouterr()
        return status, seen.out + seen.err

    yield run_one
    root.handlers[:], root.level = before


def test_every_command_of_the_pages_is_run_by_a_test():
    tested = [
        *commands(RUNNING, containing="--help"),
        *commands(RUNNING, containing="--cfg"),
        *commands(RUNNING, containing="model.hidden_size=0"),
        *commands(RUNNING, containing="--multirun"),
        *commands(RUNNING, containing="hparams_search="),
        *commands(RUNNING, containing="logger="),
        *commands(RUNNING, containing="model.dropout=0.2"),
        *commands(RUNNING, containing="trainer=ddp"),
        *three_commands(),
    ]
    assert sorted(tested) == sorted(commands(RUNNING))


def three_commands():
    return commands(RUNNING)[:3]


def test_the_three_commands_follow_one_another(run, place):
    assert [line.split(".py")[0] for line in three_commands()] == ["train", "evaluate", "optimize"]
    for line in three_commands():
        status, printed = run(line, SMALL)
        assert status == 0, printed
    (folder,) = (place / "runs" / "optimize").iterdir()
    for name in ("plan.parquet", "certificate.json", "report.html", "config.yaml", "run.json"):
        assert (folder / name).is_file()
    (trained,) = (place / "runs" / "train").iterdir()
    assert {"checkpoints", "metrics.csv", "metrics.json"} <= {path.name for path in trained.iterdir()}
    status, printed = run(three_commands()[0], SMALL)
    assert status == 0
    assert "Already trained" in printed


def test_the_rankers_commands_print_the_table_on_the_page(run):
    for line in commands(RANKER, containing="mir/simulated", without="evaluation.blend")[:2]:
        status, printed = run(line, SMALL)
        assert status == 0, printed
    header = re.findall(r"^ +auc .*$", RANKER, flags=re.MULTILINE)[0]
    assert header.split() in [line.split() for line in printed.splitlines()]
    for method in ("MIR", "SBR", "RAND"):
        assert re.search(rf"^{method}( +\d+\.\d+){{5}}$", printed, flags=re.MULTILINE)


def test_two_rankers_are_mixed_by_the_commands_of_the_page(run, place):
    pytest.importorskip("lightgbm")
    section = RANKER.split("## Two rankers as one")[1].split("\n## ")[0]
    first, trees, mixed = commands(section)
    assert run(first, SMALL)[0] == 0
    assert run(trees, f"{SMALL} model.max_trees=40")[0] == 0
    (folder,) = (place / "runs/train").glob("lambdamart-simulated-*")
    status, printed = run(mixed.replace("runs/train/lambdamart-simulated-…", str(folder)), SMALL)
    assert status == 0, printed
    for method in (r"MIR \+ trees", "MIR", "trees"):
        assert re.search(rf"^{method}( +\d+\.\d+){{5}}$", printed, flags=re.MULTILINE)


@pytest.mark.realdata
def test_the_rankers_commands_run_on_real_posts(run, public_data, monkeypatch):
    monkeypatch.setenv("MICROMEGA_DATA", str(public_data))
    for line in commands(RANKER, containing="mir/instagram_2017"):
        status, printed = run(line, SHORT)
        assert status == 0 or "Calibration found slope" in printed, printed  # one epoch may not be enough for that
    assert re.search(r"^MIR( +\d+\.\d+){5}$", printed, flags=re.MULTILINE)


def test_help_and_config_name_the_keys_of_the_page(run):
    (help_line,) = commands(RUNNING, containing="--help")
    _, listed = run(help_line)
    (config_line,) = commands(RUNNING, containing="--cfg")
    _, config = run(config_line)
    for row in re.findall(r"^\| (`[^|]*=.*?`) \| ", RUNNING, flags=re.MULTILINE):
        for key, choices in re.findall(r"`([\w.]+)=([\w\\|]*)`", row):
            assert re.search(rf"^{key.split('.')[0]}:", config, flags=re.MULTILINE) or f"  {key} " in listed
            for choice in filter(None, choices.split("\\|")):
                assert choice in listed


def test_a_wrong_value_gives_the_message_of_the_page(run):
    (line,) = commands(RUNNING, containing="model.hidden_size=0")
    message = RUNNING.split(f"$ python {line}\n")[1].split("\n")[0]
    status, printed = run(line)
    assert status == 2
    assert message in printed


@pytest.mark.parametrize("line", commands(RUNNING, containing="logger=") + commands(RUNNING, containing="dropout=0.2"))
def test_loggers_and_overrides(run, line, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    status, printed = run(line, TINY)
    assert status == 0, printed


def test_many_runs_each_have_their_folder(run, place):
    (line,) = commands(RUNNING, containing="--multirun")
    before = set((place / "runs" / "train").glob("mir-*")) if (place / "runs").is_dir() else set()
    status, printed = run(line, TINY + " model.l1=1e-6")
    assert status == 0, printed
    assert len(set((place / "runs" / "train").glob("mir-*")) - before) == 3


@pytest.mark.filterwarnings("ignore:Deprecated API features:DeprecationWarning")  # optuna 2.10 on sqlalchemy 1.4
def test_a_search_ends_with_its_best_values(run, place):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra `sweeps` is not installed")
    (line,) = commands(RUNNING, containing="hparams_search=")
    status, printed = run(line, TINY)
    assert status == 0, printed
    (results,) = (place / "runs" / "sweeps").glob("mir_optuna-*/optimization_results.yaml")
    assert "best_value" in results.read_text()


@pytest.mark.slow
def test_two_devices(tmp_path):
    (line,) = commands(RUNNING, containing="trainer=ddp")
    script, *arguments = shlex.split(line)
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / script), *arguments, *TINY.split()],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs" / "train").glob("mir-*/metrics.json"))) == 1


@pytest.fixture
def cluster(tmp_path):
    """Stand-ins for srun and scontrol that note their arguments; srun leaves with the status in the file `status`."""
    for name, ending in (("srun", 'exit "$(cat status)"'), ("scontrol", "exit 0")):
        stand_in = tmp_path / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(
            f'#!/bin/sh\nfor word in {name} "$@"; do printf "%s " "$word"; done >> calls\necho >> calls\n{ending}\n'
        )
        stand_in.chmod(0o755)

    def submit(line, status, **environment):
        (tmp_path / "status").write_text(str(status))
        (tmp_path / "calls").write_text("")
        script, *arguments = [word for word in shlex.split(line) if not word.startswith(("sbatch", "--"))]
        done = subprocess.run(
            ["bash", str(REPOSITORY / script), *arguments],
            env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(tmp_path), **environment},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, [call.split() for call in (tmp_path / "calls").read_text().splitlines()], done.stderr

    return submit


ONE, ARRAY, SWEEP = re.findall(r"^sbatch .*$", RUNNING, flags=re.MULTILINE)
TASK = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}


@pytest.mark.parametrize(
    ("line", "environment", "asked", "requeued"),
    [
        (ONE, {}, "train.py experiment=mir/simulated", "9"),
        (ARRAY, TASK, "train.py seed=3 experiment=mir/simulated", "7_3"),
        (SWEEP, {}, "train.py hparams_search=mir_optuna hydra.sweeper.n_trials=100", "9"),
    ],
)
def test_cluster_jobs_queue_themselves_again_after_the_warning_signal(cluster, line, environment, asked, requeued):
    for status in (0, 1, 138, 143):
        left_with, calls, errors = cluster(line, status, SLURM_JOB_ID="9", **environment)
        assert left_with == status
        assert not errors
        assert calls[0][0] == "srun"
        assert calls[0][-len(asked.split()) - 1 :] == ["python", *asked.split()]
        assert calls[1:] == ([["scontrol", "requeue", requeued]] if status == 138 else [])
