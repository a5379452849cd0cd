"""Market tables to the arrays of `fit_growth`: views by day, and the statistics of posts of the paper's Table 6."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.market.market import Market
from micromega.models.deepiv.instrument import of_author, reals
from micromega.models.growth.groups import Clock, Group, from_first_listed, group_of, needed_for

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GrowthInputs:
    """Arguments of `fit_growth`, and what they are.

    Attributes:
        impressions: (N, D) cumulative, NaN where a day is not listed.
        days: (D,) ascending.
        hashtag: (N,) group of each post: the hashtag under which it is listed, or what was asked for instead.
        covariates: (N, P).
        names: (P,) of the covariates.
        post_ids: (N,).
        left_out: covariate -> why it is not used.
        dropped: reason -> posts that are left out for it.
    """

    impressions: Reals
    days: Reals
    hashtag: NDArray[np.object_]
    covariates: Reals
    names: tuple[str, ...]
    post_ids: NDArray[np.object_]
    left_out: dict[str, str]
    dropped: dict[str, int]


def _plain(column: str) -> Callable[[Market, pa.Table], Reals]:
    return lambda market, posts: reals(posts[column])


def _log1p(column: str) -> Callable[[Market, pa.Table], Reals]:
    return lambda market, posts: np.asarray(np.log1p(reals(posts[column])))


def _log_followers(market: Market, posts: pa.Table) -> Reals:
    """Log (1 + followers) at publication; where no post tells, the account's at the crawl."""
    if posts["author_followers"].null_count == len(posts):
        return np.log1p(of_author(market, posts, "followers"))
    return np.log1p(reals(posts["author_followers"]))


def _tags(posts: pa.Table) -> Reals:
    return reals(pc.list_value_length(posts["hashtags"]))


def _has_fyp(market: Market, posts: pa.Table) -> Reals:
    tags, parent = pc.list_flatten(posts["hashtags"]), pc.list_parent_indices(posts["hashtags"])
    fyp = pc.equal(pc.utf8_lower(tags), "fyp").to_numpy(zero_copy_only=False).astype(bool)
    has = np.isin(np.arange(len(posts)), parent.to_numpy()[fyp]).astype(np.float64)
    return np.where(np.isnan(_tags(posts)), np.nan, has)


COVARIATES: dict[str, tuple[str, Callable[[Market, pa.Table], Reals]]] = {
    "log_followers": ("posts.author_followers (or accounts.followers)", _log_followers),
    "num_hashtags": ("posts.hashtags", lambda market, posts: _tags(posts)),
    "num_trending": ("posts.trending_hashtags", _plain("trending_hashtags")),
    "has_fyp": ("posts.hashtags", _has_fyp),
    "log_hashtag_age": ("posts.hashtag_age_days", _log1p("hashtag_age_days")),
    "is_trending": ("posts.is_trending", _plain("is_trending")),
    "log_ranking": ("posts.ranking", _log1p("ranking")),
    "log_age": ("posts.age_days", _log1p("age_days")),
    "is_sponsored": ("posts.sponsored", _plain("sponsored")),
    "is_verified": ("accounts.verified", lambda market, posts: of_author(market, posts, "verified")),
}
"""Name -> columns it comes from, and how: skewed ones (followers, ages, ranking) as log(1 + value), the rest plain."""


