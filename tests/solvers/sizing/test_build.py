"""From a response table, a market and settings to a problem, and the plan as a table."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from micromega.config.schema import config_classes
from micromega.errors import ConfigError
from micromega.scores import TABLES, Lineage, ResponseFacts, Scores
from micromega.solvers.sizing import Standing, build_problem, direct_effects, plan_table, solve, verify
from micromega.solvers.sizing.config import SizingConfig

U = np.linspace(np.log(300), np.log(5e6), 50)


def table(subjects=("walmart", "apple"), band=True, shifted=()):
    rows = [
        {
            "subject_id": subject,
            "log_followers": float(u),
            "log_impressions": float(6 + 0.5 * u + shift),
            "elasticity": 0.5,
            "lower": float(6 + 0.5 * u + shift - 0.1) if band else None,
            "upper": float(6 + 0.5 * u + shift + 0.1) if band else None,
            "direct_shift": float(1 + 0.1 * u) if subject in shifted else None,
        }
        for shift, subject in enumerate(subjects)
        for u in U[::-1]  # the order of rows does not count
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["response"].schema)


ACCOUNTS = pa.table(
    {"kind": ["brand", "creator", "creator", "creator", "creator"], "followers": [9e9, 1000.0, 0.0, 2e5, None]}
)


def market(**tables):
    return SimpleNamespace(currency="USD", tables={"accounts": ACCOUNTS} | tables)


FACTS = ResponseFacts(band="simultaneous", level=0.8, support=(np.log(1e4), np.log(1e5)), centre=np.log(3e4))


def scored(rows=None, *, kind="log_impressions", facts=None):
    lineage = Lineage(
        score_kind=kind,
        model="deepiv",
        market_fingerprint="f",
        config_signature="s",
        response=facts,
        notes=("A note.",),
    )
    return Scores(table=table() if rows is None else rows, lineage=lineage, path=Path("r.parquet"), name="response")


def build(config=None, scores=None, kind="log_impressions", world=None, facts=None):
    scores = scored(scores, kind=kind, facts=facts)
    return build_problem(SizingConfig(**(config or {})), scores=scores, market=world or market())


def test_first_subject_band_and_support():
    problem = build({"support_share": 1.0})
    assert problem.subject == "walmart"
    assert problem.log_followers == pytest.approx(U)
    assert problem.log_impressions == pytest.approx(6 + 0.5 * U)
    assert problem.upper == pytest.approx(6.1 + 0.5 * U)
    assert problem.support == pytest.approx((np.log(1000), np.log(2e5))), "creators with followers; no brands"
    assert problem.currency == "USD"
    assert problem.notes[0] == "A note.", "what the table says of itself"
    assert "neither with which level" in problem.notes[1]
    assert problem.notes[2].startswith("Sizes that were observed: 1,000 to 200,000 followers: 100 % of the creators.")
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
    assert "50 % of the posts' authors" in narrow.notes[-1]
    wide = build({"support_share": 1.0}, world=market(posts=posts))
    assert wide.support == pytest.approx((np.log(500), np.log(3e6)))
    same = pa.table({"author_followers": [500.0, 500.0]})
    assert "of the creators" in build(world=market(posts=same)).notes[-1], "a column that does not vary says nothing"
    nothing = build(world=SimpleNamespace(currency="EUR", tables={}))
    assert nothing.support is None
    assert nothing.notes[-1] == "The market does not say how many followers creators have."


def test_the_table_says_which_sizes_were_observed():
    """400 usable posts at 10,000 to 100,000 followers beside 600 larger ones that the model never saw (issue 6)."""
    rng = np.random.default_rng(0)
    all_posts = np.concatenate([rng.uniform(1e4, 1e5, 400), rng.uniform(1e6, 5e6, 600)])
    world = market(posts=pa.table({"author_followers": all_posts}))
    steep = {"cost_per_thousand": 0.1}
    known = solve(build(steep, world=world, facts=FACTS))
    assert known.problem.support == FACTS.support
    assert known.supported.followers == pytest.approx(1e5)
    assert known.standing is Standing.EXTRAPOLATED
    said = "Sizes that were observed: 10,000 to 100,000 followers, of nearly all posts that the model learnt from."
    assert known.problem.notes[-1] == said
    guessed = solve(build(steep | {"support_share": 1.0}, world=world))
    assert guessed.supported.followers > 4.5e6, "a table without facts: the market's posts stand in"
    assert "does not say which posts its model learnt from" in guessed.problem.notes[-1]


def test_a_share_of_the_posts_is_refused_where_the_table_says_what_was_observed():
    unknown = dataclasses.replace(FACTS, support=None)
    for facts in (FACTS, unknown):
        with pytest.raises(ConfigError, match=r"problem.support_share: .* 0.99 of the market's posts .* Leave it null"):
            build({"support_share": 0.99}, facts=facts)
    problem = build(facts=unknown)
    assert problem.support is None
    assert problem.notes[-1].startswith("Which sizes were observed is not known")
    assert solve(problem).inside_support is None
    usual, said = (build(config).support for config in ({}, {"support_share": 0.99}))
    assert usual == said


def test_the_table_says_the_level_of_its_band():
    problem = build(facts=FACTS)
    assert (problem.level, problem.band) == (0.8, "simultaneous")
    plan = solve(problem)
    assert plan.interval.level == 0.8
    assert not any("narrow" in note for note in plan.notes)
    assert build({"level": 0.8}, facts=FACTS).level == 0.8
    with pytest.raises(ConfigError, match=r"problem.level: .* level 0.8, not 0.95.*evaluation.level=0.95"):
        build({"level": 0.95}, facts=FACTS)


def test_a_pointwise_band_is_used_and_called_too_narrow():
    plan = solve(build(facts=dataclasses.replace(FACTS, band="pointwise")))
    assert plan.problem.band == "pointwise"
    assert plan.interval.followers == solve(build(facts=FACTS)).interval.followers
    (said,) = (note for note in plan.notes if "too narrow" in note)
    assert "each point by itself with 80 %" in said
    assert "evaluation.bands=simultaneous" in said


def test_a_table_that_does_not_say_what_its_band_holds():
    assumed, told = build(), build({"level": 0.9})
    assert (assumed.level, assumed.band) == (0.95, None)
    assert "95 % is assumed" in assumed.notes[1]
    assert "90 % is taken from problem.level" in told.notes[1]
    none = dataclasses.replace(FACTS, band=None, level=None)
    bare = build(facts=none, scores=table(band=False))
    assert "no interval" in bare.notes[1]
    assert len(bare.notes) == 3, "no band, no level to speak of"


def test_the_shift_of_a_direct_effect_goes_with_its_subject():
    rows = table(shifted=("walmart",))
    problem = build(scores=rows, facts=FACTS)
    assert problem.direct_shift == pytest.approx(1 + 0.1 * U)
    assert problem.centre == np.log(3e4)
    assert direct_effects(problem).followers[0] == pytest.approx(solve(problem).supported.followers)
    for other in (build({"subject": "apple"}, scores=rows, facts=FACTS), build(scores=rows)):
        assert direct_effects(other) is None


def test_bands_of_elasticities_and_missing_bands_are_left_out_and_said():
    for problem in (build(kind="elasticity"), build(scores=table(band=False))):
        assert problem.lower is None
        assert "no interval" in problem.notes[1]
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
