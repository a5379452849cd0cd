"""One creator for each need: solve, certify, and rank what to do if somebody is unavailable."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.report.cascade_content import Bound, NeedsReport
from micromega.runs.planning import PlanningRun, check_certificate
from micromega.solvers.cascade.activation import Method, network_activation
from micromega.solvers.cascade.alternatives import Alternative, ranked_alternatives, without_each
from micromega.solvers.cascade.answer import plan_table
from micromega.solvers.cascade.awareness import awareness, donation, influence
from micromega.solvers.cascade.certificate import certify
from micromega.solvers.cascade.competition import STEPS_SHOWN
from micromega.solvers.cascade.config import CascadeConfig
from micromega.solvers.cascade.evidence import Evidence, gather
from micromega.solvers.cascade.fitting import SIMULATIONS, match_process
from micromega.solvers.cascade.from_market import SocialNetwork, named_needs
from micromega.solvers.cascade.needs import Match, costs_nothing, match_needs
from micromega.solvers.cascade.opim import derived_seed
from micromega.solvers.plan import Certificate, Status

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_CHECK = 101
"""Stream of the certificate's random numbers."""
_SMALL = 500_000
"""Entries of an activation matrix up to which alternatives are searched for at length."""
_ROUGH = 1_000
"""Simulations of alternatives in the process."""
_METHODS = {
    "local_search": "local search",
    "annealing": "simulated annealing",
    "qga": "the document's quantum genetic algorithm",
    "exhaustive": "looking at every set",
    "fast": "the document's fast selection",
    "random": "drawing at random",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """What is asked for: creators among `rows` of the network, which are all or some of the `available`."""

    config: CascadeConfig
    seed: int
    social: SocialNetwork
    available: Integers
    rows: Integers
    names: tuple[str, ...]
    needs: Floats

    @property
    def competition(self) -> bool:
        return self.config.objective == "competition"

    @property
    def method(self) -> Method:
        return self.config.activation or ("monte_carlo" if self.competition else "best_path")

    def chances(self, steps: int | None, sources: Integers) -> Floats:
        """Rows of G_P within a time bound."""
        return network_activation(
            self.social.network,
            method=self.method,
            steps=steps,
            simulations=self.config.samples,
            seed=self.seed,
            sources=sources,
        )

    def solve(self, activation: Floats) -> Match:
        """Find the plan."""
        config = self.config
        if self.competition:
            return match_process(
                self.social.network,
                self.rows,
                activation,
                self.needs,
                seed=self.seed,
                starts=config.starts,
                steps=config.steps,
            )
        return match_needs(
            activation,
            self.needs,
            method=config.method,
            seed=self.seed,
            allow_repeats=config.allow_repeats,
            starts=config.starts,
        )

    def rank(self, activation: Floats, steps: int | None, best: Match | None) -> tuple[Alternative, ...]:
        """Rank sets of one time bound, by the plan's own objective; a large network gets a shorter search."""
        shakes = 20 if activation.size <= _SMALL else 5
        if not self.competition:
            return ranked_alternatives(
                activation,
                self.needs,
                best=best,
                seed=self.seed,
                allow_repeats=self.config.allow_repeats,
                starts=1,
                shakes=shakes,
                most=self.config.alternatives,
            )

        def solve(gone: Sequence[int]) -> Match:
            return match_process(
                self.social.network,
                self.rows,
                activation,
                self.needs,
                seed=self.seed,
                unavailable=gone,
                starts=1,
                steps=steps,
                simulations=_ROUGH,
                exchanges=False,
            )

        return without_each(solve, best, most=self.config.alternatives)


def plan_needs(run: PlanningRun, social: SocialNetwork) -> float:
    """Choose one creator for each need.

    Args:
        run: the planning run.
        social: its network.

    Returns:
        Efficiency (eq. 10), recomputed: of the closed form, or of the process where that was asked for.

    Raises:
        ConfigError: needs or unavailable accounts that do not fit.
        MicromegaError: the answer does not pass the independent check; no plan is left.
    """
    from micromega.report.cascade import render_needs  # noqa: PLC0415  (matplotlib is behind it)

    task = _task(run, social)
    facts = run.begin(objective=task.config.objective)
    own = task.chances(task.config.steps, task.rows)
    match = task.solve(own)
    creators = task.rows[match.creators]
    evidence, certificate = _checked(task, match, creators)
    check_certificate(certificate, "cascade")
    report = _report(run.market.name, task, own, match, creators, evidence, certificate)
    run.finish(
        plan_table(task.names, task.needs, [social.account_id[v] for v in creators.tolist()], evidence),
        certificate,
        lambda: render_needs(report, facts=facts),
        str(certificate.status),
    )
    log.info("Found by %s in %.1f s.", report.method, match.seconds)
    log.info(
        "Awareness misses the needs by %.3f accounts by the closed form (efficiency %.2f %%), by %.3f in the process "
        "(%.2f %%).",
        evidence.cost,
        100 * evidence.efficiency,
        evidence.process_cost,
        100 * evidence.process_efficiency,
    )
    return evidence.process_efficiency if task.competition else evidence.efficiency


def _task(run: PlanningRun, social: SocialNetwork) -> _Task:
    """Check what is asked for."""
    config: CascadeConfig = run.request.problem
    names, needs = named_needs(config.needs or ())
    if needs.sum() > social.network.nodes:
        log.warning(
            "Needs sum to %g accounts; the network has %d: some must stay unmet.", needs.sum(), social.network.nodes
        )
    out = social.positions(config.unavailable)
    available = np.setdiff1d(social.creators, out)
    if not len(available):
        raise ConfigError(
            f"problem.unavailable names all {len(social.creators)} creators of the network. Leave some available."
            if len(social.creators)
            else "The network has no creators (kind of the table accounts), so nobody can be chosen."
        )
    if len(needs) > len(available) and not config.allow_repeats:
        raise ConfigError(
            f"problem.needs: {len(needs)} needs and {len(available)} available creators, and each need takes one of "
            "its own. Ask for fewer needs, rule fewer out (problem.unavailable), or set problem.allow_repeats=true."
        )
    rows = social.candidates(config.candidates, out)
    if len(rows) < len(available):
        log.info("%d of %d available creators are considered (problem.candidates).", len(rows), len(available))
    return _Task(
        config=config, seed=run.request.seed, social=social, available=available, rows=rows, names=names, needs=needs
    )


def _status(task: _Task, match: Match) -> Status:
    """What is proved of all available creators, by chances that are exact."""
    exact = task.method == "best_path" and not task.competition
    of_all = len(task.rows) == len(task.available) or costs_nothing(match.cost, task.needs)
    return match.status if exact and of_all else Status.FEASIBLE


def _checked(task: _Task, match: Match, creators: Integers) -> tuple[Evidence, Certificate]:
    """Recompute the plan, and certify it."""
    config, sampled, check = task.config, task.method == "monte_carlo", derived_seed(task.seed, _CHECK)
    evidence = gather(
        task.social.network,
        creators,
        task.needs,
        monte_carlo=sampled,
        simulations=config.simulations,
        seed=check,
        steps=config.steps,
    )
    error = None  # of what the solver says
    if task.competition:
        error = np.asarray(evidence.process_error * np.sqrt(config.simulations / SIMULATIONS))
    elif sampled:
        error = np.asarray(evidence.alone_error * np.sqrt(config.simulations / config.samples))
    return evidence, certify(
        task.social.network,
        creators,
        task.names,
        task.needs,
        evidence,
        claimed=match.awareness,
        claimed_error=error,
        competition=task.competition,
        allowed=task.available,
        allow_repeats=config.allow_repeats,
        status=_status(task, match),
        seed=check,
        steps=config.steps,
    )


def _report(
    market: str,
    task: _Task,
    own: Floats,
    match: Match,
    creators: Integers,
    evidence: Evidence,
    certificate: Certificate,
) -> NeedsReport:
    config = task.config
    within = f" of at most {config.steps} steps" if config.steps else ""
    chances = "the likeliest path alone" if task.method == "best_path" else f"{config.samples:,} simulated cascades"
    how = "simulating sets that the closed form proposes, and exchanges of one creator"
    return NeedsReport(
        market=market,
        social=task.social,
        candidates=task.rows,
        available=len(task.available),
        names=task.names,
        needs=task.needs,
        creators=creators,
        influence=influence(own, match.creators),
        donation=donation(influence(own, match.creators)),
        by_bound=_by_bound(task, creators, len(evidence.by_step) - 1),
        evidence=evidence,
        certificate=certificate,
        bounds=_bounds(task, own, match),
        competition=task.competition,
        activation=chances + within,
        method=how if task.competition else _METHODS[match.method],
        every_set=match.method == "exhaustive",
        sampled=task.method == "monte_carlo",
    )


def _bounds(task: _Task, own: Floats, match: Match) -> tuple[Bound, ...]:
    """Time bounds that are asked for and the plan's own, rising; no limit is the last."""
    steps = task.config.steps
    asked = sorted({*task.config.time_bounds, steps}, key=lambda bound: np.inf if bound is None else bound)
    found = []
    for bound in asked:
        mine = bound == steps
        activation = own if mine else task.chances(bound, task.rows)
        found.append(Bound(steps=bound, sets=task.rank(activation, bound, match if mine else None), own=mine))
    return tuple(found)


def _by_bound(task: _Task, creators: Integers, steps: int) -> Floats:
    """Awareness of the chosen by the closed form within 0, 1, … steps, (T + 1, J)."""
    upto = min(steps, task.config.steps or STEPS_SHOWN)
    found: list[Floats] = []
    for t in range(upto + 1):
        found.append(awareness(task.chances(t, creators), np.arange(len(creators))))
        if t > 1 and np.array_equal(found[-1], found[-2]):
            break  # nobody is new
    last = np.repeat(found[-1][None], upto + 1 - len(found), axis=0)
    return np.concatenate([np.stack(found), last])
