"""The words of the training posts, and all posts as sequences of their numbers, kept on disk beside the market."""

import atexit
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.features import sequences as sequences_code
from micromega.features import text as text_code
from micromega.features.sequences import TEXTS as ARRAYS
from micromega.features.sequences import UNKNOWN, Vocabulary, count_words, vocabulary, write_texts
from micromega.features.word_vectors import load_word_vectors
from micromega.files import WriteError, sha256_of
from micromega.market.arrays import ArrayWriter, open_array
from micromega.market.market import Market
from micromega.models.vsvae.config import VSVAEDataConfig

log = logging.getLogger(__name__)

FOLDER = "vsvae"
_ROWS = 50_000  # posts counted at a time
_WORDS, _SOURCE = "vocabulary", "words of the VS-VAE"
_COLUMNS = {array.removeprefix("text_"): column for array, column in ARRAYS.items()}
"""Text -> column of the posts table."""
_CODE = (text_code.__file__, sequences_code.__file__, __file__)
"""What decides which words a text has."""


@dataclass(frozen=True, kw_only=True)
class StoredTexts:
    """Texts of all posts as word ids.

    Attributes:
        folder: of the arrays `text_caption` and so on, each by post_id.
        words: (V,) the vocabulary, "<unk>" in front.
    """

    folder: Path
    words: pa.Array


def stored_texts(
    market: Market,
    texts: Sequence[str],
    train: NDArray[np.int64],
    config: VSVAEDataConfig,
    words: Sequence[str] | None = None,
) -> StoredTexts:
    """Number the words of all posts, or find them numbered.

    Vocabularies and texts lie in `vsvae/` in the market's folder (in a temporary folder where nothing can be written
    there), each under a hash of all that decides it. Old ones stay until somebody deletes the folder.

    Args:
        market: its posts hold the texts.
        texts: caption, sticker, speech, or some of them.
        train: (n,) rows of the training posts.
        config: size of the vocabulary and length of the texts.
        words: the vocabulary of a checkpoint, "<unk>" in front; None: that of the training posts.

    Returns:
        The texts.
    """
    posts = market.table("posts")
    columns = {text: text_column(posts, text) for text in texts}
    shared = {
        "market": market.fingerprint,
        "texts": sorted(texts),
        "code": [sha256_of(Path(file)) for file in _CODE],
    }
    if words is None:
        facts = shared | {"min_count": config.min_count, "max_words": config.max_words, "train": _digest(posts, train)}
        known = _vocabulary(_folder(market, "vocabulary", facts), list(columns.values()), train, config)
    else:
        known = pa.array(words, pa.string())
    facts = shared | {"longest": config.max_length, "words": known.to_pylist()}

    def write(folder: Path) -> None:
        none = pa.chunked_array([pa.nulls(len(posts), pa.string())])
        table = pa.table({column: columns.get(text, none) for text, column in _COLUMNS.items()})
        table = table.append_column("post_id", posts["post_id"])
        write_texts(table, _without_vectors(known), folder, longest=config.max_length, source=_SOURCE)

    folder = _stored(_folder(market, "texts", facts), [array_of(text) for text in texts], write)
    return StoredTexts(folder=folder, words=known)


def text_column(posts: pa.Table, text: str) -> pa.ChunkedArray:
    """Give a text of all posts; where no post has a caption, hashtags are the captions, which is where they stood.

    Args:
        posts: the posts table.
        text: caption, sticker or speech.

    Returns:
        (P,) strings; null where a post has none.
    """
    column = posts.column(_COLUMNS[text])
    if text == "caption" and column.null_count == len(column):
        return pc.binary_join(posts.column("hashtags"), " ")
    return column


def array_of(text: str) -> str:
    """Name the array of a text."""
    return f"text_{text}"


