"""The three commands. Nothing heavy is imported before Hydra has read the command line, so that `--help` is quick."""

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from micromega.config import schema, signature
from micromega.config.help import help_text
from micromega.config.overrides import check_overrides
from micromega.errors import MicromegaError
from micromega.runs.signals import InterruptedBySignalError

log = logging.getLogger("micromega")

_PACKAGED = Path(__file__).parent / "conf"
CONF = str(_PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "conf")
_failures: list[int] = []
schema.register()
signature.register_resolvers()


def _run(config: DictConfig, task: str) -> Any:
    from micromega.config.validate import validate  # noqa: PLC0415  (torch is behind it)
    from micromega.runs.record import note_failure  # noqa: PLC0415

    choices = dict(HydraConfig.get().runtime.choices)
    try:
        request = validate(config, choices)
        return import_module(f"micromega.runs.{task}").run(request, config, Path(HydraConfig.get().runtime.output_dir))
    except MicromegaError as error:
        stopped = isinstance(error, InterruptedBySignalError)  # ends the whole sweep, not this run alone
        log.error("%s", error)  # the message is for the user; a traceback would hide it
        note_failure(Path(HydraConfig.get().runtime.output_dir), error, "interrupted" if stopped else "failed")
        if HydraConfig.get().mode == RunMode.MULTIRUN and not stopped:
            _failures.append(error.exit_status)
            return float("nan")  # the sweep goes on; the command ends with the worst status
        sys.exit(error.exit_status)


def _command(task: str) -> Callable[[], Any]:
    def main(config: DictConfig) -> Any:
        return _run(config, task)

    def command() -> Any:
        if {"--help", "-h"} & set(sys.argv[1:]):
            sys.stdout.write(help_text(task, Path(CONF)) + "\n")
            return None
        check_overrides(sys.argv[1:])
        result = hydra.main(version_base="1.3", config_path=CONF, config_name=task)(main)()
        if _failures:
            log.error("%d of the runs failed; each says why above.", len(_failures))
            sys.exit(max(_failures))
        return result

    command.__doc__ = f"Run the `{task}` command."
    return command


_EXTRACT_HELP = """python -m micromega.features: a market's texts and media in, feature arrays in its folder out.

usage: python -m micromega.features market=folder market.path=FOLDER [features=CHOICE] [key.path=value …] [--cfg job]

features is one of: {choices}

examples:
  python -m micromega.features market=folder market.path=mine features=text
  python -m micromega.features market=folder market.path=mine workers=8 media=videos
  python -m micromega.features market=folder market.path=mine features.audio=null features.image.interval_s=2
  python -m micromega.features --cfg job         show every key with its value, and stop

Results are cached by the content of the media files: stopped and started again, the command resumes.
"""


def extract() -> None:
    """Run the `extract` command (`python -m micromega.features`)."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        choices = ", ".join(sorted(path.stem for path in (Path(CONF) / "features").glob("*.yaml")))
        sys.stdout.write(_EXTRACT_HELP.format(choices=choices))
        return
    from micromega.features.request import Features  # noqa: PLC0415  (numpy and scipy are behind it)

    schema.register(Features)
    check_overrides(sys.argv[1:], Features)
    hydra.main(version_base="1.3", config_path=CONF, config_name="extract")(_extract)()


def _extract(config: DictConfig) -> None:
    from micromega.features import command  # noqa: PLC0415  (pyarrow is behind it)
    from micromega.market.arrays import FOLDER  # noqa: PLC0415
    from micromega.market.open import open_market  # noqa: PLC0415
    from micromega.runs.lock import locked  # noqa: PLC0415

    try:
        request = command.validate(config, dict(HydraConfig.get().runtime.choices))
        market = open_market(request.market, Path(request.paths.markets))
        with locked(market.path / FOLDER / ".lock"):
            command.run(request, market)
    except KeyboardInterrupt:
        log.error("Stopped. What is done is kept: the same command resumes.")
        sys.exit(130)
    except MicromegaError as error:
        log.error("%s", error)
        sys.exit(error.exit_status)


train = _command("train")
evaluate = _command("evaluate")
optimize = _command("optimize")
