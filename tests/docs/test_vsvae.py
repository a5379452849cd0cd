"""docs/vsvae.md: its commands leave the files it lists, its example runs, and its settings exist."""

import logging
import re
import shlex
import sys

import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli
from micromega.models.vsvae.config import VSVAEDataConfig, VSVAEModelConfig

SMALL = (
    "market.brands=8 market.creators=60 market.posts=5 data.batch_size=64 data.min_count=2 trainer.max_epochs=1 "
    "model.latent_size=4 model.frames_hidden=8 evaluation.importance_samples=2 evaluation.popularity_epochs=1"
)


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "vsvae.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
def test_the_page_holds(page, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    commands = re.findall(r"^python (.*)$", page, flags=re.MULTILINE)
    assert [command.split(".py")[0] for command in commands] == ["train", "evaluate"]
    for command in commands:
        script, *arguments = shlex.split(command)
        monkeypatch.setattr(sys, "argv", [str(repository / script), *arguments, *SMALL.split()])
        HydraConfig.instance().cfg = None  # as in a new process
        getattr(cli, script.removesuffix(".py"))()
        for handler in [handler for handler in root.handlers if handler not in before[0]]:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:], root.level = before
    (folder,) = (tmp_path / "runs" / "evaluate").iterdir()
    named = set(re.findall(r"^\| `(\S*)` \| ", page, flags=re.MULTILINE))
    files = {name for name in named if name.endswith((".parquet", ".json", ".html"))}
    assert len(files) == 4
    assert files <= {path.name for path in folder.iterdir()}
    capsys.readouterr()
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "vsvae.md", "exec"), {})
    assert capsys.readouterr().out.startswith("8 ['audio', 'caption'")


def test_the_settings_exist(page):
    for group, config in (("model", VSVAEModelConfig), ("data", VSVAEDataConfig)):
        for name in re.findall(rf"`{group}\.(\w+)", page):
            assert name in config.__dataclass_fields__, name
