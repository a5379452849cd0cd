"""A model trained for a moment, and exposures drawn by hand."""

import numpy as np
import pytorch_lightning as pl

from micromega.models.deepiv.arrays import train
from micromega.models.diffusion.config import DiffusionModelConfig, NetworkConfig
from micromega.models.diffusion.module import DiffusionModule


def fit_tiny(data, kind, **settings):
    pl.seed_everything(0, verbose=False)
    network = NetworkConfig(**{"hidden": (8,), "epochs": 6, "batch_size": 256} | settings)
    module = DiffusionModule.begin(DiffusionModelConfig(kind=kind, network=network), data)
    train(module, module.epochs, data.train_dataloader(), data.val_dataloader())
    return module


def draw(seed, *, edges=6, groups=200, most=3):
    """Exposures of up to `most` edges at once, true probabilities, and both outcomes: each one's own, the group's."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.1, 0.7, edges)
    members = [rng.choice(edges, rng.integers(1, most + 1), replace=False) for _ in range(groups)]
    edge, group = np.concatenate(members), np.repeat(np.arange(groups), [len(m) for m in members])
    own = rng.random(len(edge)) < probability[edge]
    return edge, group, own, (np.bincount(group, own) > 0)[group], probability
