"""The case study: some test brands, what the ranker puts first for each, and what these accounts post (fig. 6)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.models.evaluation import Case, CaseAccount, PairScores
from micromega.models.mir.data import MIRData

CAPTIONS, OTHERS = 4, 2


def case_studies(
    data: MIRData, rows: NDArray[np.int64], pairs: PairScores, rivals: NDArray[np.int64], count: int
) -> tuple[Case, ...]:
    """Show the first partner and the first two others of some brands.

    Args:
        data: a set-up datamodule.
        rows: (B,) rows of the test brands.
        pairs: their scores for those who compete.
        rivals: (M,) rows of these creators.
        count: how many brands; the first ones by id of different categories, then the second ones, and so on.

    Returns:
        The cases; none where the market has no posts.
    """
    accounts = data.accounts
    assert accounts is not None
    if not accounts.members.shape[1]:
        return ()
    able = (pairs.positives.sum(axis=1) > 0) & ((~pairs.positives).sum(axis=1) >= OTHERS)
    brands = np.flatnonzero(able)
    brands = brands[_by_turns(accounts.brand_categories[rows[brands]])][:count]
    shown_ids = np.concatenate([accounts.brand_ids, pairs.creator_ids])
    profiles = _profiles(data.market.table("accounts"), shown_ids)
    names = {brand: _name(profiles[brand]) for brand in accounts.brand_ids.tolist()}

    def shown(account: str, view: int, rank: int | None = None, works_for: tuple[str, ...] = ()) -> CaseAccount:
        profile = profiles[account]
        return CaseAccount(
            name=_name(profile),
            category=profile["category"] or "",
            followers=profile["followers"],
            biography=profile["biography"] or "",
            captions=_captions(data, view),
            works_for=works_for,
            rank=rank,
        )

    def creator(row: int, rank: int) -> CaseAccount:
        worked = accounts.pair_brand[accounts.pair_creator == row]
        return shown(
            str(accounts.creator_ids[row]),
            int(accounts.creator_view[row]),
            rank,
            tuple(names[brand] for brand in accounts.brand_ids[worked].tolist()),
        )

    cases = []
    for row in brands:
        order = np.argsort(-pairs.scores[row], kind="stable")
        fits = pairs.positives[row, order]
        first = int(np.argmax(fits))
        others = np.flatnonzero(~fits)[:OTHERS]
        cases.append(
            Case(
                brand=shown(str(pairs.brand_ids[row]), int(rows[row])),
                partner=creator(int(rivals[order[first]]), first + 1),
                others=tuple(creator(int(rivals[order[place]]), int(place) + 1) for place in others),
                partners=int(fits.sum()),
            )
        )
    return tuple(cases)


def _by_turns(categories: NDArray[np.str_]) -> NDArray[np.int64]:
    """Order that takes the first of every category, then the second of every category, and so on."""
    order = np.argsort(categories, kind="stable")
    _, first = np.unique(categories[order], return_index=True)
    turn = np.empty(len(categories), dtype=np.int64)
    starts = np.repeat(first, np.diff(np.append(first, len(categories))))
    turn[order] = np.arange(len(categories)) - starts
    return np.argsort(turn, kind="stable")


def _profiles(accounts: pa.Table, wanted: NDArray[np.str_]) -> dict[str, Mapping[str, Any]]:
    accounts = accounts.filter(pc.is_in(accounts["account_id"], value_set=pa.array(wanted)))
    columns = ["account_id", "name", "category", "followers", "biography"]
    return {profile["account_id"]: profile for profile in accounts.select(columns).to_pylist()}


def _name(profile: Mapping[str, Any]) -> str:
    return str(profile["name"] or profile["account_id"])


def _captions(data: MIRData, view: int) -> tuple[str, ...]:
    """Latest captions among the posts that stand for an account; the ranker has read no others."""
    assert data.accounts is not None
    members = data.accounts.members
    rows = members.indices[members.indptr[view] : members.indptr[view + 1]]
    posts = data.market.table("posts").select(["post_id", "caption", "posted_at"]).take(pa.array(np.sort(rows)))
    posts = posts.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(posts["caption"])), 0))
    latest = posts.sort_by([("posted_at", "descending"), ("post_id", "ascending")])
    return tuple(latest["caption"].slice(0, CAPTIONS).to_pylist())
