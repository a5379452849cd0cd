"""What a response table says of its curves: read back, checked, compared with its rows."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from micromega.errors import ScoreError
from micromega.scores import ResponseFacts, read_scores, write_scores
from micromega.scores.digest import DIGEST_KEY, content_digest
from micromega.scores.write import TABLE_KEY


def test_a_response_table_from_before_shifts_and_facts_is_read(tmp_path, good):
    """Six columns, a digest over those, no micromega.response: shifts are null, the facts unknown."""
    table, made_by = good("response")
    old = table.drop_columns(["direct_shift"])
    metadata = replace(made_by, response=None).to_metadata() | {TABLE_KEY: "response"}
    metadata[DIGEST_KEY] = content_digest(old, metadata)
    path = tmp_path / "response.parquet"
    pq.write_table(old.replace_schema_metadata(metadata), path)
    scores = read_scores(path, name="response")
    assert scores.lineage.response is None
    assert scores.table["direct_shift"].null_count == 3
    assert scores.table.drop_columns(["direct_shift"]).equals(old)
    again = write_scores(old, tmp_path / "again.parquet", name="response", lineage=made_by)
    assert read_scores(again, name="response").table.equals(scores.table)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"band": "both"}, "band is 'both'. Allowed: pointwise, simultaneous"),
        ({"level": None}, "level is None"),
        ({"level": 95}, "level is 95"),
        ({"band": None}, "no band has none"),
        ({"support": (9.0, 8.0)}, "support is 9.0 to 8.0"),
        ({"support": (9.0, np.inf)}, "support is 9.0 to inf"),
        ({"centre": np.nan}, "centre is nan"),
    ],
)
def test_facts_of_a_response_that_mean_nothing_are_refused(changes, words):
    facts = {"band": "pointwise", "level": 0.95, "support": (8.0, 12.0), "centre": 10.0}
    assert ResponseFacts(**facts | {"band": None, "level": None}).level is None
    with pytest.raises(ScoreError, match=words):
        ResponseFacts(**facts | changes)


def test_posts_of_one_size_have_no_support():
    facts = ResponseFacts(band="pointwise", level=0.95, support=(5, 5), centre=5.0)
    assert facts.support is None
    assert ResponseFacts.from_text(facts.to_text()) == facts


FACTS_UNLIKE_THE_TABLE = {
    "support below": ({"support": (7.0, 9.0)}, r'"log_followers" holds 3 sizes of subjects .* the support 7 to 9'),
    "support in followers": ({"support": (9e3, 2e4)}, r'"log_followers" holds 3 sizes .* support 9000 to 20000'),
    "support of one subject": ({"support": (8.0, 9.2)}, r"holds 1 sizes of subjects .*\(row 2: 9.45\)"),
    "centre above": ({"centre": 10.5}, r'"log_followers" holds 3 sizes .* does not hold the centre 10.5'),
    "centre in followers": ({"centre": 1e4}, r"does not hold the centre 10000 of micromega.response"),
    "no band": ({"band": None, "level": None}, r'"lower" holds 2 bounds though .* no band \(rows 0, 1'),
}


@pytest.mark.parametrize("case", list(FACTS_UNLIKE_THE_TABLE))
def test_facts_that_do_not_fit_the_table_are_refused_by_writer_and_reader(case, tmp_path, good):
    changes, words = FACTS_UNLIKE_THE_TABLE[case]
    table, made_by = good("response")
    made_by = replace(made_by, response=replace(made_by.response, **changes))
    path = tmp_path / "response.parquet"
    with pytest.raises(ScoreError, match=r"^response.parquet: column .*" + words):
        write_scores(table, path, name="response", lineage=made_by)
    pq.write_table(table.replace_schema_metadata(made_by.to_metadata()), path)
    with pytest.raises(ScoreError, match=words):
        read_scores(path, name="response")


def test_a_centre_counts_for_the_curves_that_a_shift_moves(tmp_path, good):
    """Subject p2 has one size and no shift: a mean elsewhere in the table does not break it."""
    table, made_by = good("response")
    lineage = replace(made_by, response=replace(made_by.response, centre=9.7))
    write_scores(table, tmp_path / "response.parquet", name="response", lineage=lineage)
    moved = table.set_column(6, "direct_shift", [[0.3, 0.25, 0.2]])
    with pytest.raises(ScoreError, match=r"holds 1 sizes of subjects .* centre 9.7 .*row 2"):
        write_scores(moved, tmp_path / "moved.parquet", name="response", lineage=lineage)


def test_damaged_facts_and_facts_of_another_table_are_refused(tmp_path, good):
    table, made_by = good("response")
    endless = '{"band": "pointwise", "level": 0.9, "support": [9.1, 9.9], "centre": ' + "9" * 400 + "}"
    for text in (
        endless,
        "{",
        '{"band": "pointwise"}',
        '{"band": 3, "level": 0.9, "support": [1, 2], "centre": 1}',
        "[]",
    ):
        metadata = made_by.to_metadata() | {"micromega.response": text}
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "response.parquet")
        with pytest.raises(ScoreError, match="incomplete or damaged"):
            read_scores(tmp_path / "response.parquet", name="response")
    other, its = good("activation")
    with pytest.raises(
        ScoreError, match=r"Lineage.response is of a table \"response\"; this is a table \"activation\""
    ):
        write_scores(other, tmp_path / "a.parquet", name="activation", lineage=replace(its, response=made_by.response))
