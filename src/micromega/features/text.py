"""Captions to vectors: tokens, word vectors, one mean vector per text."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.errors import ConfigError
from micromega.features.word_vectors import WordVectors

NAMES = r"(https?://\S+|www\.\S+|[@＠][\w.]*|<(?:email|phone|url)>)"  # mentions name the answer; addresses name people
_NOT_IN_WORDS = r"[^\p{L}\p{N}']+"
_TAG = r"[\p{L}\p{N}_]+"


NO_NAMES = pa.array([], pa.string())


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The words of many texts, flat.

    Attributes:
        text: (T,) int64, which text each word stands in, ascending.
        word: (T,) int64, index into `words`.
        words: (V,) string array, each different word once.
        texts: number of texts.
    """

    text: NDArray[np.int64]
    word: NDArray[np.int64]
    words: pa.Array
    texts: int


def tokenise(captions: pa.Array | pa.ChunkedArray, names: pa.Array | pa.ChunkedArray = NO_NAMES) -> Tokens:
    """Split captions into lower-case words; mentions, addresses and punctuation go, hashtags lose their sign.

    Args:
        captions: (P,) string, null counts as empty.
        names: their hashtags go like mentions; case and signs do not count: "Calvin.Klein" is #calvin_klein, too.

    Returns:
        The words of all captions.
    """
    lowered = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(captions, "")), NAMES, " ")
    spaced = pc.replace_substring_regex(_without_tags(lowered, _bare(names)), _NOT_IN_WORDS, " ")
    lists = pc.split_pattern(pc.utf8_trim_whitespace(spaced), " ")
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    text = np.repeat(np.arange(len(lists)), np.diff(lists.offsets.to_numpy()))
    flat = lists.flatten()
    kept = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
    encoded = flat.filter(pa.array(kept)).dictionary_encode()
    return Tokens(
        text=text[kept].astype(np.int64),
        word=encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        words=encoded.dictionary,
        texts=len(lists),
    )


def _bare(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Different letters and digits of names, in lower case: a hashtag can have no other signs."""
    bare = pc.unique(pc.replace_substring_regex(pc.utf8_lower(names.drop_null()), r"[^\p{L}\p{N}]+", ""))
    return bare.filter(pc.not_equal(bare, ""))


def _without_tags(captions: pa.Array | pa.ChunkedArray, names: pa.Array) -> pa.Array | pa.ChunkedArray:
    """Leave out hashtags that are one of `names`, see `_bare`."""
    if not len(names):
        return captions
    pieces = pc.split_pattern_regex(captions, "[#＃]")  # of each caption, all but the first begin with a tag
    pieces = pieces.combine_chunks() if isinstance(pieces, pa.ChunkedArray) else pieces
    flat = pieces.flatten()
    starts = pieces.offsets.to_numpy() - pieces.offsets[0].as_py()
    first = np.zeros(len(flat), dtype=bool)
    first[starts[:-1]] = True
    tag = pc.struct_field(pc.extract_regex(flat, f"^(?P<tag>{_TAG})"), "tag")
    named = pc.is_in(pc.replace_substring(pc.fill_null(tag, ""), "_", ""), value_set=names)
    left = pc.replace_substring_regex(flat, f"^{_TAG}", " ")
    kept = pc.if_else(pc.and_(named, pa.array(~first)), left, flat)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(starts), kept), "#")


def hashed_vectors(words: pa.Array, dimension: int) -> NDArray[np.float32]:
    """Give each word a fixed pseudo-random sign vector (random indexing; Achlioptas 2003).

    A sum of such vectors is a random projection of the bag of words: it needs no download, knows every language and
    hashtag, and keeps lexical overlap, but no synonyms.

    Args:
        words: (V,) strings.
        dimension: d.

    Returns:
        (V, d) float32, entries ±1/√d; the same word has the same vector in every process.
    """
    state = word_hashes(words)
    columns = []
    with np.errstate(over="ignore"):
        for _ in range(-(-dimension // 64)):
            state = state + np.uint64(0x9E3779B97F4A7C15)  # splitmix64
            bits = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits ^= bits >> np.uint64(31)
            columns.append((bits[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1))
    signs = np.concatenate(columns, axis=1)[:, :dimension].astype(np.float32) * 2 - 1
    return np.asarray(signs / np.sqrt(dimension), dtype=np.float32)


def word_hashes(words: pa.Array) -> NDArray[np.uint64]:
    """Hash strings with 64-bit FNV-1a, one vectorised step per byte position; the same in every process."""
    binary = words.cast(pa.large_binary())
    lengths = pc.binary_length(binary).to_numpy(zero_copy_only=False).astype(np.int64)
    data = np.frombuffer(b"".join(binary.to_pylist()), dtype=np.uint8)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    state = np.full(len(words), 0xCBF29CE484222325, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for position in range(int(lengths.max(initial=0))):
            live = np.flatnonzero(lengths > position)
            state[live] = (state[live] ^ data[starts[live] + position]) * np.uint64(0x100000001B3)
    return state


def text_features(tokens: Tokens, table: WordVectors | None, hashed: int) -> NDArray[np.float32]:
    """Represent each text by the mean of its words' vectors (Gan et al. 2019, section 3.2.1, one vector a post).

    A word-vector table knows synonyms but, cut to its frequent words, few brand names and hashtags; hashed vectors
    know every word but no synonyms. Given both, the two means stand side by side.

    Args:
        tokens: the words of P texts.
        table: word vectors, or None.
        hashed: length of the hashed part; 0 for none.

    Returns:
        (P, d) float32. A text without a word of the table has the table's mean vector in that part; an empty text has
        zeros in the hashed part.

    Raises:
        ConfigError: there is neither a table nor a hashed part.
    """
    parts = []
    if table is not None:
        found = pc.fill_null(pc.index_in(tokens.words, value_set=table.words), -1)
        rows = found.to_numpy(zero_copy_only=False).astype(np.int64)
        parts.append(_means(tokens, rows, table.vectors, table.vectors.mean(axis=0)))
    if hashed:
        vectors = hashed_vectors(tokens.words, hashed)
        parts.append(_means(tokens, np.arange(len(vectors)), vectors, np.zeros(hashed, np.float32)))
    if not parts:
        msg = "data.word_vectors is null and data.hashed_size is 0, so captions have no features. Set one of them."
        raise ConfigError(msg)
    return np.concatenate(parts, axis=1)


def _means(
    tokens: Tokens, rows: NDArray[np.int64], vectors: NDArray[np.float32], fallback: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean vector of each text; `rows` gives each word's vector, −1 for none."""
    row = rows[tokens.word]
    known = row >= 0
    counts = sparse.csr_matrix(
        (np.ones(int(known.sum()), dtype=np.float32), (tokens.text[known], row[known])),
        shape=(tokens.texts, len(vectors)),
    )
    total = np.asarray(counts.sum(axis=1)).ravel()
    means = np.asarray(counts @ vectors) / np.maximum(total, 1)[:, None]
    means[total == 0] = fallback
    return np.asarray(means, dtype=np.float32)
