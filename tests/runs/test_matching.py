"""`optimize.py problem=matching` on a small market: plan, certificate and report, or a clear no."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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


def optimize(repository: Path, folder: Path, runs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(repository / "optimize.py"), "problem=matching", "market=folder",
         f"market.path={folder}", f"paths.runs={runs}", *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_plan_certificate_and_report(repository: Path, tmp_path: Path) -> None:
    ended = optimize(repository, market(tmp_path / "shop"), tmp_path / "runs", "optimized_metric=objective")
    assert ended.returncode == 0, ended.stderr
    (plan,) = tmp_path.glob("runs/optimize/*/plan.parquet")
    rows = pq.read_table(plan).to_pylist()
    assert [(row["creator_id"], row["product_id"], row["choice"]) for row in rows] == [
        ("bob", "tea", 1), ("ann", "cup", 1),
    ]  # fmt: skip
    certificate = json.loads((plan.parent / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["ok"]
    assert [check["name"] for check in certificate["checks"]][-1] == "stability"
    assert "Certified stable" in (plan.parent / "report.html").read_text(encoding="utf-8")


def test_a_market_without_orders_says_how_to_add_them(repository: Path, tmp_path: Path) -> None:
    ended = optimize(repository, market(tmp_path / "shop", orders=False), tmp_path / "runs")
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert "orders.parquet" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("runs/optimize/*/plan.parquet"))


@pytest.mark.realdata
@pytest.mark.parametrize("measure", ["spending", "frequency"])
def test_the_supermarkets(repository: Path, public_data: Path, tmp_path: Path, measure: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(repository / "optimize.py"), "problem=matching", "market=supermarket",
         f"problem.measure={measure}", f"paths.public_data={public_data}", f"paths.runs={tmp_path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (plan,) = tmp_path.glob("optimize/*/plan.parquet")
    assert pq.read_table(plan).num_rows == 12
