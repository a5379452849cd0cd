"""`brand_metrics.parquet`: every method's metrics on every test brand, for tables that several runs make up."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from micromega.errors import ConfigError
from micromega.files import write_atomically
from micromega.models.evaluation import BrandMetrics

BRAND_METRICS = "brand_metrics.parquet"
_LABELS = ("method", "brand_id", "category")
_CANDIDATES, _MARKET = b"micromega.candidates", b"micromega.market_fingerprint"


def write_brand_metrics(metrics: BrandMetrics, path: Path) -> None:
    """Write metrics brand by brand, the model's rows first.

    Args:
        metrics: what to write; a value that is not defined is null.
        path: file to write.
    """
    brands = len(metrics.brand_ids)
    columns = {
        "method": np.repeat(list(metrics.methods), brands),
        "brand_id": np.tile(metrics.brand_ids, len(metrics.methods)),
        "category": np.tile(metrics.categories, len(metrics.methods)),
    }
    for name in metrics.methods[metrics.model]:
        columns[name] = np.concatenate([values[name] for values in metrics.methods.values()])
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()})
    table = table.replace_schema_metadata({_CANDIDATES: str(metrics.candidates), _MARKET: metrics.market})
    write_atomically(path, lambda file: pq.write_table(table, file, write_page_checksum=True))


def read_brand_metrics(folder: Path) -> BrandMetrics:
    """Read what `write_brand_metrics` wrote into a run folder.

    Args:
        folder: run folder of evaluate.py.

    Returns:
        The metrics; null becomes NaN.

    Raises:
        ConfigError: there is no such file, or it is not one of ours.
    """
    path = folder / BRAND_METRICS
    if not path.is_file():
        raise ConfigError(
            f"{path} does not exist. Give the folder that evaluate.py names at its end (…/runs/evaluate/…), or "
            "evaluate that run first."
        )
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Evaluate that run again.") from error
    facts = table.schema.metadata or {}
    lost = [name for name in _LABELS if name not in table.column_names]
    if lost or _CANDIDATES not in facts or _MARKET not in facts or not table.num_rows:
        raise ConfigError(f"{path} is not a table of metrics by brand. Evaluate that run again.")
    method, brand, category = (np.asarray(table[name].to_numpy(), dtype=np.str_) for name in _LABELS)
    methods = list(dict.fromkeys(method.tolist()))
    first = method == methods[0]
    values = {name: table[name].cast(pa.float64()).to_numpy() for name in table.column_names if name not in _LABELS}
    return BrandMetrics(
        brand_ids=brand[first],
        categories=category[first],
        candidates=int(facts[_CANDIDATES]),
        market=facts[_MARKET].decode(),
        methods={one: {name: column[method == one] for name, column in values.items()} for one in methods},
    )


def read_compared(folders: Mapping[str, str]) -> dict[str, BrandMetrics]:
    """Read the runs of `evaluation.compare`.

    Args:
        folders: name -> run folder, relative ones from where the command is started.

    Returns:
        Name -> metrics.

    Raises:
        ConfigError: names the run whose metrics cannot be read.
    """
    found = {}
    for name, folder in folders.items():
        try:
            found[name] = read_brand_metrics(Path(folder))
        except ConfigError as error:
            raise ConfigError(f"evaluation.compare.{name}: {error}") from error
    return found
