"""From a market to the stores of its posts' parts; what is missing is named with its remedy."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.market.arrays import FOLDER
from micromega.market.market import Market
from micromega.models.vsvae.columns import read_columns
from micromega.models.vsvae.config import VSVAEDataConfig
from micromega.models.vsvae.parts import TEXTS
from micromega.models.vsvae.stored_parts import MappedArray, Sequences, Vectors
from micromega.models.vsvae.vocabulary import array_of, stored_texts, text_column

log = logging.getLogger(__name__)
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """What is embedded: the posts, or the accounts of a market without posts.

    Attributes:
        table: P rows.
        key: the column of ids, which is also what feature arrays must be by.
        ids: (P,).
        stratum: (P,) within which they are split.
    """

    table: pa.Table
    key: str
    ids: pa.Array
    stratum: pa.ChunkedArray

    @property
    def file(self) -> str:
        """The table's file, for messages."""
        return "posts.parquet" if self.key == "post_id" else "accounts.parquet"


def subjects_of(market: Market) -> Subjects:
    """Find what a market's parts belong to."""
    name, key, stratum = "posts", "post_id", "hashtag"
    if name not in market.tables:
        name, key, stratum = "accounts", "account_id", "category"
    table = market.table(name)
    return Subjects(table=table, key=key, ids=table[key].combine_chunks(), stratum=table[stratum])


def open_texts(
    market: Market,
    subjects: Subjects,
    parts: Sequence[str],
    config: VSVAEDataConfig,
    train: Ints,
    words: Sequence[str] | None,
) -> tuple[dict[str, Sequences], pa.Array]:
    """Open the texts of all posts as word ids.

    Args:
        market: the market.
        subjects: its posts.
        parts: those of a post; others than texts are passed over.
        config: the vocabulary.
        train: (n,) rows of the training posts.
        words: the vocabulary of a checkpoint; None: that of the training posts.

    Returns:
        Text -> its store, and the (V,) vocabulary, empty without texts.
    """
    wanted = [part for part in parts if part in TEXTS]
    if not wanted:
        return {}, pa.array([], pa.string())
    found = stored_texts(market, wanted, train, config, words)
    opened = {}
    for part in wanted:
        array = MappedArray(found.folder, array_of(part))
        opened[part] = Sequences(array, array.rows_of(subjects.ids), config.max_length)
    return opened, found.words


def open_arrays(
    market: Market, subjects: Subjects, parts: Sequence[str], config: VSVAEDataConfig, train: Ints
) -> dict[str, Vectors | Sequences]:
    """Open the parts that are no texts, once all parts are known to be there.

    Args:
        market: the market.
        subjects: its posts.
        parts: those of a post.
        config: which arrays and columns they are.
        train: (n,) rows of the training posts.

    Returns:
        Part -> its store.

    Raises:
        DataError: the market lacks parts.
        ConfigError: an array is no such part, or a setting would do nothing.
    """
    _check_settings(parts, config)
    missing = [part for part in parts if not _is_there(market, subjects, part, config)]
    if missing:
        raise lacking(market, missing, parts, config, reason="the market lacks it")
    opened: dict[str, Vectors | Sequences] = {}
    for part in parts:
        if part in TEXTS:
            continue
        name = config.arrays.get(part)  # type: ignore[call-overload]
        array = MappedArray(market.path / FOLDER, name) if name in market.feature_names else None
        if array:
            _check(array, part, subjects)
        row = array.rows_of(subjects.ids) if array else np.full(len(subjects.ids), -1)
        columns = None
        if part == "editing" and config.columns:
            columns, known = read_columns(subjects.table, config.columns, train, subjects.file)
            row = row if array else np.where(known.any(axis=1), 0, -1)
        if part == "frames":
            assert array is not None
            opened[part] = Sequences(array, row, config.max_frames)
        else:
            opened[part] = Vectors(array, row, columns)
    return opened


def lacking(
    market: Market, missing: Sequence[str], parts: Sequence[str], config: VSVAEDataConfig, *, reason: str
) -> DataError:
    """Make the error that names missing parts, what makes each, and how to do without them."""
    lines = [f'data.parts: market "{market.name}" cannot give {", ".join(missing)}: {reason}.']
    for part in missing:
        if part in TEXTS:
            column = "caption" if part == "caption" else f"{part}_text"
            lines.append(f"  {part} is the column {column} of posts.parquet: fill it in.")
        else:
            name = config.arrays.get(part)  # type: ignore[call-overload]
            what = f"the feature array {name}" if name else "a feature array"
            also = ", or columns of the table (data.columns=[duration_s])" if part == "editing" else ""
            lines.append(
                f"  {part} is {what}: make it with `python -m micromega.features`, or name another with "
                f"data.arrays={{{part}: NAME}}{also}."
            )
    lines.append(f"Feature arrays of this market: {', '.join(market.feature_names) or 'none'}.")
    left = [part for part in parts if part not in missing]
    if left:
        lines.append(f"Or leave out what is missing: data.parts=[{','.join(left)}].")
    return DataError("\n".join(lines))


def _check_settings(parts: Sequence[str], config: VSVAEDataConfig) -> None:
    if config.columns and "editing" not in parts:
        raise ConfigError(
            f"data.columns=[{', '.join(config.columns)}] are numbers of the part editing, which is not in data.parts. "
            "Add editing to data.parts, or leave out data.columns."
        )
    texts = [part for part in config.arrays if part in TEXTS]
    if texts:
        raise ConfigError(
            f"data.arrays names {', '.join(texts)}: texts come from the posts table, not from feature arrays. Leave "
            "them out."
        )


def _is_there(market: Market, subjects: Subjects, part: str, config: VSVAEDataConfig) -> bool:
    if part in TEXTS:
        if subjects.key != "post_id":
            return False
        column = text_column(subjects.table, part)
        return bool(column.null_count < len(column))
    has_array = config.arrays.get(part) in market.feature_names  # type: ignore[call-overload]
    return has_array or (part == "editing" and bool(config.columns))


def _check(mapped: MappedArray, part: str, subjects: Subjects) -> None:
    """Refuse an array that cannot be the part."""
    array, wanted = mapped.array, "a sequence of vectors" if part == "frames" else "one vector or number"
    if array.key != subjects.key:
        problem = f"is by {array.key}, not by {subjects.key}"
    elif (array.offsets is not None) != (part == "frames") or (part == "frames" and not array.shape):
        problem = f"has not {wanted} for each {subjects.key}"
    else:
        return
    raise ConfigError(f"data.arrays={{{part}: {mapped.name}}}: the feature array {mapped.name} {problem}.")
