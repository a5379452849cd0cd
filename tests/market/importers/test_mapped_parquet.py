"""Columns of Parquet files of every type: read, or refused in words."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from micromega.errors import DataError
from micromega.market.importers.mapped import import_folder


@pytest.mark.parametrize("column", ["likes", "posted_at", "hashtags", "sponsored", "duration_s", "caption"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None], pa.timestamp("ns")),
        pa.array([-(10**17), 10**17], pa.timestamp("us")),
        pa.array([2**63 - 1, -(2**63)]),
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array(np.array([1.5, 2.0], np.float16)),
        pa.array([[["a"]], None]),
        pa.array([b"\xff", None]),
        pa.array([{"a": 1}, None]),
    ],
    ids=lambda values: str(values.type),
)
def test_any_type_of_parquet_is_read_or_refused_in_words(column, values, tmp_path):
    pq.write_table(pa.table({"id": ["1", "2"], "user": ["a", "b"], "x": values}), tmp_path / "x.parquet")
    columns = f"{{post_id: id, account_id: user, {column}: x}}"
    tables = f"tables: {{posts: {{file: x.parquet, columns: {columns}}}}}"
    (tmp_path / "map.yaml").write_text(f"name: x\ncurrency: EUR\n{tables}\n")
    try:
        said = f"x.parquet: {import_folder(tmp_path / 'map.yaml', tmp_path / 'market').table('posts').num_rows} rows"
    except DataError as error:
        said = str(error)
    assert re.match(r"x\.parquet( \(posts\))?: (2 rows|column)", said), said
