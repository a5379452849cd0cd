"""Vectorised checks of a score table: types, nulls, finiteness, ranges, keys, ids, ranks."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import ScoreError
from micromega.scores.response import ResponseFacts
from micromega.scores.schema import Lineage, ScoreKind, TableSpec

SHOWN = 5  # bad rows named in a message
_ROUNDING = 1e-9  # log followers: a mean may miss an end of the curve by its rounding

BoolArray = npt.NDArray[np.bool_]
IdMap = Mapping[str, Iterable[str]]


def check_table(table: pa.Table, spec: TableSpec, lineage: Lineage, *, file: str) -> pa.Table:
    """Check a score table against its contract.

    Strings, integers and floats of another width are widened to the contract's types where nothing is lost.

    Args:
        table: the table; column order does not matter, row order is kept.
        spec: what it must hold.
        lineage: its lineage, which gives the unit.
        file: file name, for messages.

    Returns:
        The table with the contract's columns, order and types.

    Raises:
        ScoreError: naming file, column, count, first bad rows (counted from 0) and remedy.
    """
    _check_kind(spec, lineage, file)
    table = _conform(table, spec, file)
    if table.num_rows == 0:
        raise ScoreError(f"{file}: has no rows. Check that the model scored at least one pair, then write it again.")
    for column in spec.schema:
        _check_nulls(table, column, file)
        _check_numbers(table, column, spec.bounds_for(lineage.score_kind).get(column.name, (None, None)), file)
    _check_key(table, spec, file)
    if spec.name == "affinity":
        _check_ranks(table, file)
    elif spec.name == "response":
        _check_bands(table, file)
        _check_shift(table, file)
        if lineage.response is not None:
            _check_facts(table, lineage.response, file)
    elif spec.name == "embedding":
        _check_vectors(table, file)
    return table


def _fail(table: pa.Table, columns: Sequence[str], bad_N: BoolArray, *, what: str, remedy: str, file: str) -> None:
    """Raise the one error of all row checks, if any row is bad."""
    rows = np.flatnonzero(bad_N)
    if rows.size == 0:
        return
    shown = rows[:SHOWN]
    held = table.select(list(columns)).take(pa.array(shown)).to_pylist()
    values = ", ".join("/".join(map(_word, row.values())) for row in held)
    more = ", …" if rows.size > SHOWN else ""
    named = ", ".join(f'"{column}"' for column in columns)
    raise ScoreError(
        f"{file}: {'column' if len(columns) == 1 else 'columns'} {named} {'holds' if len(columns) == 1 else 'hold'} "
        f"{rows.size:,} {what} "
        f"({'row' if rows.size == 1 else 'rows'} {', '.join(map(str, shown))}{more}: {values}{more}). {remedy}"
    )


def _word(value: object) -> str:
    if value is None:
        return "null"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _check_kind(spec: TableSpec, lineage: Lineage, file: str) -> None:
    if lineage.score_kind not in spec.kinds:
        raise ScoreError(
            f'{file}: score_kind "{lineage.score_kind}" does not belong to a table "{spec.name}". '
            f"Allowed: {', '.join(spec.kinds)}."
        )
    if lineage.currency is None and (lineage.score_kind is ScoreKind.CURRENCY or "price" in spec.schema.names):
        raise ScoreError(f"{file}: holds money, but its lineage names no currency. Set Lineage.currency.")
    if lineage.response is not None and spec.name != "response":
        raise ScoreError(f'{file}: Lineage.response is of a table "response"; this is a table "{spec.name}".')


def _conform(table: pa.Table, spec: TableSpec, file: str) -> pa.Table:
    """Columns in the contract's order and types; other names and lossy types are refused."""
    names = table.column_names
    for name in spec.optional:
        if name not in names:
            kind = spec.schema.field(name).type
            table = table.append_column(pa.field(name, kind), pa.nulls(table.num_rows, kind))
    missing = [name for name in spec.schema.names if name not in names and name not in spec.optional]
    extra = [name for name in names if name not in spec.schema.names]
    if missing or extra or len(set(names)) < len(names):
        found = f"missing: {', '.join(missing) or 'none'}; not in the contract: {', '.join(extra) or 'none'}"
        raise ScoreError(
            f'{file}: the columns are not those of a table "{spec.name}" ({found}). '
            f"Expected once each: {', '.join(spec.schema.names)}."
        )
    columns = []
    for column in spec.schema:
        held = table.schema.field(column.name).type
        if not _widens(held, column.type):
            raise ScoreError(f'{file}: column "{column.name}" is {held}; {column.type} is expected. Cast it on export.')
        try:
            columns.append(table.column(column.name).cast(column.type))
        except pa.ArrowInvalid as error:
            raise ScoreError(f'{file}: column "{column.name}" does not fit {column.type}: {error}.') from error
    return pa.table(columns, schema=spec.schema)


