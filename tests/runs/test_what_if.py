"""What the report says beyond the plan, on a problem small enough to know."""

import dataclasses

import numpy as np

from micromega.runs import what_if as module
from micromega.runs.what_if import what_if
from micromega.solvers.campaign import CampaignProblem, LinearRows, solve
from micromega.solvers.campaign.config import CampaignConfig

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
