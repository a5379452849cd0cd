"""Reach of a set of creators whose audiences overlap: a follower of two is reached once.

Tian et al. (2022) size one partnership and leave several to others; adding up what each reaches counts shared followers
as often as they are shared. Here creator c reaches each account of its audience with probability q_c, all on their own,
so that a set S reaches

    reach(S) = sum over accounts a of w_a (1 - prod over c in S whose audience holds a of (1 - q_c)),

which grows with S, by ever less (monotone and submodular). What one creator reaches comes from its response curve:
q_c is about expected impressions / followers (`Audiences.from_follows`).

Shapes: C creators, A accounts, M pairs of a creator and an account of its audience.
"""

import heapq
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign.problem import TOLERANCE, freeze

_MOST = 1_000
"""Codes of accounts for each pair beyond which they are no codes but ids."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Audiences:
    """Whom each creator can reach, and how likely.

    Attributes:
        start: where each creator's accounts begin, (C + 1,).
        accounts: codes 0..A-1 of accounts, at most once for a creator, (M,).
        probability: that a post of the creator reaches an account of its audience, (C,), in [0, 1].
        weight: of each account, (A,), for instance the people that a sampled account stands for; 1 where left out.
    """

    start: NDArray[np.int64]
    accounts: NDArray[np.int64]
    probability: NDArray[np.float64]
    weight: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        freeze(self, "start", self.start, np.int64)
        freeze(self, "accounts", self.accounts, np.int64)
        freeze(self, "probability", self.probability, np.float64)
        size = int(self.accounts.max(initial=-1)) + 1
        if not len(self.weight) and size > _MOST * max(len(self.accounts), 1):
            raise DataError(f"Audiences: account {size - 1} among {len(self.accounts)} pairs. Give codes from 0 on.")
        freeze(self, "weight", self.weight if len(self.weight) else np.ones(size), np.float64)
        creators = len(self.probability)
        rises = len(self.start) == creators + 1 and self.start[0] == 0 and bool(np.all(np.diff(self.start) >= 0))
        if not rises or self.start[-1] != len(self.accounts):
            raise DataError(
                f"Audiences: start has {len(self.start)} entries for {creators} creators and {len(self.accounts)} "
                "pairs. It needs one more than creators and rises from 0 to the number of pairs."
            )
        if self.accounts.min(initial=0) < 0 or size > len(self.weight):
            raise DataError(f"Audiences: an account lies outside 0..{len(self.weight) - 1}.")
        for name, most in (("probability", 1.0), ("weight", np.inf)):
            values = getattr(self, name)
            wrong = np.flatnonzero(~np.isfinite(values) | (values < 0) | (values > most))
            if wrong.size:
                allowed = "a probability" if most == 1.0 else "finite and not negative"
                raise DataError(f"Audiences: {name} {wrong[0]} is {values[wrong[0]]:g}, which is not {allowed}.")
        pair = self.creator_of * len(self.weight) + self.accounts
        if len(np.unique(pair)) != len(pair):
            raise DataError("Audiences: a creator has the same account twice. Name each follower once.")

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def creator_of(self) -> NDArray[np.int64]:
        """Creator of each pair, (M,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    def of(self, creator: int) -> NDArray[np.int64]:
        """Accounts of one creator."""
        return self.accounts[self.start[creator] : self.start[creator + 1]]

    @classmethod
    def from_follows(
        cls, follows: pa.Table, *, creator_id: ArrayLike, impressions: ArrayLike, followers: ArrayLike
    ) -> "Audiences":
        """Take audiences from a market and probabilities from response curves.

        A market lists some of all followers, of one creator more of them than of another. An account stands for as many
        people as there are followers for each that is listed, over all creators, and q_c is what makes one creator
        alone reach min(impressions, followers) people; at most 1, where more than all that is listed would be reached.

        Args:
            follows: source_id, target_id: the target follows the source.
            creator_id: (C,) strings, each once.
            impressions: expected of a post, (C,), for instance of the response curve at the creator's followers.
            followers: accounts, (C,), 1 or more.

        Returns:
            Audiences of those creators.

        Raises:
            DataError: lengths disagree, a creator stands there twice, a number is out of range, or nobody is listed as
                a follower of a creator: then what it shares with others is not known.
        """
        known = np.asarray(creator_id).astype(str)
        expected, sizes = (np.asarray(of, np.float64) for of in (impressions, followers))
        if not known.shape == expected.shape == sizes.shape == (known.size,):
            raise DataError("Audiences: creator_id, impressions and followers need one entry for each creator.")
        if len(np.unique(known)) != len(known):
            raise DataError("Audiences: a creator is named twice. Name each once.")
        if not (np.all(sizes >= 1) and np.all(np.isfinite(sizes)) and np.all((expected >= 0) & np.isfinite(expected))):
            raise DataError("Audiences: followers must be 1 or more and impressions 0 or more. Leave others out.")
        source = pc.index_in(follows["source_id"], value_set=pa.array(known.tolist(), pa.string()))
        kept = pc.is_valid(source)
        creator = source.filter(kept).to_numpy().astype(np.int64)
        names = follows["target_id"].filter(kept).combine_chunks().dictionary_encode()
        account = np.asarray(names.indices.to_numpy(), np.int64)
        listed = np.bincount(creator, minlength=len(known))
        nobody = np.flatnonzero(listed == 0)
        if nobody.size:
            raise DataError(
                f"Audiences: follows lists nobody who follows {known[nobody[0]]} ({nobody.size} creators in all). "
                "Leave those creators out, or add their followers."
            )
        order = np.lexsort((account, creator))
        people = sizes.sum() / max(len(account), 1)
        return cls(
            start=np.concatenate([[0], np.cumsum(listed)]),
            accounts=account[order],
            probability=np.minimum(1.0, np.minimum(expected, sizes) / np.maximum(listed * people, 1e-300)),
            weight=np.full(len(names.dictionary), people),
        )


def missed(audiences: Audiences, chosen: ArrayLike) -> NDArray[np.float64]:
    """Probability that no post of a set reaches an account.

    Args:
        audiences: of C creators.
        chosen: creators of the set: (C,) bool, or indices.

    Returns:
        (A,), in [0, 1].
    """
    inside = _inside(audiences, chosen)[audiences.creator_of]
    pairs, of = audiences.accounts[inside], audiences.probability[audiences.creator_of[inside]]
    with np.errstate(divide="ignore"):
        logs = np.bincount(pairs, weights=np.log1p(-of), minlength=len(audiences.weight))
    found: NDArray[np.float64] = np.exp(logs)
    return found


def reach(audiences: Audiences, chosen: ArrayLike) -> float:
    """Expected number of distinct people that a set of creators reaches.

    Args:
        audiences: of C creators.
        chosen: creators of the set: (C,) bool, or indices.

    Returns:
        People, in the units of `audiences.weight`.
    """
    return float(audiences.weight @ (1 - missed(audiences, chosen)))


def gains(audiences: Audiences, chosen: ArrayLike) -> NDArray[np.float64]:
    """What each creator would add to a set.

    Args:
        audiences: of C creators.
        chosen: creators of the set: (C,) bool, or indices.

    Returns:
        People, (C,); of creators in the set, what would be added by a second, independent post.
    """
    left = (audiences.weight * missed(audiences, chosen))[audiences.accounts]
    sums = np.bincount(audiences.creator_of, weights=left, minlength=len(audiences))
    return audiences.probability * sums


@dataclass(frozen=True, kw_only=True, eq=False)
class ReachPlan:
    """Creators chosen for what they reach together.

    Attributes:
        chosen: (C,) bool.
        reach: distinct people.
        counted_apart: sum of what each chosen creator reaches alone; the difference is counted twice where sums are.
        spend: in the currency of the prices.
        bound: no set within the budget reaches more.
    """

    chosen: NDArray[np.bool_]
    reach: float
    counted_apart: float
    spend: float
    bound: float

    @property
    def gap(self) -> float:
        """How much more another set could reach at most, as a share of this one."""
        return (self.bound - self.reach) / self.reach if self.reach else float(self.bound > 0)


def maximise_reach(audiences: Audiences, *, price: ArrayLike, budget: float) -> ReachPlan:
    """Choose creators within a budget for the people that they reach together.

    Lazy greedy by gain per price, then the better of that set and the best single creator, which reaches at least
    (1 - 1/sqrt(e)) = 39 % of the best set (Khuller, Moss & Naor 1999); and an upper bound from what could still be
    added after each step (Leskovec et al. 2007), which is usually much closer.

    Args:
        audiences: of C creators.
        price: (C,), positive.
        budget: in the same currency.

    Raises:
        ConfigError: a price is not positive, or the budget negative.
    """
    prices = np.asarray(price, np.float64)
    if prices.shape != (len(audiences),) or not np.all(np.isfinite(prices) & (prices > 0)):
        raise ConfigError(f"price: one positive number for each of {len(audiences)} creators is needed.")
    if not (np.isfinite(budget) and budget >= 0):
        raise ConfigError(f"budget is {budget}. It must be a number that is finite and not negative.")
    alone = gains(audiences, [])
    affordable = prices <= budget * (1 + TOLERANCE)
    greedy, bound = _greedy(audiences, np.where(affordable, alone, 0.0), prices, budget)
    best = np.zeros(len(audiences), bool)
    if affordable.any():
        best[int(np.argmax(np.where(affordable, alone, -1.0)))] = True
    chosen = max((greedy, best), key=lambda of: reach(audiences, of))
    found = reach(audiences, chosen)
    return ReachPlan(
        chosen=chosen,
        reach=found,
        counted_apart=float(alone[chosen].sum()),
        spend=float(prices[chosen].sum()),
        bound=max(found, bound),
    )


def _greedy(
    audiences: Audiences, alone: NDArray[np.float64], prices: NDArray[np.float64], budget: float
) -> tuple[NDArray[np.bool_], float]:
    """Add the creator of most gain per price while money is left; give the set and a bound on every set."""
    chosen = np.zeros(len(audiences), bool)
    left = audiences.weight.copy()
    spent, reached = 0.0, 0.0
    bound = _with_whole_budget(alone, prices, budget)
    queue = [(-alone[c] / prices[c], int(c), 0) for c in np.flatnonzero(alone > 0)]
    heapq.heapify(queue)
    while queue:
        _, creator, seen = heapq.heappop(queue)
        gain = float(audiences.probability[creator] * left[audiences.of(creator)].sum())
        if gain <= 0 or spent + prices[creator] > budget * (1 + TOLERANCE):
            continue
        if seen != int(chosen.sum()):  # gains only fall: an old one is an upper bound
            heapq.heappush(queue, (-gain / prices[creator], creator, int(chosen.sum())))
            continue
        chosen[creator] = True
        left[audiences.of(creator)] *= 1 - audiences.probability[creator]
        spent, reached = spent + prices[creator], reached + gain
        if _is_power_of_two(int(chosen.sum())) or not queue:
            more = np.where(chosen | (alone <= 0), 0.0, gains(audiences, chosen))
            bound = min(bound, reached + _with_whole_budget(more, prices, budget))
    more = np.where(chosen | (alone <= 0), 0.0, gains(audiences, chosen))
    return chosen, min(bound, reached + _with_whole_budget(more, prices, budget))


def _with_whole_budget(gain: NDArray[np.float64], prices: NDArray[np.float64], budget: float) -> float:
    """Most that gains add up to within the budget, with a part of the last: an upper bound for submodular sums."""
    order = np.argsort(-gain / prices, kind="stable")
    spent = np.cumsum(prices[order])
    before = spent - prices[order]
    share = np.clip((budget * (1 + TOLERANCE) - before) / prices[order], 0.0, 1.0)
    return float(gain[order] @ share)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _inside(audiences: Audiences, chosen: ArrayLike) -> NDArray[np.bool_]:
    given = np.asarray(chosen)
    inside = np.zeros(len(audiences), bool)
    if given.dtype == bool:
        if given.shape != inside.shape:
            raise DataError(f"chosen: {given.shape} marks for {len(audiences)} creators.")
        return given
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= len(audiences)):
        raise DataError(f"chosen: give a mark for each creator, or indices from 0 to {len(audiences) - 1}.")
    if len(np.unique(given)) != given.size:
        raise DataError("chosen: an index stands there twice. Name each creator once.")
    inside[given.astype(np.int64)] = True
    return inside
