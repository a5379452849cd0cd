"""The certificate of creators for needs: what the solver claims, beside what `evidence` recomputed.

The process is simulated by a second simulator too, which shares no code with the first. Shapes: N accounts, J needs.
"""

import math

import numpy as np
from numpy.typing import NDArray

from micromega.solvers.cascade.evidence import Evidence
from micromega.solvers.cascade.network import Network
from micromega.solvers.cascade.recount import recount
from micromega.solvers.cascade.simulate import simulate
from micromega.solvers.plan import Certificate, Check, Status

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Z95 = 1.959964
_EQUAL = 1e-6
"""Accounts: sums in another order."""
_ERRORS = 8.0
"""Standard errors that two simulations may lie apart, searching for lucky ones included."""


def certify(
    network: Network,
    creators: Integers,
    names: tuple[str, ...],
    needs: Floats,
    evidence: Evidence,
    *,
    claimed: Floats,
    claimed_error: Floats | None = None,
    competition: bool = False,
    allowed: Integers,
    allow_repeats: bool = False,
    status: Status = Status.FEASIBLE,
    seed: int = 0,
    steps: int | None = None,
) -> Certificate:
    """Check a plan against what was recomputed of it.

    Args:
        network: who can activate whom.
        creators: account of each need's creator, (J,).
        names: of the needs.
        needs: V, (J,).
        evidence: of `gather`.
        claimed: awareness that the solver reported, (J,).
        claimed_error: its standard error where it was simulated, (J,); None: exact.
        competition: whether the claim is about the process; else about the closed form.
        allowed: accounts that may be chosen, (A,).
        allow_repeats: whether one may have several needs.
        status: the solver's claim.
        seed: of the second simulator.
        steps: time bound.

    Returns:
        Checks of the choice, the claim and the process; then findings, `cost_…` and `needs.…`: what was recomputed, in
        words that begin with "Finding:"; they hold unless a number is not finite. The objective is the recomputed
        cost (eq. 9; less is better), of fresh simulations where it comes from simulations.
    """
    recomputed = evidence.process if competition else evidence.closed_form
    error = np.zeros(len(needs)) if claimed_error is None else claimed_error
    # ours is no more precise than what it was computed from
    own = evidence.process_error if competition else (evidence.alone_error if claimed_error is not None else error)
    room = _EQUAL + _ERRORS * np.hypot(error, own)
    off = np.abs(recomputed - claimed)
    worst = int(np.argmax(off - room))
    objective = evidence.process_cost if competition else evidence.cost
    where = "simulated anew" if competition else "recomputed by other code"
    checks = [
        _distinct(creators, allow_repeats),
        _available(creators, allowed),
        Check(
            name="awareness",
            ok=bool(np.all(off <= room)),
            value=float(recomputed[worst]),
            limit=float(claimed[worst]),
            slack=float(room[worst] - off[worst]),
            words=f"Awareness of each need, {where}, is what the solver says"
            + (
                f" within {max(off.max(), _EQUAL):.2g} accounts."
                if np.all(off <= room)
                else f" but for {names[worst]}."
            ),
        ),
        _again(network, creators, names, evidence, seed, steps),
        _total(network, creators, evidence, seed, steps),
        _cost("cost_closed_form", evidence.cost, evidence.efficiency, "by equations 4 to 8"),
        _cost("cost_process", evidence.process_cost, evidence.process_efficiency, "in the simulated process"),
        *(_need(name, j, needs, evidence) for j, name in enumerate(names)),
    ]
    return Certificate(
        status=status if all(check.ok for check in checks) else Status.ERROR,
        checks=tuple(checks),
        objective=objective,
        spend=math.nan,
        upper_bound=math.nan,
        gap=0.0 if status is Status.OPTIMAL else math.nan,
        row_slack=np.zeros(0),
        cases=0,
    )


