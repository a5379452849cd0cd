"""The score contract: what is written is read back; whatever breaks a rule is refused with its place and remedy."""

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from micromega.errors import ScoreError
from micromega.scores import TABLES, Lineage, ScoreKind, affinity_table, read_scores, write_scores

FINGERPRINT = "9b1c" * 16


def put(table: pa.Table, name: str, values: list) -> pa.Table:
    index = table.schema.get_field_index(name)
    kind = table.schema.field(index).type
    return table.set_column(index, pa.field(name, kind), pa.array(values, kind))


@pytest.mark.parametrize("name", list(TABLES))
def test_what_is_written_is_read_back(name, tmp_path, good):
    table, made_by = good(name)
    path = write_scores(table, tmp_path / "deep" / f"{name}.parquet", name=name, lineage=made_by)
    scores = read_scores(path, name=name, market_fingerprint=FINGERPRINT)
    assert scores.table.equals(table)
    assert scores.table.schema.equals(TABLES[name].schema)
    assert scores.lineage == made_by
    assert (scores.name, scores.path) == (name, path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file stays


@pytest.mark.parametrize("name", list(TABLES))
def test_the_same_input_gives_the_same_bytes_in_any_chunking(name, tmp_path, good):
    table, made_by = good(name)
    first = write_scores(table, tmp_path / "1.parquet", name=name, lineage=made_by).read_bytes()
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert write_scores(chunked, tmp_path / "2.parquet", name=name, lineage=made_by).read_bytes() == first


PROGRAM = """
import sys
from datetime import UTC, datetime
from micromega.scores import Lineage, affinity_table, write_scores
table = affinity_table(brand_ids=["b", "b", "a"], creator_ids=["x", "y", "x"], scores=[0.1, 0.2, 0.3])
made_by = Lineage(
    score_kind="probability", model="mir", market_fingerprint="f", config_signature="s",
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
)
write_scores(table, sys.argv[1], lineage=made_by)
"""


def test_bytes_do_not_depend_on_the_process(tmp_path):
    for seed in ("1", "77"):
        subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / seed], check=True, env={"PYTHONHASHSEED": seed})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "77").read_bytes()


def test_none_in_the_lineage_survives(tmp_path, good):
    table, made_by = good("affinity")
    made_by = replace(made_by, checkpoint_sha256=None, git_commit=None, currency=None, notes=())
    path = write_scores(table, tmp_path / "a.parquet", lineage=made_by)
    assert read_scores(path).lineage == made_by


def test_a_lossless_width_is_widened(tmp_path, good):
    table, made_by = good("affinity")
    narrow = pa.table(
        {
            "rank": table["rank"].cast(pa.int32()),
            "score": table["score"].cast(pa.float32()),
            "brand_id": table["brand_id"].dictionary_encode(),
            "creator_id": table["creator_id"].cast(pa.large_string()),
            "score_std": table["score_std"].cast(pa.float32()),
        }
    )
    path = write_scores(narrow, tmp_path / "a.parquet", lineage=made_by)
    back = read_scores(path).table
    assert back.schema.equals(TABLES["affinity"].schema)
    assert back["score"].to_pylist() == narrow["score"].to_pylist()


