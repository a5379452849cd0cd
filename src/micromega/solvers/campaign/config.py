"""Settings of the campaign problem and of its solvers; imports nothing heavy."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Count = Annotated[int, Field(ge=0)]
Least = Annotated[int, Field(ge=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Outcome = Literal["impressions", "engagement", "fit"]
Group = Literal["category", "tier", "location", "genre", "content_type", "event", "brand"]
"""category and tier are the creator's, location and genre the event's."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Event:
    """An occasion that posts are made for."""

    event_id: str
    date: dt.date | None = None
    """Calendar day; null leaves the plan without dates."""
    location: str | None = None
    genre: str | None = None


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Limits:
    """A smallest and a largest number."""

    min: Count = 0
    max: Count | None = None
    """null: no limit."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ShareCap:
    """No group gets more than a share of the plan."""

    of: Group
    share: Share
    by: Literal["posts", "spend"] = "posts"
    only: tuple[str, ...] = ()
    """Groups that are meant; empty: every one."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SpendLevel:
    """Another price for the same post, and what it brings."""

    price: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Multiple of the usual price."""
    effect: Price | None = None
    """Multiple of the usual effect; null: from the response curve."""


@config(group="problem/campaign", target="micromega.solvers.campaign.build:build_problem")
class CampaignConfig:
    """What the brand wants: how much it spends, on whom, and within which rules."""

    brand: str | None = None
    """Brand to plan for; null: the first brand of the score table."""
    brands: Mapping[str, Price] | None = None
    """Several brands that share creators -> the budget of each; `budget` still holds for all together, and all caps of
    a creator run across brands."""
    budget: Price = 10_000.0
    """In the market's currency."""
    budget_per_event: Price | Mapping[str, Price] | None = None
    """Most spent on each event, or on those named."""
    budget_per_week: Price | Mapping[str, Price] | None = None
    """Most spent on posts of each calendar week, or of those named ("2024-W18")."""
    objective: Literal["engagement", "impressions", "fit", "value", "weighted"] | None = None
    """What is added up. With affinities, the probability of fit times the creator's median engagement (null means this)
    or impressions per post, the probability alone, or a sum of them by `weights`; with an effectiveness table its own
    unit (null means this), or value by `weights`."""
    weights: Mapping[Outcome, Price] | None = None
    """Outcome -> what one is worth: in currency for objective "value", in any unit for "weighted"."""
    rho: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Aversion to risk (eq. 7)."""
    risk: Literal["linear", "variance", "independent"] = "linear"
    """What rho takes off: each tuple's standard deviation, its variance, or the root of the plan's total variance."""
    overlap: bool = False
    """Whether people whom two posts reach count once; the market's follows say whose audiences overlap."""
    content_types: tuple[str, ...] = ()
    """Kinds of post to consider; empty: all that have a price."""
    rate_card: Mapping[str, Price] | None = None
    """Price per 1,000 followers for each content type, used where the market has no prices; null: 10 for a "post"."""
    events: tuple[Event, ...] = ()
    """Occasions; empty: the brand's events in the market, or one event "campaign" without a date."""
    offsets: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    """Days from the event on which a post may go out; null: 0, or all of the effectiveness table."""
    spend_levels: tuple[SpendLevel, ...] = ()
    """Prices at which a post can be bought, at most one for each post; empty: the usual price alone."""
    response: str | None = None
    """Response table for the effect of spend levels: a multiple of the price reaches the same multiple of followers."""
    max_posts_per_creator: Least | None = 1
    """Frequency cap over the whole campaign; null: none, and then the best creator is bought in every slot."""
    max_posts_per_creator_and_event: Least | None = None
    """Frequency cap for each event."""
    max_posts_per_creator_and_day: Least | None = None
    """Frequency cap for each calendar day, on which two events can meet."""
    min_gap_days: Least | None = None
    """Least number of days between two posts of a creator."""
    min_spend_per_creator: Price | None = None
    """A creator who is booked at all is booked for at least so much."""
    coverage: Mapping[str, Count] | None = None
    """Creator category -> least number of posts by its creators."""
    posts_per_event: Limits = Field(default_factory=Limits)
    """Least and largest number of posts for each event."""
    posts_at_events: Mapping[str, Limits] | None = None
    """Event -> least and largest number of posts, for some events."""
    posts_per_category: Mapping[str, Limits] | None = None
    """Creator category -> least and largest number of posts."""
    posts_per_tier: Mapping[str, Limits] | None = None
    """Size of creators (sub-nano, nano, micro, mid-tier, macro, mega) -> least and largest number of posts."""
    posts_per_location: Mapping[str, Limits] | None = None
    """Location of events -> least and largest number of posts."""
    posts_per_genre: Mapping[str, Limits] | None = None
    """Genre of events -> least and largest number of posts."""
    posts_per_content_type: Mapping[str, Limits] | None = None
    """Content type -> least and largest number of posts."""
    share_caps: tuple[ShareCap, ...] = ()
    """Largest share of the posts, or of the money, that one group gets."""
    min_distinct: Mapping[Group | Literal["creator"], Count] | None = None
    """Least number of different creators, categories, tiers, ... in the plan."""
    competitors: Mapping[str, tuple[str, ...]] | None = None
    """Brand -> its competitors. Brands of one plan that compete share no creator, and a creator who mentioned or worked
    for a competitor is not booked (see `competitor_days`)."""
    competitor_days: Count | None = None
    """How many days before the first day of the plan such work counts; null: ever."""
    must_include: tuple[str, ...] = ()
    """Creators that get at least one post."""
    must_exclude: tuple[str, ...] = ()
    """Creators that get none."""
    min_followers: Count | None = None
    """Smaller creators are left out."""
    max_followers: Count | None = None
    """Larger creators are left out."""
    alternatives: Count = 2
    """Nearly as good plans for the report."""
    differ: Least = 1
    """Creators of the plan, and of every alternative before it, that an alternative does without."""
    why_not: tuple[str, ...] = ()
    """Creators for whom the report says what booking them would cost."""
    declined: tuple[str, ...] = ()
    """Creators who may decline: the report has the best plan without them."""
    keep_booked: bool = True
    """Whether the other posts stay when somebody declines."""


