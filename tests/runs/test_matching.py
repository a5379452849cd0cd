"""`optimize.py problem=matching` on a small market: plan, certificate and report, or a clear no."""

import html
import json
import logging
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli
from micromega.errors import ConfigError
from micromega.market import Market
from micromega.runs.matching import check_settings, without_effect
from micromega.scores import Lineage, ScoreKind, affinity_table, write_scores
from micromega.solvers.matching.config import MatchingConfig

ROWS = {
    "order_id": ["o1", "o2", "o3", "o4"],
    "product_id": ["tea", "cup", "tea", "cup"],
    "customer_id": ["ann", "ann", "bob", "cy"],
    "merchant_id": ["m1", "m2", "m1", "m2"],
    "amount": [5.0, 20.0, 30.0, 7.0],
}


def market(folder: Path, *, orders: bool = True) -> Path:
    folder.mkdir()
    (folder / "market.yaml").write_text("name: shop\ncurrency: EUR\n", encoding="utf-8")
    accounts = {"account_id": ["ann", "bob", "cy"], "kind": ["creator"] * 3}
    tables = {
        "accounts": accounts,
        "merchants": {"merchant_id": ["m1", "m2"]},
        "products": {"product_id": ["tea", "cup"], "merchant_id": ["m1", "m2"]},
    }
    if orders:
        tables["orders"] = ROWS
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


