"""What the five kinds say of posts, once they are fitted.

Shapes: E networks, N posts, C columns of the trees, D length of an embedding.
"""

import dataclasses

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import nn

from micromega.config.schema import plain
from micromega.models.deepiv.training import Best
from micromega.models.effectiveness.config import EffectivenessModelConfig
from micromega.models.effectiveness.conformal import ONE_DEVIATION, Conformal, half_width
from micromega.models.effectiveness.data import EffectivenessData
from micromega.models.effectiveness.features import CATEGORIES, DOMAINS, Columns, Features
from micromega.models.effectiveness.fitted import Fitted
from micromega.models.effectiveness.frames import Frame
from micromega.models.effectiveness.network import Part, PartNetwork, SumNetwork
from micromega.models.effectiveness.trees import contributions, predict

Reals = NDArray[np.float64]
_ROWS = 1 << 14
"""Posts that pass through the networks at a time."""
NETWORK = "network_prediction"
"""Column of the trees that holds the networks' out-of-fold prediction."""
TITLES = {
    "hybrid": "Hybrid",
    "mlp": "Embeddings + MLP",
    "trees": "LightGBM, categorical ids",
    "additive": "Additive (eq. 13)",
    "creator_mean": "Creator's mean",
}
"""What tables and reports call the kinds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is predicted of N posts.

    Attributes:
        log: (N,) expected log(outcome + 1).
        half_width: (N,) half the distance of the predicted 0.16 and 0.84 quantiles of it.
        mean: (N,) expected outcome, in its unit.
        deviation: (N,) standard deviation of the outcome, in its unit.
    """

    log: Reals
    half_width: Reals
    mean: Reals
    deviation: Reals