def training_words(
    columns: Sequence[pa.ChunkedArray], train: NDArray[np.int64], *, min_count: int, most: int
) -> pa.Array:
    """Choose the words that get a number of their own.

    Args:
        columns: texts of all posts, each (P,).
        train: (n,) rows of the posts whose words are counted, all columns together.
        min_count: rarer words are left out.
        most: size of the vocabulary, "<unk>" included.

    Returns:
        Distinct words by falling count, then by alphabet; without "<unk>".

    Raises:
        DataError: there is no such word.
    """
    counted = [
        pa.table(dict(zip(("word", "n"), count_words([column.take(rows)]), strict=True)))
        for column in columns
        for rows in _blocks(train)
    ]
    total = pa.concat_tables(counted).group_by("word").aggregate([("n", "sum")])
    total = total.filter(pc.greater_equal(total["n_sum"], min_count))
    total = total.sort_by([("n_sum", "descending"), ("word", "ascending")]).slice(0, most - 1)
    if not len(total):
        raise DataError(f"data.min_count={min_count}: no word of the training posts is that frequent. Lower it.")
    return total["word"].combine_chunks()


def word_vectors(words: pa.Array, config: VSVAEDataConfig, *, trained: bool) -> NDArray[np.float32]:
    """Give words their vectors.

    Args:
        words: (V,) the vocabulary, "<unk>" in front.
        config: file or length of the vectors.
        trained: a checkpoint has the vectors; the file is not read, and hashed ones keep their places.

    Returns:
        (V, e).
    """
    known = words.slice(1)
    table = None
    if config.word_vectors and not trained:
        table = load_word_vectors(Path(config.word_vectors), only=known)
        log.info("%d of %d words have a vector in %s", len(table.words), len(known), config.word_vectors)
    return vocabulary(known, table, config.hashed_size).vectors


def _vocabulary(
    folder: Path, columns: Sequence[pa.ChunkedArray], train: NDArray[np.int64], config: VSVAEDataConfig
) -> pa.Array:
    def write(folder: Path) -> None:
        chosen = training_words(columns, train, min_count=config.min_count, most=config.max_words)
        words = _without_vectors(pa.concat_arrays([pa.array([UNKNOWN]), chosen]))
        with ArrayWriter(folder, name=_WORDS, key="word", shape=(0,), dtype="float32", source=_SOURCE) as out:
            out.append(words.words, words.vectors)

    return open_array(_stored(folder, [_WORDS], write), _WORDS).ids


def _without_vectors(words: pa.Array) -> Vocabulary:
    return Vocabulary(words=words, vectors=np.zeros((len(words), 0), np.float32))


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    yield from (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))


def _digest(posts: pa.Table, rows: NDArray[np.int64]) -> str:
    """Hash the ids of posts, a block at a time."""
    digest = hashlib.sha256()
    for block in _blocks(rows):
        digest.update("\n".join([*posts["post_id"].take(block).to_pylist(), ""]).encode())
    return digest.hexdigest()


def _folder(market: Market, what: str, facts: Mapping[str, object]) -> Path:
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Path(market.path) / FOLDER / f"{what}-{key[:24]}"


def _stored(folder: Path, arrays: Sequence[str], write: Callable[[Path], None]) -> Path:
    """Give a folder with arrays, and write it if it is not there or damaged.

    It is written under another name first: whoever is killed leaves no half, and of two writers one stays.
    """
    if _is_whole(folder, arrays):
        log.info("words: the stored ones are used (%s)", folder)
        return folder
    started = time.perf_counter()
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}.tmp")
    try:
        if not folder.parent.parent.is_dir():
            raise FileNotFoundError(folder.parent.parent)
        temporary.mkdir(parents=True)
    except OSError as error:
        log.debug("words: not stored beside the market (%s)", error)
        folder = temporary = Path(tempfile.mkdtemp(prefix="micromega-words-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        write(temporary)
        if folder != temporary:
            temporary.rename(folder)
    except OSError as error:
        if not _is_whole(folder, arrays):
            raise WriteError(folder, error) from error
    finally:
        if folder != temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    log.info("words: %s in %.1f s", folder, time.perf_counter() - started)
    return folder


def _is_whole(folder: Path, arrays: Sequence[str]) -> bool:
    if not folder.is_dir():
        return False
    try:
        for name in arrays:
            open_array(folder, name)
    except DataError as error:
        log.warning("words: damaged, and made again (%s)", error)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True
