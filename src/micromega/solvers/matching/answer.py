"""A matching as a table that a person can act on, and its certificate."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from micromega.solvers.matching.allocation import Matching
from micromega.solvers.matching.certificate import verify
from micromega.solvers.matching.game import Game
from micromega.solvers.matching.orders import OrdersGame
from micromega.solvers.plan import Certificate, Check, Status


def plan_table(game: OrdersGame, matching: Matching) -> pa.Table:
    """List who advertises what, by falling reputation.

    Args:
        game: with the ids.
        matching: its answer.

    Returns:
        creator_id, merchant_id, product_id, choice (1: the creator's first), reputation; a row for each creator with a
        product.
    """
    served = np.flatnonzero(matching.product >= 0)
    served = served[np.lexsort((served, -game.reputation[served]))]
    product = matching.product[served]
    return pa.table(
        {
            "creator_id": pa.array(game.creator_id[served].tolist(), pa.string()),
            "merchant_id": pa.array(game.merchant_id[game.merchant[product]].tolist(), pa.string()),
            "product_id": pa.array(game.product_id[product].tolist(), pa.string()),
            "choice": pa.array(choices(game, matching)[served], pa.int64()),
            "reputation": pa.array(game.reputation[served], pa.float64()),
        }
    ).replace_schema_metadata({"measure": game.measure})


def choices(game: OrdersGame, matching: Matching) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Place of what each creator got on their list, 1 the first; 0 without, (C,)."""
    owner = np.repeat(np.arange(len(game.creator_id)), np.diff(game.start))
    place = np.arange(len(owner)) - game.start[owner]
    got = matching.product[owner] == game.product
    found = np.zeros(len(game.creator_id), np.int64)
    found[owner[got]] = place[got] + 1
    return found


def certify(game: OrdersGame, matching: Matching) -> Certificate:
    """Check a matching again, from the game that was asked.

    Args:
        game: what was asked.
        matching: what was answered. Believed of it are the products and the order that was drawn among creators of
            equal reputation; that it follows their reputation is checked.

    Returns:
        Checks of the order, wishes, both quotas and blocking pairs; the objective is the number of creators with a
        product.
    """
    order, empty = matching.game.shared_order, np.zeros(0, np.int64)
    ranked = np.flatnonzero(~np.isnan(game.reputation))
    complete = len(order) == len(ranked) and bool(np.array_equal(np.sort(order), ranked))
    wrong = np.flatnonzero(np.diff(game.reputation[order]) > 0) if complete else np.arange(len(game.creator_id))
    asked = Game(
        start=game.start,
        product=game.product,
        merchant_start=np.zeros(len(game.merchant_quota) + 1, np.int64),
        creator=empty,
        merchant=game.merchant,
        product_quota=game.product_quota,
        merchant_quota=game.merchant_quota,
        shared_order=order if complete else empty,
    )
    found = verify(asked, matching.product)
    checks = [
        _none("reputation", wrong, "Merchants rank all creators by falling reputation.", "places break the order"),
        _none("wishes", found.unwanted, "Every creator has a product from the own list, or none.", "creators do not"),
        _none("product_quota", found.over_product, "No product has more creators than it takes.", "products have"),
        _none("merchant_quota", found.over_merchant, "No merchant has more creators than it takes.", "merchants have"),
        _none(
            "stability",
            found.blocking,
            f"No creator and merchant would both rather be together: 0 of {len(game.product):,} pairs block.",
            "pairs block",
        ),
    ]
    return Certificate(
        status=Status.OPTIMAL if found.stable and not len(wrong) else Status.ERROR,
        checks=tuple(checks),
        objective=float(found.size),
        spend=math.nan,
        upper_bound=math.nan,
        gap=math.nan,
        row_slack=np.zeros(0),
        cases=1,
    )


def _none(
    name: str, wrong: Sequence[object] | np.ndarray[tuple[int, ...], np.dtype[np.int64]], good: str, bad: str
) -> Check:
    many = len(wrong)
    return Check(
        name=name,
        ok=not many,
        value=float(many),
        limit=0.0,
        slack=-float(many),
        words=good if not many else f"{many} {bad}.",
    )