@config(group="solver/cvxpy", target="micromega.solvers.campaign.ilp:solve")
class CvxpyConfig:
    """The exact solver: cvxpy's matrix form, branch and bound by HiGHS."""

    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time; the best plan so far is returned with its gap."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of HiGHS; more than one makes equally good plans come out in any order."""
    proof_cases: Annotated[int, Field(ge=1)] = 1000
    """Largest number of cases in the proof of optimality that is checked without HiGHS; 1: linear duality alone."""


@config(group="solver/highs", target="micromega.solvers.campaign.direct:solve")
class HighsConfig:
    """HiGHS without cvxpy in between."""

    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time; the best plan so far is returned with its gap."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of HiGHS; more than one makes equally good plans come out in any order."""
    proof_cases: Annotated[int, Field(ge=1)] = 1000
    """Largest number of cases in the proof of optimality that is checked without HiGHS; 1: linear duality alone."""


@config(group="solver/greedy", target="micromega.solvers.campaign.greedy:solve")
class GreedyConfig:
    """Value per price: the baseline."""

    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time of the bound."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of HiGHS, where the problem has to go to the exact solver."""
    proof_cases: Annotated[int, Field(ge=1)] = 1
    """Cases in the proof of optimality, where the problem has to go to the exact solver."""


@config(group="solver/lagrangian", target="micromega.solvers.campaign.lagrangian:solve")
class LagrangianConfig:
    """Lagrangian dual and a search over the tuples that it leaves open: for many tuples."""

    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time; the best plan so far is returned with its gap."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of HiGHS; more than one makes equally good plans come out in any order."""
    proof_cases: Annotated[int, Field(ge=1)] = 1000
    """Largest number of cases in the proof of optimality that is checked without HiGHS; 1: linear duality alone."""
    core: Annotated[int, Field(ge=1)] = 500
    """Tuples in the first search over whole plans."""
    device: str = "cpu"
    """cpu: compiled loops; cuda or another torch device: the inner problems run there."""


@config(group="solver/auto", target="micromega.solvers.campaign.choose:solve")
class AutoConfig:
    """The exact solver while it is quick, the Lagrangian one beyond."""

    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time; the best plan so far is returned with its gap."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of HiGHS; more than one makes equally good plans come out in any order."""
    proof_cases: Annotated[int, Field(ge=1)] = 1000
    """Largest number of cases in the proof of optimality that is checked without HiGHS; 1: linear duality alone."""
    exact_up_to: Annotated[int, Field(ge=0)] = 20_000
    """Largest number of tuples for the exact solver."""
    device: str = "cpu"
    """Of the Lagrangian solver's inner problems."""


@config(group="solver/mip", target="micromega.solvers.campaign.any_mip:solve")
class MipConfig:
    """Any solver of integer programs that cvxpy finds."""

    mip_solver: str = "HIGHS"
    """Its name in cvxpy: HIGHS, SCIP, GUROBI, CUOPT, …"""
    time_limit_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Wall time, for solvers that can be told; the best plan so far is returned with its gap."""
    relative_gap: Annotated[float, Field(ge=0, lt=1)] = 1e-6
    """A plan is called optimal when no plan can be better by more than this share."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads, where the solver can be told."""
    proof_cases: Annotated[int, Field(ge=1)] = 1000
    """Largest number of cases in the proof of optimality, checked without the solver; 1: linear duality alone."""
