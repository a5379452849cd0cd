"""Hashtags to words: "#MakeMomSmile" and "handwashchallenge" are concatenations of common words."""

import gzip
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import DataError, MissingExtraError

_CASE = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)|_+")
_LONGEST = 100  # characters; platforms allow fewer, and the library's search grows with the length
_LISTS = 'Give a list of "word count" lines, or of words by falling frequency, plain or gzipped; or null.'


def load_frequencies(path: Path) -> dict[str, float]:
    """Read a word frequency list.

    Args:
        path: lines "word count", or lines "word" by falling frequency (then the count is proportional to 1 / rank:
            Zipf's law); UTF-8, plain or gzipped (name ends in ".gz").

    Returns:
        Word, in small letters -> count; a word that occurs twice (in capitals, say) has the sum.

    Raises:
        DataError: no such file, or a line (its number is named) is not of that form.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such word list. {_LISTS}")
    counts: dict[str, float] = {}
    ranked: bool | None = None
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            for number, line in enumerate(file, start=1):
                fields = line.split()
                if not fields:
                    continue
                ranked = len(fields) == 1 if ranked is None else ranked
                if len(fields) != (1 if ranked else 2) or not (ranked or _is_count(fields[1])):
                    wanted = "a word" if ranked else "a word and a positive count"
                    msg = (
                        f"{path}: line {number} is not {wanted}, as the first line is: {line[:60].rstrip()!r}. {_LISTS}"
                    )
                    raise DataError(msg)
                word = fields[0].lower()
                counts[word] = counts.get(word, 0.0) + (1e9 / number if ranked else float(fields[1]))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable word list ({error}). {_LISTS}") from None
    if not counts:
        raise DataError(f"{path}: no words in it. {_LISTS}")
    return counts


def _is_count(field: str) -> bool:
    try:
        return 0 < float(field) < float("inf")
    except ValueError:
        return False


def segmenter(frequencies: Mapping[str, float] | None = None) -> Callable[[str], list[str]]:
    """Make a function that splits a hashtag into words (Tian et al. 2022, Web Appendix D).

    Capitals, digits and underscores split first ("#Yoga101" -> yoga 101), unless the whole tag is a known word
    ("TikTok"); each part is then divided into its most probable words by the library wordsegment.

    Args:
        frequencies: word -> count; None: the English web counts of words and pairs of words that come with the library.

    Returns:
        Function from a tag, with or without "#", to its words in small letters; letters of any script are kept, and
        what the list does not know stays together.

    Raises:
        MissingExtraError: wordsegment is not installed.
    """
    try:
        from wordsegment import Segmenter  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingExtraError('Splitting hashtags needs wordsegment: pip install "micromega[features]".') from error

    class Letters(Segmenter):  # type: ignore[misc]  # the library has no types
        @classmethod
        def clean(cls, text: str) -> str:
            return text  # the library's own would drop every letter that is not English

    library = Letters()
    if frequencies is None:
        library.load()
    else:
        library.unigrams = dict(frequencies)
        library.total = float(sum(frequencies.values()))
        library.limit = max(map(len, frequencies))
    known = library.unigrams

    def split(hashtag: str) -> list[str]:
        tag = unicodedata.normalize("NFC", hashtag).lstrip("#＃")[:_LONGEST]
        if tag.lower() in known:
            return [tag.lower()]
        return [word for part in _CASE.split(tag) if part for word in _words(part.lower())]

    def _words(part: str) -> list[str]:
        if part in known or not part.isalpha():
            return [part]
        return [str(word) for word in library.segment(part)]

    return split


def segment_hashtags(hashtags: pa.Array, split: Callable[[str], list[str]]) -> pa.Array:
    """Split each different hashtag once.

    Args:
        hashtags: (H,) strings; null gives no words.
        split: see `segmenter`.

    Returns:
        (H,) list of strings.
    """
    encoded = hashtags.dictionary_encode()
    lists = pa.array([split(tag) for tag in encoded.dictionary.to_pylist()], pa.list_(pa.string()))
    return pc.fill_null(lists.take(encoded.indices), pa.scalar([], pa.list_(pa.string())))
