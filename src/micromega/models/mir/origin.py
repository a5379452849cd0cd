"""What a checkpoint has seen, so that nothing it was trained on is taken for held out."""

from collections.abc import Mapping
from typing import Any

from micromega.errors import CheckpointError
from micromega.models.mir.data import MIRData


def origin_of(data: MIRData) -> dict[str, Any]:
    """Describe the data of a training.

    Args:
        data: a set-up datamodule.

    Returns:
        Fingerprints of the market and of its feature arrays, the settings that features are made with, and the ids of
        the training brands.
    """
    assert data.accounts is not None
    return {
        "market_fingerprint": data.market.fingerprint,
        "arrays": data.arrays,
        "features": data.feature_settings,
        "train_brands": data.accounts.brand_ids[data.splits["train"]].tolist(),
    }


def check_features(origin: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Notice features of the same sizes that are made otherwise than in training; on any market.

    Args:
        origin: what the checkpoint has seen; those of earlier versions do not say how.
        now: the same of the data at hand.

    Raises:
        CheckpointError: a setting differs; it names all that do.
    """
    here = now["features"]
    other = [
        f"data.{name}={value} ({here.get(name)} here)"
        for name, value in origin.get("features", {}).items()
        if here.get(name) != value
    ]
    if other:
        msg = (
            f"ckpt_path: the checkpoint was trained on features made with {', '.join(other)}. Use the data settings of "
            "its training (config.yaml in its run folder), or train anew with these."
        )
        raise CheckpointError(msg)
