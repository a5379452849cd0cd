"""Word vectors from a user's file: GloVe text, Word2Vec text, Word2Vec binary, each plain or gzipped."""

import gzip
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from micromega.errors import DataError

log = logging.getLogger(__name__)

_BLOCK = 1 << 24  # bytes in memory at a time
_PEEK = 1 << 20  # longer than any line of a text file
_LONGEST_WORD = 4096  # bytes; a binary file without a space for that long is damaged
_FORMATS = 'Each line must be a word and numbers ("word v1 … vd", GloVe or Word2Vec text), or the file Word2Vec binary.'


@dataclass(frozen=True, kw_only=True)
class WordVectors:
    """A table of word vectors.

    Attributes:
        words: (V,) string array, distinct.
        vectors: (V, d) float32.
    """

    words: pa.Array
    vectors: NDArray[np.float32]


def load_word_vectors(path: Path, *, only: pa.Array | None = None) -> WordVectors:
    """Read word vectors, block by block; the format is found from the content.

    Args:
        path: GloVe text ("word v1 … vd" a line), Word2Vec text (the same below a line "V d") or Word2Vec binary;
            plain, or gzipped with a name that ends in ".gz".
        only: (W,) string, the words to keep, None: all. A table of three million words takes 3.6 GB, the words that a
            market uses a few megabytes.

    Returns:
        The table in the file's order. Of a word that occurs twice the first vector is kept, and a line whose word holds
        spaces is left out (some public files have a few); both are counted in the log.

    Raises:
        DataError: the file is missing, a line is not of that form (its number is named), a value is not finite, or
            none of the words is there.
    """
    if not path.is_file():
        msg = f"{path}: no such word-vector file. Give word_vectors a GloVe or Word2Vec file, or null."
        raise DataError(msg)
    try:
        with _opened(path) as file:
            head = file.read(_PEEK)
            file.seek(0)
            size = _header(head)
            if size is not None and not _is_text_line(head.split(b"\n", 2)[1], size[1]):
                batches = _binary_batches(file, path)
            else:
                skip = 0 if size is None else 1
                first = head.split(b"\n", skip + 1)[skip]
                batches = _text_batches(file, path, dimension=len(first.rstrip().split(b" ")) - 1, skip=skip)
            kept = [(words, vectors) for words, vectors in _selected(batches, only)]
    except (OSError, EOFError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: not readable as word vectors ({error}). {_FORMATS}") from None
    if not sum(len(words) for words, _ in kept):
        raise DataError(f"{path}: none of the words that are needed has a vector there. {_FORMATS}")
    words = pa.concat_arrays([words for words, _ in kept])
    vectors = np.concatenate([vectors for _, vectors in kept])
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(
            f'{path}: the vector of "{words[row]}" holds a value that is not finite. {_where(path, words[row])}'
        )
    return _first_of_each(words, vectors, path)


def nearest_words(table: WordVectors, vector: NDArray[np.floating], count: int = 10) -> list[tuple[str, float]]:
    """Words whose vectors point most nearly in a direction.

    Args:
        table: word vectors.
        vector: (d,).
        count: how many.

    Returns:
        (word, cosine) pairs, most similar first.
    """
    norms = np.linalg.norm(table.vectors, axis=1) * float(np.linalg.norm(vector))
    cosine = table.vectors @ vector / np.where(norms > 0, norms, np.inf)
    best = np.argsort(-cosine, kind="stable")[:count]
    return [(table.words[int(row)].as_py(), float(cosine[row])) for row in best]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield file  # type: ignore[misc]  # gzip's own file class reads bytes as well


def _header(head: bytes) -> tuple[int, int] | None:
    """Read Word2Vec's first line "V d"; None where the first line is a word already."""
    lines = head.split(b"\n", 2)
    fields = lines[0].split()
    if len(fields) != 2 or len(lines) < 2 or not all(field.isdigit() for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def _is_text_line(line: bytes, dimension: int) -> bool:
    fields = line.rstrip().rsplit(b" ", dimension)
    try:
        return len(fields) == dimension + 1 and all(isfinite(float(field)) for field in fields[1:])
    except ValueError:
        return False


Batches = Iterator[tuple[pa.Array, NDArray[np.float32]]]


def _selected(batches: Batches, only: pa.Array | None) -> Batches:
    for words, vectors in batches:
        if only is None:
            yield words, vectors
        else:
            keep = pc.is_in(words, value_set=only)
            yield words.filter(keep), vectors[keep.to_numpy(zero_copy_only=False)]


def _text_batches(file: IO[bytes], path: Path, dimension: int, skip: int) -> Batches:
    spaced: list[int | None] = []
    try:
        reader = csv.open_csv(
            file,
            read_options=csv.ReadOptions(
                autogenerate_column_names=True, block_size=_BLOCK, skip_rows=skip, use_threads=False
            ),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False, invalid_row_handler=_row_handler(spaced)),
            convert_options=csv.ConvertOptions(
                column_types={"f0": pa.string(), **{f"f{place + 1}": pa.float32() for place in range(dimension)}},
                strings_can_be_null=False,
            ),
        )
        if dimension == 0:
            raise pa.ArrowInvalid("no numbers behind the first word")
        for batch in reader:
            columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]]
            yield batch.column(0), np.column_stack(columns)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: {_bad_line(path, skip) or error}. {_FORMATS}") from None
    if spaced:
        lines = ", ".join(str(number) for number in spaced[:5])
        log.warning("%s: %d lines whose word holds spaces are left out (rows %s …).", path, len(spaced), lines)


