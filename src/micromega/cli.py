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


train = _command("train")
evaluate = _command("evaluate")
optimize = _command("optimize")
