"""Loggers: W&B that never kills a run and continues after a resume; TensorBoard; CSV is always written."""

import logging
import netrc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pytorch_lightning.loggers import Logger

from micromega.config.redact import redact
from micromega.config.validate import instantiate
from micromega.errors import ConfigError
from micromega.runs.record import read_record, update_record

log = logging.getLogger(__name__)
_WANDB = "pytorch_lightning.loggers.WandbLogger"


def wandb_settings(node: Mapping[str, Any], run_folder: Path) -> dict[str, Any]:
    """Complete a W&B logger's settings: where it writes, which run it continues, and offline where there is no key.

    The run's id is stored in `run.json` before anything is fitted: a run killed at any moment continues under it.

    Args:
        node: the logger's configuration.
        run_folder: the run folder.

    Returns:
        Keyword arguments for the logger.
    """
    record = read_record(run_folder)
    run_id = record.get("wandb_id") or uuid4().hex[:8]
    update_record(run_folder, wandb_id=run_id)
    settings: dict[str, Any] = redact({key: value for key, value in node.items() if value is not None})
    settings |= {"id": run_id, "resume": "allow", "save_dir": str(run_folder)}
    settings.setdefault("name", run_folder.name)
    wants_online = not settings.get("offline") and os.environ.get("WANDB_MODE", "online") == "online"
    if wants_online and not _has_wandb_key():
        log.warning(
            "W&B: no API key (WANDB_API_KEY or `wandb login`), so this run is logged offline in %s/wandb; "
            "`wandb sync` uploads it.",
            run_folder,
        )
        settings["offline"] = True
    return settings


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@contextmanager
def loggers(
    nodes: Mapping[str, Mapping[str, Any]], run_folder: Path, config: Mapping[str, Any]
) -> Iterator[list[Logger]]:
    """Build the configured loggers and close them well.

    Args:
        nodes: name -> configuration with `_target_`.
        run_folder: the run folder.
        config: the resolved configuration; secrets are redacted before it is logged.

    Yields:
        The loggers; on leaving, W&B is finished with exit code 1 if an error is on its way, so that its run does not
        run into the next one of a sweep.
    """
    made = []
    for node in nodes.values():
        is_wandb = node["_target_"] == _WANDB
        settings = wandb_settings(node, run_folder) if is_wandb else {"save_dir": str(run_folder), **node}
        made.append(instantiate(settings))
    with _redacted_command_line():
        for logger in made:
            try:
                logger.log_hyperparams(redact(dict(config)))  # W&B begins its run here
            except TypeError as error:
                msg = f"logger: {type(logger).__name__} refuses its settings: {error}"
                raise ConfigError(msg) from error
    uses_wandb = any(node["_target_"] == _WANDB for node in nodes.values())
    try:
        yield made
    except BaseException:
        _finish(uses_wandb, exit_code=1)
        raise
    _finish(uses_wandb, exit_code=0)


@contextmanager
def _redacted_command_line() -> Iterator[None]:
    """Hide secrets from W&B, which records the command line."""
    before = sys.argv
    sys.argv = [before[0], *redact(before[1:])]
    try:
        yield
    finally:
        sys.argv = before


def _finish(uses_wandb: bool, exit_code: int) -> None:
    if uses_wandb:
        import wandb  # noqa: PLC0415  (a second to import, and only these runs need it)

        wandb.finish(exit_code=exit_code)
