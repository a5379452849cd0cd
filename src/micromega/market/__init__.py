"""What the world is: validated, fingerprinted tables of accounts, posts, campaigns, orders, follows and more."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.market.market import Market
    from micromega.market.open import open_market
    from micromega.market.simulated import simulate
    from micromega.market.write import MarketWriter, write_market

__all__ = ["Market", "MarketWriter", "open_market", "simulate", "write_market"]

_HOME = {
    "Market": "market",
    "MarketWriter": "write",
    "write_market": "write",
    "open_market": "open",
    "simulate": "simulated",
}


def __getattr__(name: str) -> Any:
    # Lazy, because reading a config class must not import pyarrow.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
