"""One thing that looks wrong: what, how often, where for instance, and what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Severity = Literal["serious", "check", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "check", "note")
"""serious: cannot be true, or makes results wrong; check: may mislead a model; note: good to know."""
EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that looks wrong.

    Attributes:
        severity: serious, check or note.
        table: where.
        column: where; "" if it is about rows or tables as a whole.
        what: what was found, singular and plural separated by "|"; a text without "|" stands without a count.
        count: how often.
        total: out of how many; 0: not said.
        examples: ids, some with the values at fault.
        remedy: what to do.
    """

    severity: Severity
    table: str
    column: str = ""
    what: str
    count: int
    total: int = 0
    examples: tuple[str, ...] = ()
    remedy: str

    @property
    def sentence(self) -> str:
        """Count and noun in words."""
        singular, separator, plural = self.what.partition("|")
        if not separator:
            return self.what
        return f"{self.count:,} {singular if self.count == 1 else plural}"


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers as float64, NaN for null."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)


def mask_of(condition: Any) -> NDArray[np.bool_]:
    """Booleans of pyarrow as numpy, null as False."""
    return np.asarray(pc.fill_null(condition, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def rows_found(
    severity: Severity, name: str, table: pa.Table, bad: NDArray[np.bool_], *,
    what: str, remedy: str, column: str = "", shown: Sequence[str] = (), ids: str = "", total: int | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Make a finding of rows, if there are any.

    Args:
        severity: how bad.
        name: of the table.
        table: (N,) rows.
        bad: (N,) which.
        what: see `Finding`.
        remedy: what to do.
        column: at fault.
        shown: columns whose values are shown beside the ids.
        ids: column of the ids; the table's first by default.
        total: out of how many; all rows by default.

    Yields:
        The finding.
    """
    if not bad.any():
        return
    first = table.select(list(dict.fromkeys([ids or table.column_names[0], *shown])))
    rows = first.take(pa.array(np.flatnonzero(bad)[:EXAMPLES])).to_pylist()
    yield Finding(
        severity=severity, table=name, column=column, what=what, count=int(bad.sum()),
        total=table.num_rows if total is None else total, remedy=remedy,
        examples=tuple(_example(list(row.values()), shown) for row in rows),
    )  # fmt: skip


def _example(values: list[Any], shown: Sequence[str]) -> str:
    details = ", ".join(f"{name} {_words(value)}" for name, value in zip(shown, values[1:], strict=False))
    return f"{_words(values[0])} ({details})" if details else _words(values[0])


def _words(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = "unknown" if value is None else str(value)
        return text if len(text) <= 60 else text[:59] + "…"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