def _row_handler(spaced: list[int | None]) -> Callable[[csv.InvalidRow], str]:
    def handle(row: csv.InvalidRow) -> str:
        if row.actual_columns <= row.expected_columns:
            return "error"
        spaced.append(row.number)
        return "skip"

    return handle


def _bad_line(path: Path, skip: int) -> str:
    """Find the first line that is not a word and d numbers (a second, slow reading, for the message alone)."""
    dimension = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):
                if number <= skip:
                    continue
                fields = line.rstrip(b"\r\n").split(b" ")
                dimension = dimension or len(fields) - 1
                shown = line[:60].decode("utf-8", "replace").rstrip()
                if len(fields) <= dimension or dimension == 0:
                    return f"line {number} has {len(fields) - 1} numbers, the first has {dimension}: {shown!r}"
                try:
                    fields[0].decode("utf-8")
                    [float(field) for field in fields[-dimension:]]
                except ValueError:
                    return f"line {number} is no UTF-8 word followed by {dimension} numbers: {shown!r}"
    except (OSError, EOFError) as error:
        return f"the file is damaged ({error})"
    return ""


def _binary_batches(file: IO[bytes], path: Path) -> Batches:
    """Read Word2Vec's binary format: "V d", then for each word its bytes, a space, d little-endian float32."""
    count, dimension = (int(field) for field in file.readline().split())
    width = 4 * dimension
    rest, done = b"", 0
    while done < count:
        block = file.read(_BLOCK)
        if not block:
            raise DataError(f"{path}: ends after {done:,} of {count:,} words. Fetch the file again; it is cut off.")
        rest += block
        words: list[str] = []
        starts: list[int] = []
        position = 0
        while done + len(words) < count:  # words have no fixed length, so they cannot be found but one by one
            space = rest.find(b" ", position, position + _LONGEST_WORD)
            if space < 0 and len(rest) - position > _LONGEST_WORD:
                number = done + len(words)
                raise DataError(f"{path}: damaged after {number:,} words. Fetch the file again. {_FORMATS}")
            if space < 0 or space + 1 + width > len(rest):
                break
            words.append(rest[position:space].lstrip(b"\n").decode("utf-8", "replace"))
            starts.append(space + 1)
            position = space + 1 + width
        if words:
            found = np.frombuffer(b"".join([rest[start : start + width] for start in starts]), "<f4")
            yield pa.array(words, pa.string()), found.reshape(-1, dimension).astype(np.float32)
        done += len(words)
        rest = rest[position:]


def _where(path: Path, word: pa.StringScalar) -> str:
    """Line of a word in a text file; nothing for a binary one."""
    start = word.as_py().encode() + b" "
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(start):
                return f"Correct or drop line {number}."
    return "Fetch the file again."


def _first_of_each(words: pa.Array, vectors: NDArray[np.float32], path: Path) -> WordVectors:
    distinct = pc.unique(words)
    if len(distinct) < len(words):
        log.warning("%s: %d words occur more than once; the first vector counts.", path, len(words) - len(distinct))
        first = pc.index_in(distinct, value_set=words).to_numpy(zero_copy_only=False).astype(np.int64)
        return WordVectors(words=distinct, vectors=vectors[first])
    return WordVectors(words=words, vectors=vectors)
