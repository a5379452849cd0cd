"""Random games, their stable matchings by enumeration, and two libraries that solve them."""

import itertools
from collections import Counter

import numpy as np

Instance = dict[str, list]
Pair = tuple[int, int]


def draw(rng: np.random.Generator, creators: int, products: int, merchants: int, *, complete: bool = False) -> Instance:
    """Random lists and quotas; some creators want nothing, some are listed by nobody."""
    merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, products - merchants)])
    rng.shuffle(merchant)
    wanted = [rng.permutation(products)[: rng.integers(0, products + 1)].tolist() for _ in range(creators)]
    listed = [rng.permutation(creators) for _ in range(merchants)]
    if not complete:
        listed = [of[: rng.integers(0, creators + 1)] for of in listed]
    product_quota = rng.integers(1, 3, products)
    total = np.bincount(merchant, weights=product_quota, minlength=merchants).astype(int)
    largest = np.array([product_quota[merchant == v].max() for v in range(merchants)])
    return {
        "creator_preferences": wanted,
        "merchant_preferences": [of.tolist() for of in listed],
        "product_merchant": merchant.tolist(),
        "product_quota": product_quota.tolist(),
        "merchant_quota": rng.integers(largest, total + 1).tolist(),
    }


def draw_tight(rng: np.random.Generator, creators: int) -> Instance:
    """One place a product, complete lists, merchants with one or two products: often several stable matchings."""
    merchants = (creators + 1) // 2 if rng.random() < 0.5 else creators
    merchant = [p % merchants for p in range(creators)]
    return {
        "creator_preferences": [rng.permutation(creators).tolist() for _ in range(creators)],
        "merchant_preferences": [rng.permutation(creators).tolist() for _ in range(merchants)],
        "product_merchant": merchant,
        "product_quota": [1] * creators,
        "merchant_quota": np.bincount(merchant).tolist(),
    }


def blocks(of: Instance, product: tuple[int, ...]) -> bool | None:  # noqa: C901  (the definition, word by word)
    """Whether any pair blocks, by the paper's words, one by one; None where the matching is not feasible."""
    merchant, lists = of["product_merchant"], of["merchant_preferences"]
    with_product = [[c for c, p in enumerate(product) if p == j] for j in range(len(merchant))]
    with_merchant = [[c for c, p in enumerate(product) if p >= 0 and merchant[p] == v] for v in range(len(lists))]
    for c, p in enumerate(product):
        if p >= 0 and (p not in of["creator_preferences"][c] or c not in lists[merchant[p]]):
            return None
    if any(len(held) > quota for held, quota in zip(with_product, of["product_quota"], strict=True)):
        return None
    if any(len(held) > quota for held, quota in zip(with_merchant, of["merchant_quota"], strict=True)):
        return None
    for c, wanted in enumerate(of["creator_preferences"]):
        for p in wanted[: wanted.index(product[c])] if product[c] >= 0 else wanted:
            v = merchant[p]
            if c not in lists[v]:
                continue
            place = lists[v].index
            product_room = len(with_product[p]) < of["product_quota"][p]
            merchant_room = len(with_merchant[v]) < of["merchant_quota"][v]
            if product_room and merchant_room:
                return True
            if product_room and (c in with_merchant[v] or place(c) < max(map(place, with_merchant[v]), default=-1)):
                return True
            if not product_room and place(c) < max(map(place, with_product[p]), default=-1):
                return True
    return False


def ranks(lists: list[list]) -> list[dict[int, int]]:
    """Place of each entry of lists, in which a list is a tie."""
    return [
        {entry: at for at, tie in enumerate(of) for entry in (tie if isinstance(tie, list) else [tie])} for of in lists
    ]


def faults(of: Instance, matching: set[Pair]) -> dict[str, set[int]]:
    """Creators with what is on no list, and all who have more than their quota, by counting."""
    merchant, wish, place = of["product_merchant"], ranks(of["creator_preferences"]), ranks(of["merchant_preferences"])
    own = of.get("creator_quota", [1] * len(wish))
    counted = {
        "over_creator": (Counter(c for c, _ in matching), own),
        "over_product": (Counter(p for _, p in matching), of["product_quota"]),
        "over_merchant": (Counter(merchant[p] for _, p in matching), of["merchant_quota"]),
    }
    return {
        "unwanted": {c for c, p in matching if p not in wish[c] or c not in place[merchant[p]]},
        **{name: {who for who, many in held.items() if many > quota[who]} for name, (held, quota) in counted.items()},
    }


