"""Audiences that posts share: a person whom two posts reach counts once.

Post i reaches each account of its creator's audience with probability q_i, all on their own, so that a plan y reaches

    F(y) = sum over accounts a of w_a (1 - prod over posts i to a of (1 - q_i)^y_i).

With l_i = -log(1 - q_i) and s_a = Σ_i l_i y_i this is G(y) = Σ_a w_a g_a(s_a), g_a(s) = 1 - exp(-s), which is also
defined, and concave, between whole plans; below the smallest l_i of an account, where no whole plan lies, the chord
from 0 is as concave and closer. So at any point p, G(p) + ∇G(p)·(y - p) is a linear campaign that no plan exceeds (an
outer approximation), and what is proven of that campaign is a bound of this one.

Shapes: N tuples, C creators, A groups of accounts with the same creators.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign.audiences import Audiences
from micromega.solvers.campaign.certify import proven_bound, verify
from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Certificate, Check, Plan, Status

Reals = NDArray[np.float64]
_SUREST = 1 - 1e-12
"""Largest probability: its logarithm has to be finite."""
_OF_THE_SUM = ("objective", "claimed bound", "optimality")
"""Checks of `verify` that hold for sums of values alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlap:
    """Whom each tuple of a campaign reaches.

    Attributes:
        audience: which groups of accounts each creator has, (A, C), 0 or 1.
        weight: people in each group, (A,).
        owner: creator of each tuple, (N,).
        probability: that a tuple's post reaches an account of the audience, (N,).
    """

    audience: sp.csr_array
    weight: Reals
    owner: NDArray[np.int64]
    probability: Reals

    @classmethod
    def of(
        cls, problem: CampaignProblem, *, follows: pa.Table, creator_id: ArrayLike, followers: ArrayLike
    ) -> "Overlap":
        """Read audiences off a market.

        Each listed account stands for as many people as there are followers for each that is listed, over all
        creators; followers of a creator beyond those, and all that a prediction asks for beyond the followers, are
        shared with nobody. So each tuple alone reaches as many people as its effectiveness says.

        Args:
            problem: its effectiveness in people: impressions or engagements, not negative.
            follows: source_id, target_id: the target follows the source.
            creator_id: (C,) strings, all creators of the problem among them, each once.
            followers: accounts of each, (C,); NaN or 0 where not known.

        Raises:
            ConfigError: errors of tuples are independent, or an effectiveness is negative: neither is defined here.
            DataError: a creator of the problem is not among creator_id.
        """
        if problem.has_joint_risk:
            raise ConfigError("problem.overlap works with risk=linear or risk=variance, not with independent errors.")
        if np.any(problem.effectiveness < 0):
            raise ConfigError("problem.overlap counts people: effectiveness must not be negative.")
        known, sizes = np.asarray(creator_id).astype(str), np.nan_to_num(np.asarray(followers, np.float64))
        names, owner = np.unique(problem.creator_id, return_inverse=True)
        place = {name: row for row, name in enumerate(known.tolist())}
        if lost := [name for name in names.tolist() if name not in place]:
            raise DataError(f"overlap: the followers of {lost[0]} are not given ({len(lost)} creators in all).")
        best = np.zeros(len(names))
        np.maximum.at(best, owner, problem.effectiveness)
        size = np.maximum(sizes[[place[name] for name in names.tolist()]], best)
        shared, weight, people = _shared(follows, names, size)
        own = np.maximum(size - people, 0.0)
        apart = np.flatnonzero(own > 0)
        private = sp.csr_array((np.ones(len(apart)), (np.arange(len(apart)), apart)), shape=(len(apart), len(names)))
        share = problem.effectiveness / np.maximum((people + own)[owner], 1e-300)
        return cls(
            audience=sp.csr_array(sp.vstack([shared, private], format="csr")),
            weight=np.concatenate([weight, own[apart]]),
            owner=owner,
            probability=np.minimum(share, _SUREST),
        )

    @cached_property
    def logs(self) -> Reals:
        """l_i = -log(1 - q_i), (N,)."""
        return -np.log1p(-self.probability)

    @cached_property
    def least(self) -> Reals:
        """Smallest positive l_i of each group, (A,); 1 where nobody reaches it."""
        of_creator = np.full(self.audience.shape[1], np.inf)
        np.minimum.at(of_creator, self.owner, np.where(self.logs > 0, self.logs, np.inf))
        entries = self.audience.tocoo()
        found = np.full(self.audience.shape[0], np.inf)
        np.minimum.at(found, entries.row, of_creator[entries.col])
        return np.where(np.isfinite(found), found, 1.0)

    def saturation(self, exposure: Reals) -> tuple[Reals, Reals]:
        """Values g and their derivative at exposures s, (..., A) each."""
        chord = -np.expm1(-self.least) / self.least
        below = exposure < self.least
        left = np.exp(-exposure)
        return np.where(below, chord * exposure, 1 - left), np.where(below, chord, left)

    def exposure(self, y: Reals) -> Reals:
        """Σ_i l_i y_i of each group, (A,)."""
        of_creator = np.bincount(self.owner, weights=self.logs * y, minlength=self.audience.shape[1])
        return np.asarray(self.audience @ of_creator)

    def reach(self, y: ArrayLike) -> float:
        """G(y), people; F of a whole plan, (N,) -> scalar."""
        return float(self.weight @ self.saturation(self.exposure(np.asarray(y, np.float64)))[0])

    def slope(self, y: ArrayLike) -> Reals:
        """∇G(y), people for each tuple, (N,)."""
        left = self.weight * self.saturation(self.exposure(np.asarray(y, np.float64)))[1]
        return np.asarray(self.logs * (self.audience.T @ left)[self.owner])

    def gains(self, chosen: ArrayLike) -> Reals:
        """What each tuple adds to a plan that is without it, people, (N,)."""
        y = np.asarray(chosen, np.float64)
        left = (self.audience.T @ (self.weight * np.exp(-self.exposure(y))))[self.owner]
        return np.asarray(left * np.where(y > 0.5, np.expm1(self.logs), self.probability))

    def alone(self) -> Reals:
        """What each tuple reaches by itself, people, (N,)."""
        return np.asarray(self.probability * (self.audience.T @ self.weight)[self.owner])

    def at(self, problem: CampaignProblem, point: Reals) -> tuple[CampaignProblem, float]:
        """The linear campaign that touches this one at a point, and what its value is short of the bound."""
        slope = self.slope(point)
        return replace(problem, effectiveness=slope), self.reach(point) - math.fsum(slope * point)

    def worth(self, problem: CampaignProblem, chosen: NDArray[np.bool_]) -> float:
        """Objective: people reached less what risk takes off."""
        risk = problem.value[chosen] - problem.effectiveness[chosen]
        return self.reach(chosen) + math.fsum(risk)


