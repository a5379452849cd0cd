"""What a VS-VAE's checkpoint has seen, so that no post it was trained on is taken for held out."""

from collections.abc import Mapping
from typing import Any

from micromega.errors import CheckpointError
from micromega.models.origin import check_arrays


def check_origin(origin: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Notice other columns; of the same market, other values of its features, and posts held out that were not.

    Args:
        origin: what the checkpoint has seen.
        now: the same of the data at hand, `PostData.origin`.

    Raises:
        CheckpointError: names what differs, and the remedy.
    """
    if origin.get("columns", now["columns"]) != now["columns"]:
        then = ",".join(origin["columns"])
        raise CheckpointError(f"ckpt_path: the checkpoint was trained on other columns. Give data.columns=[{then}].")
    check_arrays(origin, now)
    if origin.get("market_fingerprint") != now["market_fingerprint"]:
        return
    other = {name: value for name, value in origin.get("split", {}).items() if now["split"][name] != value}
    if other:
        settings = " ".join(f"data.{name}={value}" for name, value in other.items())
        msg = (
            "ckpt_path: posts that are held out here were trained on, since the checkpoint split this market otherwise."
            f" Give {settings}."
        )
        raise CheckpointError(msg)