class Predictor(pl.LightningModule):
    """One of the five models; how it is trained stands in `module.EffectivenessModule`.

    Args:
        config: which, and how.
        columns: what the posts' columns are.
    """

    def __init__(self, config: EffectivenessModelConfig, columns: Columns) -> None:
        super().__init__()
        self.config, self.columns = config, columns
        self.title = TITLES[config.kind]
        self.save_hyperparameters(
            {"config": plain(dataclasses.asdict(config)), "columns": plain(dataclasses.asdict(columns))}
        )
        self.members = config.folds + 1 if config.kind == "hybrid" else 1
        self.network: SumNetwork | None = None
        if config.kind in ("hybrid", "mlp", "additive"):
            self.network = SumNetwork(config.network, _parts(config.kind, columns), self.members)
            self.best = Best(self.network, self.members)
        self.fitted = Fitted()
        self.idle = nn.Parameter(torch.zeros(()))  # models without networks need something to step
        self.data: EffectivenessData | None = None

    @property
    def best_network(self) -> SumNetwork:
        """Each network at its best epoch."""
        assert isinstance(self.best.network, SumNetwork)
        return self.best.network

    @torch.no_grad()
    def network_answers(self, features: Features) -> tuple[Reals, Reals]:
        """Ask all networks at their best epochs.

        Args:
            features: N posts.

        Returns:
            Log outcomes, (E, N), and the creators' embeddings in each network, (E, N, D).
        """
        network, device = self.best_network.eval(), self.idle.device
        first = network.parts[0]
        assert isinstance(first, PartNetwork)
        values, vectors = [], []
        for begin in range(0, len(features), _ROWS):
            part = features.take(slice(begin, begin + _ROWS))
            codes = torch.from_numpy(part.categories).to(device)
            found = network(codes, torch.from_numpy(part.numbers).to(device))
            values.append((network.outcome[0] + network.outcome[1] * found).cpu())
            members = torch.arange(self.members, device=device)[:, None]
            vectors.append(first.tables[0][members, first.places(0, codes[:, 0])].cpu())
        return torch.cat(values, dim=1).double().numpy(), torch.cat(vectors, dim=1).double().numpy()

    def frames(self) -> list[Frame]:
        """How each fold's embeddings are brought onto the axes of the network that saw all rows."""
        stored = (self.fitted.get_buffer(name).cpu().numpy() for name in ("rotation", "source", "target"))
        return [Frame(rotation=r, source=s, target=t) for r, s, t in zip(*stored, strict=True)]

    def tree_columns(self, features: Features, fold: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """What the trees see.

        Args:
            features: N posts.
            fold: (N,) of training rows, whose predictions and embeddings come from networks that have not seen them;
                None for all others: the folds' mean prediction, and the embedding of the network that saw all rows.

        Returns:
            (N, C), columns as `tree_names` says.
        """
        blocks = [features.numbers, features.categories[:, 1:].astype(np.float32)]
        if self.config.kind == "trees":
            blocks.append(features.categories[:, :1].astype(np.float32))
        if self.config.kind == "hybrid":
            values, vectors = self.network_answers(features)
            if fold is None:
                value, vector = values[:-1].mean(axis=0), vectors[-1]
            else:
                rows = np.arange(len(fold))
                value, vector = values[fold, rows], np.empty_like(vectors[-1])
                for number, frame in enumerate(self.frames()):
                    vector[fold == number] = frame.apply(vectors[number, fold == number])
            blocks += [value[:, None].astype(np.float32), vector.astype(np.float32)]
        return np.concatenate(blocks, axis=1)

    def predict_log(self, features: Features) -> Reals:
        """Expected log(outcome + 1) of N posts, (N,)."""
        if self.config.kind == "creator_mean":
            return np.asarray(features.numbers[:, self.columns.creator_mean], np.float64)
        if self.config.kind in ("mlp", "additive"):
            answers: Reals = self.network_answers(features)[0][0]
            return answers
        return predict(self.fitted.trees["mean"], self.tree_columns(features), self.config.trees.threads)

    def predict(self, features: Features, tier: NDArray[np.int64]) -> Prediction:
        """Predict N posts.

        Args:
            features: the posts, described.
            tier: (N,) tiers of their creators.

        Returns:
            Means and standard deviations, in logs and in the outcome's unit.
        """
        columns, trees, threads = self.tree_columns(features), self.fitted.trees, self.config.trees.threads
        has_trees = self.config.kind in ("hybrid", "trees")
        log = predict(trees["mean"], columns, threads) if has_trees else self.predict_log(features)
        low, high = (predict(trees[name], columns, threads) for name in ("low", "high"))
        width = half_width(low, high, self._number("narrowest"))
        return self.in_units(log, width, tier)

    def in_units(self, log: Reals, width: Reals, tier: NDArray[np.int64]) -> Prediction:
        """From logs to the outcome's unit: exp(f) times the mean of exp(residual) (Duan 1983), less the log's 1."""
        whole = self._number("smearing") * np.exp(log)
        spread = width * self.conformal().factor(ONE_DEVIATION, tier)
        deviation = self._number("deviation") * whole * np.sqrt(np.expm1(np.minimum(spread, 3.0) ** 2))
        return Prediction(log=log, half_width=width, mean=np.maximum(whole - 1.0, 0.0), deviation=deviation)

    def conformal(self) -> Conformal:
        """Scores of the calibration rows."""
        score, tier = (self.fitted.get_buffer(name).cpu().numpy() for name in ("score", "tier"))
        return Conformal(score=score, tier=tier.astype(np.int64), fewest=self.config.tier_rows)

    def _number(self, name: str) -> float:
        return float(self.fitted.get_buffer(name))

    def tree_names(self) -> tuple[str, ...]:
        """Names of the trees' columns, in their order."""
        names = [*self.columns.names, *CATEGORIES[1:]]
        if self.config.kind == "trees":
            names.append(CATEGORIES[0])
        if self.config.kind == "hybrid":
            names += [NETWORK, *(f"creator_embedding_{n}" for n in range(self.config.network.creator_size))]
        return tuple(names)

    def tree_contributions(self, features: Features) -> Reals:
        """(N, C + 1) what each of the trees' columns adds to each log prediction; last the constant."""
        return contributions(self.fitted.trees["mean"], self.tree_columns(features))


def _parts(kind: str, columns: Columns) -> list[Part]:
    if kind != "additive":
        return [Part(sizes=columns.sizes, columns=tuple(range(len(columns.names))))]
    return [
        Part(
            sizes=columns.sizes if domain == 0 else (),
            columns=tuple(place for place, of in enumerate(columns.domains) if of == domain),
        )
        for domain in range(len(DOMAINS))
    ]
