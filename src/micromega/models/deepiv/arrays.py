"""From arrays to a trained module and back to arrays, for Deep IV and the estimators that it is compared with.

Shapes: N rows, G treatments of a grid, E members.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike, NDArray
from pytorch_lightning.callbacks import EarlyStopping

from micromega.errors import DataError
from micromega.models.deepiv.causal import Response
from micromega.models.deepiv.elasticity import Quantity, blocks
from micromega.models.deepiv.inputs import check_points
from micromega.models.deepiv.training import Best

Reals = NDArray[np.float32]
HELD_OUT_ROWS = 512
"""Of a member, in a batch of held-out rows."""


def train(module: pl.LightningModule, epochs: int, rows: Any, held_out: Any, *, patience: int | None = None) -> None:
    """Train without files and announcements.

    Args:
        module: is moved to the CPU afterwards.
        epochs: at most.
        rows: loader.
        held_out: loader, or several.
        patience: stop when `val/best` has stood still for so many epochs; None: never.

    Raises:
        DataError: a member never had a finite held-out loss; what it would say is what it was drawn as.
    """
    stop = [] if patience is None else [EarlyStopping("val/best", patience=patience)]
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            callbacks=[*stop],
            accelerator="auto",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        trainer.fit(module, rows, held_out)
    module.cpu().eval()
    best = getattr(module, "best", None)
    if isinstance(best, Best) and not torch.isfinite(best.loss).all():
        raise DataError(
            "A network's held-out loss was never a finite number, so nothing was learnt. Lower the learning rate, or "
            "look for values of t, z, x or y that are far from all others."
        )


def answers(
    module: Response,
    quantity: Quantity,
    t: ArrayLike,
    x: ArrayLike,
    *,
    grid: bool,
    members: bool,
    average: bool = False,
) -> Reals:
    """Ask a trained module; see `DeepIV.predict`.

    Args:
        module: `OutcomeModule` or another model of the response.
        quantity: the response or its derivative.
        t: (N,), with grid (G,).
        x: (N, X).
        grid: all treatments for every row.
        members: give all members instead of their mean.
        average: over rows; with grid.

    Returns:
        (N,); with grid (N, G), averaged (G,); with members (E, …).

    Raises:
        DataError: a shape is wrong or a value not finite.
    """
    x_NX = check_points(x, module.sizes["x"], "x")
    t_NM = check_points(t, 1, "t", rows=None if grid else len(x_NX))
    t_NM = t_NM.T if grid else t_NM
    shape = (len(x_NX), t_NM.shape[1])
    out = torch.zeros(*((module.members,) if members else ()), *(shape[1:] if average else shape))
    for part, value in blocks(module, quantity, t_NM, x_NX):
        kept = value if members else value.mean(dim=0)
        if average:
            out += kept.sum(dim=-2) / shape[0]
        else:
            out[..., part, :] = kept
    result: Reals = (out if grid else out[..., 0]).numpy()
    return result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's announcements and hints, which are about long runs, out of a fit of seconds."""
    heard = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    before = heard.level
    heard.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        heard.setLevel(before)