BROKEN = {
    "null id": ("affinity", "creator_id", ["x", None, "z", "x", "y"], r'"creator_id" holds 1 null.*\(row 1: null\)'),
    "nan": ("affinity", "score", [0.9, np.nan, 0.2, 0.1, 0.1], r'"score" holds 1 .*not finite \(row 1: nan\)'),
    "inf": ("affinity", "score_std", [0.0, np.inf, 0.2, 0.1, 0.1], r'"score_std" holds 1 .*not finite'),
    "not a probability": (
        "affinity",
        "score",
        [1.5, 0.5, 0.2, 0.1, -0.1],
        r"2 values outside \[0, 1\] \(rows 0, 4: 1.5",
    ),
    "negative std": ("affinity", "score_std", [-1.0, 0, 0, 0, 0], r'"score_std" holds 1 values outside \[0, ∞\]'),
    "repeated key": ("affinity", "creator_id", ["y", "y", "x", "y", "x"], r"1 keys .* \(row 1: b1/y\).*Keep one row"),
    "rank with a hole": ("affinity", "rank", [1, 2, 4, 1, 2], r'"rank" holds 1 ranks.*\(row 2: 4\)'),
    "rank twice": ("affinity", "rank", [1, 1, 2, 1, 2], r'"rank" holds 2 ranks'),
    "rank against the score": ("affinity", "rank", [2, 1, 3, 1, 2], r'"rank" holds 1 ranks'),
    "rank 0": ("affinity", "rank", [0, 1, 2, 1, 2], r'"rank" holds 1 values outside \[1, ∞\]'),
    "negative price": ("effectiveness", "price", [1.0, -2.0, 3.0], r'"price" holds 1 values outside .*row 1: -2'),
    "null price": ("effectiveness", "price", [1.0, None, 3.0], r'"price" holds 1 nulls'),
    "activation of 2": ("activation", "probability", [1.0, 2.0], r'"probability" holds 1 values outside'),
    "half a band": ("response", "upper", [0.6, None, None], r'"lower" holds 1 bounds without their partner'),
    "crossed band": ("response", "upper", [0.6, -0.9, None], r'"lower" holds 1 bounds above "upper" \(row 1: -0.3\)'),
    "shift at some sizes": (
        "response",
        "direct_shift",
        [0.3, None, None],
        r'"direct_shift" holds 1 nulls .*\(row 1: null',
    ),
    "endless shift": ("response", "direct_shift", [0.3, np.inf, None], r'"direct_shift" holds 1 values that are not'),
    "ragged vectors": ("embedding", "vector", [[1.0, 2.0, 3.0], [1.0]], r'"vector" holds 1 vectors .*length 3'),
    "empty vectors": ("embedding", "vector", [[], []], r'"vector" holds 2 vectors that are empty'),
    "nan in a vector": ("embedding", "vector", [[1.0, 2.0], [1.0, np.nan]], r'"vector" holds 1 vectors .*not finite'),
    "null in a vector": ("embedding", "vector", [[1.0, 2.0], [1.0, None]], r'"vector" holds 1 vectors .*not finite'),
    "null vector": ("embedding", "vector", [[1.0, 2.0], None], r'"vector" holds 1 nulls'),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_table_is_refused_by_writer_and_reader(case, tmp_path, good):
    name, column, values, words = BROKEN[case]
    table, made_by = good(name)
    broken = put(table, column, values)
    path = tmp_path / f"{name}.parquet"
    with pytest.raises(ScoreError, match=words) as caught:
        write_scores(broken, path, name=name, lineage=made_by)
    assert str(caught.value).startswith(f"{name}.parquet: column")
    assert not path.exists()
    pq.write_table(broken.replace_schema_metadata(made_by.to_metadata()), path)  # somebody else's exporter
    with pytest.raises(ScoreError, match=words):
        read_scores(path, name=name)


def test_a_failed_write_leaves_the_old_file(tmp_path, good):
    table, made_by = good("affinity")
    path = write_scores(table, tmp_path / "a.parquet", lineage=made_by)
    before = path.read_bytes()
    with pytest.raises(ScoreError):
        write_scores(put(table, "score", [np.nan] * 5), path, lineage=made_by)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_many_bad_rows_are_counted_and_the_first_shown(tmp_path, lineage):
    table = affinity_table(brand_ids=["b"] * 9, creator_ids=list("abcdefghi"), scores=np.linspace(1, 2, 9))
    with pytest.raises(ScoreError, match=r"holds 8 values outside \[0, 1\] \(rows 0, 1, 2, 3, 4, …: 2, 1.875, .*, …\)"):
        write_scores(table, tmp_path / "a.parquet", lineage=lineage("probability"))


def test_columns_types_rows_and_names(tmp_path, good):
    table, made_by = good("affinity")
    path = tmp_path / "affinity.parquet"

    def refused(words, changed, **other):
        with pytest.raises(ScoreError, match=words):
            write_scores(changed, path, lineage=made_by, **other)

    refused("missing: rank;", table.drop_columns("rank"))
    refused("not in the contract: why", table.append_column("why", pa.array(list("abcde"))))
    refused("once each", table.append_column("rank", table["rank"]))
    refused('"score" is string; double is expected', table.set_column(2, "score", pa.array(list("12345"))))
    refused('"score" is int64', table.set_column(2, "score", pa.array([5, 4, 3, 2, 1])))
    refused('"brand_id" is int64; string', table.set_column(0, "brand_id", pa.array([5, 4, 3, 2, 1])))
    refused('"rank" does not fit', table.set_column(4, "rank", pa.array([2**63 + 1] * 5, pa.uint64())))
    refused("no rows", table.slice(0, 0))
    refused('no score table "afinity". Allowed: affinity, response', table, name="afinity")


def test_units_and_money(tmp_path, good, lineage):
    table, _ = good("affinity")
    with pytest.raises(ScoreError, match=r'"impressions" does not belong to a table "affinity". Allowed: rank_logit'):
        write_scores(table, tmp_path / "a.parquet", lineage=lineage("impressions"))
    table, made_by = good("effectiveness")
    with pytest.raises(ScoreError, match="names no currency"):
        write_scores(table, tmp_path / "a.parquet", name="effectiveness", lineage=replace(made_by, currency=None))


@pytest.mark.parametrize(
    ("name", "kind", "remedy"),
    [
        ("affinity", "rank_logit", "Calibrate first"),
        ("effectiveness", "log_impressions", "smearing"),
        ("response", "elasticity", "impressions"),
        ("embedding", "vector", "on top of"),
    ],
)
def test_sums_without_meaning_are_refused(name, kind, remedy, tmp_path, good, lineage):
    table, _ = good(name)
    path = write_scores(table, tmp_path / "a.parquet", name=name, lineage=lineage(kind))
    read_scores(path, name=name)
    with pytest.raises(ScoreError, match=remedy):
        read_scores(path, name=name, require_additive=True)


def test_additive_kinds_pass(tmp_path, good):
    assert {kind for kind in ScoreKind if kind.additive} == {"probability", "impressions", "engagement", "currency"}
    table, made_by = good("affinity")
    read_scores(write_scores(table, tmp_path / "a.parquet", lineage=made_by), require_additive=True)


def test_another_market_is_refused_unless_allowed(tmp_path, good):
    table, made_by = good("affinity")
    path = write_scores(table, tmp_path / "a.parquet", lineage=made_by)
    with pytest.raises(ScoreError, match=r"market 9b1c9b1c9b1c….*in use is ffff.*allow_other_market"):
        read_scores(path, market_fingerprint="f" * 64)
    assert read_scores(path, market_fingerprint="f" * 64, allow_other_market=True).table.equals(table)


def test_unknown_ids_are_refused(tmp_path, good):
    table, made_by = good("affinity")
    path = write_scores(table, tmp_path / "a.parquet", lineage=made_by)
    for ids in (["x", "y", "z"], pa.array(["x", "y", "z"]), pa.chunked_array([["x"], ["y", "z"]]), {"x", "y", "z"}):
        read_scores(path, known_ids={"creator_id": ids})
    with pytest.raises(ScoreError, match=r'"creator_id" holds 2 ids that the market does not know \(rows 0, 4: y, y\)'):
        read_scores(path, known_ids={"creator_id": ["x", "z"]})
    with pytest.raises(ScoreError, match="no such column"):
        read_scores(path, known_ids={"post_id": ["x"]})


def test_lineage_must_name_its_origin_and_be_utc(lineage):
    with pytest.raises(ScoreError, match="market_fingerprint is empty"):
        lineage("probability", market_fingerprint="")
    for local in (datetime(2026, 3, 1), datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=1)))):
        with pytest.raises(ScoreError, match="not UTC"):
            lineage("probability", created_at=local)
    assert Lineage(
        score_kind=ScoreKind.PROBABILITY, model="m", market_fingerprint="f", config_signature="s"
    ).created_at.utcoffset() == timedelta(0)
