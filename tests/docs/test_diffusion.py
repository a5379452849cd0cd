"""docs/diffusion.md: its commands leave the files it lists, its settings exist, its example runs."""

import doctest
import re

import pyarrow.parquet as pq
import pytest

from micromega.models.diffusion.config import (
    DiffusionDataConfig,
    DiffusionEvaluationConfig,
    DiffusionModelConfig,
    NetworkConfig,
)

SMALL = "market.brands=6 market.creators=120 market.posts=5 model.network.epochs=1"


@pytest.fixture(scope="module")
def path(repository):
    return repository / "docs" / "diffusion.md"


@pytest.fixture(scope="module")
def page(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
def test_the_commands_leave_the_files(page, run_commands, tmp_path):
    assert run_commands(page, SMALL) == ["train", "evaluate", "optimize"]
    (plan,) = (tmp_path / "runs" / "optimize").glob("*/plan.parquet")
    assert pq.read_table(plan)["volume"].to_pylist() == [10.0, 30.0]
    assert "learned from exposures" in (plan.parent / "report.html").read_text(encoding="utf-8")
    left = {path.name for path in (tmp_path / "runs" / "evaluate").glob("*/*")}
    named = set(re.findall(r"^\| `(\w+\.(?:parquet|json|html))`", page, flags=re.MULTILINE))
    assert len(named) == 4
    assert named <= left


def test_the_settings_exist(page):
    groups = {
        "data": DiffusionDataConfig,
        "model": DiffusionModelConfig,
        "model.network": NetworkConfig,
        "evaluation": DiffusionEvaluationConfig,
    }
    found = 0
    for group, config in groups.items():
        for name in re.findall(rf"`{re.escape(group)}\.(?!json|network\.)(\w+)", page):
            assert name in config.__dataclass_fields__, name
            found += 1
    assert found > 8


def test_the_kinds_are_all_there(page):
    kinds = set(re.findall(r"^\| `(\w+)` \|", page.split("## The models")[1].split("\n## ")[0], flags=re.MULTILINE))
    assert kinds == set(DiffusionEvaluationConfig().compare)


def test_the_example_runs(path):
    result = doctest.testfile(str(path), module_relative=False)
    assert result.failed == 0
    assert result.attempted >= 5
