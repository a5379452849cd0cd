"""Who could be booked: a brand's scores joined with followers, categories and usual engagement."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, ScoreError
from micromega.solvers.campaign.config import CampaignConfig


class MarketTables(Protocol):
    """What is needed of a market."""

    @property
    def currency(self) -> str:
        """Code of all prices."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that the market holds."""

    def table(self, name: str) -> pa.Table:
        """One table; an error that says how to make it where there is none."""


_USUAL = {"impressions": "number of impressions", "value": "value", "weighted": "value"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Creators:
    """Creators that could be booked.

    Attributes:
        creator_id: (C,).
        fit: probability that the creator fits the brand, (C,).
        fit_std: its standard error, (C,).
        engagement: what a post usually brings (median likes + comments for the objective "engagement"), (C,); NaN
            without posts.
        followers: (C,), NaN where unknown.
        category: (C,), "" where unknown.
    """

    creator_id: NDArray[Any]
    fit: NDArray[np.float64]
    fit_std: NDArray[np.float64]
    engagement: NDArray[np.float64]
    followers: NDArray[np.float64]
    category: NDArray[Any]

    def __len__(self) -> int:
        return len(self.creator_id)

    def where(self, kept: NDArray[np.bool_]) -> "Creators":
        """Keep some of them."""
        return replace(self, **{field.name: getattr(self, field.name)[kept] for field in fields(self)})


def find_creators(
    config: CampaignConfig, *, brand_id: str, scores: pa.Table, market: MarketTables
) -> tuple[Creators, tuple[str, ...]]:
    """Collect the creators that a brand has scores for and that the settings allow.

    Args:
        config: the brand's wishes.
        brand_id: which brand.
        scores: affinity table whose scores are probabilities of fit.
        market: accounts and posts.

    Returns:
        The creators, and notes on how many were left out and why.
    """
    accounts = market.table("accounts")
    accounts = accounts.filter(pc.equal(accounts["kind"], "creator"))
    _check_known(config, accounts)
    scored = _of_brand(scores, brand_id)
    if not config.brands:
        _check_scored(config, scored)
    return _allowed(config, _join(scored, accounts, config, market))


def predicted_creators(
    config: CampaignConfig, *, creator_id: Sequence[str], market: MarketTables
) -> tuple[Creators, tuple[str, ...]]:
    """Collect creators of an effectiveness table that the settings allow; fit and engagement are 1.

    Args:
        config: the brand's wishes.
        creator_id: distinct.
        market: accounts.

    Returns:
        The creators, and notes on how many were left out and why.
    """
    accounts = market.table("accounts")
    accounts = accounts.filter(pc.equal(accounts["kind"], "creator"))
    _check_known(config, accounts)
    found = pa.table({"creator_id": pa.array(list(creator_id), pa.string())})
    rows = _accounts_of(found, accounts)
    ones = np.ones(len(creator_id))
    everyone = Creators(
        creator_id=_strings(found["creator_id"]),
        fit=ones,
        fit_std=0 * ones,
        engagement=ones,
        followers=_floats(rows["followers"]),
        category=_strings(rows["category"].fill_null("")),
    )
    return _allowed(config, everyone)


def _allowed(config: CampaignConfig, creators: Creators) -> tuple[Creators, tuple[str, ...]]:
    """Leave out whom the settings exclude, and say how many."""
    reasons = {
        "excluded by must_exclude": ~np.isin(creators.creator_id, np.array(config.must_exclude, str)),
        "below min_followers or of unknown size": _not_below(creators.followers, config.min_followers),
        "above max_followers or of unknown size": _not_below(-creators.followers, config.max_followers, sign=-1),
        f"without posts, hence without a usual {_USUAL.get(config.objective or '', 'engagement')}": ~np.isnan(
            creators.engagement
        ),
    }
    notes = []
    kept = np.ones(len(creators), bool)
    for reason, passes in reasons.items():
        if lost := int(np.sum(kept & ~passes)):
            notes.append(f"{lost:,} creators left out: {reason}.")
        kept &= passes
    return creators.where(kept), tuple(notes)


def _of_brand(scores: pa.Table, brand_id: str) -> pa.Table:
    found = scores.filter(pc.equal(scores["brand_id"], brand_id))
    if not found.num_rows:
        known = pc.unique(scores["brand_id"]).to_pylist()
        raise ConfigError(f"problem.brand: no scores for {unknown(brand_id, known)}")
    score = found["score"].to_numpy()
    if not np.all((score >= 0) & (score <= 1)):
        raise ScoreError(
            f"scores of brand {brand_id} range from {score.min():g} to {score.max():g}; a campaign needs probabilities "
            "of fit. Calibrate first: evaluate.py does it when it writes the score table."
        )
    return found


def _accounts_of(found: pa.Table, accounts: pa.Table) -> pa.Table:
    """One account for each row; refuses creators that the market does not have."""
    place = pc.index_in(found["creator_id"], value_set=accounts["account_id"].combine_chunks())
    if missing := found["creator_id"].filter(pc.is_null(place)).to_pylist():
        raise ScoreError(
            f"the scores name {len(missing)} creators that the market does not have (first: {', '.join(missing[:3])}). "
            "Use the market that the scores were made from."
        )
    return accounts.take(place)


def _join(found: pa.Table, accounts: pa.Table, config: CampaignConfig, market: MarketTables) -> Creators:
    rows = _accounts_of(found, accounts)
    creator_id = _strings(found["creator_id"])
    engagement = np.zeros(len(creator_id))
    for outcome, weight in outcomes(config).items():
        engagement += weight * _usual(outcome, market, found["creator_id"])
    return Creators(
        creator_id=creator_id,
        fit=_floats(found["score"]),
        fit_std=np.nan_to_num(_floats(found["score_std"]), nan=0.0),
        engagement=engagement,
        followers=_floats(rows["followers"]),
        category=_strings(rows["category"].fill_null("")),
    )


def outcomes(config: CampaignConfig) -> Mapping[str, float]:
    """What the objective adds up with affinities: outcome -> weight.

    Raises:
        ConfigError: weights are missing or not used.
    """
    if config.objective in ("value", "weighted"):
        if not config.weights:
            raise ConfigError(
                f'problem.weights: objective "{config.objective}" needs them, for instance {{impressions: 0.01}}.'
            )
        return {str(outcome): weight for outcome, weight in config.weights.items()}
    if config.weights:
        raise ConfigError('problem.weights: only the objectives "value" and "weighted" use them.')
    return {config.objective or "engagement": 1.0}


def _usual(outcome: str, market: MarketTables, creator_id: pa.ChunkedArray) -> NDArray[np.float64]:
    """What a post of each creator usually brings, (C,); 1 for fit."""
    if outcome == "fit":
        return np.ones(len(creator_id))
    posts = market.table("posts")
    if outcome == "engagement":
        return median_engagement(posts, creator_id)
    if "impressions" not in posts.column_names or not len(posts["impressions"].drop_null()):
        raise ConfigError('problem.objective: the market\'s posts have no impressions. Use "engagement".')
    return _median(posts, posts["impressions"], creator_id)


def median_engagement(posts: pa.Table, creator_id: pa.ChunkedArray) -> NDArray[np.float64]:
    """Median likes + comments of each creator's posts.

    Unknown comments count as none; posts of unknown likes do not count.

    Args:
        posts: account_id, likes, comments.
        creator_id: (C,).

    Returns:
        (C,), engagements per post; NaN without posts.
    """
    total = _floats(posts["likes"]) + np.nan_to_num(_floats(posts["comments"]), nan=0.0)
    return _median(posts, total, creator_id)


def _median(
    posts: pa.Table, values: pa.ChunkedArray | NDArray[np.float64], creator_id: pa.ChunkedArray
) -> NDArray[np.float64]:
    code = _floats(pc.index_in(posts["account_id"], value_set=pa.array(creator_id.to_pylist(), pa.string())))
    total = values if isinstance(values, np.ndarray) else _floats(values)
    known = ~np.isnan(code) & ~np.isnan(total)
    owner, total = code[known].astype(np.int64), total[known]
    count = np.bincount(owner, minlength=len(creator_id))
    first = np.cumsum(count) - count
    ordered = np.append(total[np.lexsort((total, owner))], np.nan)
    middle = (ordered[np.minimum(first + (count - 1) // 2, len(total))] + ordered[first + count // 2]) / 2
    return np.where(count > 0, middle, np.nan)


def unknown(name: str, choices: Sequence[str]) -> str:
    """Say that a name is unknown and what it might have been."""
    close = difflib.get_close_matches(name, choices, n=3) or sorted(choices)[:10]
    more = f", … ({len(choices):,} in all)" if len(choices) > len(close) else ""
    return f'"{name}". Known: {", ".join(close)}{more}.' if choices else f'"{name}". There are none in this market.'


def _check_known(config: CampaignConfig, accounts: pa.Table) -> None:
    names = accounts["account_id"].to_pylist()
    known = set(names)
    for setting in ("must_include", "must_exclude"):
        for name in getattr(config, setting):
            if name not in known:
                raise ConfigError(f"problem.{setting}: no creator {unknown(name, names)}")
    if both := sorted(set(config.must_include) & set(config.must_exclude)):
        raise ConfigError(f"problem: {', '.join(both)} stand in must_include and in must_exclude. Choose one.")
    categories = pc.unique(accounts["category"].drop_null()).to_pylist()
    for setting in ("coverage", "posts_per_category"):
        for name in getattr(config, setting) or {}:
            if name not in categories:
                raise ConfigError(f"problem.{setting}: no creator category {unknown(name, categories)}")


def _check_scored(config: CampaignConfig, scored: pa.Table) -> None:
    """Refuse to promise creators without a score, as most are where the table holds shortlists."""
    if lost := sorted(set(config.must_include) - set(scored["creator_id"].to_pylist())):
        raise ConfigError(
            f"problem.must_include: {', '.join(lost)} cannot be planned, as the score table has {scored.num_rows:,} "
            "creators for this brand and not these. Where it holds shortlists (retrieve=), raise evaluation.shortlist."
        )


def _not_below(values: NDArray[np.float64], limit: int | None, sign: int = 1) -> NDArray[np.bool_]:
    return np.ones(len(values), bool) if limit is None else values >= sign * limit


def _strings(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.array(column.to_pylist(), dtype=str)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers as float64, NaN for null."""
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
