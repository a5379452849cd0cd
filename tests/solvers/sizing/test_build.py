"""From a response table, a market and settings to a problem, and the plan as a table."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from micromega.config.schema import config_classes
from micromega.errors import ConfigError
from micromega.solvers.sizing import build_problem, plan_table, solve, verify
from micromega.solvers.sizing.config import SizingConfig

U = np.linspace(np.log(300), np.log(5e6), 50)


def table(subjects=("walmart", "apple"), band=True):
    rows = [
        {
            "subject_id": subject,
            "log_followers": float(u),
            "log_impressions": float(6 + 0.5 * u + shift),
            "elasticity": 0.5,
            "lower": float(6 + 0.5 * u + shift - 0.1) if band else None,
            "upper": float(6 + 0.5 * u + shift + 0.1) if band else None,
        }
        for shift, subject in enumerate(subjects)
        for u in U[::-1]  # the order of rows does not count
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


SCHEMA = pa.schema(
    [pa.field("subject_id", pa.string())]
    + [pa.field(name, pa.float64()) for name in ("log_followers", "log_impressions", "elasticity", "lower", "upper")]
)
ACCOUNTS = pa.table(
    {"kind": ["brand", "creator", "creator", "creator", "creator"], "followers": [9e9, 1000.0, 0.0, 2e5, None]}
)


def market(**tables):
    return SimpleNamespace(currency="USD", tables={"accounts": ACCOUNTS} | tables)


def build(config=None, scores=None, kind="log_impressions", world=None):
    return build_problem(
        SizingConfig(**(config or {})),
        scores=table() if scores is None else scores,
        score_kind=kind,
        market=world or market(),
    )


def test_first_subject_band_and_support():
    problem = build({"support_share": 1.0})
    assert problem.subject == "walmart"
    assert problem.log_followers == pytest.approx(U)
    assert problem.log_impressions == pytest.approx(6 + 0.5 * U)
    assert problem.upper == pytest.approx(6.1 + 0.5 * U)
    assert problem.support == pytest.approx((np.log(1000), np.log(2e5))), "creators with followers; no brands"
    assert problem.currency == "USD"
    assert problem.notes == ("Sizes that were observed: 1,000 to 200,000 followers: 100 % of the creators.",)
    plan = solve(problem)
    assert plan.optimum.followers == pytest.approx(162_754.79, rel=1e-6)
    assert verify(problem, plan).ok


def test_named_subject_and_what_is_close_to_a_wrong_name():
    assert build({"subject": "apple"}).log_impressions == pytest.approx(7 + 0.5 * U)
    with pytest.raises(ConfigError, match=r"'appel' has no response curve; 2 subjects have, such as apple"):
        build({"subject": "appel"})
    with pytest.raises(ConfigError, match="empty"):
        build(scores=table(()))


def test_followers_at_publication_say_what_was_observed():
    posts = pa.table({"author_followers": [500.0, 3e6, None, 0.0, 8e4]})
    narrow = build({"support_share": 0.5}, world=market(posts=posts))
    assert narrow.support == pytest.approx(tuple(np.quantile(np.log([500, 8e4, 3e6]), [0.25, 0.75])))
    assert "50 % of the posts' authors" in narrow.notes[0]
    wide = build({"support_share": 1.0}, world=market(posts=posts))
    assert wide.support == pytest.approx((np.log(500), np.log(3e6)))
    same = pa.table({"author_followers": [500.0, 500.0]})
    assert "creators" in build(world=market(posts=same)).notes[0], "a column that does not vary says nothing"
    nothing = build(world=SimpleNamespace(currency="EUR", tables={}))
    assert nothing.support is None
    assert nothing.notes == ("The market does not say how many followers creators have.",)


def test_bands_of_elasticities_and_missing_bands_are_left_out_and_said():
    for problem in (build(kind="elasticity"), build(scores=table(band=False))):
        assert problem.lower is None
        assert "no interval" in problem.notes[0]
        assert solve(problem).interval is None


def test_a_price_list():
    points = [{"followers": 100_000, "price": 2000}, {"followers": 10_000, "price": 150}]
    problem = build({"price_points": points})
    assert problem.cost_per_thousand is None
    price = problem.price(np.array([1000.0, 10_000, 55_000, 100_000, 1e6]))
    assert price == pytest.approx([15, 150, 1075, 2000, 20_000])
    assert verify(problem, solve(problem)).ok
    with pytest.raises(ConfigError, match="twice"):
        build({"price_points": [points[0], points[0]]})


def test_other_settings_reach_the_problem():
    problem = build(
        {
            "value_per_impression": 0.1,
            "cost_per_thousand": 30,
            "fixed_cost": 5,
            "anchor": {"followers": 1e4, "impressions": 5e4},
            "actual": [1e6],
            "level": 0.9,
        }
    )
    assert (problem.value_per_impression, problem.cost_per_thousand, problem.fixed_cost) == (0.1, 30, 5)
    assert (problem.anchor, problem.actual, problem.level) == ((1e4, 5e4), (1e6,), 0.9)
    assert build({"smearing": 1.3}).smearing == 1.3


def test_the_config_is_found_by_its_target():
    assert config_classes()["micromega.solvers.sizing.build.build_problem"] is SizingConfig


def test_plan_table():
    plan = solve(build({"support_share": 1.0}))
    rows = plan_table(plan)
    assert rows["tier"].to_pylist() == ["nano", "micro", "mid-tier"]
    assert rows["low"].to_pylist() == pytest.approx([1e3, 1e4, 5e4])
    assert rows["high"].to_pylist() == pytest.approx([1e4, 5e4, 2e5])
    assert rows["recommended"].to_pylist() == [False, False, True]
    assert rows["followers"].to_pylist() == pytest.approx([1e4, 5e4, 162_754.79], rel=1e-6)
    assert rows["profit"].to_pylist()[2] == pytest.approx(plan.optimum.profit)
    assert rows.schema.metadata[b"subject"] == b"walmart"
    assert rows.schema.metadata[b"standing"] == b"interior"
    dear = solve(build({"fixed_cost": 1e6}))
    assert not any(plan_table(dear)["recommended"].to_pylist())