def _widens(held: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(held):
        held = held.value_type
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held))
    if pa.types.is_integer(wanted):
        return bool(pa.types.is_integer(held))
    if pa.types.is_floating(wanted):
        return bool(pa.types.is_float32(held) or pa.types.is_float64(held))
    lists = pa.types.is_list(held) or pa.types.is_large_list(held) or pa.types.is_fixed_size_list(held)
    return bool(lists and pa.types.is_floating(held.value_type))


def _check_nulls(table: pa.Table, column: pa.Field, file: str) -> None:
    if column.nullable or table.column(column.name).null_count == 0:
        return
    null_N = table.column(column.name).is_null().to_numpy()
    _fail(table, [column.name], null_N, what="nulls where none is allowed", remedy="Leave those rows out.", file=file)


def _check_numbers(table: pa.Table, column: pa.Field, bounds: tuple[float | None, float | None], file: str) -> None:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return
    values = table.column(column.name)
    null_N = values.is_null().to_numpy()
    value_N = values.fill_null(0).to_numpy()
    bad_N = ~np.isfinite(value_N) & ~null_N
    remedy = "Find what made them, or leave those rows out."
    _fail(table, [column.name], bad_N, what="values that are not finite", remedy=remedy, file=file)
    low, high = bounds
    limits = f"[{'-∞' if low is None else f'{low:g}'}, {'∞' if high is None else f'{high:g}'}]"
    out_N = ((value_N < (-np.inf if low is None else low)) | (value_N > (np.inf if high is None else high))) & ~null_N
    remedy = "Check the unit (score_kind) and what wrote them."
    _fail(table, [column.name], out_N, what=f"values outside {limits}", remedy=remedy, file=file)


def codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A small integer for each distinct value, (N,)."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # columns of more than 2 GB stay in chunks
        encoded = encoded.unify_dictionaries()
        return np.concatenate([np.asarray(chunk.indices, dtype=np.int64) for chunk in encoded.chunks])
    return np.asarray(encoded.indices, dtype=np.int64)


def _check_key(table: pa.Table, spec: TableSpec, file: str) -> None:
    code_N = np.zeros(table.num_rows, dtype=np.int64)
    for name in spec.key:
        own_N = codes(table.column(name))
        code_N = np.unique(code_N * (int(own_N.max()) + 1) + own_N, return_inverse=True)[1]
    repeated_N = np.ones(table.num_rows, dtype=np.bool_)
    repeated_N[np.unique(code_N, return_index=True)[1]] = False
    remedy = f"Keep one row for each ({', '.join(spec.key)})."
    _fail(table, spec.key, repeated_N, what="keys that an earlier row has already", remedy=remedy, file=file)


def check_ids(table: pa.Table, known_ids: IdMap, *, file: str) -> None:
    """Check id columns against the ids that exist.

    Args:
        table: a table that passed `check_table`.
        known_ids: for some of the id columns, the ids that exist.
        file: file name, for messages.

    Raises:
        ScoreError: an id is unknown.
    """
    for name, ids in known_ids.items():
        _check_id_column(table, name, ids, file)


def _check_id_column(table: pa.Table, name: str, ids: Iterable[str], file: str) -> None:
    if name not in table.column_names:
        raise ScoreError(f'{file}: ids of column "{name}" were to be checked, but the table has no such column.')
    known = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids), pa.string())
    known = known.combine_chunks() if isinstance(known, pa.ChunkedArray) else known
    unknown_N = ~pc.is_in(table.column(name), value_set=known.cast(pa.string())).to_numpy()
    remedy = "Score the market in use (evaluate.py), or use the market that these scores were made from."
    _fail(table, [name], unknown_N, what="ids that the market does not know", remedy=remedy, file=file)


