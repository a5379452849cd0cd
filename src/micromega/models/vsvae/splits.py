"""Which posts train, which choose, which judge: shares within each hashtag (Tian et al. 2022, Web Appendix B)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import DataError

Splits = dict[str, NDArray[np.int64]]


def split_posts(hashtags: pa.Array | pa.ChunkedArray, validation_share: float, test_share: float, seed: int) -> Splits:
    """Split posts into train, validation and test, each hashtag spread over all three.

    Of a hashtag with n posts, n times the share is rounded up or down, so that the shares of all posts hold. Which way
    is drawn (systematic sampling), with chances that give each post of each hashtag the same chance to be held out;
    the largest remainders would never hold out posts of some rare hashtags.

    Args:
        hashtags: (P,) strings; posts without one are a hashtag of their own.
        validation_share: share of posts for validation.
        test_share: share of posts for testing.
        seed: random seed.

    Returns:
        train, validation and test -> ascending rows; disjoint, together all posts.

    Raises:
        DataError: a split would be empty.
    """
    stratum = _codes(hashtags)
    posts, held_share = len(stratum), validation_share + test_share
    held, tested = round(held_share * posts), round(test_share * posts)
    generator = np.random.default_rng(seed)
    size = np.bincount(stratum)
    held_of = _rounded(size, held, generator)
    tested_of = _rounded(held_of, tested, generator)
    shuffled = generator.permutation(posts)
    order = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    place = np.empty(posts, np.int64)
    place[order] = np.arange(posts) - np.repeat(np.cumsum(size) - size, size)
    test, out = place < tested_of[stratum], place < held_of[stratum]
    splits = {
        "train": np.flatnonzero(~out),
        "validation": np.flatnonzero(out & ~test),
        "test": np.flatnonzero(test),
    }
    for name, rows in splits.items():
        if not len(rows):
            raise DataError(
                f"{posts:,} posts are too few for a {name} split at data.validation_share={validation_share:g} "
                f"data.test_share={test_share:g}. Change the shares, or give more posts."
            )
    return splits


def _codes(hashtags: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """(P,) number of each post's hashtag."""
    whole = hashtags.combine_chunks() if isinstance(hashtags, pa.ChunkedArray) else hashtags
    encoded = pc.dictionary_encode(whole, null_encoding="encode")
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _rounded(size: NDArray[np.int64], total: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Share out `total` in proportion to sizes (S,): each share is its quota rounded up or down, their sum is exact."""
    order = generator.permutation(len(size))
    ends = np.cumsum(size[order]) * (total / max(int(size.sum()), 1))
    ends[-1:] = total
    share = np.empty(len(size), np.int64)
    share[order] = np.diff(np.floor(ends + generator.random()), prepend=0).astype(np.int64)
    return share
