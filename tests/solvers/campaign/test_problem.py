"""A problem refuses what makes no sense and says what."""

import dataclasses
import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import micromega.solvers.campaign
from micromega.errors import ConfigError, DataError
from micromega.solvers.campaign import CampaignProblem, LinearRows, Switches
from micromega.solvers.campaign.config import CampaignConfig, CvxpyConfig


def make(**changes):
    content = {"creator_id": np.array(["a", "b"]), "effectiveness": [1.0, 2.0], "price": [1.0, 2.0], "budget": 3.0}
    return CampaignProblem(**(content | changes))


def test_arrays_are_copied_and_frozen():
    price = np.array([1.0, 2.0])
    problem = make(price=price)
    price[0] = 9
    assert problem.price[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        problem.price[0] = 9
    assert problem.content_type.tolist() == ["post", "post"]
    assert np.isnat(problem.date).all()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"price": [1.0, -2.0]},
            DataError,
            r"price holds 1 values that are not finite and not negative \(creator b: -2\)",
        ),
        ({"price": [1.0, np.nan]}, DataError, "price"),
        ({"effectiveness": [np.inf, 1.0]}, DataError, "effectiveness holds 1 values that are not finite"),
        ({"std": np.array([-1.0, 1.0])}, DataError, "std"),
        ({"price": [1.0]}, DataError, r"price has shape \(1,\)"),
        ({"budget": -1.0}, ConfigError, "budget is -1.0"),
        ({"budget": np.nan}, ConfigError, "budget is nan"),
        ({"budget": np.inf}, ConfigError, "budget is inf"),
        ({"rho": -0.1}, ConfigError, "rho"),
        ({"creator_id": np.array(["a", "a"])}, DataError, r"given twice, the first is \(a, post, campaign, 0\)"),
        ({"rows": LinearRows.of([("s", "n", [2], 0, 1)])}, DataError, "outside 0..1"),
    ],
)
def test_refusals(changes, error, words):
    with pytest.raises(error, match=words):
        make(**changes)


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        (
            ("coverage.food", "posts on food", [0], 3, 2),
            ConfigError,
            "posts on food: the minimum 3 is above the maximum 2",
        ),
        (("s", "n", [0], np.nan, 2), ConfigError, "lower limit is not a number"),
        (("s", "n", [0, 0], 0, 2), DataError, "same tuple twice"),
    ],
)
def test_rows_refuse(row, error, words):
    with pytest.raises(error, match=words):
        LinearRows.of([("first", "first", [0, 1], 0, 1), row])


def test_rows_of_broken_shape():
    with pytest.raises(DataError, match="start"):
        LinearRows(start=np.array([0, 2]), members=np.array([0]), lower=[0], upper=[1], names=("n",), settings=("s",))
    with pytest.raises(DataError, match="start needs one more"):
        LinearRows(start=np.array([0]), members=np.zeros(0, int), lower=[0], upper=[1], names=("n",), settings=("s",))


def test_by_key_and_stack_are_the_same_as_one_by_one():
    keys = np.array(["x", "y", "x", "z"])
    rows = LinearRows.stack(
        [
            LinearRows.by_key(keys, setting="cap", name="cap of {key}", upper=1),
            LinearRows(),
            LinearRows.of([("all", "everything", range(4), 2, 3)]),
        ]
    )
    assert rows.names == ("cap of x", "cap of y", "cap of z", "everything")
    members = [rows.members[rows.start[r] : rows.start[r + 1]].tolist() for r in range(4)]
    assert members == [[0, 2], [1], [3], [0, 1, 2, 3]]
    assert rows.lower.tolist() == [0, 0, 0, 2]
    assert rows.upper.tolist() == [1, 1, 1, 3]


def test_the_package_example_runs():
    assert doctest.testmod(micromega.solvers.campaign).failed == 0
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = micromega.solvers.campaign.nonsense


def test_settings_import_nothing_heavy():
    code = (
        "import sys, micromega.solvers.campaign.config;"
        "print([name for name in ('numpy', 'cvxpy', 'pyarrow', 'scipy', 'torch', 'highspy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_page_s_examples_run():
    page = Path(__file__).parents[3] / "docs" / "campaign.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0


def test_the_page_knows_every_setting():
    page = (Path(__file__).parents[3] / "docs" / "campaign.md").read_text()
    for settings in (CampaignConfig, CvxpyConfig):
        for field in dataclasses.fields(settings):
            assert f"`{field.name}`" in page, field.name


def test_coefficients_are_one_where_left_out_and_room_is_for_money_alone():
    counts = LinearRows.of([("s", "n", [0, 1], 0, 2)])
    money = LinearRows.of([("s", "n", [0, 1], -np.inf, 50.0, [10.0, 20.5])])
    share = LinearRows.of([("s", "n", [0, 1], -np.inf, 0.0, [0.7, -0.3])])
    assert counts.coefficient.tolist() == [1, 1]
    assert counts.room.tolist() == [0]
    assert money.room == pytest.approx([5e-8])
    assert share.room == pytest.approx([0.7e-10])
    stacked = LinearRows.stack([counts, money, share])
    assert stacked.activity(np.array([1.0, 1.0])) == pytest.approx([2, 30.5, 0.4])
    assert stacked.binds_above.tolist() == [False, False, True]
    again = stacked.where(np.array([False, True, True]))
    assert (again.coefficient.tolist(), again.room.tolist()) == ([10.0, 20.5, 0.7, -0.3], stacked.room[1:].tolist())
    with pytest.raises(DataError, match="one finite number for each member"):
        LinearRows.of([("s", "n", [0, 1], 0, 2, [1.0, np.nan])])


def test_switches_follow_their_tuples_and_are_linked_where_a_row_would_gain():
    switches = Switches.by_key(np.array(["x", "y"]), name="{key} is booked")
    assert switches.on(np.array([0.0, 1.0])).tolist() == [0, 1]

    def linked(lower, upper):
        rows = LinearRows.of([("s", "booked", [2, 3], lower, upper)])
        return make(rows=rows, switches=switches)

    assert (make().columns, linked(1, np.inf).columns) == (2, 4)
    least, most = linked(2, np.inf), linked(0, 1)
    assert least.rows.names[1:] == ("x is booked only with a post", "y is booked only with a post")
    assert most.rows.names[1:] == ("a post means that x is booked", "a post means that y is booked")
    assert len(linked(0, 2).rows) == 1, "a row that cannot bind needs no links"
    assert dataclasses.replace(most, budget=1.0).rows.names == most.rows.names, "links are not added twice"
    assert least.column_value.tolist() == [1, 2, 0, 0]
    assert least.column_price.tolist() == [1, 2, 0, 0]
    assert least.column_choice([False, True]).tolist() == [0, 1, 0, 1]


def test_a_frequency_cap_makes_one_link_of_many():
    switches = Switches.by_key(np.array(["x", "x"]), name="{key} is booked")
    rows = [("s", "not booked", [2], 0, 0)]
    alone = make(rows=LinearRows.of(rows), switches=switches)
    capped = make(rows=LinearRows.of([*rows, ("cap", "one", [0, 1], 0, 1)]), switches=switches)
    assert (len(alone.rows), len(capped.rows)) == (1 + 2, 2 + 1)
    with pytest.raises(DataError, match="switch names a tuple outside"):
        make(switches=Switches(start=np.array([0, 1]), members=np.array([5]), names=("z",)))