def _shared(follows: pa.Table, names: NDArray[np.str_], size: Reals) -> tuple[sp.csr_array, Reals, Reals]:
    """Groups of listed accounts, (A, C), the people of each group, (A,), and of each creator, (C,)."""
    sources = pc.unique(follows["source_id"]).to_numpy(zero_copy_only=False).astype(str)
    listed = np.flatnonzero(np.isin(names, sources) & (size >= 1))
    people = np.zeros(len(names))
    if not listed.size:
        return sp.csr_array((0, len(names))), np.zeros(0), people
    audiences = Audiences.from_follows(
        follows, creator_id=names[listed], impressions=size[listed], followers=size[listed]
    )
    groups, weight = _groups(audiences)
    people[listed] = np.diff(audiences.start) * audiences.weight[0]
    shape = (len(weight), len(names))
    return sp.csr_array((groups.data, listed[groups.indices], groups.indptr), shape=shape), weight, people


def _groups(audiences: Audiences) -> tuple[sp.csr_array, Reals]:
    """Put accounts with the same creators together: (groups, creators) and people of each group."""
    shape = (len(audiences.weight), len(audiences))
    entries = (np.ones(len(audiences.accounts)), (audiences.accounts, audiences.creator_of))
    matrix = sp.csr_array(entries, shape=shape)
    # Two sums of random 64-bit numbers tell sets of creators apart (but for one chance in 2^100).
    numbers = np.random.default_rng(0).integers(0, 2**64, size=(len(audiences), 2), dtype=np.uint64)
    ends = np.vstack([np.zeros((1, 2), np.uint64), np.cumsum(numbers[matrix.indices], axis=0, dtype=np.uint64)])
    keys = ends[matrix.indptr[1:]] - ends[matrix.indptr[:-1]]
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(group.ravel(), weights=audiences.weight, minlength=len(first)).astype(np.float64)
    return sp.csr_array(matrix[first]), weight


@dataclass(frozen=True, kw_only=True, eq=False)
class OverlapPlan:
    """A plan that counts people once, and the means to check it.

    Attributes:
        plan: its objective counts people once; multipliers and proof are those of the linear campaign at `point`.
        point: where that campaign touches, (N,), in [0, 1].
    """

    plan: Plan
    point: Reals


def bound_at(problem: CampaignProblem, overlap: Overlap, found: OverlapPlan) -> float:
    """Upper bound of every plan: proven for the linear campaign that touches at the plan's point."""
    linear, short = overlap.at(problem, found.point)
    return short + proven_bound(linear, found.plan)


