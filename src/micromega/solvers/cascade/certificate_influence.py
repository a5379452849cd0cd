"""The certificate of seeds for influence: who was chosen, what they cost, and their spread by the other simulator."""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.certificate import Z95
from micromega.solvers.cascade.competition import compete
from micromega.solvers.cascade.expected import Model, check_model
from micromega.solvers.cascade.influence import Influence
from micromega.solvers.cascade.live_edges import live_edge_sizes
from micromega.solvers.cascade.network import Network
from micromega.solvers.plan import Certificate, Check, Status

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_ERRORS = 6.0
"""Standard errors that two simulations may lie apart."""


def certify_influence(
    network: Network,
    found: Influence,
    *,
    allowed: Integers,
    most: int | None,
    prices: Floats,
    budget: float | None,
    model: Model = "ic",
    simulations: int = 10_000,
    seed: int = 0,
    steps: int | None = None,
) -> Certificate:
    """Check seeds, and simulate their spread anew.

    Args:
        network: who can activate whom.
        found: seeds, spread and guarantee.
        allowed: accounts that may be seeds, (A,).
        most: seeds that were asked for; None: the budget decides.
        prices: of all accounts, NaN without, (N,).
        budget: of all seeds; None: no matter.
        model: "ic" or "lt".
        simulations: of the spread.
        seed: of the simulations; take another than the solver's.
        steps: time bound.

    Returns:
        Checks; the objective is the mean spread of these simulations, the upper bound that of the guarantee where there
        is one. FEASIBLE: the guarantee says how far from the best seeds these can be.

    Raises:
        ConfigError: an unknown model.
        DataError: in lt weights into a node that sum to more than 1.
    """
    check_model(model)
    seeds = found.seeds
    wrong = int(np.sum(~np.isin(seeds, allowed))) + len(seeds) - len(np.unique(seeds))
    sizes = np.zeros(simulations) if wrong else _sizes(network, seeds, model, simulations, seed, steps)
    mean, error = float(sizes.mean()), float(sizes.std(ddof=1) / math.sqrt(simulations))
    room = 1e-6 + _ERRORS * math.hypot(error, found.spread.standard_error)
    proven = found.guarantee
    checks = [
        _check(
            "unavailable",
            not wrong,
            wrong,
            0.0,
            "All seeds are different available creators.",
            f"{wrong} seeds are chosen twice or not available.",
        ),
        _check(
            "spread",
            abs(mean - found.spread.mean) <= room,
            mean,
            found.spread.mean,
            f"The seeds reach {mean:.2f} ± {Z95 * error:.2f} accounts (95 %, {simulations:,} simulations by the "
            f"certificate's simulator); the solver's says {found.spread.mean:.2f}.",
            f"The seeds reach {mean:.2f} accounts, not {found.spread.mean:.2f}.",
        ),
        _guarantee(found, mean, error),
    ]
    if most is not None:
        checks.insert(
            0,
            _check(
                "seeds",
                len(seeds) == most,
                len(seeds),
                most,
                f"{len(seeds)} seeds, as asked for.",
                f"{len(seeds)} seeds; {most} were asked for.",
            ),
        )
    spend = math.nan
    if budget is not None:
        spend = float(prices[seeds].sum())
        words = f"The seeds cost {spend:,.2f} of {budget:,.2f}."
        checks.insert(0, _check("budget", spend <= budget * (1 + 1e-9), spend, budget, words, words))
    return Certificate(
        status=Status.FEASIBLE if all(check.ok for check in checks) else Status.ERROR,
        checks=tuple(checks),
        objective=mean,
        spend=spend,
        upper_bound=proven.upper,
        gap=proven.upper / mean - 1 if mean > 0 and math.isfinite(proven.upper) else math.nan,
        row_slack=np.zeros(0),
        cases=0,
    )


def _sizes(
    network: Network, seeds: Integers, model: Model, simulations: int, seed: int, steps: int | None
) -> Integers | Floats:
    """Sizes of cascades by simulators that the solver does not use, (S,)."""
    if model == "lt":
        return live_edge_sizes(network, seeds, simulations, seed, steps)
    counts = compete(network, seeds, simulations=simulations, seed=seed, steps=steps).counts
    return np.asarray(counts.sum(axis=1))


def _guarantee(found: Influence, mean: float, error: float) -> Check:
    """What is proven must not contradict what is simulated: the spread lies between the two bounds."""
    proven = found.guarantee
    least = max([bound for bound in (proven.lower, 0.0) if math.isfinite(bound)])
    away = _ERRORS * error + 1e-6
    above = mean - away > proven.upper  # False where there is no upper bound
    sure = " on the worlds drawn, and nothing is proven beyond them"
    if proven.confidence is not None:
        sure = f", with probability {100 * proven.confidence:.2f} %"
    best = f"; the best reach at most {proven.upper:.2f} accounts" if math.isfinite(proven.upper) else ""
    return _check(
        "guarantee",
        least <= mean + away and not above,
        mean,
        proven.upper if above else least,
        f"At least {100 * proven.ratio:.1f} % of what the best seeds reach{sure}{best}.",
        f"The proven {f'upper bound, {proven.upper:.2f}' if above else f'lower bound, {least:.2f}'} accounts, "
        f"contradicts the simulations: {mean:.2f}.",
    )


def _check(name: str, ok: bool, value: float, limit: float, good: str, bad: str) -> Check:
    return Check(
        name=name,
        ok=ok,
        value=float(value),
        limit=float(limit),
        slack=float(limit) - float(value),
        words=good if ok else bad,
    )