def blocking(of: Instance, matching: set[Pair]) -> set[Pair]:
    """Every pair that blocks, by the words of `verify`, one by one; pairs that nobody wants take places, no more."""
    merchant, wish, place = of["product_merchant"], ranks(of["creator_preferences"]), ranks(of["merchant_preferences"])
    own = of.get("creator_quota", [1] * len(wish))
    wanted = {(c, p) for c, p in matching if p in wish[c] and c in place[merchant[p]]}
    found = set()
    for c, listed in enumerate(wish):
        mine = [p for f, p in wanted if f == c]
        for p, at in listed.items():
            v = merchant[p]
            rather = len(mine) < own[c] or any(listed[q] > at for q in mine)
            if (c, p) in matching or c not in place[v] or not rather:
                continue
            product_room = sum(q == p for _, q in matching) < of["product_quota"][p]
            merchant_room = sum(merchant[q] == v for _, q in matching) < of["merchant_quota"][v]
            of_product = [place[v][f] for f, q in wanted if q == p]
            of_merchant = [place[v][f] for f, q in wanted if merchant[q] == v]
            with_it = any(merchant[q] == v and listed[q] > at for q in mine)
            if (
                (product_room and merchant_room)
                or (product_room and (with_it or any(place[v][c] < other for other in of_merchant)))
                or (not product_room and any(place[v][c] < other for other in of_product))
            ):
                found.add((c, p))
    return found


def compare_with_verify(of: Instance, matching: set[Pair], found) -> tuple[int, ...]:
    """Compare all that `verify` says with brute force; how many of each kind there were, blocking pairs first."""
    wrong, blocks = faults(of, matching), blocking(of, matching)
    assert {name: set(getattr(found, name).tolist()) for name in wrong} == wrong
    assert all(len(set(getattr(found, name).tolist())) == len(getattr(found, name)) for name in wrong)
    assert found.feasible == (not any(wrong.values()))
    assert found.stable == (found.feasible and not blocks)
    assert found.size == len({c for c, _ in matching})
    listed = [tuple(pair) for pair in found.blocking.tolist()]
    assert len(set(listed)) == len(listed)
    assert set(listed) == blocks
    return len(blocks), *(len(of) for of in wrong.values())


def all_stable(of: Instance) -> list[tuple[int, ...]]:
    choices = [[*wanted, -1] for wanted in of["creator_preferences"]]
    return [found for found in itertools.product(*choices) if blocks(of, found) is False]


def interested(rng: np.random.Generator) -> Instance:
    """A game that the libraries take: merchants list just those who want them, and every product is wanted."""
    while True:
        of = draw(rng, int(rng.integers(2, 9)), int(rng.integers(2, 7)), 2, complete=True)
        products = len(of["product_merchant"])
        of["creator_preferences"] = [
            wanted or rng.permutation(products).tolist() for wanted in of["creator_preferences"]
        ]
        if len({p for some in of["creator_preferences"] for p in some}) < products:
            continue
        merchant = np.array(of["product_merchant"])
        known = [{int(v) for v in merchant[wanted]} for wanted in of["creator_preferences"]]
        of["merchant_preferences"] = [
            [c for c in listed if v in known[c]] for v, listed in enumerate(of["merchant_preferences"])
        ]
        return of


def by_matching(of: Instance, side: str) -> list[int]:
    from matching.games import StudentAllocation

    merchant = of["product_merchant"]
    game = StudentAllocation.create_from_dictionaries(
        {f"s{c}": [f"p{p}" for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
        {f"l{v}": [f"s{c}" for c in listed] for v, listed in enumerate(of["merchant_preferences"])},
        {f"p{p}": f"l{v}" for p, v in enumerate(merchant)},
        {f"p{p}": quota for p, quota in enumerate(of["product_quota"])},
        {f"l{v}": quota for v, quota in enumerate(of["merchant_quota"])},
    )
    solved = game.solve(optimal="student" if side == "creators" else "supervisor")
    found = [-1] * len(of["creator_preferences"])
    for product, creators in solved.items():
        for creator in creators:
            found[int(creator.name[1:])] = int(product.name[1:])
    return found


def by_algmatch(of: Instance, side: str) -> list[int]:
    from algmatch import StudentProjectAllocation

    merchant = of["product_merchant"]
    game = StudentProjectAllocation(
        dictionary={
            "students": {c + 1: [p + 1 for p in wanted] for c, wanted in enumerate(of["creator_preferences"])},
            "projects": {
                p + 1: {"capacity": quota, "lecturer": merchant[p] + 1} for p, quota in enumerate(of["product_quota"])
            },
            "lecturers": {
                v + 1: {"capacity": quota, "preferences": [c + 1 for c in listed]}
                for v, (quota, listed) in enumerate(zip(of["merchant_quota"], of["merchant_preferences"], strict=True))
            },
        },
        optimised_side="students" if side == "creators" else "lecturers",
    )
    stable = game.get_stable_matching()
    found = [-1] * len(of["creator_preferences"])
    for student, project in stable["student_sided"].items():
        if project:
            found[int(str(student)[1:]) - 1] = int(str(project)[1:]) - 1
    return found


PEERS = {"matching": by_matching, "algmatch": by_algmatch}
