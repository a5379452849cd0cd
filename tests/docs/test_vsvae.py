"""docs/vsvae.md: its commands leave the files it lists, its example runs, and its settings exist."""

import re

import pytest

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
def test_the_page_holds(page, run_commands, tmp_path, capsys):
    assert run_commands(page, SMALL) == ["train", "evaluate"]
    (folder,) = (tmp_path / "runs" / "evaluate").iterdir()
    named = set(re.findall(r"^\| `(\S*)` \| ", page, flags=re.MULTILINE))
    files = {name for name in named if name.endswith((".parquet", ".json", ".html"))}
    assert len(files) == 4
    assert files <= {path.name for path in folder.iterdir()}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "vsvae.md", "exec"), {})
    assert capsys.readouterr().out.startswith("8 ['audio', 'caption'")


def test_the_settings_exist(page):
    for group, config in (("model", VSVAEModelConfig), ("data", VSVAEDataConfig)):
        for name in re.findall(rf"`{group}\.(\w+)", page):
            assert name in config.__dataclass_fields__, name
