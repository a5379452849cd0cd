"""Composes and validates every experiment for each command, and every other choice in conf/ once.

`make check-conf` runs it; nothing is trained and no data are read.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from micromega.config import schema, signature
from micromega.config.validate import validate
from micromega.errors import MicromegaError
from micromega.features import command
from micromega.features.request import Features

CONF = Path(__file__).parents[1] / "conf"
NEEDED = {"market=folder": ["market.path=anywhere"]}  # what a choice cannot do without


def requests() -> Iterator[tuple[str, list[str]]]:
    """Yield (command, overrides) of everything that must compose."""
    for path in sorted(CONF.glob("*/**/*.yaml")):
        group, choice = path.relative_to(CONF).with_suffix("").parts[0], path.relative_to(CONF).with_suffix("")
        override = f"{group}={choice.relative_to(group).as_posix()}"
        if group == "features":
            yield "extract", [override, *NEEDED["market=folder"]]
        elif group != "hydra":
            for task in ("train", "evaluate", "optimize") if group == "experiment" else ("train",):
                yield task, [override, *NEEDED.get(override, [])]


def check(task: str, overrides: list[str]) -> None:
    """Compose as Hydra does for a run, and validate as the command does."""
    config = compose(task, overrides=overrides, return_hydra_config=True)
    with read_write(config), open_dict(config):
        config.hydra.runtime.output_dir = str(CONF.parent / "runs")
        HydraConfig.instance().set_config(config)
        del config["hydra"]
    (command.validate if task == "extract" else validate)(config)


def main() -> int:
    schema.register(Features)
    signature.register_resolvers()
    tried = failed = 0
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for task, overrides in requests():
            tried += 1
            try:
                check(task, overrides)
            except (MicromegaError, HydraException, OmegaConfBaseException) as error:
                failed += 1
                print(f"{task}.py {' '.join(overrides)}: {type(error).__name__}: {error}")
    print(f"{tried} configurations composed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
