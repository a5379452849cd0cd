"""What `train.py` left in a run folder, for those who go on from it."""

import logging
from pathlib import Path
from typing import Any

import yaml

from micromega.config.validate import typed
from micromega.errors import CheckpointError, ConfigError
from micromega.market.market import Market
from micromega.runs import record
from micromega.runs.checkpoint import FOLDER, best, load_checkpoint

log = logging.getLogger(__name__)


def trained_checkpoint(folder: Path) -> Path:
    """Find the checkpoint that training ended with, where it is whole; else the best of those that are.

    Args:
        folder: run folder of train.py.

    Returns:
        The file.

    Raises:
        CheckpointError: there is none.
    """
    chosen = record.read_record(folder).get("best_checkpoint")
    if chosen and (folder / FOLDER / chosen).is_file():
        try:
            load_checkpoint(folder / FOLDER / chosen)
        except CheckpointError as error:
            log.warning("Passed over a damaged checkpoint: %s", error)
        else:
            return folder / FOLDER / str(chosen)
    return best(folder / FOLDER)


def check_finished(folder: Path, market: Market) -> None:
    """Warn of a training that has not ended, and refuse one on other tables or arrays than the market holds now.

    Args:
        folder: run folder of train.py.
        market: the market at hand.

    Raises:
        CheckpointError: the market has changed since.
    """
    facts = record.read_record(folder)
    if facts.get("status") != "done":
        log.warning(
            "%s has not finished training (%s); its best checkpoint so far is used.", folder, facts.get("status")
        )
    if facts.get("market_fingerprint") not in (None, market.fingerprint):
        msg = f"{folder} was trained on other tables than {market.path} holds now. Train again."
        raise CheckpointError(msg)
    record.check_arrays(facts, market, folder)


def trained_settings(folder: Path) -> tuple[Any, Any]:
    """Read with which settings a model was trained.

    Args:
        folder: run folder of train.py.

    Returns:
        Its `data` and its `model`, as objects of their config classes.

    Raises:
        ConfigError: the folder holds no settings, or those of another version.
    """
    path = folder / record.CONFIG
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}). Give the folder that train.py names at its end."
        raise ConfigError(msg) from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is damaged ({str(error).splitlines()[0]}). Train that model again.") from error
    found = [typed(group, (content or {}).get(group), {}) for group in ("data", "model")]
    if None in found:
        raise ConfigError(f"{path} has no data and model. Give a run folder of train.py.")
    return found[0], found[1]
