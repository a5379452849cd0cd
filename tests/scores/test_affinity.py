"""Ranking pairs within brands, against a plain Python sort."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.errors import ScoreError
from micromega.scores import affinity_table

pairs = st.lists(
    st.tuples(st.sampled_from("pqr"), st.text("abé0", min_size=1, max_size=3), st.sampled_from([-1.5, 0.0, 0.25, 3.0])),
    unique_by=lambda pair: pair[:2],
    min_size=1,
    max_size=30,
)


@given(pairs)
def test_ranks_agree_with_a_plain_sort(rows):
    table = affinity_table(
        brand_ids=[r[0] for r in rows], creator_ids=[r[1] for r in rows], scores=[r[2] for r in rows]
    )
    expected = []
    for brand in dict.fromkeys(r[0] for r in rows):
        own = sorted((r for r in rows if r[0] == brand), key=lambda r: (-r[2], r[1]))
        expected += [(b, c, s, None, i) for i, (b, c, s) in enumerate(own, start=1)]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_row_order_does_not_matter_within_a_brand():
    first = affinity_table(brand_ids=["b"] * 3, creator_ids=list("xyz"), scores=[1, 1, 2], score_std=[0.1, 0.2, 0.3])
    other = affinity_table(brand_ids=["b"] * 3, creator_ids=list("zyx"), scores=[2, 1, 1], score_std=[0.3, 0.2, 0.1])
    assert first.equals(other)


def test_arrays_of_numpy_and_arrow():
    table = affinity_table(brand_ids=np.array(["b", "b"]), creator_ids=pa.array(["x", "y"]), scores=np.float32([1, 2]))
    assert table["creator_id"].to_pylist() == ["y", "x"]


def test_lengths_and_finiteness():
    with pytest.raises(ScoreError, match="one length"):
        affinity_table(brand_ids=["b"], creator_ids=["x", "y"], scores=[1.0, 2.0])
    with pytest.raises(ScoreError, match=r"1 scores are not finite \(first row 1: nan\)"):
        affinity_table(brand_ids=["b", "b"], creator_ids=["x", "y"], scores=[1.0, np.nan])
    assert affinity_table(brand_ids=[], creator_ids=[], scores=[]).num_rows == 0