def _distinct(creators: Integers, allow_repeats: bool) -> Check:
    several = len(creators) - len(np.unique(creators))
    words = "Every need has a creator of its own." if not several else f"{several} creators have a second need."
    ok = allow_repeats or not several
    return Check(name="allow_repeats", ok=ok, value=float(several), limit=0.0, slack=-float(several), words=words)


def _available(creators: Integers, allowed: Integers) -> Check:
    wrong = int(np.sum(~np.isin(creators, allowed)))
    words = "All of them are available creators." if not wrong else f"{wrong} of them are not available."
    return Check(name="unavailable", ok=not wrong, value=float(wrong), limit=0.0, slack=-float(wrong), words=words)


def _again(
    network: Network, creators: Integers, names: tuple[str, ...], evidence: Evidence, seed: int, steps: int | None
) -> Check:
    """A second simulator, in numpy, must find the same for each need."""
    distinct, place, times = np.unique(creators, return_inverse=True, return_counts=True)
    counts = recount(network, distinct, seed=seed + 2, steps=steps)[:, place] / times[place]
    other = counts.mean(axis=0)
    # few simulations may have missed what is rare: their error is taken from the many of the first simulator
    error = evidence.process_error * math.sqrt(1 + evidence.simulations / len(counts))
    room = _EQUAL + _ERRORS * error + 1 / len(counts)
    off = np.abs(other - evidence.process)
    worst = int(np.argmax(off - room))
    ok = bool(np.all(off <= room))
    return Check(
        name="process",
        ok=ok,
        value=float(evidence.process[worst]),
        limit=float(other[worst]),
        slack=float(room[worst] - off[worst]),
        words=f"A second simulator of the process, {len(counts):,} simulations, agrees for each need."
        if ok
        else f"A second simulator finds {other[worst]:.2f} accounts for {names[worst]}, the first "
        f"{evidence.process[worst]:.2f}.",
    )


def _total(network: Network, creators: Integers, evidence: Evidence, seed: int, steps: int | None) -> Check:
    """Who has which need changes nothing in how many are reached: a cascade without needs must reach as many."""
    sizes = simulate(network, np.unique(creators), evidence.simulations, seed + 3, steps)
    total, other = float(evidence.process.sum()), float(sizes.mean())
    error = math.hypot(float(sizes.std(ddof=1)) / math.sqrt(len(sizes)), float(np.sum(evidence.process_error)))
    room = _EQUAL + _ERRORS * error
    return Check(
        name="process_total",
        ok=abs(total - other) <= room,
        value=total,
        limit=other,
        slack=room - abs(total - other),
        words=f"{total:.1f} accounts donate something in the process; a cascade without needs reaches {other:.1f}.",
    )


def _cost(name: str, cost: float, efficiency: float, how: str) -> Check:
    share = "" if math.isnan(efficiency) else f", efficiency {100 * efficiency:.2f} %"
    return Check(
        name=name,
        ok=math.isfinite(cost),
        value=cost,
        limit=0.0,
        slack=-cost,
        words=f"Finding: cost (eq. 9) {how}: {cost:.4g} accounts{share}.",
    )


def _need(name: str, j: int, needs: Floats, evidence: Evidence) -> Check:
    mean, half = float(evidence.process[j]), Z95 * float(evidence.process_error[j])
    alone, wide = float(evidence.alone[j]), Z95 * float(evidence.alone_error[j])
    return Check(
        name=f"needs.{name}",
        ok=math.isfinite(mean) and math.isfinite(alone),
        value=mean,
        limit=float(needs[j]),
        slack=-abs(mean - float(needs[j])),
        words=f"Finding: {name}: {needs[j]:g} needed; {evidence.closed_form[j]:.2f} by the closed form; {mean:.2f} ± "
        f"{half:.2f} in {evidence.simulations:,} simulations of the process (95 %); the creator alone reaches "
        f"{alone:.2f} ± {wide:.2f}.",
    )
