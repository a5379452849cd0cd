"""Words, where they lie in subject space, and texts drawn from them."""

from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.simulated.people import VOICE_DIMS, People
from micromega.market.simulated.vocabulary import CATEGORY_WORDS, COMMON_WORDS, LIFE_WORDS, SYLLABLES

PRODUCTS = 3
"""Made-up product names per brand."""
WORD_SD = 0.8
"""Spread of a category's words around its centre."""
_BLOCK = 8_192


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """W words; the first T of them are topical and have a place."""

    words: NDArray[np.object_]
    """(W,) topical words, then everyday words, then those of off-topic posts."""
    place: NDArray[np.float64]
    """(T, L + V) where topical words lie: subject, then voice."""
    common: slice
    """Everyday words, most frequent first."""
    themes: tuple[slice, ...]
    """Words of off-topic posts, by theme."""
    brand_names: NDArray[np.object_]
    """(B,) made-up names."""
    products: NDArray[np.object_]
    """(B, PRODUCTS) made-up names."""


def draw_lexicon(rng: np.random.Generator, people: People) -> Lexicon:
    """Place words in subject space and name brands and products.

    Args:
        rng: random stream.
        people: the accounts; words of a category lie around its centre.

    Returns:
        The words.
    """
    by_category = [text.split() for text in CATEGORY_WORDS.values()]
    topical = list(chain.from_iterable(by_category))
    centre_TL = people.centre[np.repeat(np.arange(len(by_category)), [len(words) for words in by_category])]
    subject_TL = centre_TL + WORD_SD * rng.normal(size=centre_TL.shape)
    voice_TV = rng.normal(size=(len(topical), VOICE_DIMS))
    common, themes = COMMON_WORDS.split(), [line.split() for line in LIFE_WORDS]
    ends = np.cumsum([len(topical), len(common), *[len(theme) for theme in themes]]).tolist()
    slices = [slice(start, end) for start, end in pairwise(ends)]
    syllables = np.array(SYLLABLES.split(), dtype=object)
    codes = rng.choice(len(syllables) ** 3, people.brands * (1 + PRODUCTS), replace=False)
    first, second, third = np.unravel_index(codes, (len(syllables),) * 3)
    names = (syllables[first] + syllables[second] + syllables[third]).reshape(people.brands, 1 + PRODUCTS)
    return Lexicon(
        words=np.array([*topical, *common, *chain.from_iterable(themes)], dtype=object),
        place=np.hstack([subject_TL, voice_TV]),
        common=slices[0],
        themes=tuple(slices[1:]),
        brand_names=names[:, 0],
        products=names[:, 1:],
    )


def draw_words(
    rng: np.random.Generator,
    subject_NL: NDArray[np.float64],
    voice_NV: NDArray[np.float64],
    lexicon: Lexicon,
    *,
    count: int,
) -> NDArray[np.int64]:
    """Draw topical words, with replacement.

    Word w comes with probability proportional to exp([subject, voice] · w / sqrt(L)).

    Args:
        rng: random stream.
        subject_NL: what each text is about.
        voice_NV: wording habits of its author.
        lexicon: the words.
        count: words per text.

    Returns:
        (N, count) indices into `lexicon.words`.
    """
    texts, dims = subject_NL.shape
    uniform = rng.random((texts, count))
    drawn = np.empty((texts, count), dtype=np.int64)
    for start in range(0, texts, _BLOCK):  # blocks, because (N, T) probabilities of all texts would not fit
        block = slice(start, start + _BLOCK)
        logits = np.hstack([subject_NL[block], voice_NV[block]]) @ lexicon.place.T / np.sqrt(dims)
        cumulated = np.cumsum(np.exp(logits - logits.max(axis=1, keepdims=True)), axis=1)
        cumulated /= cumulated[:, -1:]
        rows = np.arange(len(cumulated))[:, None]
        # Row i lives in [i, i + 1), so that one search serves all rows.
        flat = np.searchsorted((cumulated + rows).ravel(), uniform[block] + rows, side="right")
        drawn[block] = np.clip(flat - rows * cumulated.shape[1], 0, cumulated.shape[1] - 1)
    return drawn


def joined(tokens: NDArray[np.object_], text: NDArray[np.int64], count: int) -> pa.Array:
    """Join tokens to texts with blanks.

    Args:
        tokens: (M,) strings.
        text: (M,) which text each belongs to; tokens of one text keep their order.
        count: number of texts.

    Returns:
        (count,) strings, "" where a text has no token.
    """
    return pc.binary_join(listed(tokens, text, count), " ")


def listed(tokens: NDArray[np.object_], text: NDArray[np.int64], count: int) -> pa.Array:
    """Group tokens to one list per text, in the order they come."""
    order = np.argsort(text, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(text, minlength=count))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(tokens[order], pa.string()))
