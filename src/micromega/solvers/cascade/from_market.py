"""A market's follows as a network, with probabilities by a named reading, and who may be chosen in it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, some_of
from micromega.solvers.cascade.chances import edge_probability
from micromega.solvers.cascade.network import Network

Integers = NDArray[np.int64]
Chances = Literal["given", "uniform", "in_degree", "source_degree", "trivalency", "learned"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SocialNetwork:
    """Accounts of a market and who can activate whom.

    Attributes:
        network: N accounts, M edges.
        account_id: (N,).
        name: display name of each account, its id where it has none, (N,).
        creators: accounts of kind creator, which may be chosen, rising, (C,).
        words: where the probabilities come from.
    """

    network: Network
    account_id: tuple[str, ...]
    name: tuple[str, ...]
    creators: Integers
    words: str

    def positions(self, ids: Sequence[str]) -> Integers:
        """Find accounts by id.

        Raises:
            ConfigError: an id that is no account of the network.
        """
        place = {name: at for at, name in enumerate(self.account_id)}
        unknown = [one for one in ids if one not in place]
        if unknown:
            close = difflib.get_close_matches(unknown[0], self.account_id, n=1)
            raise ConfigError(
                f"problem.unavailable: the network has no account {some_of(map(repr, unknown), 5)}. "
                + (f"Did you mean {close[0]!r}?" if close else "Give ids of the table accounts.")
            )
        return np.array([place[one] for one in ids], np.int64)

    def candidates(self, most: int | None, unavailable: Integers) -> Integers:
        """Choose creators to consider: all, or `most`, half of them the first by reach, half spread over the others.

        Reach is what two steps bring, paths added up: cheap, and near enough for an order.

        Args:
            most: K; None: all.
            unavailable: accounts that are out of the question.

        Returns:
            Accounts, rising, (K,) or fewer.
        """
        free = np.setdiff1d(self.creators, unavailable)
        if most is None or len(free) <= most:
            return free
        network = self.network
        once = np.bincount(network.source, weights=network.probability, minlength=network.nodes)
        reach = np.bincount(
            network.source, weights=network.probability * (1 + once[network.target]), minlength=network.nodes
        )
        order = free[np.argsort(-reach[free], kind="stable")]
        first, rest = order[: most // 2], order[most // 2 :]
        spread = np.linspace(0, len(rest) - 1, most - len(first)).round().astype(np.int64)
        return np.sort(np.concatenate([first, rest[spread]]))


def social_network(
    accounts: pa.Table,
    edges: pa.Table,
    *,
    chances: Chances | None = None,
    chance: float | None = None,
    seed: int = 0,
) -> SocialNetwork:
    """Read a network from tables.

    Args:
        accounts: account_id, kind, name of the market.
        edges: source_id, target_id, and probability: the market's follows, or a table of activation scores (learned).
        chances: where probabilities come from; None: the table where it knows them all, else 1 / in-degree.
        chance: the number that the reading needs, see `edge_probability`.
        seed: of trivalency.

    Returns:
        The network of all creators and all accounts with an edge.

    Raises:
        DataError: there is no edge between two accounts, probabilities are asked for that the table does not hold, or
            an edge runs to an unknown account.
        ConfigError: a reading without the number that it needs, or with one that it does not take.
    """
    ids = accounts["account_id"].combine_chunks()
    is_creator = pc.equal(accounts["kind"].combine_chunks(), "creator")
    linked = pa.concat_arrays([edges["source_id"].combine_chunks(), edges["target_id"].combine_chunks()])
    used = pc.or_(is_creator, pc.is_in(ids, value_set=pc.unique(linked)))
    nodes, kinds = ids.filter(used), np.asarray(is_creator.filter(used))
    place = pc.index_in(linked, value_set=nodes)
    if place.null_count:
        raise DataError(f"follows: {place.null_count} edges name accounts that the market does not have.")
    pairs = np.ascontiguousarray(np.asarray(place).astype(np.int64).reshape(2, -1).T)
    if not (pairs[:, 0] != pairs[:, 1]).any():
        raise DataError(
            f"follows: none of {len(pairs):,} rows links one account with another, so nothing can spread. Give a "
            "network: who follows whom."
        )
    known = edges["probability"]
    reading = chances or ("in_degree" if known.null_count else "given")
    if chances is None and 0 < known.null_count < len(known):
        raise DataError(
            f'follows.parquet: column "probability" is empty in {known.null_count:,} of {len(known):,} rows. Fill it, '
            "or say where probabilities come from with problem.chances=in_degree, uniform, …"
        )
    if chance is not None and reading in ("given", "learned", "trivalency"):
        raise ConfigError(f"problem.chance is {chance:g}, but problem.chances={reading} takes no number. Leave it out.")
    given = None
    if reading in ("given", "learned"):
        if known.null_count:
            raise DataError(
                f'follows.parquet: column "probability" is empty in {known.null_count:,} of {len(known):,} rows; '
                "problem.chances=given needs all of them. Fill it, or choose another reading (in_degree, uniform, …)."
            )
        given = np.asarray(known.combine_chunks(), np.float64)
    probability = edge_probability(
        pairs, len(nodes), "given" if reading == "learned" else reading, value=chance, given=given, seed=seed
    )
    names = accounts["name"].combine_chunks().filter(used) if "name" in accounts.column_names else nodes
    return SocialNetwork(
        network=Network.of(pairs, probability, nodes=len(nodes)),
        account_id=tuple(nodes.to_pylist()),
        name=tuple(pc.coalesce(names, nodes).to_pylist()),
        creators=np.flatnonzero(kinds).astype(np.int64),
        words=_words(reading, chance),
    )


def named_needs(needs: Mapping[str, float] | Sequence[float]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Give names and volumes of needs, (J,); volumes alone get numbers as names."""
    named: dict[str, Any] = (
        dict(needs) if isinstance(needs, Mapping) else {f"need {j + 1}": volume for j, volume in enumerate(needs)}
    )
    return tuple(named), np.array(list(named.values()), np.float64)


def _words(reading: str, chance: float | None) -> str:
    if reading == "uniform":
        return f"Every edge activates with probability {chance:g}."
    if reading == "source_degree":
        return f"An edge activates with probability {chance:g} times its source's degree over the largest."
    if reading == "in_degree":
        return f"An edge activates with probability {1.0 if chance is None else chance:g} over its target's in-degree."
    if reading == "trivalency":
        return "An edge activates with probability 0.1, 0.01 or 0.001, drawn by the run's seed."
    if reading == "learned":
        return "Activation probabilities come from a score table that was learned from exposures."
    return "Activation probabilities are those of the table follows."
