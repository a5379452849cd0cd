"""The market: a folder of Parquet tables, validated on load and fingerprinted."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import DataError
from micromega.market.arrays import FOLDER, FeatureArray, array_names, open_array
from micromega.market.checks import OnBadRows, conform, enforce, rows_of, schema_check
from micromega.market.fingerprint import market_fingerprint, table_fingerprint
from micromega.market.loss import Loss, alarm, losses
from micromega.market.schemas import REFERENCE_TABLE, SCHEMAS
from micromega.market.storage import DESCRIPTION, Description, read_description, read_parquet

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Market:
    """Validated tables of one market.

    Example:
        >>> from micromega.market import simulate
        >>> market = simulate(seed=0, brands=12, creators=50, posts=4)
        >>> market.table("accounts").num_rows
        62
        >>> "orders" in market.tables
        True
    """

    path: Path
    """Folder that holds it."""
    name: str
    currency: str
    """Unit of all money, for instance USD."""
    tables: Mapping[str, pa.Table] = field(repr=False)
    """Table name -> rows, with exactly the columns of `micromega.market.schemas`."""
    fingerprint: str
    """SHA-256 of the tables' content, independent of row order and of how the files are written."""
    source: str = ""
    """Where the data come from."""
    notes: tuple[str, ...] = ()
    """What a reader should know, dropped rows included."""
    dropped: Mapping[str, Loss] = field(default_factory=dict)
    """Table, or file of the source -> how many of its bad rows were dropped, at the import or now; few have any."""

    @classmethod
    def load(cls, path: Path | str, *, on_bad_rows: OnBadRows = "error") -> "Market":
        """Read and validate a market folder.

        Args:
            path: folder with market.yaml and one Parquet file per table.
            on_bad_rows: "error" names the first bad rows and stops; "drop" leaves them out, table by table and then the
                rows that refer to them, and adds a note for each kind.

        Returns:
            The market.

        Raises:
            DataError: naming file, column, count, first bad rows and the remedy.
        """
        folder = Path(path)
        description = read_description(folder)
        files = {file.stem: file for file in sorted(folder.glob("*.parquet"))}
        for name, file in files.items():
            if name not in SCHEMAS:
                raise DataError(f"{file.name}: unknown table in {folder}. Tables are: {', '.join(SCHEMAS)}.")
        for name in ("accounts", *description.tables):
            if name not in files:
                raise DataError(f"{name}.parquet is missing in {folder}. {remedy(name)}")
        tables, dropped = validate({name: read_parquet(file) for name, file in files.items()}, on_bad_rows=on_bad_rows)
        fingerprints = {name: table_fingerprint(table, SCHEMAS[name]) for name, table in tables.items()}
        if not dropped:  # bad rows prove by themselves that the folder is not as it was written
            _check_unchanged(fingerprints, description, folder)
        for note in dropped:
            log.warning("%s: %s", description.name, note)
        lost = losses(dropped, description.dropped)
        if loud := alarm(lost):
            log.warning("%s: %s", description.name, loud)
        return cls(
            path=folder,
            name=description.name,
            currency=description.currency,
            tables=tables,
            fingerprint=market_fingerprint(fingerprints),
            source=description.source,
            notes=(*description.notes, *map(str, dropped)),
            dropped=lost,
        )

    def table(self, name: str, *, needs: Sequence[str] = ()) -> pa.Table:
        """Give a table.

        Args:
            name: a table of `micromega.market.schemas`.
            needs: columns that the caller cannot do without; at least one value of each must be known.

        Returns:
            The table, all columns of its schema.

        Raises:
            DataError: the market lacks the table, or a needed column holds nothing; says how to make it.
        """
        if name not in SCHEMAS:
            raise DataError(f'There is no table called "{name}". Tables are: {", ".join(SCHEMAS)}.')
        if name not in self.tables:
            raise DataError(f'Market "{self.name}" has no table {name} ({self.path / name}.parquet). {remedy(name)}')
        table = self.tables[name]
        for column in needs:
            if table.column(column).null_count == table.num_rows:
                what = SCHEMAS[name].columns[column]
                raise DataError(
                    f'{name}.parquet: column "{column}" ({what.type}: {what.doc}) is needed, but holds no value in '
                    f'market "{self.name}". Fill it in {self.path / name}.parquet.'
                )
        return table

    def truth(self, name: str) -> pa.Table:
        """Read a table of the simulator's truth (for tests, evaluation and benchmarks; no model reads it).

        Args:
            name: file name in `truth/` without the ending, for instance affinity.

        Returns:
            The table.

        Raises:
            DataError: the market has no such truth.
        """
        path = self.path / "truth" / f"{name}.parquet"
        if not path.is_file():
            known = ", ".join(file.stem for file in sorted(path.parent.glob("*.parquet"))) or "none"
            raise DataError(
                f'Market "{self.name}" keeps no truth called "{name}" (it has: {known}). '
                "Only market=simulated has truth."
            )
        return read_parquet(path)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Feature arrays that the market has, sorted."""
        return array_names(self.path / FOLDER)

    def features(self, name: str) -> FeatureArray:
        """Open a feature array; its values stay on disk until they are taken.

        Args:
            name: for instance audio; `feature_names` lists them.

        Returns:
            The feature.

        Raises:
            DataError: the market lacks it, or its files are damaged.
        """
        if name not in self.feature_names:
            known = ", ".join(self.feature_names) or "none"
            raise DataError(
                f'Market "{self.name}" has no feature {name} (it has: {known}). Extract it from media files with '
                "`python -m micromega.features`, or use market=simulated market.scale=0.02."
            )
        return open_array(self.path / FOLDER, name)


def validate(
    tables: Mapping[str, pa.Table], *, on_bad_rows: OnBadRows = "error"
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """Bring tables to their schemas and check every row.

    Args:
        tables: table name -> rows; accounts among them.
        on_bad_rows: see `Market.load`.

    Returns:
        The valid tables in the order of `SCHEMAS`, and one note per kind of row that was dropped.
    """
    valid: dict[str, pa.Table] = {}
    notes: tuple[str, ...] = ()
    known: dict[str, pa.Array] = {}
    for name, schema in SCHEMAS.items():
        if name not in tables:
            continue
        file = f"{name}.parquet"
        table = conform(tables[name], schema, file)
        table, _, dropped = enforce(
            table, schema_check(schema, known), replace(rows_of(table, file), table=name), on_bad_rows
        )
        valid[name] = table.combine_chunks()
        notes += dropped
        known |= account_ids(table) if name == "accounts" else _ids(name, table)
    return valid, notes


def _ids(name: str, table: pa.Table) -> dict[str, pa.Array]:
    return {kind: table.column(f"{kind}_id").combine_chunks() for kind, home in REFERENCE_TABLE.items() if home == name}


def account_ids(accounts: pa.Table) -> dict[str, pa.Array]:
    """Ids that other tables may refer to: all accounts, creators, brands."""
    ids, kinds = accounts.column("account_id"), accounts.column("kind")
    found = {kind: ids.filter(pc.equal(kinds, kind)).combine_chunks() for kind in ("creator", "brand")}
    return {"account": ids.combine_chunks(), **found}


def remedy(name: str) -> str:
    """Say how to get a table that a market lacks."""
    return SCHEMAS[name].remedy if name in SCHEMAS else f"{DESCRIPTION} lists it: restore the file or delete that line."


def _check_unchanged(fingerprints: Mapping[str, str], description: Description, folder: Path) -> None:
    for name, written in description.tables.items():
        if fingerprints[name] != written:
            raise DataError(
                f"{name}.parquet: the content differs from what was written (fingerprint {fingerprints[name][:12]}…, "
                f"{DESCRIPTION} says {written[:12]}…).\nRestore the file; or, if it was changed on purpose, delete the "
                f'line "{name}: …" under "tables" in {folder / DESCRIPTION}.'
            )
