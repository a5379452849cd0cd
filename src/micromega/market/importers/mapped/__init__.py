"""Your own CSV or Parquet files by a map of columns (docs/own_data.md): the way most markets come in."""

from pathlib import Path

from micromega.errors import ConfigError, DataError
from micromega.market.checks import OnBadRows
from micromega.market.config import Mapped
from micromega.market.importers.mapped.check import checked, raise_faults, together
from micromega.market.importers.mapped.column_map import ColumnMap, read_map
from micromega.market.importers.mapped.derive import derive_from_posts, derive_tables
from micromega.market.importers.mapped.read import Rows, read_rows
from micromega.market.importers.mapped.suggest import suggest_map
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import write_market

__all__ = ["build", "import_folder", "suggest_map"]


def build(config: Mapped, cache: Path) -> Market:
    """Import once per map and files, and read the result from the cache from then on.

    Args:
        config: names the YAML file of the map.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    if not config.path:
        raise ConfigError(
            "market.path: the YAML file that maps your columns is not given. Add market.path=FILE, or let "
            "`python -m micromega.market inspect YOUR_FILE` write a first one."
        )
    path = Path(config.path)
    plan = read_map(path)
    sources = [path, *(file for table in plan.tables.values() if (file := plan.folder / table.file).is_file())]
    return cached(config, cache, sources, lambda target: import_folder(path, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn your files into a market folder.

    What the map leaves out and other columns tell is derived, each with a note: accounts from the ids in other tables
    (brands are those in brand columns), hashtags and mentions from captions, mentions of brands from posts, merchants
    and products from orders.

    Args:
        source: YAML file of the map; the files it names lie beside it.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming the key of the map, or file, column, count and first bad lines.
    """
    plan = read_map(source)
    tables = _read(plan, on_bad_rows)
    notes = [note for rows in tables.values() for note in rows.notes]
    tables, derived = derive_tables(tables)
    if on_bad_rows == "error":
        raise_faults(tables)
    valid, dropped = checked(tables)
    valid, derived_later = derive_from_posts(valid, plan.tables)
    return write_market(
        target,
        valid,
        name=plan.name,
        currency=plan.currency,
        source=plan.source or _source(plan),
        notes=(*derived, *derived_later, *notes, *dropped),
    )


def _read(plan: ColumnMap, on_bad_rows: OnBadRows) -> dict[str, Rows]:
    """Read all files, so that what is wrong with one does not hide what is wrong with the next."""
    tables: dict[str, Rows] = {}
    failures = []
    for name, table in plan.tables.items():
        try:
            tables[name] = read_rows(plan.folder, table, on_bad_rows)
        except DataError as error:
            failures.append(str(error))
    failures += [text for rows in tables.values() for text in rows.undecided]
    if failures and (on_bad_rows == "drop" or len(tables) < len(plan.tables)):
        raise together(failures, [text for rows in tables.values() for text in rows.errors])
    return tables


def _source(plan: ColumnMap) -> str:
    return "own files: " + ", ".join(dict.fromkeys(table.file for table in plan.tables.values()))
