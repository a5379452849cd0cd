"""What the report says beyond the plan, on a problem small enough to know."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from micromega.errors import ConfigError
from micromega.runs import what_if as module
from micromega.runs.overlapping import Overlapping
from micromega.runs.what_if import what_if
from micromega.solvers.campaign import CampaignProblem, LinearRows, solve
from micromega.solvers.campaign.config import CampaignConfig
from micromega.solvers.campaign.overlap_search import exactly


class SimpleMarket:
    """The tables that are needed."""

    def __init__(self, **tables):
        self.tables = tables

    def table(self, name):
        return self.tables[name]


NAMES = {"a": "Ann", "b": "Bob", "c": "Cy", "d": "Dee"}


def problem() -> CampaignProblem:
    creator = np.array(["a", "a", "b", "b", "c", "c", "d"])
    return CampaignProblem(
        creator_id=creator,
        offset_days=np.array([0, 1, 0, 1, 0, 1, 0]),
        effectiveness=np.array([10.0, 9.0, 8.0, 7.0, 5.0, 4.0, 1.0]),
        std=np.array([6.0, 6.0, 1.0, 1.0, 1.0, 1.0, 0.1]),
        price=np.ones(7),
        budget=2.0,
        rows=LinearRows.by_key(creator, setting="max_posts", name="at most 1 post by creator {key}", upper=1),
        currency="EUR",
    )


def test_answers_have_names_and_numbers() -> None:
    of = problem()
    config = CampaignConfig(alternatives=2, differ=1, why_not=("d",), declined=("a",), keep_booked=True)
    found = what_if(config, of, solve(of), NAMES)
    why, declined = found.questions
    assert (why.question, why.value, why.joined, why.left) == ("Why not Dee?", 11.0, ("Dee",), ("Bob",))
    assert why.lost is not None
    np.testing.assert_allclose(why.lost, 7 / 18)
    assert (declined.question, declined.value, declined.left) == ("What if Ann declined?", 13.0, ("Ann",))
    assert [(other.value, other.left) for other in found.alternatives] == [(15.0, ("Bob",)), (13.0, ("Ann",))]
    assert [point.rho for point in found.risk if point.used] == [0.0]
    assert found.notes == ()


def test_limits_of_one_setting_are_one_line() -> None:
    of = problem()
    names = [limit.name for limit in what_if(CampaignConfig(alternatives=0), of, solve(of), NAMES).binding]
    assert len(names) == 2
    assert any(name.startswith("at most 1 post by creator a") for name in names)
    assert any("1 EUR more" in name for name in names)


def test_large_problems_leave_other_plans_out_and_say_so(monkeypatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 3)
    of = problem()
    found = what_if(CampaignConfig(), of, solve(of), NAMES)
    assert found.alternatives == found.risk == ()
    assert "7 possible posts are more than 3" in found.notes[0]
    certain = dataclasses.replace(of, std=np.zeros(7))
    monkeypatch.setattr(module, "LARGEST", 30)
    assert what_if(CampaignConfig(), certain, solve(certain), NAMES).risk == ()


def test_questions_count_once_where_audiences_overlap() -> None:
    """Ann and Bob have the same two followers, who come from either; Cy and Dee have their own."""
    of = dataclasses.replace(problem(), unit="engagements", effectiveness=np.array([2.0, 1.9, 2, 1.8, 1.5, 1.4, 1]))
    pairs = [("a", "u"), ("a", "v"), ("b", "u"), ("b", "v"), ("c", "x"), ("c", "y"), ("d", "p"), ("d", "q")]
    market = SimpleMarket(
        accounts=pa.table({"account_id": list("abcd"), "followers": [2, 2, 2, 2]}),
        follows=pa.table({"source_id": [pair[0] for pair in pairs], "target_id": [pair[1] for pair in pairs]}),
    )
    once = Overlapping.of(CampaignConfig(overlap=True), of, market)
    found = once.solve(exactly, time_limit_s=10, relative_gap=1e-6)
    assert once.check(found, relative_gap=1e-6).ok
    np.testing.assert_allclose(found.plan.objective, 3.5)  # not 2 + 2
    shown = once.shown(found.plan)
    np.testing.assert_allclose(shown.effectiveness[found.plan.chosen].sum(), 3.5)
    config = CampaignConfig(alternatives=1, declined=("c",), keep_booked=False, overlap=True)
    beside = what_if(config, shown, found.plan, NAMES, once)
    assert beside.questions[0].value is not None
    np.testing.assert_allclose(beside.questions[0].value, 3.0)  # Dee comes in, not the other of Ann and Bob
    assert beside.risk == ()
    curve = once.curve(seconds=5, gap=1e-4)
    np.testing.assert_allclose(curve.objective[[0, 6, 12]], [0, 3.5, 4.5], atol=1e-6)


def test_overlap_is_of_people_and_of_one_brand() -> None:
    market = SimpleMarket()
    with pytest.raises(ConfigError, match="counts people"):
        Overlapping.of(CampaignConfig(), dataclasses.replace(problem(), unit="USD of value"), market)
    with pytest.raises(ConfigError, match="one brand"):
        Overlapping.of(CampaignConfig(brands={"x": 1.0}), problem(), market)