def verify_overlap(
    problem: CampaignProblem, overlap: Overlap, found: OverlapPlan, *, relative_gap: float | None = None
) -> Certificate:
    """Check a plan against its problem, account by account; see `verify`.

    Args:
        problem: what was asked.
        overlap: whom the tuples reach.
        found: what was answered; nothing in it is believed.
        relative_gap: what was asked of a plan that is called optimal; None: what the plan claims.
    """
    linear, _ = overlap.at(problem, found.point)
    base = verify(linear, found.plan)
    if not found.plan.status.has_plan:
        return base
    objective = _counted(problem, overlap, found.plan.chosen)
    bound = max(bound_at(problem, overlap, found), objective)
    gap = (bound - objective) / (abs(objective) or 1.0)
    if gap < 1e-9:
        gap = 0.0
    said = found.plan.objective
    claims = [claim for claim in (found.plan.gap, relative_gap) if claim is not None]
    asked = min(claims) if claims else None
    same = abs(said - objective) <= 1e-9 * max(float(overlap.weight.sum()), abs(objective))
    close = found.plan.status is not Status.OPTIMAL or (asked is not None and gap <= asked * (1 + 1e-9) + 1e-9)
    checks = [check for check in base.checks if check.name not in _OF_THE_SUM]
    checks += [
        Check(
            name="objective", ok=same, value=said, limit=objective, slack=-abs(said - objective),
            words=f"The plan says {said:,.6g} {problem.unit}; counted account by account it is {objective:,.6g}.",
        ),
        Check(
            name="optimality", ok=close, value=gap, limit=math.inf if asked is None else asked, slack=0.0,
            words=f"No plan exceeds {bound:,.6g} (proven), so none is better by more than {100 * gap:.3g} %.",
        ),
    ]  # fmt: skip
    return replace(base, checks=tuple(checks), objective=objective, upper_bound=bound, gap=gap)


def _counted(problem: CampaignProblem, overlap: Overlap, chosen: NDArray[np.bool_]) -> float:
    """Objective by products of 1 - q, not by sums of logarithms."""
    rows = np.flatnonzero(chosen)
    missed = np.ones(overlap.audience.shape[1])
    np.multiply.at(missed, overlap.owner[rows], 1 - overlap.probability[rows])
    entries = overlap.audience.tocoo()
    of_group = np.ones(overlap.audience.shape[0])
    np.multiply.at(of_group, entries.row, missed[entries.col])
    risk = problem.rho * (problem.std[rows] ** (2 if problem.risk == "variance" else 1))
    return math.fsum(overlap.weight * (1 - of_group)) - math.fsum(risk)


def shares(overlap: Overlap, problem: CampaignProblem, chosen: NDArray[np.bool_]) -> Reals:
    """People by tuple: those reached divided among the posts of a plan, and what others would add, (N,).

    A person whom several posts may reach is divided in proportion to their logarithms l_i.
    """
    y = np.asarray(chosen, np.float64)
    exposure = overlap.exposure(y)
    rate = np.divide(-np.expm1(-exposure), exposure, out=np.ones_like(exposure), where=exposure > 0)
    parts = overlap.logs * (overlap.audience.T @ (overlap.weight * rate))[overlap.owner]
    return np.where(chosen, parts, overlap.gains(chosen))


def convex_best(overlap: Overlap, linear: Reals, vertices: Sequence[NDArray[np.bool_]], start: Reals) -> Reals:
    """Weights of plans whose mixture reaches most: G(Σ λ_k y_k) + Σ λ_k linear·y_k over the simplex, (K,).

    Args:
        overlap: whom the tuples reach.
        linear: what risk takes off each tuple (negative), (N,).
        vertices: K plans, (N,) each.
        start: weights to begin with, (K,).
    """
    from scipy.optimize import minimize  # noqa: PLC0415  (slow to import)

    exposures = np.stack([overlap.exposure(v.astype(np.float64)) for v in vertices])  # (K, A)
    constant = np.array([math.fsum(linear[v]) for v in vertices])
    scale = float(overlap.weight.sum()) or 1.0

    def loss(weights: Reals) -> tuple[float, Reals]:
        reached, slope = overlap.saturation(weights @ exposures)
        value = float(overlap.weight @ reached + weights @ constant)
        return -value / scale, -(exposures @ (overlap.weight * slope) + constant) / scale

    found = minimize(
        loss, start, jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * len(vertices),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"maxiter": 100, "ftol": 1e-12},
    )  # fmt: skip
    weights = np.clip(found.x, 0.0, None)
    return np.asarray(weights / weights.sum()) if np.all(np.isfinite(weights)) and weights.sum() > 0 else start
