"""Two more fits for the instrument's diagnostics: stage 1 without the instrument, and stage 2 with it as the outcome.

N posts, G log followers.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.models.deepiv.arrays import HELD_OUT_ROWS, answers, train
from micromega.models.deepiv.batches import Rows, held_out_batches, spec_of
from micromega.models.deepiv.config import DeepIVModelConfig
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.integration import integrate
from micromega.models.deepiv.module import OutcomeModule, TreatmentModule
from micromega.models.deepiv.strength import LikelihoodGain, likelihood_gain
from micromega.models.loader import EpochBatches, ResumableLoader


def instrument_gain(first: TreatmentModule, data: DeepIVData, *, seed: int = 0) -> LikelihoodGain:
    """Train the first member of stage 1 once more with a constant in the instrument's place, and compare.

    Both networks have the same settings, learn from the same posts and hold out the same creators, and of each the
    epoch counts that those creators' posts like best. So what is left between them is the instrument. It costs as much
    as training one member of stage 1.

    Args:
        first: trained stage 1.
        data: of its training.
        seed: of first weights and the order of the posts.

    Returns:
        The gain on the posts that the member held out.

    Raises:
        DataError: the member held out a single creator, so no error can be given; or nothing was learnt.
    """
    members = data.members(first.config)
    owner = data.inputs.author[members.held_out[0] > 0]
    if len(np.unique(owner)) < 2:  # asked before the fit
        raise DataError("instrument gain: stage 1 has held out one creator, and a standard error needs two.")
    seen, held_out = (torch.from_numpy(of[:1]) for of in (members.weights, members.held_out))
    values = data.values | {"z": torch.zeros_like(data.values["z"])}
    without = _trained(first, values, seen, held_out, seed)
    rows = torch.nonzero(held_out[0])[:, 0]
    with_instrument, without_instrument = (
        _loss(module, {name: of[rows] for name, of in given.items()})
        for module, given in ((first, data.values), (without, values))
    )
    return likelihood_gain(with_instrument.double().numpy(), without_instrument.double().numpy(), owner)


def _trained(
    first: TreatmentModule, values: dict[str, torch.Tensor], seen: torch.Tensor, held_out: torch.Tensor, seed: int
) -> TreatmentModule:
    config = _one(first.config)
    stage, rows = config.treatment, Rows(values, seen)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = TreatmentModule(config, spec_of(values, torch.ones(len(values["t"]))))
        order = EpochBatches(len(rows), stage.batch_size, seed)
        judged = held_out_batches(values, held_out, HELD_OUT_ROWS)
        train(module, stage.epochs, ResumableLoader(rows, order), judged, patience=stage.patience)
    return module


@torch.no_grad()
def _loss(module: TreatmentModule, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """Negative log likelihood of each row under the first member, nats, in standardised units."""
    found = []
    for begin in range(0, len(values["t"]), HELD_OUT_ROWS):
        part = slice(begin, begin + HELD_OUT_ROWS)
        mixture = module.mixture(values["z"][part][None], values["x"][part][None])
        found.append(-mixture.log_density(module.scale.standard("t", values["t"][part])[None])[0])
    return torch.cat(found)


def instrument_shift(
    first: TreatmentModule,
    config: DeepIVModelConfig,
    data: DeepIVData,
    rows: NDArray[np.int64],
    grid: NDArray[np.float64],
    *,
    seed: int = 0,
) -> NDArray[np.float64]:
    """What a direct effect of the instrument adds to the average elasticity (`direct_effect`).

    An instrumental estimator is, apart from how it smooths, linear in the outcome: for y − δ·z it gives the response to
    y less δ times the response to z. So one network of stage 2 is trained on stage 1 as it is, with the standardised
    instrument as the outcome, and its elasticity is averaged. It costs as much as training one member of stage 2.

    Args:
        first: trained stage 1.
        config: of the stage 2 that stands on it; another may have been asked for when stage 1 was trained.
        data: of its training.
        rows: posts to average over, (N,).
        grid: log followers, (G,).
        seed: of first weights and the order of the posts.

    Returns:
        (G,) change of the elasticity for a direct effect of 1 per standard deviation of the instrument.

    Raises:
        DataError: nothing was learnt.
    """
    members, config = data.members(first.config), _one(config)
    z = data.values["z"][:, 0]
    values = data.values | {"y": (z - z.mean()) / z.std()}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        given = integrate(
            first,
            values,
            config.outcome,
            weights=torch.from_numpy(members.weights[:1]),
            held_out=torch.from_numpy(members.held_out[:1]),
            mixed=torch.from_numpy(members.mixed[:1]),
            draw=torch.zeros(1, dtype=torch.int64),
            batch_size=HELD_OUT_ROWS,
        )
        spec = dataclasses.replace(spec_of(values, torch.ones(len(z))), treatment=first.fingerprint)
        module, stage = OutcomeModule(config, spec), config.outcome
        order = EpochBatches(len(given.rows), stage.batch_size, seed)
        train(module, stage.epochs, ResumableLoader(given.rows, order), given.held_out, patience=stage.patience)
    x = data.values["x"][rows]
    return answers(module, "elasticity", grid, x, grid=True, members=False, average=True).astype(np.float64)


def _one(config: DeepIVModelConfig) -> DeepIVModelConfig:
    """Settings of a single network."""
    return dataclasses.replace(config, bootstrap=0, folds=1, starts=1)
