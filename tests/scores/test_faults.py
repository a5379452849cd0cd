"""Damaged score files: each is refused as a ScoreError that names the file; none is read with other content."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from micromega.errors import ScoreError
from micromega.scores import affinity_table, read_scores, write_scores


@pytest.fixture
def path(tmp_path, good):
    table, made_by = good("affinity")
    return write_scores(table, tmp_path / "affinity.parquet", lineage=made_by)


def rewrite(path, *, change=None, **metadata):
    """Another program writes the same file with changed rows or metadata (None removes a key)."""
    held = pq.read_table(path)
    texts = {k.decode(): v.decode() for k, v in held.schema.metadata.items()}
    texts |= {f"micromega.{key}": text for key, text in metadata.items()}
    texts = {key: text for key, text in texts.items() if text is not None and not key.startswith("ARROW")}
    pq.write_table((held if change is None else change(held)).replace_schema_metadata(texts), path)


def test_missing_folder_or_not_parquet(tmp_path):
    with pytest.raises(ScoreError, match=r"affinity.parquet: no such file. Run evaluate.py"):
        read_scores(tmp_path / "affinity.parquet")
    with pytest.raises(ScoreError, match=r"is a folder. Give the file"):
        read_scores(tmp_path)
    for content in (b"", b"PAR1", b"brand_id,creator_id\nb,x\n", b"\0" * 4096):
        (tmp_path / "affinity.parquet").write_bytes(content)
        with pytest.raises(ScoreError, match=r"affinity.parquet: is damaged or not Parquet"):
            read_scores(tmp_path / "affinity.parquet")


def test_truncated_anywhere(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ScoreError, match=r"affinity.parquet: is damaged or not Parquet"):
            read_scores(path)


def test_one_flipped_bit_never_changes_what_is_read(tmp_path, good):
    rng = np.random.default_rng(7)
    table = affinity_table(
        brand_ids=[f"b{i % 7}" for i in range(400)], creator_ids=[f"c{i}" for i in range(400)], scores=rng.random(400)
    )
    made_by = good("affinity")[1]
    path = write_scores(table, tmp_path / "affinity.parquet", lineage=made_by)
    whole = path.read_bytes()
    refused = 0
    for byte, bit in zip(rng.integers(0, len(whole), 400), rng.integers(0, 8, 400), strict=True):
        damaged = bytearray(whole)
        damaged[byte] ^= 1 << int(bit)
        path.write_bytes(damaged)
        try:
            scores = read_scores(path)
        except ScoreError as error:
            assert str(error).startswith("affinity.parquet: ")  # noqa: PT017
            refused += 1
        else:
            assert scores.table.equals(table)
            assert scores.lineage == made_by
    assert refused > 300  # the rest hit bytes that carry nothing, such as the writer's version or unused statistics


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"contract_version": None}, "has no lineage"),
        ({"contract_version": "2"}, "version 2 of the score contract; this micromega reads version 1"),
        ({"score_kind": None}, "incomplete or damaged.*score_kind"),
        ({"score_kind": "clicks"}, "incomplete or damaged.*clicks"),
        ({"created_at": "yesterday"}, "incomplete or damaged"),
        ({"created_at": "2026-03-01T12:00:00+01:00"}, "not UTC"),
        ({"notes": "{"}, "incomplete or damaged"),
        ({"market_fingerprint": None}, "incomplete or damaged.*market_fingerprint"),
        ({"model": ""}, "model is empty"),
        ({"table": "response"}, 'is a table "response"; a table "affinity" is expected'),
        ({"market_fingerprint": "f" * 64}, "does not match the checksum"),
        ({"score_kind": "rank_logit"}, "does not match the checksum"),
    ],
)
def test_metadata_of_another_hand(path, metadata, words):
    rewrite(path, **metadata)
    with pytest.raises(ScoreError, match=words) as caught:
        read_scores(path)
    assert str(caught.value).startswith("affinity.parquet: ")


def test_an_edited_value_is_noticed(path):
    rewrite(path, change=lambda held: held.set_column(2, "score", [[0.91, 0.5, 0.2, 0.1, 0.1]]))
    with pytest.raises(ScoreError, match="does not match the checksum"):
        read_scores(path)


def test_a_file_of_another_exporter_needs_no_checksum(path, good):
    rewrite(path, content_sha256=None)
    assert read_scores(path).table.equals(good("affinity")[0])


def test_a_plain_parquet_file_is_refused(path, good):
    pq.write_table(good("affinity")[0], path)
    with pytest.raises(ScoreError, match=r"affinity.parquet: has no lineage.*write_scores"):
        read_scores(path)
