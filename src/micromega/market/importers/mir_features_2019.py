"""The accounts of the MIR paper (Gan et al. 2019): who advertised for whom, the split by brand, account features.

Released with "Brand-Aware Micro-Influencer Ranking". There are no posts, followers, categories or creators' pictures.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError, some_of
from micromega.market.checks import OnBadRows
from micromega.market.config import MirFeatures2019
from micromega.market.importers.source import SourceTable, files_of, read_csv
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import MarketWriter

FILES = ("brands.csv", "creators.csv", "positives.csv", "features.npz")
_ID = r"^[0-9a-f]{12}$"
_BOTH = ("topics", "hashtags")
"""Features of brands and creators; those of creators come in two lists, one per split."""
_MEMBERS = {
    "brand_id": ("brand_images", "brand_topics", "brand_hashtags"),
    "creator_id_train": ("creator_topics_train", "creator_hashtags_train"),
    "creator_id_test": ("creator_topics_test", "creator_hashtags_test"),
}
"""Arrays of ids in features.npz -> arrays with a row for each of them."""


def build(config: MirFeatures2019, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    folder, sources = Path(config.path), files_of(config.path, FILES)
    return cached(config, cache, sources, lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn the source's files into a market folder.

    A positive becomes a mention with `posts` = 1, because the source does not say how many posts there were. The
    published split becomes the table `splits`; a creator who is a candidate of both parts is in it twice. Features
    become the arrays `topics` and `hashtags` (brands and creators) and `brand_images`. Where a creator of both lists
    has different values in them, the array holds those of the training list, and `topics_test` (`hashtags_test`)
    those of the test list, for all its creators.

    Args:
        source: folder with brands.csv, creators.csv, positives.csv and features.npz.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    brands, creators, positives = _tables(source, on_bad_rows)
    arrays, array_notes = _features(source / "features.npz", brands, creators)
    both = brands.rows["brand_id"].filter(_is_in(brands.rows["brand_id"], creators.rows["creator_id"]))
    for table in (brands, positives):
        place = table.rows.schema.get_field_index("brand_id")
        table.rows = table.rows.set_column(place, "brand_id", _brand_ids(table.rows["brand_id"], both))
    notes = [
        f"{len(both)} accounts are both brand and creator; each is two accounts here, the brand's id ends in -brand.",
        "mentions.posts is 1 for every pair: the source says who advertised for whom, not in how many posts.",
        *array_notes,
        "The hashtag vectors (node2vec) were trained by the publisher on a graph that holds both parts of the split.",
        "No posts, categories, followers or engagement (so neither cAUC nor competence), and no images of creators.",
        *brands.notes,
        *creators.notes,
        *positives.notes,
    ]
    writer = MarketWriter(
        target,
        name="mir-features-2019",
        currency="USD",
        source="github.com/iristronggg/Brand-Aware-Micro-Influencer-Ranking, pseudonymised; licence: none stated",
        notes=notes,
    )
    with writer:
        writer.append("accounts", _accounts(brands, creators))
        writer.append("mentions", positives.rows.append_column("posts", pa.repeat(1, positives.rows.num_rows)))
        writer.append("splits", _splits(brands, creators))
        for feature in arrays:
            shape, kind = feature.values.shape[1:], feature.values.dtype.name
            what = f"features.npz: {feature.what}"
            with writer.array(feature.name, key="account_id", shape=shape, dtype=kind, source=what) as array:
                array.append(pa.concat_arrays([_brand_ids(feature.brands, both), feature.creators]), feature.values)
    return writer.market


def _tables(source: Path, on_bad_rows: OnBadRows) -> tuple[SourceTable, SourceTable, SourceTable]:
    brands = read_csv(source / "brands.csv", ("brand_id", "handle", "split"), on_bad_rows)
    creators = read_csv(source / "creators.csv", ("creator_id", "in_train", "in_test"), on_bad_rows)
    positives = read_csv(source / "positives.csv", ("creator_id", "brand_id"), on_bad_rows)
    for table, key in ((brands, "brand_id"), (creators, "creator_id")):
        table.pattern(key, _ID, "malformed id|malformed ids", "Ids have 12 hexadecimal digits.")
        table.unique(key)
    brands.pattern("split", "^(train|test)$", "unknown value|unknown values", "Allowed: train, test.")
    for column in ("in_train", "in_test"):
        creators.pattern(column, "^[01]$", "unknown value|unknown values", "Allowed: 0, 1.")
    positives.known("brand_id", brands.rows["brand_id"].combine_chunks(), "brands.csv")
    positives.known("creator_id", creators.rows["creator_id"].combine_chunks(), "creators.csv")
    positives.unique("creator_id", "brand_id")
    return brands, creators, positives


def _accounts(brands: SourceTable, creators: SourceTable) -> pa.Table:
    ids = pa.chunked_array([*brands.rows["brand_id"].chunks, *creators.rows["creator_id"].chunks])
    count = creators.rows.num_rows
    return pa.table(
        {
            "account_id": ids,
            "kind": ["brand"] * brands.rows.num_rows + ["creator"] * count,
            "name": pa.chunked_array([*brands.rows["handle"].chunks, pa.nulls(count, pa.string())]),
            "platform": pa.repeat("instagram", len(ids)),
        }
    )


def _is_in(values: pa.Array | pa.ChunkedArray, ids: pa.ChunkedArray) -> Any:
    return pc.is_in(values, value_set=ids.combine_chunks())


def _brand_ids(brands: Any, both: pa.ChunkedArray) -> Any:
    """Ids of brands; those of accounts that are creators too become another one."""
    return pc.if_else(_is_in(brands, both), pc.binary_join_element_wise(brands, "brand", "-"), brands)


def _splits(brands: SourceTable, creators: SourceTable) -> pa.Table:
    parts = [brands.rows.select(["brand_id", "split"]).rename_columns(["account_id", "split"])]
    for split in ("train", "test"):
        chosen = creators.rows.filter(pc.equal(creators.rows[f"in_{split}"], "1"))["creator_id"]
        parts.append(pa.table({"account_id": chosen, "split": pa.repeat(split, len(chosen))}))
    return pa.concat_tables(parts)


@dataclass(frozen=True, kw_only=True)
class _Feature:
    name: str
    brands: pa.Array
    creators: pa.Array
    values: NDArray[Any]
    """(brands + creators, D)."""
    what: str


def _features(path: Path, brands: SourceTable, creators: SourceTable) -> tuple[list[_Feature], list[str]]:
    arrays = _read_npz(path)
    ids, notes = {}, []
    for name, members in _MEMBERS.items():
        table, column = (brands, "brand_id") if name == "brand_id" else (creators, "creator_id")
        listed = _ids(path, arrays, name)
        known = np.asarray(_is_in(listed, table.rows[column]))
        if not known.all():
            said = f"{path.name}: {name} holds {(~known).sum():,} ids that are not in {table.origin.file}."
            if table.on_bad_rows == "error":
                raise DataError(f"{said} Take both files from one copy of the source.")
            notes.append(f"Dropped: features without an account. {said}")
        for member in members:
            arrays[member] = _values(path, arrays, member, len(listed))[known]
        ids[name] = listed.filter(pa.array(known))
    brand, train, test = ids.values()
    nobody = brand.slice(0, 0)
    place = pc.index_in(test, value_set=train)
    common = np.asarray(pc.is_valid(place))
    in_train = np.asarray(place.drop_null())
    features = [
        _Feature(
            name="brand_images",
            brands=brand,
            creators=nobody,
            values=arrays["brand_images"],
            what="image concepts of brands",
        )
    ]
    for name in _BOTH:
        of_brands = arrays[f"brand_{name}"]
        of_train, of_test = (arrays[f"creator_{name}_{split}"] for split in ("train", "test"))
        values = np.concatenate([of_brands, of_train, of_test[~common]])
        everyone = pa.concat_arrays([train, test.filter(pa.array(~common))])
        what = f"{name} of brands and creators"
        features.append(_Feature(name=name, brands=brand, creators=everyone, values=values, what=what))
        difference = np.abs(of_train[in_train] - of_test[common])
        differ = int((difference > 0).any(axis=1).sum())
        said = f"Of the {common.sum()} creators in both lists, {differ} have different {name} in them"
        if differ:
            what = f"{name} of the creators in the test list"
            features.append(_Feature(name=f"{name}_test", brands=nobody, creators=test, values=of_test, what=what))
            said += f" (by up to {difference.max():.3f}): {name} has those of the training list, {name}_test the others"
        notes.append(said + ".")
    return features, notes


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"{path.name}: there is no such file in {path.parent}. Set market.path to the source's folder.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name}: no NPZ file of plain arrays, or damaged ({error}).") from error


def _array(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise DataError(f'{path.name}: array "{name}" is missing. The file has: {some_of(arrays)}.')
    return arrays[name]


def _ids(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> pa.Array:
    values = _array(path, arrays, name)
    if values.ndim != 1 or values.dtype.kind != "U":
        raise DataError(f'{path.name}: array "{name}" is {values.dtype} {values.shape}, expected one row of texts.')
    ids = pa.array(values.tolist(), pa.string())
    if len(pc.unique(ids)) < len(ids):
        raise DataError(f'{path.name}: array "{name}" has repeated ids.')
    return ids


def _values(path: Path, arrays: dict[str, NDArray[Any]], name: str, rows: int) -> NDArray[Any]:
    values = _array(path, arrays, name)
    if values.ndim != 2 or len(values) != rows or values.dtype.kind != "f":
        raise DataError(
            f'{path.name}: array "{name}" is {values.dtype} {values.shape}, expected real numbers in {rows} rows.'
        )
    return values
