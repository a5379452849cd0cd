"""A matching as a table that a person can act on, and its certificate."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.solvers.matching.allocation import Matching
from micromega.solvers.matching.certificate import merchant_ranks, verify
from micromega.solvers.matching.least import unmet
from micromega.solvers.matching.lists import places
from micromega.solvers.matching.named import NamedGame
from micromega.solvers.plan import Certificate, Check, Status

Integers = NDArray[np.int64]
NAMED = 5
"""Products or merchants named where they fall short."""


def plan_table(game: NamedGame, matching: Matching) -> pa.Table:
    """List who advertises what, the creators best thought of first.

    Args:
        game: with the ids.
        matching: its answer.

    Returns:
        creator_id, merchant_id, product_id, choice (1: the creator's first; equal choices share a number), and what
        merchants rank by: reputation, or score, with worth, what the creator's list follows.
    """
    pair = ordered(game, matching)
    product, creator = game.product[pair], np.searchsorted(game.start, pair, side="right") - 1
    standing = pa.array(game.standing_of_pairs[pair], pa.float64())
    follows = {"reputation": standing} if game.by_reputation else {"score": standing}
    if not game.by_reputation:
        follows["worth"] = pa.array(game.worth[pair], pa.float64())
    return pa.table(
        {
            "creator_id": pa.array(game.creator_id[creator].tolist(), pa.string()),
            "merchant_id": pa.array(game.merchant_id[game.merchant[product]].tolist(), pa.string()),
            "product_id": pa.array(game.product_id[product].tolist(), pa.string()),
            "choice": pa.array(choices(matching)[np.searchsorted(matching.pair, pair)], pa.int64()),
            **follows,
        }
    ).replace_schema_metadata({"measure": game.measure})


def ordered(game: NamedGame, matching: Matching) -> Integers:
    """Pairs of a plan by falling standing of the creator, (K,)."""
    return matching.pair[np.lexsort((matching.pair, -game.standing_of_pairs[matching.pair]))]


def choices(matching: Matching) -> Integers:
    """Place on the creator's list of each pair that is carried out, 1 the first; equals share one, (K,)."""
    game = matching.game
    return (game.product_rank if len(game.product_rank) else places(game.start))[matching.pair] + 1


def certify(game: NamedGame, matching: Matching, *, product_least: int = 0, merchant_least: int = 0) -> Certificate:
    """Check a matching again, from the game that was asked.

    Args:
        game: what was asked.
        matching: what was answered. Believed of it are the pairs and the order that was drawn among equals; that lists
            are those that were asked, and follow the numbers, is checked.
        product_least: creators that each product wants at least; reported, not enforced.
        merchant_least: the same of merchants.

    Returns:
        Checks of the lists, wishes, quotas and blocking pairs; the objective is the number of creators with a product.
    """
    given = matching.game
    asked = all(
        np.array_equal(getattr(given, name), getattr(game, name))
        for name in ("start", "product", "merchant", "product_quota", "merchant_quota")
    )
    found = verify(given, matching.pairs if given.several else matching.product)
    unsorted = _unsorted(game, matching) if asked else np.arange(len(game.product))
    name = "reputation" if game.by_reputation else "ranking"
    checks = [
        _none("game", [] if asked else [0], "Lists and quotas are those of the tables.", "game that was not asked"),
        _none(
            name, unsorted, f"Merchants rank creators by falling {game.standing_words}, creators products by falling "
            f"{game.worth_words}.", "places break the order",
        ),
        _none("wishes", found.unwanted, "Every creator has a product from the own list, or none.", "creators do not"),
        _none("product_quota", found.over_product, "No product has more creators than it takes.", "products have"),
        _none("merchant_quota", found.over_merchant, "No merchant has more creators than it takes.", "merchants have"),
        _none("creator_quota", found.over_creator, "No creator has more products than allowed.", "creators have"),
        _none(
            "stability",
            found.blocking,
            f"No creator and merchant would both rather be together: 0 of {len(game.product):,} pairs block.",
            "pairs block",
        ),
    ]  # fmt: skip
    good = all(check.ok for check in checks)
    checks += _shortfalls(game, matching, product_least, merchant_least)
    return Certificate(
        status=Status.OPTIMAL if good else Status.ERROR,
        checks=tuple(checks),
        objective=float(found.size),
        spend=math.nan,
        upper_bound=math.nan,
        gap=math.nan,
        row_slack=np.zeros(0),
        cases=1,
    )


def _unsorted(game: NamedGame, matching: Matching) -> Integers:
    """Places where a list of the matching's game does not follow the numbers that were asked."""
    given, standing = matching.game, game.standing_of_pairs
    rank = merchant_ranks(given)
    refused = np.flatnonzero((rank < 0) != np.isnan(standing))
    pair = np.flatnonzero(rank >= 0)
    merchant = game.merchant[game.product[pair]]
    order = pair[np.lexsort((rank[pair], merchant))]
    of, place, value = game.merchant[game.product[order]], rank[order], standing[order]
    same = of[1:] == of[:-1]
    tied = same & (place[1:] == place[:-1])
    wrong = (same & (value[1:] > value[:-1])) | (tied & (value[1:] != value[:-1]))
    inside = places(game.start)[1:] > 0
    wish = given.product_rank if len(given.product_rank) else places(given.start)
    falls = inside & (game.worth[1:] > game.worth[:-1])
    falls |= inside & (wish[1:] == wish[:-1]) & (game.worth[1:] != game.worth[:-1])
    return np.concatenate([refused, np.flatnonzero(wrong), np.flatnonzero(falls)])


def _shortfalls(game: NamedGame, matching: Matching, product_least: int, merchant_least: int) -> list[Check]:
    """Lower quotas in words; unmet ones break nothing."""
    short = unmet(matching, product_least=product_least, merchant_least=merchant_least)
    parts = (
        ("least_per_product", product_least, short.product, short.product_short, game.product_id, "product"),
        ("least_per_merchant", merchant_least, short.merchant, short.merchant_short, game.merchant_id, "merchant"),
    )
    checks = []
    for name, least, which, lacks, ids, noun in parts:
        if not least:
            continue
        words = f"Every {noun} has {least} creators or more."
        if len(which):
            said = [f"{ids[of]} ({least - lack})" for of, lack in zip(which[:NAMED], lacks[:NAMED], strict=True)]
            more = f" and {len(which) - NAMED} more" if len(which) > NAMED else ""
            words = (
                f"{len(which)} of {len(ids)} {noun}s have fewer than the {least} creators wanted: {', '.join(said)}"
                f"{more}. Reported, not enforced."
            )
            if noun == "merchant" and not matching.game.tied and not matching.game.several:
                words += " Every stable matching gives a merchant the same number (Abraham et al. 2007)."
        many = float(len(which))
        checks.append(Check(name=name, ok=True, value=many, limit=0.0, slack=-many, words=words))
    return checks


def _none(name: str, wrong: Sequence[object] | NDArray[np.int64], good: str, bad: str) -> Check:
    many = len(wrong)
    return Check(
        name=name,
        ok=not many,
        value=float(many),
        limit=0.0,
        slack=-float(many),
        words=good if not many else f"{many} {bad}.",
    )
