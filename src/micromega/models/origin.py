"""What a checkpoint has seen, whatever the model."""

from collections.abc import Mapping
from typing import Any

from micromega.errors import CheckpointError

ORIGIN = "micromega_origin"
"""Where it stands in a checkpoint."""


def check_arrays(origin: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Notice feature arrays that were made again with other values, which the market's fingerprint does not cover.

    Args:
        origin: what the checkpoint has seen.
        now: the same of the data at hand.

    Raises:
        CheckpointError: the market is the same, and an array is not.
    """
    if origin.get("market_fingerprint") != now["market_fingerprint"]:
        return
    other = sorted(name for name, value in origin.get("arrays", {}).items() if now["arrays"].get(name) != value)
    if other:
        msg = (
            f"ckpt_path: the checkpoint was trained on other values of the features {', '.join(other)} than the market "
            "holds now. Train again, or put the old arrays back."
        )
        raise CheckpointError(msg)
