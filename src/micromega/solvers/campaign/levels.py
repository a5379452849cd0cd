"""Spend levels: the same post at several prices, with what each brings (multiple choice)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError
from micromega.solvers.campaign.problem import LinearRows
from micromega.solvers.campaign.rules import Rule
from micromega.solvers.campaign.tuples import Tuples


def at_levels(tuples: Tuples, *, price: ArrayLike, effect: ArrayLike) -> tuple[Tuples, Rule]:
    """Offer every tuple at several prices, of which at most one may be bought.

    Args:
        tuples: N of them, at their usual price.
        price: multiples of it, (L,), all different.
        effect: multiples of the usual effect (and of its standard deviation), (L,) or (N, L).

    Returns:
        N·L tuples, the levels of one post behind one another; and the rule.
    """
    prices = np.asarray(price, np.float64)
    levels, posts = len(prices), len(tuples)
    effects = np.broadcast_to(np.asarray(effect, np.float64), (posts, levels)).ravel()
    post = np.repeat(np.arange(posts), levels)
    many = tuples.take(post)
    level = np.tile(prices, posts)
    many = replace(
        many,
        level=level,
        price=many.price * level,
        effectiveness=many.effectiveness * effects,
        std=many.std * effects,
    )
    columns = (tuples.creator_id, tuples.content_type, tuples.event_id, tuples.offset_days, tuples.brand_id)
    names = tuple(
        f"at most one spend level for {kind} by {creator}, {event}{f' {offset:+d} days' if offset else ''}"
        for creator, kind, event, offset, _ in zip(*(column.tolist() for column in columns), strict=True)
    )
    rows = LinearRows(
        start=levels * np.arange(posts + 1),
        members=np.arange(levels * posts),
        lower=np.zeros(posts),
        upper=np.ones(posts),
        names=names,
        settings=("spend_levels",) * posts,
    )
    return many, Rule(rows=rows)


def effect_of_price(
    response: pa.Table, *, followers: NDArray[np.float64], price: Sequence[float]
) -> NDArray[np.float64]:
    """Read the effect of a price from a response curve h (log impressions of log followers).

    Money buys reach as a larger audience does: m times the price stands for m times the followers, so that the effect
    is exp(h(log(m·followers)) - h(log followers)). Outside the curve's range its ends hold.

    Args:
        response: one subject's rows (log_followers, log_impressions); of several the first.
        followers: of each tuple's creator, (N,).
        price: multiples m, (L,).

    Returns:
        (N, L).

    Raises:
        ConfigError: followers are unknown, or the curve has fewer than two points.
    """
    first = response.filter(pc.equal(response["subject_id"], response["subject_id"][0])).sort_by("log_followers")
    at, height = (first[name].to_numpy().astype(np.float64) for name in ("log_followers", "log_impressions"))
    if len(at) < 2:
        raise ConfigError("problem.response: the curve has fewer than two points.")
    if np.any(~(followers >= 1)):
        raise ConfigError(
            "problem.spend_levels: creators of unknown size have no place on the response curve. Leave them out with "
            "min_followers=1, or give the effect of each level."
        )
    log = np.log(followers)[:, None]
    usual = np.interp(log, at, height)
    found: NDArray[np.float64] = np.exp(np.interp(log + np.log(np.asarray(price))[None, :], at, height) - usual)
    return found
