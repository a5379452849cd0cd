"""Random campaign problems with rows of every kind, and their answer by enumeration."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from micromega.solvers.campaign import CampaignProblem, LinearRows


def _random_problem(rng: np.random.Generator, tuples: int) -> CampaignProblem:
    """Frequency, coverage, diversity, per-event and must-include rows, each present or not; values of both signs."""
    creator = rng.integers(0, max(1, tuples // 2), tuples)
    event = rng.integers(0, 2, tuples)
    category = rng.integers(0, 3, creator.max() + 1)[creator]
    whole = rng.random() < 0.5  # whole numbers make ties
    value = rng.integers(-2, 9, tuples).astype(float) if whole else rng.normal(2, 3, tuples)
    price = rng.integers(0, 7, tuples).astype(float) if whole else rng.lognormal(1, 0.7, tuples)
    rows = []
    if rng.random() < 0.7:
        rows.append(
            LinearRows.by_key(creator, setting="max_posts", name="creator {key}", upper=int(rng.integers(1, 3)))
        )
    if rng.random() < 0.5:
        wanted = rng.integers(0, 3, 3)
        rows.append(
            LinearRows.of(
                (f"coverage.{c}", f"category {c}", np.flatnonzero(category == c), wanted[c], np.inf) for c in range(3)
            )
        )
    if rng.random() < 0.4:
        low = int(rng.integers(0, 3))
        high = low + int(rng.integers(0, 3))
        rows.append(LinearRows.by_key(event, setting="posts_per_event", name="event {key}", lower=low, upper=high))
    if rng.random() < 0.2:
        rows.append(LinearRows.of([("must_include", "creator 0", np.flatnonzero(creator == 0), 1, np.inf)]))
    if rng.random() < 0.2:
        rows.append(LinearRows.of([("any", "some tuples", np.flatnonzero(rng.random(tuples) < 0.5), 0, 2)]))
    return CampaignProblem(
        creator_id=creator.astype(str),
        event_id=event.astype(str),
        offset_days=np.arange(tuples),
        effectiveness=value,
        std=rng.random(tuples),
        price=price,
        budget=float(rng.choice([0.0, 1.0, 0.2, 0.5]) * price.sum()),
        rho=float(rng.choice([0.0, 0.7])),
        rows=LinearRows.stack(rows),
    )


def _brute_force(problem: CampaignProblem) -> float | None:
    """Best value over all 2^N choices; None if none is feasible."""
    choices = np.array(list(itertools.product([0.0, 1.0], repeat=len(problem)))).reshape(-1, len(problem))
    feasible = choices @ problem.price <= problem.budget * (1 + 1e-9)
    switches, rows = problem.switches, problem.rows
    sets = [switches.members[switches.start[k] : switches.start[k + 1]] for k in range(len(switches))]
    columns = np.concatenate([choices, *(choices[:, inside].any(axis=1)[:, None] for inside in sets)], axis=1)
    for row in range(len(rows)):
        part = slice(rows.start[row], rows.start[row + 1])
        total = columns[:, rows.members[part]] @ rows.coefficient[part]
        room = 1e-9 * max([1.0, *np.abs(rows.coefficient[part])])
        feasible &= (total >= rows.lower[row] - room) & (total <= rows.upper[row] + room)
    values = choices @ (problem.effectiveness - problem.rho * problem.std)
    return float(values[feasible].max()) if feasible.any() else None


@pytest.fixture(scope="session")
def random_problem() -> Callable[[np.random.Generator, int], CampaignProblem]:
    return _random_problem


@pytest.fixture(scope="session")
def brute_force() -> Callable[[CampaignProblem], float | None]:
    return _brute_force
