"""Cascades over a social network: how far they spread, and which creators to start them with."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micromega.solvers.cascade.activation import activation_matrix
    from micromega.solvers.cascade.chances import distinct_edges, edge_probability
    from micromega.solvers.cascade.exact import exact_activation, exact_spread
    from micromega.solvers.cascade.expected import Spread, spread
    from micromega.solvers.cascade.influence import (
        Guarantee,
        Influence,
        maximise_influence,
        maximise_influence_within,
    )
    from micromega.solvers.cascade.needs import Match, match_needs
    from micromega.solvers.cascade.network import Network
    from micromega.solvers.cascade.simulate import activation_by_step, activation_counts

__all__ = [
    "Guarantee",
    "Influence",
    "Match",
    "Network",
    "Spread",
    "activation_by_step",
    "activation_counts",
    "activation_matrix",
    "distinct_edges",
    "edge_probability",
    "exact_activation",
    "exact_spread",
    "match_needs",
    "maximise_influence",
    "maximise_influence_within",
    "spread",
]

_HOME = {  # no name may be that of a module here: the module would hide it
    "Guarantee": "influence",
    "Influence": "influence",
    "Spread": "expected",
    "distinct_edges": "chances",
    "edge_probability": "chances",
    "exact_activation": "exact",
    "exact_spread": "exact",
    "maximise_influence": "influence",
    "maximise_influence_within": "influence",
    "spread": "expected",
    "Match": "needs",
    "activation_matrix": "activation",
    "match_needs": "needs",
    "Network": "network",
    "activation_by_step": "simulate",
    "activation_counts": "simulate",
}


def __getattr__(name: str) -> Any:
    """Import on first use: reading the config class must not import numpy or scipy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
