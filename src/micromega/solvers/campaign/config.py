"""Settings of the campaign problem and of its solvers; imports nothing heavy."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Count = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Event:
    """An occasion that posts are made for."""

    event_id: str
    date: dt.date | None = None
    """Calendar day; null leaves the plan without dates."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Limits:
    """A smallest and a largest number."""

    min: Count = 0
    max: Count | None = None
    """null: no limit."""


@config(group="problem/campaign", target="micromega.solvers.campaign.build:build_problem")
class CampaignConfig:
    """What the brand wants: how much it spends, on whom, and within which rules."""

    brand: str | None = None
    """Brand to plan for; null: the first brand of the score table."""
    budget: Price = 10_000.0
    """In the market's currency."""
    objective: Literal["engagement", "fit"] = "engagement"
    """engagement: probability of fit times the creator's median engagements per post; fit: the probability alone."""
    rho: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Aversion to risk: rho standard deviations are taken off each tuple's effectiveness (eq. 7)."""
    content_types: tuple[str, ...] = ()
    """Kinds of post to consider; empty: all that have a price."""
    rate_card: Mapping[str, Price] | None = None
    """Price per 1,000 followers for each content type, used where the market has no prices; null: 10 for a "post"."""
    events: tuple[Event, ...] = ()
    """Occasions; empty: the brand's events in the market, or one event "campaign" without a date."""
    offsets: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    """Days from the event on which a post may go out."""
    max_posts_per_creator: Annotated[int, Field(ge=1)] | None = 1
    """Frequency cap over the whole campaign; null: none, and then the best creator is bought in every slot."""
    coverage: Mapping[str, Count] | None = None
    """Creator category -> least number of posts by its creators."""
    posts_per_event: Limits = Field(default_factory=Limits)
    """Least and largest number of posts for each event."""
    must_include: tuple[str, ...] = ()
    """Creators that get at least one post."""
    must_exclude: tuple[str, ...] = ()
    """Creators that get none."""
    min_followers: Count | None = None
    """Smaller creators are left out."""
    max_followers: Count | None = None
    """Larger creators are left out."""


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
