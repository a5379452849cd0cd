"""The constraints of a campaign as linear rows and switches (eq. 5 and 12): frequency, money, coverage, diversity.

Every function takes columns of N tuples and gives a `Rule`; `combine` puts rules together. In a rule's rows, columns
from N on are the rule's own switches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.solvers.campaign.problem import TOLERANCE, LinearRows, Switches
from micromega.solvers.campaign.rows import AT_ZERO

Keys = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """What one setting asks.

    Attributes:
        rows: limits; columns from N on are this rule's switches.
        switches: 0/1 columns that the rows use.
    """

    rows: LinearRows
    switches: Switches = field(default_factory=Switches)


def combine(rules: Iterable[Rule], *, tuples: int) -> Rule:
    """Put rules together: each rule's switches come behind those of the rules before it.

    Args:
        rules: on the same tuples.
        tuples: N.
    """
    listed, before = list(rules), 0
    moved = []
    for rule in listed:
        shift = np.where(rule.rows.members >= tuples, before, 0)
        moved.append(replace(rule.rows, members=rule.rows.members + shift))
        before += len(rule.switches)
    return Rule(rows=LinearRows.stack(moved), switches=Switches.stack([rule.switches for rule in listed]))


def limit_posts(keys: Keys, limits: Mapping[str, tuple[int, int | None]], *, setting: str, what: str) -> Rule:
    """Least and largest number of posts for some values of a key: coverage and caps.

    Args:
        keys: of each tuple, (N,), for instance its event.
        limits: value -> (least, most); None: no cap.
        setting: the setting; each row is reported as "setting.value".
        what: whose posts, with {key} for the value.
    """
    return Rule(
        rows=LinearRows.of(
            (
                f"{setting}.{key}",
                f"{in_words(least, most)} {what.format(key=key)}",
                np.flatnonzero(keys == key),
                least,
                np.inf if most is None else most,
            )
            for key, (least, most) in limits.items()
            if least or most is not None
        )
    )


def limit_each(keys: Keys, least: int, most: int | None, *, setting: str, what: str) -> Rule:
    """The same limits for every value of a key: frequency.

    Args:
        keys: of each tuple, (N,), for instance its creator.
        least: posts.
        most: posts; None: no cap.
        setting: the setting.
        what: whose posts, with {key} for the value.
    """
    upper = np.inf if most is None else float(most)
    name = f"{in_words(least, most)} {what}"
    return Rule(rows=LinearRows.by_key(keys, setting=setting, name=name, lower=least, upper=upper))


def limit_spend(keys: Keys, price: ArrayLike, limits: Mapping[str, float], *, setting: str, what: str) -> Rule:
    """Budgets of parts of the campaign: an event, a week, a brand.

    Args:
        keys: of each tuple, (N,).
        price: of each tuple, (N,).
        limits: value of the key -> money.
        setting: the setting; each row is reported as "setting.value".
        what: for whom, with {key} for the value.
    """
    prices = np.asarray(price, np.float64)
    rows = []
    for key, limit in limits.items():
        inside = np.flatnonzero(keys == key)
        name = f"at most {limit:,.2f} spent {what.format(key=key)}"
        rows.append((f"{setting}.{key}", name, inside, -np.inf, limit, prices[inside]))
    return Rule(rows=LinearRows.of(rows))


def keep_apart(creator: Keys, date: NDArray[np.datetime64], days: int, *, setting: str = "min_gap_days") -> Rule:
    """Least number of days between two posts of a creator.

    Of any `days` days in a row at most one may hold a post, so that 7 means "not twice in a week", and 1 means "not
    twice on a day".

    Args:
        creator: (N,).
        date: calendar day of each tuple, (N,).
        days: 1 or more.
        setting: the setting.
    """
    names, code = np.unique(creator, return_inverse=True)
    day = date.astype("datetime64[D]").astype(np.int64)
    if not len(day):
        return Rule(rows=LinearRows())
    width = int(np.ptp(day)) + days + 1
    place = code * width + (day - day.min())
    order = np.argsort(place, kind="stable")
    place = place[order]
    first = np.flatnonzero(np.diff(place, prepend=-1) > 0)
    last = np.searchsorted(place, place[first] + days)
    # A window that ends where the one before ends holds nothing more; one with a single tuple asks nothing.
    useful = (np.diff(last, prepend=-1) > 0) & (last - first > 1)
    first, last = first[useful], last[useful]
    sizes = last - first
    start = np.concatenate([[0], np.cumsum(sizes)])
    entries = np.arange(start[-1]) - np.repeat(start[:-1], sizes) + np.repeat(first, sizes)
    begin = date[order[first]].astype("datetime64[D]").astype(str)
    spell = f"in the {days} days from" if days > 1 else "on"
    labels = tuple(
        f"at most 1 post by creator {names[creator_code]} {spell} {when}"
        for creator_code, when in zip(code[order[first]].tolist(), begin.tolist(), strict=True)
    )
    rows = LinearRows(
        start=start,
        members=order[entries],
        lower=np.zeros(len(labels)),
        upper=np.ones(len(labels)),
        names=labels,
        settings=(setting,) * len(labels),
    )
    return Rule(rows=rows)


def cap_share(
    keys: Keys,
    share: float,
    *,
    price: ArrayLike,
    by: Literal["posts", "spend"],
    budget: float,
    only: Sequence[str] = (),
    setting: str,
    what: str,
) -> Rule:
    """No group gets more than a share of all posts, or of all money: Σ_{group} w·y <= share·Σ w·y.

    Args:
        keys: of each tuple, (N,), for instance its creator's category; "" is no group.
        share: in [0, 1].
        price: (N,).
        by: whether w is 1 or the price.
        budget: what the rounding of sums of prices is measured by.
        only: groups that are meant; all where left out.
        setting: the setting.
        what: the group, with {key}.
    """
    weight = np.asarray(price, np.float64) if by == "spend" else np.ones(len(keys))
    groups = list(only) or [key for key in np.unique(keys).tolist() if key]
    used = np.flatnonzero(weight > 0)
    noun = "posts" if by == "posts" else "spend"
    rows = [
        (
            setting,
            f"at most {100 * share:g} % of the {noun} {what.format(key=group)}",
            used,
            -np.inf,
            0.0,
            weight[used] * ((keys[used] == group) - share),
        )
        for group in groups
    ]
    room = TOLERANCE * AT_ZERO * min(budget, float(np.max(weight, initial=0.0)))
    return Rule(rows=replace(LinearRows.of(rows), room=np.full(len(rows), room)))


def need_distinct(keys: Keys, least: int, *, setting: str, noun: str) -> Rule:
    """The plan holds at least so many different values of a key.

    Args:
        keys: of each tuple, (N,); "" is no value.
        least: number.
        setting: the setting.
        noun: what is counted, in the plural.
    """
    known = np.flatnonzero(keys != "")
    switches = Switches.by_key(keys[known], name=noun + " {key} occurs")
    switches = replace(switches, members=known[switches.members])
    columns = len(keys) + np.arange(len(switches))
    rows = LinearRows.of([(setting, f"at least {least} different {noun}", columns, least, np.inf)])
    return Rule(rows=rows, switches=switches)


def keep_exclusive(creator: Keys, brand: Keys, rivals: Iterable[tuple[str, str]], *, setting: str) -> Rule:
    """A creator who works for one brand is not booked by its competitor.

    Args:
        creator: (N,).
        brand: (N,).
        rivals: pairs of brands.
        setting: the setting.
    """
    pairs = sorted({(min(pair), max(pair)) for pair in rivals if pair[0] != pair[1]})
    involved = np.flatnonzero(np.isin(brand, np.array([name for pair in pairs for name in pair], str)))
    brands, brand_code = np.unique(brand[involved], return_inverse=True)
    names, creator_code = np.unique(creator[involved], return_inverse=True)
    switches = Switches.by_key(creator_code * len(brands) + brand_code, name="{key}")
    code = np.unique(creator_code * len(brands) + brand_code)
    texts = tuple(f"creator {names[k // len(brands)]} works for {brands[k % len(brands)]}" for k in code.tolist())
    switches = replace(switches, members=involved[switches.members], names=texts)
    place = {int(key): len(creator) + position for position, key in enumerate(code.tolist())}
    rows = []
    for one, other in pairs:
        if not (one in brands and other in brands):
            continue
        a, b = (int(np.flatnonzero(brands == name)[0]) for name in (one, other))
        for k, name in enumerate(names.tolist()):
            both = [place.get(k * len(brands) + position) for position in (a, b)]
            if None not in both:
                text = f"creator {name} works for {one} or for {other}, not for both"
                rows.append((setting, text, np.array(both, np.int64), 0.0, 1.0))
    return Rule(rows=LinearRows.of(rows), switches=switches)


def spend_enough(creator: Keys, price: ArrayLike, least: float, *, setting: str = "min_spend_per_creator") -> Rule:
    """A creator who is booked at all is booked for at least so much money: Σ min(p, least)·y >= least·z.

    (One post at `least` or more is enough, whatever more it costs.) Where even the dearest posts reach the sum only
    together, Σ y >= k·z with the least number k of posts that can: it says nothing new about whole posts, but much
    about fractions.

    Args:
        creator: (N,).
        price: (N,).
        least: money.
        setting: the setting.
    """
    counted = np.minimum(np.asarray(price, np.float64), least)
    switches = Switches.by_key(creator, name="creator {key} is booked")
    name = f"creator {{key}} is booked for at least {least:,.2f} or not at all"
    spend = LinearRows.by_key(creator, setting=setting, name=name, coefficient=counted)
    columns = len(creator) + np.arange(len(spend))
    money = replace(_with_switch(spend, columns, -least), room=np.full(len(spend), TOLERANCE * AT_ZERO * least))
    posts = np.zeros(len(spend))
    for row in range(len(spend)):
        sums = np.cumsum(np.sort(spend.coefficient[spend.start[row] : spend.start[row + 1]])[::-1])
        posts[row] = 1 + np.sum(sums < least * (1 - TOLERANCE))
    several = (posts > 1) & (posts <= np.diff(spend.start))
    number = _with_switch(LinearRows.by_key(creator, setting=setting, name=name), columns, -posts)
    return Rule(rows=LinearRows.stack([money, number.where(several)]), switches=switches)


def _with_switch(rows: LinearRows, columns: NDArray[np.int64], coefficient: ArrayLike) -> LinearRows:
    """Add one more column at the end of each row, and make the sum at least 0."""
    ends, rise = rows.start[1:], np.arange(len(rows) + 1)
    weights = np.broadcast_to(np.asarray(coefficient, np.float64), columns.shape)
    return LinearRows(
        start=rows.start + rise,
        members=np.insert(rows.members, ends, columns),
        coefficient=np.insert(rows.coefficient, ends, weights),
        lower=np.zeros(len(rows)),
        upper=np.full(len(rows), np.inf),
        names=rows.names,
        settings=rows.settings,
    )


def in_words(least: int, most: int | None) -> str:
    """Say limits on a number of posts."""
    if most is None:
        return f"at least {least} {'post' if least == 1 else 'posts'}"
    if least == 0:
        return f"at most {most} {'post' if most == 1 else 'posts'}"
    return f"between {least} and {most} posts"
