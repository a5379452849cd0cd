"""Writing a market folder: whole and valid, or not at all."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from micromega import __version__
from micromega.errors import DataError
from micromega.files import WriteError
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.market.checks import conform
from micromega.market.fingerprint import market_fingerprint, table_fingerprint
from micromega.market.loss import alarm, losses
from micromega.market.market import Market, remedy, validate
from micromega.market.schemas import SCHEMAS
from micromega.market.storage import (
    DESCRIPTION,
    Description,
    ParquetFile,
    new_folder,
    read_parquet,
    write_description,
)

log = logging.getLogger(__name__)


class MarketWriter:
    """Write a market in chunks: tables, truth and feature arrays.

    Everything goes to a temporary folder. When the block ends, whole tables are checked (keys, references, ranges),
    and the folder gets its name. Nothing is left where the block or a check fails.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "mine"
        >>> with MarketWriter(folder, name="mine", currency="EUR") as writer:
        ...     writer.append("accounts", pa.table({"account_id": ["ann"], "kind": ["creator"]}))
        ...     writer.append("accounts", pa.table({"account_id": ["bob"], "kind": ["creator"]}))
        >>> writer.market.table("accounts").num_rows
        2
    """

    def __init__(
        self, path: Path | str, *, name: str, currency: str, source: str = "", notes: Sequence[str] = ()
    ) -> None:
        self.notes = list(notes)
        """What a reader should know; more may be added until the block ends."""
        self._path, self._name, self._currency, self._source = Path(path), name, currency, source
        self._files: dict[str, ParquetFile] = {}
        self._market: Market | None = None
        self._folder: AbstractContextManager[Path] = new_folder(self._path)
        self._temporary = Path()

    def __enter__(self) -> "MarketWriter":
        if self._path.exists():
            raise DataError(self._taken())
        self._temporary = self._folder.__enter__()
        return self

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table.

        Args:
            table: name of the table.
            rows: optional columns may be absent.

        Raises:
            DataError: no such table, or a column is unknown, missing or of the wrong type.
        """
        if table not in SCHEMAS:
            raise DataError(f'There is no table called "{table}". Tables are: {", ".join(SCHEMAS)}.')
        schema = SCHEMAS[table]
        # Nulls are refused when the whole table is checked, with a message that names the rows.
        nullable = pa.schema([field.with_nullable(True) for field in schema.arrow])
        self._append(f"{table}.parquet", conform(rows, schema, f"{table}.parquet").cast(nullable))

    def truth(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table of the simulator's truth, which is outside the schemas and the fingerprint."""
        self._append(f"truth/{table}.parquet", rows)

    def array(
        self, name: str, *, key: str, shape: tuple[int, ...], dtype: str, ragged: bool = False, source: str = ""
    ) -> ArrayWriter:
        """Open a feature array of the market, see `ArrayWriter`; it is to be closed before the market."""
        return ArrayWriter(
            self._temporary / FOLDER, name=name, key=key, shape=shape, dtype=dtype, ragged=ragged, source=source
        )

    @property
    def market(self) -> Market:
        """The market, after the block."""
        if self._market is None:
            raise RuntimeError("the market is there when the block has ended")
        return self._market

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(OSError):  # a full disk: what counts is the first error
                self._close()
            self._folder.__exit__(kind, error, trace)
            return
        try:
            market = self._checked()
        except BaseException as failure:
            self._folder.__exit__(type(failure), failure, failure.__traceback__)
            if isinstance(failure, OSError):
                raise WriteError(self._path, failure) from failure
            raise
        try:
            self._folder.__exit__(None, None, None)
        except FileExistsError as failure:
            raise DataError(self._taken()) from failure
        self._market = market

    def _append(self, file: str, rows: pa.Table) -> None:
        if file not in self._files:
            path = self._temporary / file
            path.parent.mkdir(exist_ok=True)
            self._files[file] = ParquetFile(path, rows.schema)
        try:
            self._files[file].append(rows)
        except OSError as error:
            raise WriteError(self._path, error) from error

    def _close(self) -> None:
        for file in self._files.values():
            file.close()

    def _checked(self) -> Market:
        self._close()
        if "accounts.parquet" not in self._files:
            raise DataError(f"A market needs the table accounts. {remedy('accounts')}")
        files = [self._temporary / file for file in self._files if "/" not in file]
        valid, _ = validate({file.stem: read_parquet(file) for file in files})
        fingerprints = {name: table_fingerprint(rows, SCHEMAS[name]) for name, rows in valid.items()}
        notes, dropped = tuple(map(str, self.notes)), losses(self.notes)
        if loud := alarm(dropped):
            log.warning("%s: %s", self._name, loud)
        description = Description(
            name=self._name,
            currency=self._currency,
            source=self._source,
            created_by=f"micromega {__version__}",
            notes=notes,
            dropped=dropped,
            tables=fingerprints,
        )
        write_description(description, self._temporary / DESCRIPTION)
        return Market(
            path=self._path,
            name=self._name,
            currency=self._currency,
            tables=valid,
            fingerprint=market_fingerprint(fingerprints),
            source=self._source,
            notes=notes,
            dropped=dropped,
        )

    def _taken(self) -> str:
        return f"{self._path} exists already. Remove it or choose another folder; nothing was written."


def write_market(
    path: Path | str,
    tables: Mapping[str, pa.Table],
    *,
    name: str,
    currency: str,
    source: str = "",
    notes: Sequence[str] = (),
    truth: Mapping[str, pa.Table] | None = None,
) -> Market:
    """Validate tables and write them as a market folder, the whole folder or nothing.

    Args:
        path: folder to make; it must not exist.
        tables: table name -> rows; optional columns may be absent.
        name: the market's name.
        currency: unit of all money.
        source: where the data come from.
        notes: what a reader should know.
        truth: simulated truth, kept beside the tables and outside the fingerprint.

    Returns:
        The market as `Market.load` would give it.

    Raises:
        DataError: a table breaks its schema, or the folder exists.
    """
    writer = MarketWriter(path, name=name, currency=currency, source=source, notes=notes)
    with writer:
        for table, rows in tables.items():
            writer.append(table, rows)
        for table, rows in (truth or {}).items():
            writer.truth(table, rows)
    return writer.market
