"""docs/deepiv.md: its commands leave the files it lists, its example runs, and its settings exist."""

import doctest
import re

import pytest

from micromega.models.deepiv.config import DeepIVDataConfig, DeepIVEvaluationConfig, DeepIVModelConfig, OutcomeConfig
from micromega.solvers.sizing.config import SizingConfig

SMALL = (
    "market.brands=8 market.creators=80 model.treatment.epochs=2 model.outcome.epochs=2 evaluation.grid=9 "
    "evaluation.replicates=9 model.treatment.hidden=[8] model.outcome.hidden=[8]"
)


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "deepiv.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
def test_the_page_holds(page, run_commands, tmp_path, capsys):
    assert run_commands(page, SMALL) == ["train", "evaluate", "optimize"]
    left = {path.name for task in ("evaluate", "optimize") for path in (tmp_path / "runs" / task).glob("*/*")}
    named = set(re.findall(r"`(\w+\.(?:parquet|json|html))`", page.split("## What it leaves")[1].split("## ")[0]))
    assert len(named) == 6
    assert named <= left
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        if ">>>" in block:
            example = doctest.DocTestParser().get_doctest(block, {}, "deepiv.md", None, None)
            assert doctest.DocTestRunner().run(example).failed == 0
        else:
            exec(compile(block, "deepiv.md", "exec"), {})
    assert capsys.readouterr().out == "(1,)\n"


def test_the_settings_exist(page):
    groups = {
        "data": DeepIVDataConfig,
        "model": DeepIVModelConfig,
        "evaluation": DeepIVEvaluationConfig,
        "problem": SizingConfig,
    }
    for group, config in groups.items():
        for name in re.findall(rf"`{group}\.(?!json)(\w+)", page):
            assert name in config.__dataclass_fields__, name
    for name in re.findall(r"`model\.outcome\.(\w+)", page):
        assert name in OutcomeConfig.__dataclass_fields__, name
