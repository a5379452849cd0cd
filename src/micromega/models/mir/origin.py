"""What a checkpoint has seen, so that nothing it was trained on is taken for held out."""

import logging
from collections.abc import Mapping
from typing import Any

from micromega.errors import CheckpointError
from micromega.models.mir.data import MIRData
from micromega.models.origin import ORIGIN, check_arrays

log = logging.getLogger(__name__)


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


def check_origin(checkpoint: Mapping[str, Any], data: MIRData, held_out: set[str], where: str = "ckpt_path") -> None:
    """Refuse weights of another shape, and weights that have been trained on brands which are to be held out.

    Args:
        checkpoint: of a trained ranker.
        data: a set-up datamodule with the settings of its training.
        held_out: ids of brands that nothing may have been trained on.
        where: setting that named the checkpoint.

    Raises:
        CheckpointError: the checkpoint does not fit.
    """
    dimensions = dict(checkpoint["hyper_parameters"]["dimensions"])
    if dimensions != data.spec.dimensions:
        msg = (
            f"{where}: the checkpoint was trained on features of sizes {dimensions}, these data have "
            f"{data.spec.dimensions}. Use the data settings of its training (config.yaml in its run folder)."
        )
        raise CheckpointError(msg)
    origin = checkpoint.get(ORIGIN, {})
    if origin.get("market_fingerprint") != data.market.fingerprint:
        log.warning("%s: trained on another market; its brands are taken for others than these.", where)
        return
    check_arrays(origin, {"market_fingerprint": data.market.fingerprint, "arrays": data.arrays})
    seen = sorted(set(origin["train_brands"]) & held_out)
    if seen:
        msg = (
            f"{where}: {len(seen)} of {len(held_out)} held-out brands were in this checkpoint's training "
            f"({', '.join(seen[:3])}, …), so metrics would be too good. Use the seed and data settings of its training."
        )
        raise CheckpointError(msg)
