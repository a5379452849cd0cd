"""Who follows whom inside the market, and how posts pass from one to the next (Independent Cascade).

Shapes: C creators (the nodes), M edges, L subject dimensions. An edge goes from the account that is followed (source)
to the one that follows (target): the source activates the target.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.schemas import TIME
from micromega.market.simulated.people import People

TAIL = 2.5
"""Exponent of the power law of creators' fame, hence of the upper tail of how many follow them."""
FAME_FROM_FOLLOWERS = 0.8
"""Correlation of the ranks of fame inside the market and followers on the whole platform, before ties."""
SEEN = 8
"""An account follows one of so many accounts that it came across, each with probability by its fame."""
HOMOPHILY = 1.5
"""Log odds of following lost per unit of mean squared distance in subject space."""
RECIPROCAL = 0.125
"""Share of follows that are returned: 2 x 0.125 / 1.125 = 22 % of edges run both ways (Twitter: Kwak et al. 2010)."""
BRANCHING = 0.65
"""Mean number of followers that an activated account activates in turn; below 1, so that posts die out."""
MOST = 0.2
"""Mean activation probability of edges at most, however few there are."""
CLOSENESS, ATTENTION = 0.6, 0.5
"""Log odds of activation lost per unit of mean squared distance in subject space, and per log number of accounts that
the target follows: attention is divided."""
READINESS_SD, EDGE_SD = 0.5, 0.3
"""Spread of targets' readiness and of edges, log odds."""
EXPOSURES = 83.0
"""Mean number of exposures per creator."""
MAX_STEPS = 12
"""A post is passed on so many times at most."""
STEP_HOURS = 6.0
"""Each step takes so long; its exposures lie anywhere within."""
_BLOCK = 50_000
_ROUNDS = 50
"""The famous soon have everyone: repeated follows are drawn anew so many times at most."""

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """M edges, sorted by source and target; nodes are indices among the creators."""

    nodes: int
    source: NDArray[np.int64]
    """(M,)"""
    target: NDArray[np.int64]
    """(M,)"""
    probability: NDArray[np.float64]
    """(M,) activation probability."""

    @property
    def start(self) -> NDArray[np.int64]:
        """(C + 1,) where each source's edges begin."""
        return np.searchsorted(self.source, np.arange(self.nodes + 1))


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """X attempts of active nodes to activate their followers, each (X,)."""

    cascade: NDArray[np.int64]
    """Which cascade."""
    edge: NDArray[np.int64]
    """Which edge."""
    step: NDArray[np.int64]
    """0 where the author is the source."""
    activated: NDArray[np.bool_]


def cascade_tables(
    rng: np.random.Generator,
    people: People,
    *,
    follows: float,
    post_ids: pa.Array,
    author: NDArray[np.int64],
    posted_at: NDArray[np.datetime64],
    exposures: float = EXPOSURES,
) -> tuple[Tables, Tables]:
    """Draw follows, and exposures from posts that cascade over them.

    The activation probabilities are the truth alone: the column `probability` of follows stays empty.

    Args:
        rng: random stream.
        people: the accounts; creators are the nodes.
        follows: mean number of followers inside the market, above 0.
        post_ids: (N,) all posts of the market.
        author: (N,) index of the author among all accounts.
        posted_at: (N,) time of each post.
        exposures: mean number of exposures per creator; whole cascades are drawn until there are so many, or until
            every creator's post has had one.

    Returns:
        Tables "follows", "exposures"; truth "activation" (source_id, target_id, probability). Empty tables are left
        out (a lone creator has nobody to follow).
    """
    graph = draw_graph(rng, people, follows=follows)
    if not len(graph.source):
        return {}, {}
    ids = pa.array(people.ids[people.brands :])
    sources, targets = ids.take(pa.array(graph.source)), ids.take(pa.array(graph.target))
    tables = {"follows": pa.table({"source_id": sources, "target_id": targets})}
    truth = {"activation": pa.table({"source_id": sources, "target_id": targets, "probability": graph.probability})}
    posts = rng.permutation(np.flatnonzero(author >= people.brands))
    attempts, used = _draw_cascades(rng, graph, author[posts] - people.brands, round(exposures * graph.nodes))
    if used:
        post_X = posts[attempts.cascade]
        hours_X = STEP_HOURS * (attempts.step + rng.random(used))
        at_X = posted_at[post_X].astype("datetime64[us]") + (hours_X * 3.6e9).astype("timedelta64[us]")
        tables["exposures"] = pa.table(
            {
                "post_id": post_ids.take(pa.array(post_X)),
                "source_id": sources.take(pa.array(attempts.edge)),
                "target_id": targets.take(pa.array(attempts.edge)),
                "activated": attempts.activated,
                "at": pa.array(at_X).cast(TIME),
            }
        )
    return tables, truth