@pytest.fixture(name="optimize")
def optimize_fixture(tmp_path: Path, monkeypatch, capsys):
    """Run optimize.py in this process; give its exit status and what it printed."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def optimize(*settings: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["optimize.py", "problem=matching", f"paths.runs={tmp_path}/runs", *settings])
        HydraConfig.instance().cfg = None  # as in a new process
        capsys.readouterr()
        try:
            cli.optimize()
            status = 0
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        for handler in [handler for handler in root.handlers if handler not in before[0]]:
            root.removeHandler(handler)  # Hydra's: one writes to what pytest has captured, one to a file
            handler.close()
        seen = capsys.readouterr()
        return status, seen.out + seen.err

    yield optimize
    root.handlers[:], root.level = before


def report_text(plan: Path) -> str:
    """The words of the report beside a plan, with single spaces."""
    page = html.unescape((plan.parent / "report.html").read_text(encoding="utf-8"))
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def at(folder: Path) -> tuple[str, str]:
    return "market=folder", f"market.path={folder}"


def test_plan_certificate_and_report(optimize, tmp_path: Path) -> None:
    status, said = optimize(*at(market(tmp_path / "shop")), "optimized_metric=objective")
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = pq.read_table(plan).to_pylist()
    assert [(row["creator_id"], row["product_id"], row["choice"]) for row in rows] == [
        ("bob", "tea", 1), ("ann", "cup", 1),
    ]  # fmt: skip
    certificate = json.loads((plan.parent / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["ok"]
    assert [check["name"] for check in certificate["checks"]][-1] == "stability"
    assert "Certified stable" in (plan.parent / "report.html").read_text(encoding="utf-8")


def test_a_market_without_orders_says_how_to_add_them(optimize, tmp_path: Path) -> None:
    status, said = optimize(*at(market(tmp_path / "shop", orders=False)))
    assert status != 0
    assert "orders.parquet" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("runs/optimize/*/plan.parquet"))


def test_lower_quotas_ties_and_quotas_of_the_tables(optimize, tmp_path: Path) -> None:
    folder = market(tmp_path / "shop")
    pq.write_table(pa.table({"merchant_id": ["m1", "m2"], "quota": [2, 2]}), folder / "merchants.parquet")
    products = {"product_id": ["tea", "cup"], "merchant_id": ["m1", "m2"], "quota": [2, 2]}
    pq.write_table(pa.table(products), folder / "products.parquet")
    status, said = optimize(
        *at(folder), "problem.quotas=tables", "problem.ties=kept", "problem.least_per_product=2", "problem.flow=false"
    )
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    assert [row["creator_id"] for row in pq.read_table(plan).to_pylist()] == ["bob", "ann", "cy"]
    certificate = json.loads((plan.parent / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["ok"]
    last = certificate["checks"][-1]
    assert last["name"] == "least_per_product"
    assert last["words"] == ("1 of 2 products have fewer than the 2 creators wanted: tea (1). Reported, not enforced.")
    assert last["words"] in said
    report = (plan.parent / "report.html").read_text(encoding="utf-8")
    assert "Cooper &amp; Manlove" in report
    assert "not met" in report


@pytest.mark.parametrize("by", ["affinity", "reputation"])
def test_learned_preferences(optimize, tmp_path: Path, by: str) -> None:
    folder = market(tmp_path / "shop")
    accounts = {"account_id": ["ann", "bob", "cy", "b1", "b2"], "kind": ["creator"] * 3 + ["brand"] * 2}
    pq.write_table(pa.table(accounts), folder / "accounts.parquet")
    table = affinity_table(
        brand_ids=["b1"] * 3 + ["b2"] * 3, creator_ids=["ann", "bob", "cy"] * 2, scores=[0.9, 0.5, 0.1, 0.3, 0.4, 0.8]
    )
    lineage = Lineage(
        score_kind=ScoreKind.PROBABILITY, model="m", config_signature="s",
        market_fingerprint=Market.load(folder).fingerprint,
    )  # fmt: skip
    scores = write_scores(table, tmp_path / "affinity.parquet", lineage=lineage)
    status, said = optimize(
        *at(folder), "problem.preferences=scores", f"scores={scores}", "problem.places=2",
        f"problem.merchants_rank_by={by}", "problem.optimal_for=minimum_regret",
    )  # fmt: skip
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = {row["creator_id"]: (row["merchant_id"], row["choice"]) for row in pq.read_table(plan).to_pylist()}
    best = {"ann": ("b1", 1), "cy": ("b2", 1)} if by == "affinity" else {"bob": ("b1", 1), "ann": ("b2", 2)}
    assert rows == best
    report = (plan.parent / "report.html").read_text(encoding="utf-8")
    assert "2 of 3 creators advertise a product, least regret." in report
    assert "no other matching is stable" in report


def test_settings_that_do_not_go_together_are_named() -> None:
    for settings, words in (
        ({"ties": "kept", "creator_quota": 2}, "does not go with problem.creator_quota"),
        ({"ties": "kept", "optimal_for": "merchants"}, "does not go with problem.optimal_for=merchants"),
        ({"creator_quota": 2, "optimal_for": "minimum_regret"}, "needs problem.creator_quota=1"),
    ):
        with pytest.raises(ConfigError, match=words):
            check_settings(MatchingConfig(**settings))
    check_settings(MatchingConfig(creator_quota=2, optimal_for="merchants"))


def test_settings_without_effect_are_said_once(optimize, tmp_path: Path) -> None:
    status, said = optimize(
        *at(market(tmp_path / "shop")), "problem.optimal_for=merchants", "problem.merchants_rank_by=reputation"
    )
    assert status == 0, said
    assert said.count("These settings have no effect here") == 1
    assert "problem.optimal_for (by reputation one matching is stable); problem.merchants_rank_by (needs" in said


@pytest.mark.parametrize(
    ("settings", "quotas_given", "names"),
    [
        ({}, False, []),
        ({}, True, []),
        ({"places": 5}, False, []),
        ({"places": 5, "quotas": "tables"}, True, ["places"]),
        ({"effectiveness": "f", "merchants_rank_by": "effectiveness"}, False, ["merchants_rank_by", "effectiveness"]),
        ({"flow": False, "flow_time_limit_s": 5}, False, ["flow_time_limit_s"]),
        ({"preferences": "scores", "optimal_for": "merchants", "merchants_rank_by": "reputation"}, False, []),
        ({"preferences": "scores", "measure": "frequency", "merchants_rank_by": "reputation"}, False, []),
        ({"preferences": "scores", "measure": "frequency", "quotas": "tables"}, False, ["measure", "quotas"]),
        ({"preferences": "scores", "effectiveness": "f", "places": 5}, True, ["effectiveness", "places"]),
        ({"preferences": "scores", "effectiveness": "f", "merchants_rank_by": "effectiveness"}, True, []),
    ],
)
def test_which_settings_have_no_effect(settings: dict, quotas_given: bool, names: list[str]) -> None:
    said = without_effect(MatchingConfig(**settings), quotas_given=quotas_given)
    assert [words.split(" ")[0] for words in said] == [f"problem.{name}" for name in names]


STORE = """event_time,order_id,product_id,category_id,category_code,brand,price,user_id
2020-04-24 11:50:39 UTC,21,11,226,electronics.tablet,samsung,160.00,1515
2020-04-24 11:50:39 UTC,21,11,226,electronics.tablet,samsung,160.00,1515
2020-04-24 14:37:43 UTC,22,12,226,,huawei,80.00,1515
2020-04-25 09:00:00 UTC,23,11,226,electronics.tablet,samsung,160.00,1516
2020-04-25 10:00:00 UTC,24,13,226,,huawei,200.00,1517
2020-04-26 10:00:00 UTC,25,12,226,,huawei,80.00,1517
2020-04-26 11:00:00 UTC,26,14,226,appliances,bosch,90.00,1518
2020-04-26 12:00:00 UTC,27,12,226,,huawei,80.00,
2020-04-26 13:00:00 UTC,28,12,226,,,80.00,1518
2020-04-26 14:00:00 UTC,29,12,226,,huawei,,1518
"""


def test_the_format_of_the_electronics_store(optimize, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "kz.csv").write_text(STORE, encoding="utf-8")
    status, said = optimize(
        "market=electronics_store", f"market.path={tmp_path}/store"
    )  # fmt: skip
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = [tuple(row.values())[:5] for row in pq.read_table(plan).to_pylist()]
    # 930 were sold: samsung 480, huawei 360, bosch 90 are 2.06, 1.55 and 0.39 of four places; at least one each.
    assert rows == [
        ("1515", "samsung", "11", 1, 400.0), ("1517", "huawei", "13", 1, 280.0), ("1516", "samsung", "11", 1, 160.0),
        ("1518", "bosch", "14", 1, 90.0),
    ]  # fmt: skip
    page = report_text(plan)
    assert "4 of 4 customers advertise a product" in page
    assert "(GT)" in page
    assert "(FMC)" in page


@pytest.mark.realdata
@pytest.mark.parametrize(("measure", "first"), [("spending", 9), ("frequency", 8)])
def test_the_supermarkets(optimize, public_data: Path, tmp_path: Path, measure: str, first: int) -> None:
    """The numbers of docs/matching.md."""
    status, said = optimize("market=supermarket", f"problem.measure={measure}", f"paths.public_data={public_data}")
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    obtained = pq.read_table(plan)["choice"].to_pylist()
    assert len(obtained) == 12
    assert obtained.count(1) == first
    by = {
        "spending": "by total expenditure (GT){} 12 of 12 75 % 100 % 4 4.3 % 12",
        "frequency": "by purchase frequency (FMC){} 12 of 12 67 % 100 % 6 12.9 % 12",
    }
    page = report_text(plan)
    for name, words in by.items():
        assert words.format(" the plan" if name == measure else "") in page


@pytest.mark.realdata
def test_the_supermarkets_with_lists_of_two(optimize, public_data: Path, tmp_path: Path) -> None:
    status, said = optimize("market=supermarket", "problem.longest=2", f"paths.public_data={public_data}")
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    page = report_text(plan)
    assert "by total expenditure (GT) the plan 11 of 12 82 % 92 % 2 9.1 % 12" in page
    assert "by purchase frequency (FMC) 11 of 12 91 % 92 % 2 4.5 % 12" in page


@pytest.mark.realdata
def test_cdnow_is_a_ranking(optimize, public_data: Path, tmp_path: Path) -> None:
    status, said = optimize("market=cdnow", "problem.places=500", f"paths.public_data={public_data}")
    assert status == 0, said
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = pq.read_table(plan)
    assert rows.num_rows == 500
    assert rows["reputation"][0].as_py() == pytest.approx(13_990.93)  # the largest total of the file
    assert "the game is a ranking" in (plan.parent / "report.html").read_text(encoding="utf-8")
