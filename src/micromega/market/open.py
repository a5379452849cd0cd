"""From a config choice to a market: built once, then read from the cache."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from micromega.errors import ConfigError, DataError
from micromega.files import sha256_of
from micromega.market.market import Market

log = logging.getLogger(__name__)
Builder = Callable[[Any, Path], Market]


def open_market(config: Any, cache: Path | str) -> Market:
    """Give the market that a config object of the group `market` describes.

    Args:
        config: an instance of a class of `micromega.market.config`; its target is `build(config, cache) -> Market`.
        cache: folder for markets that have to be built.

    Returns:
        The validated market.

    Raises:
        ConfigError: the object is no market config.
        DataError: the source or the market breaks its schema.
    """
    target = getattr(config, "config_target", None)
    if not isinstance(target, str) or not str(getattr(config, "config_group", "")).startswith("market/"):
        raise ConfigError(f"market: expected a choice of the group market, got {type(config).__name__}.")
    module, name = target.split(":")
    return cast(Builder, getattr(import_module(module), name))(config, Path(cache))


def cached(config: Any, cache: Path, sources: Iterable[Path], build: Callable[[Path], Market]) -> Market:
    """Build a market once and read it from then on.

    The folder's name holds a hash of the config, of the source files' content and of this package's own code, so that
    none of them can change unnoticed. Two processes may do this at the same moment: both build, the first to finish is
    kept.

    Args:
        config: config object.
        cache: folder of all built markets.
        sources: files that the market is made from.
        build: writes the market into the folder that it is given.

    Returns:
        The validated market.
    """
    name = str(config.config_group).rsplit("/", 1)[1]
    folder = cache / f"{name}-{_key(config, sources)}"
    if not folder.exists():
        log.info("building market %s in %s", name, folder)
        try:
            return build(folder)
        except DataError:
            if not folder.exists():  # a defect of the sources, not a race with another process
                raise
    try:
        return Market.load(folder)
    except DataError as error:
        raise DataError(f"{error}\nThis folder is a cache: delete {folder} and run again, it is built anew.") from error


def _key(config: Any, sources: Iterable[Path]) -> str:
    package = Path(__file__).parent
    parts = {
        "config": dataclasses.asdict(config),
        "sources": [sha256_of(path) for path in sources],
        "code": [sha256_of(path) for path in sorted(package.rglob("*.py"))],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
