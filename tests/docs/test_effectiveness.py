"""docs/effectiveness.md: its commands leave the files it lists, and its settings exist."""

import re

import pytest

from micromega.models.effectiveness.config import (
    EffectivenessDataConfig,
    EffectivenessEvaluationConfig,
    EffectivenessModelConfig,
)

SMALL = (
    "market.brands=12 market.creators=120 model.folds=2 model.network.epochs=1 model.trees.most=20 "
    "model.trees.quantile_trees=20 evaluation.explained=9 evaluation.references=3"
)


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "effectiveness.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
def test_the_commands_leave_the_files(page, run_commands, tmp_path):
    assert run_commands(page, SMALL) == ["train", "evaluate"]
    left = {path.name for path in (tmp_path / "runs" / "evaluate").glob("*/*")}
    named = set(re.findall(r"^\| `(\w+\.(?:parquet|json|html))`", page, flags=re.MULTILINE))
    assert len(named) == 4
    assert named <= left


def test_the_settings_exist(page):
    groups = {
        "data": EffectivenessDataConfig,
        "model": EffectivenessModelConfig,
        "evaluation": EffectivenessEvaluationConfig,
    }
    found = 0
    for group, config in groups.items():
        for name in re.findall(rf"`{group}\.(?!json)(\w+)", page):
            assert name in config.__dataclass_fields__, name
            found += 1
    assert found > 8
