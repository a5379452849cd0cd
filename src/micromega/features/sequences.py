"""Texts as sequences of word ids: the arrays text_caption, text_sticker and text_speech, and their vocabulary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError
from micromega.features.text import hashed_vectors, tokenise
from micromega.features.word_vectors import WordVectors
from micromega.market.arrays import ArrayWriter

TEXTS = {"text_caption": "caption", "text_sticker": "sticker_text", "text_speech": "speech_text"}
"""Array -> column of the posts table (Tian et al. 2022, Web Appendix E: three sources of text)."""
UNKNOWN = "<unk>"
_ROWS = 50_000  # posts tokenised at a time
_CHARACTERS = 20_000  # of a text; a file pasted into a caption must not fill the memory


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words that have an id.

    Attributes:
        words: (V,) distinct strings by falling frequency; the first is "<unk>", which stands for all other words.
        vectors: (V, d) float32.
    """

    words: pa.Array
    vectors: NDArray[np.float32]


def count_words(columns: Sequence[pa.ChunkedArray]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Count the words of several columns of texts together.

    Args:
        columns: each (P,) strings.

    Returns:
        Distinct words and their counts, by falling count, then by alphabet.
    """
    parts = []
    for column in columns:
        for texts in _blocks(column):
            tokens = tokenise(texts)
            counts = np.bincount(tokens.word, minlength=len(tokens.words))
            parts.append(pa.table({"word": tokens.words.cast(pa.string()), "n": counts.astype(np.int64)}))
    if not parts:
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    total = pa.concat_tables(parts).group_by("word").aggregate([("n", "sum")])
    total = total.sort_by([("n_sum", "descending"), ("word", "ascending")])
    return total.column("word").combine_chunks(), total.column("n_sum").to_numpy()


def vocabulary(words: pa.Array, table: WordVectors | None, size: int) -> Vocabulary:
    """Give words their vectors.

    Args:
        words: (V − 1,) distinct words by falling frequency.
        table: word vectors; a word that is not in it (a brand, a hashtag) gets the mean of those that are, and keeps an
            id of its own. None: hashed vectors, which know every word but no synonyms.
        size: d of hashed vectors.

    Returns:
        The vocabulary, "<unk>" in front.
    """
    if table is None:
        known = hashed_vectors(words, size)
        unknown = np.zeros(size, np.float32)
    else:
        rows = pc.fill_null(pc.index_in(words, value_set=table.words), -1).to_numpy(zero_copy_only=False)
        used = table.vectors[rows[rows >= 0]]
        unknown = (used if len(used) else table.vectors).mean(axis=0)
        known = np.where((rows >= 0)[:, None], table.vectors[rows], unknown)
    return Vocabulary(
        words=pa.concat_arrays([pa.array([UNKNOWN]), words.cast(pa.string())]),
        vectors=np.concatenate([unknown[None], known]).astype(np.float32),
    )


def word_ids(
    texts: pa.Array | pa.ChunkedArray, words: pa.Array, longest: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Turn texts into sequences of word ids.

    Args:
        texts: (P,) strings.
        words: (V,) the vocabulary's words.
        longest: words kept of each text, from its beginning.

    Returns:
        (sum of lengths,) ids, 0 for words that are not in the vocabulary; (P,) lengths, 0 for a text without words.
    """
    tokens = tokenise(texts)
    ids = pc.fill_null(pc.index_in(tokens.words, value_set=words), 0).to_numpy(zero_copy_only=False)
    counts = np.bincount(tokens.text, minlength=tokens.texts)
    place = np.arange(len(tokens.text)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < longest
    return ids[tokens.word[kept]].astype(np.int32), np.minimum(counts, longest).astype(np.int64)


def write_texts(posts: pa.Table, words: Vocabulary, folder: Path, *, longest: int, source: str) -> dict[str, int]:
    """Write the arrays text_caption, text_sticker, text_speech and vocabulary.

    A post without a text (or whose text has no word) is absent from that array: the modality is missing.

    Args:
        posts: the posts table.
        words: the vocabulary.
        folder: the market's folder of features.
        longest: words kept of each text.
        source: what made the arrays.

    Returns:
        Array -> number of posts (of the vocabulary: of words).
    """
    rows = {}
    for name, column in TEXTS.items():
        texts, ids = posts.column(column), posts.column("post_id")
        if texts.null_count == len(texts):
            continue
        rows[name], start = 0, 0
        with ArrayWriter(folder, name=name, key="post_id", shape=(), dtype="int32", ragged=True, source=source) as out:
            for block in _blocks(texts):
                values, lengths = word_ids(block, words.words, longest)
                has = lengths > 0
                out.append(ids.slice(start, len(block)).filter(pa.array(has)).combine_chunks(), values, lengths[has])
                start += len(block)
                rows[name] += int(has.sum())
    if not rows:
        raise DataError('posts.parquet: columns "caption", "sticker_text" and "speech_text" are all empty: no text.')
    d = words.vectors.shape[1]
    with ArrayWriter(folder, name="vocabulary", key="word", shape=(d,), dtype="float32", source=source) as out:
        out.append(words.words, words.vectors)
    rows["vocabulary"] = len(words.words)
    return rows


def _blocks(texts: pa.ChunkedArray) -> Iterator[pa.Array]:
    for start in range(0, len(texts), _ROWS):
        block = texts.slice(start, _ROWS)
        yield pc.utf8_slice_codeunits(block, 0, _CHARACTERS).combine_chunks()
