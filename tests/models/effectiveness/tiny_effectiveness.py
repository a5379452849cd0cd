"""A model trained for a moment."""

import pytorch_lightning as pl

from micromega.models.deepiv.arrays import train
from micromega.models.effectiveness.config import EffectivenessModelConfig, NetworkConfig, TreesConfig
from micromega.models.effectiveness.module import EffectivenessModule


def fit_tiny(data, kind, **settings):
    pl.seed_everything(0, verbose=False)
    config = EffectivenessModelConfig(
        kind=kind,
        folds=3,
        network=NetworkConfig(hidden=(16, 8), creator_size=4, epochs=3, batch_size=64),
        trees=TreesConfig(most=60, quantile_trees=30, leaf_size=10),
        tier_rows=20,
        **settings,
    )
    module = EffectivenessModule.begin(config, data)
    train(module, module.epochs, data.train_dataloader(), data.val_dataloader())
    return module
