"""Checkpoints that are whole or absent, and the newest one that can be trusted."""

import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from micromega.errors import CheckpointError
from micromega.files import WriteError, write_atomically

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
BEST = "best"
KEY = "micromega_resume"  # under which `micromega.runs.resume` notes the moment
_STEP = re.compile(r"step-(\d+)")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint writer whose temporary file lies in the checkpoint's own folder.

    The stock writer makes its temporary file in the system's temporary folder and moves it: on another file system that
    is a copy, which a kill or a full disk leaves half done under the final name, over the previous good checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint under its final name in one step.

        Args:
            checkpoint: what Lightning wants saved.
            path: final path.
            storage_options: none are known; accepted for the interface.

        Raises:
            CheckpointError: the disk is full or the folder not writable; the previous checkpoint is untouched.
        """
        if storage_options is not None:
            msg = f"AtomicCheckpointIO knows no storage options, got {storage_options!r}."
            raise TypeError(msg)
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: torch.save(checkpoint, file))
        except OSError as error:
            words = error if isinstance(error, WriteError) else WriteError(path, error)
            msg = f"{words} Earlier checkpoints are whole: make room and start the same command again."
            raise CheckpointError(msg) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, never running code from it.

    Args:
        path: a file written by `AtomicCheckpointIO`.

    Returns:
        The checkpoint, tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, altered, or holds anything but tensors and plain values.
    """
    if not path.is_file():
        msg = f"{path}: no such checkpoint. Train first, or give ckpt_path=."
        raise CheckpointError(msg)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch reads without comparing checksums: a flipped bit would go unseen
        if damaged is not None:
            msg = f"{path}: damaged (checksum of {damaged} differs)."
            raise CheckpointError(msg)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        msg = f"{path}: cannot be read as a checkpoint ({reason})."
        raise CheckpointError(msg) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        msg = f"{path}: holds no model weights."
        raise CheckpointError(msg)
    return checkpoint


def is_resumable(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint was saved at a moment from which training continues exactly."""
    return isinstance(noted := checkpoint.get(KEY), dict) and noted.get("moment") is not None


def newest_valid(folder: Path) -> Path | None:
    """Find the checkpoint to resume from: the latest step whose file is whole.

    Args:
        folder: a run's checkpoint folder. Temporary files and `best-*` (kept for evaluation) are not considered.

    Returns:
        Its path, or None where there is none. Damaged ones are named in the log and passed over, and so are those saved
        at a moment from which training would not continue exactly.
    """
    for path in sorted(_to_resume_from(folder), key=_step, reverse=True):
        try:
            checkpoint = load_checkpoint(path)
        except CheckpointError as error:
            log.warning("Passed over a damaged checkpoint: %s Using the one before it.", error)
            continue
        if is_resumable(checkpoint):
            return path
        log.info("Passed over %s: saved while an epoch ended, from where training would not continue exactly.", path)
    return None


def remove_older(folder: Path, *, step: int, keep: int) -> None:
    """Remove all but the newest checkpoints to resume from.

    Args:
        folder: a run's checkpoint folder; `best-*` stay.
        step: the step that has just been saved. Files of later steps are leftovers of an earlier start that could not
            be resumed from, so they go too.
        keep: how many to keep.
    """
    ordered = sorted(_to_resume_from(folder), key=_step, reverse=True)
    kept = [path for path in ordered if _step(path)[0] <= step][:keep]
    for path in ordered:
        if path not in kept:
            path.unlink(missing_ok=True)


def _to_resume_from(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.ckpt") if not path.name.startswith((".", BEST))]


def best(folder: Path) -> Path:
    """Find the checkpoint to evaluate: the best by the monitored metric, else the latest.

    Args:
        folder: a run's checkpoint folder.

    Returns:
        Its path; damaged ones are named in the log and passed over.

    Raises:
        CheckpointError: there is no usable checkpoint.
    """
    for path in sorted(folder.glob(f"{BEST}*.ckpt"), key=_step, reverse=True):
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            log.warning("Passed over a damaged checkpoint: %s", error)
        else:
            return path
    if (latest := newest_valid(folder)) is not None:
        return latest
    msg = f"{folder}: no usable checkpoint. Run train.py with the same settings first, or give ckpt_path=."
    raise CheckpointError(msg)


def _step(path: Path) -> tuple[int, float]:
    match = _STEP.search(path.name)
    return (int(match[1]) if match else -1, path.stat().st_mtime)
