"""The campaign problem taken apart for the Lagrangian dual: creators side by side, coupled by a few global rows.

Each row of the problem goes to one of three places:
- caps within one creator stay in the inner problems (`inner.py`), as long as the sets are nested;
- the other rows are priced, the largest first, up to `PRICED` of them;
- what is left gets multiplier 0: the bound holds without it, and the search for a plan keeps to it. Rows that the best
  choice under the multipliers breaks are priced in a second round.

Tuples that are in the same priced rows with the same coefficients share a pattern, so that a million tuples are priced
by looking up a few hundred numbers.

N tuples, C creators (blocks), P priced rows, Q patterns, V nested caps, R rows of the problem.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.solvers.campaign.patterns import NO_ROWS, Rows, patterns
from micromega.solvers.campaign.problem import CampaignProblem

PRICED = 200
"""Most rows that get a multiplier of their own."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Separable:
    """Choose tuples of the largest value within a spending limit, caps inside blocks, and global rows.

    Attributes:
        value: (N,), the tuples of a block side by side.
        price: (N,).
        limit: what may be spent.
        start: where blocks begin, (C + 1,).
        cap: most tuples of a block, (C,); its size where there is no cap.
        pattern: (N,), which global rows a tuple is in.
        usage: coefficients of the patterns in the priced rows, (Q, P).
        lower: of the priced rows, -infinite where it cannot bind, (P,).
        upper: infinite where it cannot bind, (P,).
        size: of the priced rows, (P,); a row may be missed by `TOLERANCE` of it.
        nest_start: where each tuple's nested caps begin, (N + 1,); of length 1 without any.
        nest_row: nested caps of each tuple, the smallest set first.
        nest_cap: (V,).
        nest_parent: the next larger nested set around each, -1 where only the block is, (V,).
        rest: rows without a multiplier.
        order: which tuple of the problem stands at each place, (N,); empty where they were in order already.
    """

    value: Floats
    price: Floats
    limit: float
    start: Ints
    cap: Ints
    pattern: NDArray[np.int32]
    usage: sp.csr_array
    lower: Floats
    upper: Floats
    size: Floats
    nest_start: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    nest_row: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    nest_cap: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    nest_parent: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rest: Rows = NO_ROWS
    order: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.value)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.cap)

    def blocks_of(self, places: Ints) -> Ints:
        """Block of each of some tuples."""
        return np.searchsorted(self.start, places, side="right") - 1

    def in_problem_order(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Undo the order of the blocks."""
        if not len(self.order):
            return chosen
        result = np.zeros_like(chosen)
        result[self.order] = chosen
        return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where the parts of a `Separable` stand among the rows of its problem; -1 for none.

    Attributes:
        cap: row of each block's cap, (C,).
        priced: (P,).
        nested: (V,).
        rest: of the rows without a multiplier.
        rows: how many rows the problem has.
    """

    cap: Ints
    priced: Ints
    nested: Ints
    rest: Ints
    rows: int


def separate(
    *, value: Floats, price: Floats, limit: float, creator: NDArray[np.integer], cap: NDArray[np.integer], rows: Rows
) -> Separable:
    """Take plain arrays apart; at ten million tuples nothing here is larger than a few columns.

    Args:
        value: of each tuple, (N,).
        price: (N,), none negative.
        limit: what may be spent.
        creator: code 0..C-1 of each tuple's creator, (N,); sorted codes save a copy of everything.
        cap: most tuples of each creator, (C,).
        rows: global rows, all to be priced.
    """
    return _assemble(value, price, limit, creator, cap, rows, nested=NO_ROWS, rest=NO_ROWS)


def separate_problem(problem: CampaignProblem, *, wanted: Ints | None = None) -> tuple[Separable, Places]:
    """Take a campaign problem apart; problems with switches do not come apart.

    Args:
        problem: what is asked.
        wanted: rows to be priced before others, (W,).

    Returns:
        Its parts, and where they come from.
    """
    held = problem.rows
    rows = Rows(held.start, held.members, held.coefficient, held.lower, held.upper, held.size)
    creator = creator_codes(problem.creator_id)
    size = np.bincount(creator)
    role, below, above = _roles(rows, creator, size)
    whole = np.flatnonzero(role == _WHOLE)
    owner = creator[rows.members[rows.start[whole]]]
    # The smallest cap of a creator counts; others on the same set say nothing more.
    tightest = np.lexsort((whole, rows.upper[whole], owner))[::-1]
    cap, cap_row = size.copy(), np.full(len(size), -1, np.int64)
    cap[owner[tightest]] = np.floor(rows.upper[whole[tightest]]).astype(np.int64)
    cap_row[owner[tightest]] = whole[tightest]
    nested = _laminar(rows, np.flatnonzero(role == _INSIDE), len(problem))
    crossing = np.setdiff1d(np.flatnonzero(role == _INSIDE), nested)
    coupling = np.flatnonzero(role == _GLOBAL)
    largest = coupling[np.argsort(-np.diff(rows.start)[coupling], kind="stable")]
    if wanted is not None:
        largest = np.concatenate([wanted, np.setdiff1d(largest, wanted)])
        crossing = np.setdiff1d(crossing, wanted)
    priced = np.sort(largest[:PRICED])
    rest = np.sort(np.concatenate([largest[PRICED:], crossing]))
    bounded = rows._replace(lower=np.where(below, rows.lower, -np.inf), upper=np.where(above, rows.upper, np.inf))
    parts = _assemble(
        problem.value,
        problem.price,
        problem.spending_limit,
        creator,
        cap,
        bounded.where(_mask(priced, len(held))),
        nested=rows.where(_mask(nested, len(held))),
        rest=bounded.where(_mask(rest, len(held))),
    )
    return parts, Places(cap=cap_row, priced=priced, nested=nested, rest=rest, rows=len(held))


def creator_codes(creator_id: NDArray[np.str_]) -> Ints:
    """Code creators 0..C-1 in the order of their first tuple; ids that stand side by side are compared once.

    Args:
        creator_id: (N,).
    """
    if not len(creator_id):
        return np.zeros(0, np.int64)
    heads = np.concatenate([[0], np.flatnonzero(creator_id[1:] != creator_id[:-1]) + 1])
    _, first, code = np.unique(creator_id[heads], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.repeat(rank[code], np.diff(np.append(heads, len(creator_id))))


_LOOSE, _GLOBAL, _WHOLE, _INSIDE = range(4)


def _roles(rows: Rows, creator: Ints, size: Ints) -> tuple[NDArray[np.int8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Say what each row is, (R,), and whether its lower and upper limits can bind."""
    count = len(rows.lower)
    full = np.flatnonzero(np.diff(rows.start) > 0)
    least, most, positive, negative = np.zeros((4, count))
    first, last = np.zeros((2, count), np.int64)
    if full.size:
        at = rows.start[full]
        least[full] = np.minimum.reduceat(rows.coefficient, at)
        most[full] = np.maximum.reduceat(rows.coefficient, at)
        positive[full] = np.add.reduceat(np.maximum(rows.coefficient, 0.0), at)
        negative[full] = np.add.reduceat(np.minimum(rows.coefficient, 0.0), at)
        owner = creator[rows.members]
        first[full], last[full] = np.minimum.reduceat(owner, at), np.maximum.reduceat(owner, at)
    below, above = rows.lower > negative, rows.upper < positive
    counts = (least == 1) & (most == 1) & ~below & above & (rows.upper >= 0) & (rows.upper == np.floor(rows.upper))
    local = counts & (first == last)
    whole = local.copy()
    whole[local] = np.diff(rows.start)[local] == size[first[local]]
    role = np.where(below | above, _GLOBAL, _LOOSE)
    role[local], role[whole] = _INSIDE, _WHOLE
    return role.astype(np.int8), below, above


def _laminar(rows: Rows, inside: Ints, tuples: int) -> Ints:
    """Keep caps inside creators whose sets are nested or apart; drop those that cross others."""
    kept = inside
    while kept.size:
        _, _, crossing = _nest(rows.where(_mask(kept, len(rows.lower))), tuples)
        if not crossing.any():
            break
        kept = kept[~crossing]
    return kept


def _nest(nested: Rows, tuples: int) -> tuple[sp.csr_array, Ints, NDArray[np.bool_]]:
    """List each tuple's sets, the smallest first.

    Returns:
        Matrix (tuples, V) with columns in that order, the set around each set (-1 for none), and which sets have
        members that disagree about it.
    """
    sizes = np.diff(nested.start)
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((np.arange(len(sizes)), sizes))] = np.arange(len(sizes))
    row = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((rank[row], nested.members))
    member, row = nested.members[order], row[order]
    start = np.concatenate([[0], np.cumsum(np.bincount(member, minlength=tuples))])
    around = np.full(len(row), -1, np.int64)
    same = np.flatnonzero(member[1:] == member[:-1])
    around[same] = row[same + 1]
    parent = np.full(len(sizes), -1, np.int64)
    parent[row] = around
    crossing = np.zeros(len(sizes), bool)
    crossing[row[around != parent[row]]] = True
    return sp.csr_array((np.ones(len(row)), row, start), shape=(tuples, len(sizes))), parent, crossing


def _assemble(
    value: Floats,
    price: Floats,
    limit: float,
    creator: NDArray[np.integer],
    cap: NDArray[np.integer],
    priced: Rows,
    *,
    nested: Rows,
    rest: Rows,
) -> Separable:
    tuples = len(value)
    if not len(price) == len(creator) == tuples:
        raise DataError(f"campaign arrays: {tuples} values, {len(price)} prices, {len(creator)} creators.")
    pattern, usage = patterns(priced, tuples)
    nests, parent, _ = _nest(nested, tuples)
    order = np.zeros(0, np.int64)
    if tuples and np.any(creator[1:] < creator[:-1]):
        order = np.argsort(creator, kind="stable")
        value, price, pattern, nests = value[order], price[order], pattern[order], nests[order]
        place = np.empty(tuples, np.int64)
        place[order] = np.arange(tuples)
        rest = rest._replace(members=place[rest.members])
    return Separable(
        value=np.ascontiguousarray(value, np.float64),
        price=np.ascontiguousarray(price, np.float64),
        limit=float(limit),
        start=np.concatenate([[0], np.cumsum(np.bincount(creator, minlength=len(cap)))]).astype(np.int64),
        cap=np.asarray(cap, np.int64),
        pattern=pattern,
        usage=usage,
        lower=priced.lower,
        upper=priced.upper,
        size=priced.size,
        nest_start=nests.indptr.astype(np.int64) if nests.nnz else np.zeros(1, np.int64),
        nest_row=nests.indices.astype(np.int64),
        nest_cap=np.floor(nested.upper).astype(np.int64),
        nest_parent=parent,
        rest=rest,
        order=order,
    )


def _mask(indices: Ints, size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    mask[indices] = True
    return mask
