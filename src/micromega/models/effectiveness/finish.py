"""What is fitted after the last epoch: centred parts, frames, trees, quantiles, conformity scores, units.

Shapes: N rows, E networks, D length of an embedding.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.models.effectiveness.conformal import NARROWEST, half_width
from micromega.models.effectiveness.frames import fit_frame
from micromega.models.effectiveness.network import PartNetwork
from micromega.models.effectiveness.trees import HIGH, LOW, Table, grow, predict, read_trees

if TYPE_CHECKING:
    from micromega.models.effectiveness.module import EffectivenessModule


def finish(module: "EffectivenessModule") -> None:
    """Fit all that stands on the trained networks.

    Args:
        module: with its datamodule; training rows fit, tuning rows stop, calibration rows set widths and units.
    """
    data = module.data
    assert data is not None
    rows, fitted = data.split.rows, module.fitted
    if module.network is not None:
        _centre(module)
    fold = None
    if module.config.kind == "hybrid":
        fold = data.folds(module.config.folds, module.config.seed)[rows["train"]]
        _align(module)
    training = module.tree_columns(data.features.take(rows["train"]), fold)
    tuning = module.tree_columns(data.features.take(rows["tune"]))
    tables = [
        Table(columns=columns, target=data.log_outcome[rows[name]], categorical=_categorical(module))
        for name, columns in (("train", training), ("tune", tuning))
    ]
    config, seed = module.config.trees, module.config.seed
    if module.config.kind in ("hybrid", "trees"):
        fitted.keep("mean", grow(config, *tables, seed=seed))
    for name, quantile in (("low", LOW), ("high", HIGH)):
        fitted.keep(name, grow(config, *tables, seed=seed, quantile=quantile))
    low, high = (predict(read_trees(fitted.get_buffer(name)), tuning, config.threads) for name in ("low", "high"))
    least = NARROWEST * float(np.median(np.maximum(high - low, 0))) / 2
    fitted.keep("narrowest", _scalar(max(least, 1e-3)))
    _calibrate(module)


def _centre(module: "EffectivenessModule") -> None:
    """Take the mean over the training rows from each part, so that constants are identified (eq. 13)."""
    data = module.data
    assert data is not None
    rows = data.features.take(data.split.rows["train"])
    network = module.best_network.eval()
    with torch.no_grad():
        network.centre.zero_()
        device = network.centre.device
        total = torch.zeros_like(network.centre, dtype=torch.float64)
        for begin in range(0, len(rows), 4096):
            part = rows.take(slice(begin, begin + 4096))
            codes, numbers = torch.from_numpy(part.categories).to(device), torch.from_numpy(part.numbers).to(device)
            total += torch.stack([one(codes, numbers).double().sum(dim=1) for one in network.parts])
        network.centre.copy_(total / len(rows))


def _align(module: "EffectivenessModule") -> None:
    """Find the frames of the folds' embeddings from creators that both networks have learnt, by their campaigns."""
    data = module.data
    assert data is not None
    first = module.best_network.parts[0]
    assert isinstance(first, PartNetwork)
    tables, seen = first.tables[0].detach().cpu().double().numpy(), first.get_buffer("seen_0").cpu().numpy()
    codes = data.features.categories[data.split.rows["train"], 0]
    campaigns = np.bincount(codes, minlength=tables.shape[1]).astype(np.float64)
    campaigns[0] = 0
    frames = [
        fit_frame(tables[number], tables[-1], campaigns * seen[number] * seen[-1])
        for number in range(module.config.folds)
    ]
    for name in ("rotation", "source", "target"):
        module.fitted.keep(name, torch.from_numpy(np.stack([getattr(frame, name) for frame in frames])))


def _calibrate(module: "EffectivenessModule") -> None:
    """Set widths and units on the calibration rows, which nothing before has seen."""
    data, fitted = module.data, module.fitted
    assert data is not None
    rows = data.split.rows["calibrate"]
    features, tier = data.features.take(rows), data.tier[rows]
    columns, trees = module.tree_columns(features), fitted.trees
    log = module.predict_log(features)
    low, high = (predict(trees[name], columns, module.config.trees.threads) for name in ("low", "high"))
    width = half_width(low, high, float(fitted.get_buffer("narrowest")))
    residual = data.log_outcome[rows] - log
    fitted.keep("score", torch.from_numpy(np.abs(residual) / width))
    fitted.keep("tier", torch.from_numpy(tier.astype(np.float64)))
    fitted.keep("smearing", _scalar(float(np.exp(residual).mean())))
    fitted.keep("deviation", _scalar(1.0))
    found = module.in_units(log, width, tier)
    standardised: NDArray[np.float64] = (data.past.outcome[rows] - found.mean) / found.deviation
    fitted.keep("deviation", _scalar(float(np.sqrt(np.mean(standardised**2)))))


def _categorical(module: "EffectivenessModule") -> tuple[int, ...]:
    """Places of the codes among the trees' columns: after the numbers."""
    first = len(module.columns.names)
    count = len(module.columns.sizes) - (module.config.kind != "trees")
    return tuple(range(first, first + count))


def _scalar(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)