def draw_graph(rng: np.random.Generator, people: People, *, follows: float) -> Graph:
    """Draw who follows whom: famous accounts are found more often, similar ones followed more often.

    Args:
        rng: random stream.
        people: the accounts; creators are the nodes.
        follows: mean number of followers of a node.

    Returns:
        The graph, without loops and repeated edges; a little below the mean asked for in small markets.
    """
    subject_CL = people.subject[people.brands :]
    nodes = len(subject_CL)
    fame_C = np.cumsum(_fame(rng, people.followers[people.brands :]))
    wanted = round(min(follows, 0.5 * (nodes - 1)) * nodes / (1 + RECIPROCAL))
    code_M = np.empty(0, dtype=np.int64)
    for _ in range(_ROUNDS):
        if not (missing := wanted - len(code_M)):
            break
        sizes = [min(_BLOCK, missing - begin) for begin in range(0, missing, _BLOCK)]
        code_M = np.unique(np.concatenate([code_M, *(_found(rng, subject_CL, fame_C, size) for size in sizes)]))
    source_M, target_M = np.divmod(code_M, nodes)
    back = rng.random(len(code_M)) < RECIPROCAL
    code_M = np.union1d(code_M, target_M[back] * nodes + source_M[back])
    source_M, target_M = np.divmod(code_M, nodes)
    followed_M = np.bincount(target_M, minlength=nodes)[target_M]
    log_odds_M = -CLOSENESS * ((subject_CL[source_M] - subject_CL[target_M]) ** 2).mean(axis=1)
    log_odds_M += (READINESS_SD * rng.normal(size=nodes))[target_M] - ATTENTION * np.log(followed_M)
    log_odds_M += EDGE_SD * rng.normal(size=len(code_M))
    return Graph(nodes=nodes, source=source_M, target=target_M, probability=_calibrated(log_odds_M, source_M, target_M))


