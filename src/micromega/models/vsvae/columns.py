"""Columns of the posts table as numbers of the part editing."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError


def read_columns(
    table: pa.Table, names: Sequence[str], train: NDArray[np.int64], where: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read columns: the logarithm of one more for numbers and for how long lists are, 0 and 1 for false and true.

    Args:
        table: P posts.
        names: c columns.
        train: (n,) rows of the training posts.
        where: the table's file, for messages.

    Returns:
        (P, c) values, unknown ones filled with the mean of the training posts that have the value; (P, c) whether each
        was known.

    Raises:
        ConfigError: there is no such column, or it holds neither numbers nor lists.
        DataError: a number is negative or not finite, or no training post has a value.
    """
    values = np.empty((table.num_rows, len(names)), np.float32)
    known = np.empty(values.shape, np.bool_)
    for place, name in enumerate(names):
        found = _numbers(table, name, where)
        known[:, place] = ~np.isnan(found)
        training = found[train[known[train, place]]]
        if not len(training):
            raise DataError(
                f'{where}: column "{name}" holds no value in a training post. Fill it in, or leave it out of '
                "data.columns."
            )
        values[:, place] = np.where(known[:, place], found, training.mean())
    return values, known


def _numbers(table: pa.Table, name: str, where: str) -> NDArray[np.float64]:
    """(P,) transformed numbers of a column, NaN where null."""
    usable = [
        field.name for field in table.schema
        if any(is_such(field.type) for is_such in (pt.is_boolean, pt.is_integer, pt.is_floating, pt.is_list))
    ]  # fmt: skip
    if name not in usable:
        what = f"holds {table.schema.field(name).type}, no numbers" if name in table.column_names else "does not exist"
        raise ConfigError(
            f'data.columns: column "{name}" of {where} {what}. Columns of numbers and lists are: {", ".join(usable)}.'
        )
    column = table.column(name)
    if pt.is_list(column.type):
        column = pc.list_value_length(column)
    null = column.is_null().to_numpy()
    found = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy()
    if not pt.is_boolean(column.type):
        bad = np.flatnonzero(~((found >= 0) & np.isfinite(found)))
        if len(bad):
            shown = ", ".join(str(row) for row in bad[:3])
            raise DataError(
                f'{where}: column "{name}" of data.columns holds {len(bad):,} values that are negative or not finite '
                f"(rows {shown}), which have no logarithm. Correct them, or leave it out of data.columns."
            )
        found = np.log1p(found)
    return np.where(null, np.nan, found)
