"""What creator, history and market each add to a prediction (eq. 13), for every kind of model.

The additive model is a sum, so its parts are exact. Trees on the columns alone are split by TreeSHAP and summed by
domain. Where a network's prediction is a column itself, or is all there is, the three domains play the game of Shapley:
what a domain adds when it becomes known, mean over all orders in which the three can; a domain that is not known takes
its values from training rows. With three players this is exact, not sampled.
Shapes: N rows, R reference rows, F numbers.
"""

from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.models.effectiveness.features import DOMAINS, Columns, Features

if TYPE_CHECKING:
    from micromega.models.effectiveness.module import EffectivenessModule

Reals = NDArray[np.float64]
_ALL = range(len(DOMAINS))
_SUBSETS = tuple(frozenset(chosen) for size in range(len(DOMAINS) + 1) for chosen in combinations(_ALL, size))


def split_by_domain(module: "EffectivenessModule", features: Features, references: Features) -> tuple[float, Reals]:
    """Split log predictions between the domains.

    Args:
        module: trained.
        features: N rows.
        references: R training rows that stand for "not known"; the additive model and trees alone need none.

    Returns:
        A constant, and what each domain adds to it, (N, 3); constant and row sum to the log prediction.
    """
    kind = module.config.kind
    if kind == "additive":
        return _additive_parts(module, features)
    if kind == "trees":
        each = module.tree_contributions(features)
        domain = tree_domains(module)
        parts = np.column_stack([each[:, :-1][:, domain == place].sum(axis=1) for place in _ALL])
        return float(each[0, -1]), parts
    values = {chosen: _expected(module, features, references, chosen) for chosen in _SUBSETS}
    constant = float(values[frozenset()].mean())  # the same in all rows
    parts = np.zeros((len(features), len(DOMAINS)))
    for player in _ALL:
        for chosen in _SUBSETS:
            if player not in chosen:
                left = len(DOMAINS) - len(chosen) - 1
                weight = factorial(len(chosen)) * factorial(left) / factorial(len(DOMAINS))
                parts[:, player] += weight * (values[chosen | {player}] - values[chosen])
    return constant, parts


def tree_domains(module: "EffectivenessModule") -> NDArray[np.int64]:
    """Domain of each of the trees' columns, (C,): categories and embeddings are the creator's; the network's: -1."""
    from micromega.models.effectiveness.predictor import NETWORK  # noqa: PLC0415  (it imports this file's users)

    names = module.tree_names()
    first = list(module.columns.domains)
    return np.array([*first, *(-1 if name == NETWORK else 0 for name in names[len(first) :])])


def _additive_parts(module: "EffectivenessModule", features: Features) -> tuple[float, Reals]:
    network = module.best_network.eval()
    device = network.centre.device
    with torch.no_grad():
        constant, parts = network.split(
            torch.from_numpy(features.categories).to(device), torch.from_numpy(features.numbers).to(device)
        )
    return float(constant[0]), parts[:, 0].T.double().cpu().numpy()


def _expected(module: "EffectivenessModule", features: Features, references: Features, known: frozenset[int]) -> Reals:
    """Mean prediction of each row with some domains its own and the others those of the references, (N,)."""
    rows, others = len(features), len(references)
    own, other = np.repeat(np.arange(rows), others), np.tile(np.arange(others), rows)
    mixed = _mixed(features.take(own), references.take(other), module.columns, known)
    found: Reals = module.predict_log(mixed).reshape(rows, others).mean(axis=1)
    return found


def _mixed(own: Features, other: Features, columns: Columns, known: frozenset[int]) -> Features:
    from_own = np.isin(np.array(columns.domains), list(known))
    return Features(
        categories=own.categories if 0 in known else other.categories,
        numbers=np.where(from_own, own.numbers, other.numbers),
    )