def _check_ranks(table: pa.Table, file: str) -> None:
    """Within a brand, ranks are 1..n and the score never rises with the rank (ties may be in any order)."""
    brand_N = codes(table.column("brand_id"))
    rank_N, score_N = table.column("rank").to_numpy(), table.column("score").to_numpy()
    order = np.lexsort((rank_N, brand_N))
    brand, rank, score = brand_N[order], rank_N[order], score_N[order]
    first = np.r_[True, brand[1:] != brand[:-1]]
    position = np.arange(brand.size) - np.flatnonzero(first)[np.cumsum(first) - 1] + 1
    rises = np.r_[False, score[1:] > score[:-1]] & ~first
    bad_N = np.zeros(brand.size, dtype=np.bool_)
    bad_N[order] = (rank != position) | rises
    what = "ranks that are not 1, 2, … by falling score within the brand"
    remedy = "Build the table with micromega.scores.affinity_table, which ranks."
    _fail(table, ["rank"], bad_N, what=what, remedy=remedy, file=file)


def _check_bands(table: pa.Table, file: str) -> None:
    lower, upper = table.column("lower"), table.column("upper")
    half_N = (lower.is_null().to_numpy()) != (upper.is_null().to_numpy())
    what = "bounds without their partner"
    _fail(table, ["lower"], half_N, what=what, remedy="Give both bounds of a band or none.", file=file)
    crossed_N = pc.greater(lower, upper).fill_null(False).to_numpy()
    remedy = "Exchange the two columns or recompute the band."
    _fail(table, ["lower"], crossed_N, what='bounds above "upper"', remedy=remedy, file=file)


def _check_shift(table: pa.Table, file: str) -> None:
    """A subject has a shift at all of its sizes or at none."""
    subject_N, null_N = codes(table.column("subject_id")), table.column("direct_shift").is_null().to_numpy()
    known = np.unique(subject_N[~null_N])
    what = "nulls of subjects that have values at other sizes"
    remedy = "Give all sizes of a subject or none."
    _fail(table, ["direct_shift"], null_N & np.isin(subject_N, known), what=what, remedy=remedy, file=file)


def _check_facts(table: pa.Table, facts: ResponseFacts, file: str) -> None:
    """Each curve reaches the observed sizes; the centre lies in each curve that a shift moves, or else in the table."""
    if facts.band is None:
        banded_N = ~table.column("lower").is_null().to_numpy()
        what, remedy = "bounds though micromega.response says that there is no band", "Say what the band holds."
        _fail(table, ["lower"], banded_N, what=what, remedy=remedy, file=file)
    subject_N, size_N = codes(table.column("subject_id")), table.column("log_followers").to_numpy()
    first_S, last_S = (np.full(subject_N.max() + 1, end) for end in (np.inf, -np.inf))
    np.minimum.at(first_S, subject_N, size_N)
    np.maximum.at(last_S, subject_N, size_N)
    remedy = "Give micromega.response in log followers, of the posts that the curves were learnt from."
    if facts.support is not None:
        low, high = facts.support
        what = f"sizes of subjects whose curve does not reach the support {low:g} to {high:g} of micromega.response"
        outside_S = (last_S <= low) | (first_S >= high)
        _fail(table, ["log_followers"], outside_S[subject_N], what=what, remedy=remedy, file=file)
    moved_S = np.zeros(len(first_S), dtype=np.bool_)
    moved_S[subject_N[~table.column("direct_shift").is_null().to_numpy()]] = True
    low_S, high_S = np.where(moved_S, first_S, first_S.min()), np.where(moved_S, last_S, last_S.max())
    outside_S = (facts.centre < low_S - _ROUNDING) | (facts.centre > high_S + _ROUNDING)
    what = f"sizes of subjects whose curve does not hold the centre {facts.centre:g} of micromega.response"
    _fail(table, ["log_followers"], outside_S[subject_N], what=what, remedy=remedy, file=file)


def _check_vectors(table: pa.Table, file: str) -> None:
    column = table.column("vector")
    length_N = pc.list_value_length(column).to_numpy()
    odd_N = (length_N != length_N[0]) | (length_N == 0)
    what = f"vectors that are empty or not of length {length_N[0]}"
    _fail(table, ["vector"], odd_N, what=what, remedy="Use one length in a table.", file=file)
    value_CND = (  # chunk by chunk: ten million vectors at once would not fit
        pc.list_flatten(chunk).fill_null(np.nan).to_numpy().reshape(len(chunk), -1) for chunk in column.chunks if chunk
    )
    bad_N = np.concatenate([~np.isfinite(value_ND).all(axis=1) for value_ND in value_CND])
    what = "vectors with values that are not finite"
    _fail(table, ["vector"], bad_N, what=what, remedy="Find what made them.", file=file)