def _found(
    rng: np.random.Generator, subject_CL: NDArray[np.float64], fame_C: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Draw follows as codes source x C + target; fame is cumulated. Who came across nobody else follows nobody."""
    nodes = len(subject_CL)
    target = rng.integers(0, nodes, count)
    seen = np.minimum(np.searchsorted(fame_C, rng.random((count, SEEN)) * fame_C[-1], side="right"), nodes - 1)
    distance = ((subject_CL[seen] - subject_CL[target][:, None, :]) ** 2).mean(axis=2)
    liking = np.where(seen == target[:, None], -np.inf, rng.gumbel(size=seen.shape) - HOMOPHILY * distance)
    source = np.take_along_axis(seen, liking.argmax(axis=1)[:, None], axis=1)[:, 0]
    code: NDArray[np.int64] = (source * nodes + target)[source != target]
    return code


def draw_attempts(rng: np.random.Generator, graph: Graph, seeds: NDArray[np.int64]) -> Attempts:
    """Run independent cascades: whoever is newly active tries each inactive follower once (Kempe et al. 2003).

    Attempts of one step happen at once: two sources may both succeed with one target.

    Args:
        rng: random stream.
        graph: edges with probabilities.
        seeds: (K,) the node that starts each of K cascades.

    Returns:
        All attempts, by cascade and step.
    """
    start = graph.start
    cascade, node = np.arange(len(seeds)), seeds
    active = cascade * graph.nodes + node  # sorted codes of (cascade, node)
    found: list[tuple[NDArray[np.int64], ...]] = []
    for step in range(MAX_STEPS):
        degree = start[node + 1] - start[node]
        ends = np.cumsum(degree)
        if not len(ends) or not ends[-1]:
            break
        edge = np.arange(ends[-1]) + np.repeat(start[node] - (ends - degree), degree)
        cascade = np.repeat(cascade, degree)
        reached = cascade * graph.nodes + graph.target[edge]
        known = active[np.minimum(np.searchsorted(active, reached), len(active) - 1)] == reached
        edge, cascade, reached = edge[~known], cascade[~known], reached[~known]
        activated = rng.random(len(edge)) < graph.probability[edge]
        found.append((cascade, np.full(len(edge), step), edge, activated))
        fresh = np.unique(reached[activated])
        active = np.union1d(active, fresh)
        cascade, node = np.divmod(fresh, graph.nodes)
    if not found:
        none = np.empty(0, dtype=np.int64)
        return Attempts(cascade=none, edge=none, step=none, activated=none.astype(bool))
    cascade, step_X, edge, activated = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((edge, step_X, cascade))
    return Attempts(cascade=cascade[order], edge=edge[order], step=step_X[order], activated=activated[order])


def _draw_cascades(
    rng: np.random.Generator, graph: Graph, authors: NDArray[np.int64], wanted: int
) -> tuple[Attempts, int]:
    """Run cascades from posts in turn until there are enough attempts; also how many there are."""
    parts: list[Attempts] = []
    total = begin = 0
    batch = max(16, wanted // 400)
    while begin < len(authors) and total < wanted:
        part = draw_attempts(rng, graph, authors[begin : begin + batch])
        parts.append(Attempts(cascade=part.cascade + begin, edge=part.edge, step=part.step, activated=part.activated))
        total += len(part.edge)
        begin += batch
    names = ("cascade", "edge", "step", "activated")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    if total > wanted:  # whole cascades only
        last = np.searchsorted(columns["cascade"], columns["cascade"][wanted - 1], side="right")
        columns = {name: values[:last] for name, values in columns.items()}
    return Attempts(**columns), len(columns["edge"])


def _fame(rng: np.random.Generator, followers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draw weights with a power-law tail whose order follows that of followers, with some noise."""
    nodes = len(followers)
    rank = np.argsort(np.argsort(followers, kind="stable"), kind="stable") / nodes
    mixed = FAME_FROM_FOLLOWERS * (rank - 0.5) * np.sqrt(12) + np.sqrt(1 - FAME_FROM_FOLLOWERS**2) * rng.normal(
        size=nodes
    )
    place = (np.argsort(np.argsort(mixed, kind="stable"), kind="stable") + 0.5) / nodes
    weights: NDArray[np.float64] = (1 - place) ** (-1 / (TAIL - 1))
    return weights


def branching(source: NDArray[np.int64], target: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Mean number of followers that an activated account would activate, all of them inactive still.

    Args:
        source: (M,) accounts followed.
        target: (M,) accounts that follow.
        probability: (M,) activation probabilities.

    Returns:
        sum over edges (u, v) of p(u, v) * sum over w of p(v, w), divided by the sum of p(u, v).
    """
    onward_C = np.bincount(source, probability, minlength=int(target.max()) + 1)
    return float(probability @ onward_C[target] / probability.sum())


def _calibrated(
    log_odds: NDArray[np.float64], source: NDArray[np.int64], target: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Shift log odds (bisection) until branching is `BRANCHING`, or the mean is `MOST`; give the probabilities."""
    if not len(log_odds):
        return log_odds
    low, high = -20.0, 20.0
    for _ in range(30):
        middle = (low + high) / 2
        probability = 1 / (1 + np.exp(-log_odds - middle))
        if probability.mean() < MOST and branching(source, target, probability) < BRANCHING:
            low = middle
        else:
            high = middle
    return 1 / (1 + np.exp(-log_odds - low))
