"""A market that lies in a folder already."""

from pathlib import Path

from micromega.errors import ConfigError
from micromega.market.config import Folder
from micromega.market.market import Market


def build(config: Folder, cache: Path) -> Market:
    """Load the folder where it lies.

    Args:
        config: names the folder.
        cache: unused; nothing is built.

    Returns:
        The validated market.
    """
    del cache
    if not config.path:
        raise ConfigError("market.path: the folder of the market is not given. Add market.path=FOLDER.")
    return Market.load(config.path, on_bad_rows=config.on_bad_rows)
