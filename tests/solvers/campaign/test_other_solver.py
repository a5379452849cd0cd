"""Mid-size problems with every kind of rule against SCIP, which shares no code with HiGHS or with us."""

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from micromega.solvers.campaign import CampaignProblem, rules, solve, verify

pytest.importorskip("pyscipopt")


def mid_size(seed: int, *, risk: str = "linear", rho: float = 0.3, creators: int = 40) -> CampaignProblem:
    """Creators with 2 events, 2 offsets and 2 kinds of post each, for 2 brands; all kinds of rules at once."""
    rng = np.random.default_rng(seed)
    creator, event, offset, kind = (axis.ravel() for axis in np.indices((creators, 2, 2, 2)))
    n = len(creator)
    names = np.array([f"c{i:02}" for i in creator])
    category = rng.integers(0, 4, creators)[creator].astype(str)
    tier = rng.integers(0, 3, creators)[creator].astype(str)
    brand = np.array(["nike", "adidas"])[event]
    date = np.array(["2024-05-01", "2024-05-04"], "datetime64[D]")[event] + 4 * offset
    price = (rng.lognormal(3, 0.7, creators)[creator] * np.array([1.0, 0.6])[kind]).round(2)
    value = rng.lognormal(3, 0.8, n) * np.sqrt(price / 20)
    asked = [
        rules.limit_each(names, 0, 3, setting="cap", what="by {key}"),
        rules.keep_apart(names, date, 4),
        rules.limit_posts(event.astype(str), {"0": (6, 14), "1": (6, 20)}, setting="event", what="for {key}"),
        rules.limit_posts(tier, {"0": (3, None), "2": (0, 9)}, setting="tier", what="for {key}"),
        rules.limit_spend(brand, price, {"nike": 260.0, "adidas": 300.0}, setting="brands", what="for {key}"),
        rules.cap_share(category, 0.4, price=price, by="spend", budget=500.0, setting="share", what="go to {key}"),
        rules.cap_share(category, 0.4, price=price, by="posts", budget=500.0, setting="share", what="go to {key}"),
        rules.need_distinct(names, 9, setting="distinct", noun="creators"),
        rules.keep_exclusive(names, brand, [("nike", "adidas")], setting="competitors"),
        rules.spend_enough(names, price, 9.0),
    ]
    rule = rules.combine(asked, tuples=n)
    return CampaignProblem(
        creator_id=names,
        event_id=event.astype(str),
        content_type=kind.astype(str),
        offset_days=4 * offset,
        date=date,
        brand_id=brand,
        effectiveness=value,
        std=value * rng.uniform(0.05, 0.6, n),
        price=price,
        budget=500.0,
        rho=rho,
        risk=risk,
        rows=rule.rows,
        switches=rule.switches,
    )


def by_scip(problem: CampaignProblem, gap: float = 1e-7) -> float:
    """Optimum by SCIP: switches as free 0/1 variables with their definition, the root as a cone."""
    n, switches, rows = len(problem), problem.switches, problem.rows
    y = cp.Variable(problem.columns, boolean=True)
    matrix = sp.csr_array((rows.coefficient, rows.members, rows.start), shape=(len(rows), problem.columns))
    low, high = np.isfinite(rows.lower), np.isfinite(rows.upper)
    owner = sp.csr_array((np.ones(len(switches.members)), switches.members, switches.start), shape=(len(switches), n))
    inside = np.diff(owner.indptr)
    limits = [
        problem.price @ y[:n] <= problem.budget,
        matrix[high] @ y <= rows.upper[high],
        matrix[low] @ y >= rows.lower[low],
        owner @ y[:n] <= cp.multiply(inside, y[n:]),
        owner @ y[:n] >= y[n:],
    ]
    worth = problem.value @ y[:n]
    if problem.has_joint_risk:
        root = cp.Variable(nonneg=True)
        limits.append(cp.norm(cp.multiply(problem.std, y[:n])) <= root)
        worth = worth - problem.rho * root
    asked = cp.Problem(cp.Maximize(worth), limits)
    return float(asked.solve(solver=cp.SCIP, scip_params={"limits/gap": gap, "numerics/feastol": 1e-9}))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("risk", ["linear", "variance"])
def test_equals_scip(seed: int, risk: str) -> None:
    problem = mid_size(seed, risk=risk, rho=0.3 if risk == "linear" else 0.01)
    plan = solve(problem)
    certificate = verify(problem, plan, relative_gap=1e-6)
    assert certificate.ok
    assert certificate.gap < 0.02
    assert plan.objective == pytest.approx(by_scip(problem), rel=2e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")  # SCIP stopped at the gap it was given
@pytest.mark.parametrize("rho", [0.5])
def test_equals_scip_under_independent_errors(rho: float) -> None:
    """sqrt(Σ σ²·y) as a second-order cone of whole variables, which is SCIP's own business."""
    problem = mid_size(1, risk="independent", rho=rho, creators=16)
    plan = solve(problem, relative_gap=1e-5)
    assert verify(problem, plan, relative_gap=1e-5).ok
    assert plan.gap is not None
    assert plan.gap < 0.02
    assert len(plan.parts) >= 1
    assert plan.objective == pytest.approx(by_scip(problem, gap=1e-6), rel=2e-5)