def growth_inputs(
    market: Market, *, covariates: Sequence[str] | None = None, group: Group = "hashtag", clock: Clock = "views"
) -> GrowthInputs:
    """Take views, groups of posts and covariates from a market.

    Args:
        market: with the tables posts and views.
        covariates: names in `COVARIATES`, each of which is then needed; by default all that the market has and that
            differ between posts.
        group: what has coefficients of its own. "hashtag": under which a post is listed, `posts.hashtag` (the paper);
            "commonest_hashtag": of a post's own hashtags, lower-cased, the one that most posts of the market carry;
            "author": the account.
        clock: "views": days are those of `views.day`; "first_listed": each post's first listed day is its day 1, and
            how old the post was then stands in for `posts.age_days` where no post has that. For markets that first list
            posts long after publication, whose `views.day` is the age.

    Returns:
        Arrays for posts that have views, a group and all covariates; `dropped` counts the others.

    Raises:
        DataError: a table or column is missing (says which, and how to make it), or no post is left.
        ConfigError: there is no such group or clock.

    Example:
        >>> from micromega.market import simulate
        >>> inputs = growth_inputs(simulate(seed=0, brands=12, creators=50, posts=4, audience="tiktok"))
        >>> inputs.impressions.shape[1], inputs.names[0]
        (14, 'log_followers')
    """
    for name, value, choices in (("group", group, get_args(Group)), ("clock", clock, get_args(Clock))):
        if value not in choices:
            raise ConfigError(f'{name}="{value}" is none of: {", ".join(choices)}.')
    views, posts = market.table("views"), market.table("posts", needs=(needed_for(group),))
    unknown = sorted(set(covariates or ()) - set(COVARIATES))
    if unknown:
        raise DataError(f"There is no covariate called {', '.join(unknown)}. Covariates are: {', '.join(COVARIATES)}.")
    if clock == "first_listed":
        views, posts = from_first_listed(views, posts)
    impressions_ND, days_D = _by_day(views, posts)
    groups, dropped = group_of(posts, group), dict[str, int]()
    keep = _keep(np.ones(len(posts), dtype=bool), np.isfinite(impressions_ND).any(axis=1), "no views", dropped)
    keep = _keep(keep, np.nansum(impressions_ND, axis=1) > 0, "never shown", dropped)
    nameless = "no author" if group == "author" else "no hashtag"
    keep = _keep(keep, pc.is_valid(groups).to_numpy(zero_copy_only=False), nameless, dropped)
    made = {name: COVARIATES[name][1](market, posts) for name in covariates or COVARIATES}
    chosen, keep, left_out = _choose(made, keep, dropped)
    if left_out and covariates is not None:
        name, why = next(iter(left_out.items()))
        raise DataError(f'Covariate {name} cannot be used: {why} in market "{market.name}". Leave it out, or fill it.')
    if not keep.any():
        raise DataError(f'Market "{market.name}" has no post with views, {group} and all covariates: {dropped}.')
    return GrowthInputs(
        impressions=impressions_ND[keep],
        days=days_D,
        hashtag=groups.to_numpy(zero_copy_only=False)[keep],
        covariates=np.column_stack([values[keep] for values in chosen.values()] or [np.empty((int(keep.sum()), 0))]),
        names=tuple(chosen),
        post_ids=posts["post_id"].to_numpy()[keep],
        left_out=left_out,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def _choose(
    made: dict[str, Reals], keep: NDArray[np.bool_], dropped: dict[str, int]
) -> tuple[dict[str, Reals], NDArray[np.bool_], dict[str, str]]:
    """Covariates that differ between posts, the posts that have all of them, and why the others are left out."""
    left_out: dict[str, str] = {}
    chosen: dict[str, Reals] = {}
    for name, values in made.items():
        if np.isnan(values[keep]).all():
            left_out[name] = f"{COVARIATES[name][0]} holds no value"
        elif np.nanmin(values[keep]) == np.nanmax(values[keep]):
            left_out[name] = f"{COVARIATES[name][0]} is the same for all posts"
        else:
            chosen[name] = values
    for name, values in chosen.items():
        keep = _keep(keep, ~np.isnan(values), f"no {name}", dropped)
    for name in [name for name, values in chosen.items() if keep.any() and not np.ptp(values[keep])]:
        left_out[name] = f"{COVARIATES[name][0]} is the same for all posts that have the other covariates"
        del chosen[name]
    return chosen, keep, left_out


def _keep(keep: NDArray[np.bool_], known: Any, reason: str, dropped: dict[str, int]) -> NDArray[np.bool_]:
    dropped[reason] = int((keep & ~known).sum())
    both: NDArray[np.bool_] = keep & known
    return both


def _by_day(views: pa.Table, posts: pa.Table) -> tuple[Reals, Reals]:
    """(N, D) impressions of every post, NaN where not listed, and (D,) days."""
    row = pc.index_in(views["post_id"], value_set=posts["post_id"].combine_chunks()).to_numpy()
    days, column = np.unique(views["day"].to_numpy(), return_inverse=True)
    impressions_ND = np.full((len(posts), len(days)), np.nan)
    impressions_ND[row, column] = views["impressions"].to_numpy()
    return impressions_ND, days.astype(np.float64)
