"""Reading a score table: every claim that the file makes is checked before a number is used."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from micromega.errors import ScoreError
from micromega.scores.check import IdMap, check_ids, check_table
from micromega.scores.digest import DIGEST_KEY, content_digest
from micromega.scores.schema import METADATA_PREFIX, Lineage, ScoreKind, table_spec
from micromega.scores.write import TABLE_KEY

_MAKE_ADDITIVE = {
    ScoreKind.RANK_LOGIT: "Calibrate first: micromega.scores.fit_platt turns held-out logits into probabilities.",
    ScoreKind.LOG_IMPRESSIONS: "Turn logarithms into impressions first (exponential times a smearing factor).",
    ScoreKind.ELASTICITY: "Use the response's impressions instead.",
    ScoreKind.VECTOR: "Use the scores of a model on top of the embedding instead.",
}


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A score table that passed all checks.

    Attributes:
        table: the rows, with the contract's columns and types.
        lineage: where they come from and what unit they have.
        path: file that they were read from.
        name: which of the score tables this is.
    """

    table: pa.Table
    lineage: Lineage
    path: Path
    name: str


def read_scores(
    path: Path | str,
    *,
    name: str = "affinity",
    market_fingerprint: str | None = None,
    allow_other_market: bool = False,
    known_ids: IdMap | None = None,
    require_additive: bool = False,
) -> Scores:
    """Read and check a score table.

    Args:
        path: Parquet file that `write_scores` made.
        name: which of the score tables is expected.
        market_fingerprint: fingerprint of the market in use; None leaves it unchecked.
        allow_other_market: accept scores that were made from another market.
        known_ids: for some of the id columns the ids that exist, as {"creator_id": ids}.
        require_additive: refuse scores whose sum means nothing (rank logits, logarithms, elasticities).

    Returns:
        The table and its lineage.

    Raises:
        ScoreError: the file is missing, damaged, of another contract or market, or breaks a rule of its table; the
            message names file, column, count and first bad rows (counted from 0).
    """
    path = Path(path)
    spec = table_spec(name, file=path.name)
    table = _read_parquet(path)
    metadata = _metadata(table, path)
    lineage = Lineage.from_metadata(metadata, file=path.name)
    written_as = metadata.get(TABLE_KEY, name)
    if written_as != name:
        raise ScoreError(f'{path.name}: is a table "{written_as}"; a table "{name}" is expected. Give the other file.')
    held = set(table.column_names)  # not those that check_table adds for a file that lacks them
    table = check_table(table, spec, lineage, file=path.name)
    written = table.select([name for name in table.column_names if name in held])
    if metadata.get(DIGEST_KEY, "") not in {"", content_digest(written, metadata)}:
        raise ScoreError(
            f"{path.name}: its content does not match the checksum in its metadata, so it was damaged or edited after "
            "writing. Write the scores again (evaluate.py) or copy the file again."
        )
    if market_fingerprint is not None and lineage.market_fingerprint != market_fingerprint and not allow_other_market:
        raise ScoreError(
            f"{path.name}: was made from market {lineage.market_fingerprint[:12]}…, but the market in use is "
            f"{market_fingerprint[:12]}…. Score this market (evaluate.py), or say allow_other_market=true if you know "
            "that ids and units agree."
        )
    if known_ids is not None:
        check_ids(table, known_ids, file=path.name)
    if require_additive and not lineage.score_kind.additive:
        raise ScoreError(
            f'{path.name}: holds scores of kind "{lineage.score_kind}", and a sum of those means nothing. '
            f"{_MAKE_ADDITIVE[lineage.score_kind]}"
        )
    return Scores(table=table, lineage=lineage, path=path, name=name)


def _read_parquet(path: Path) -> pa.Table:
    if path.is_dir():
        raise ScoreError(f"{path}: is a folder. Give the file in it, for instance {path.name}/affinity.parquet.")
    if not path.is_file():
        raise ScoreError(f"{path}: no such file. Run evaluate.py first; it writes the score tables.")
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        table.validate(full=True)
    except PermissionError as error:
        raise ScoreError(f"{path}: may not be read ({error.strerror}). Change its permissions.") from error
    except (OSError, pa.ArrowException, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScoreError(
            f"{path.name}: is damaged or not Parquet ({reason}). "
            "Write the scores again (evaluate.py) or copy the file again."
        ) from error
    return table


def _metadata(table: pa.Table, path: Path) -> dict[str, str]:
    held: dict[bytes, bytes] = table.schema.metadata or {}
    try:
        texts = {key.decode(): value.decode() for key, value in held.items()}
    except UnicodeDecodeError as error:
        raise ScoreError(f"{path.name}: its metadata are damaged ({error}). Write the scores again.") from error
    return {key: text for key, text in texts.items() if key.startswith(METADATA_PREFIX)}
