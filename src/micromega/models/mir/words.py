"""Which words are read, and those of an account's posts as one vector: square roots of their shares (Hellinger)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.features.text import Tokens, tokenise, word_hashes


def words_of(texts: pa.ChunkedArray, accounts: pa.Table) -> Tokens:
    """Split texts into words, without mentions, and without hashtags that name a brand: both would give the answer.

    Posts that mention a brand are no creator's history; a hashtag is no mention, and a tagged post stays.

    Args:
        texts: (P,) captions or biographies.
        accounts: table of accounts; ids and names of its brands count.

    Returns:
        The words of P texts.
    """
    brands = accounts.filter(pc.equal(accounts["kind"], "brand"))
    return tokenise(texts, pa.chunked_array([*brands["account_id"].chunks, *brands["name"].chunks], pa.string()))


def word_shares(tokens: Tokens, members: sparse.csr_matrix, buckets: int) -> NDArray[np.float32]:
    """Count words over all posts of a view, and take square roots of their shares.

    Words are hashed into buckets, so there is no vocabulary to keep: another market's words land in the same places.
    The square root keeps frequent words from ruling, and makes the inner product of two accounts the Bhattacharyya
    coefficient of their shares.

    Args:
        tokens: the words of P posts.
        members: (V, P) sparse 0/1, which posts stand for which view.
        buckets: length of the vector.

    Returns:
        (V, buckets) float32, rows of length 1; zeros for a view without words.
    """
    bucket = (word_hashes(tokens.words) % np.uint64(buckets)).astype(np.int64)
    shape = (members.shape[1], buckets)
    ones = np.ones(len(tokens.word), dtype=np.float32)
    counts = members @ sparse.csr_matrix((ones, (tokens.text, bucket[tokens.word])), shape=shape)
    total = np.asarray(counts.sum(axis=1)).ravel()
    counts.data = np.sqrt(counts.data / np.repeat(np.maximum(total, 1), np.diff(counts.indptr)))
    return np.asarray(counts.toarray(), dtype=np.float32)
