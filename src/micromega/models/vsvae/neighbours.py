"""Whether posts that are near in r-space are alike (Tian et al. 2022, figure 5), shown and counted.

Shapes: M posts, Q of them asked about, K neighbours, D numbers of a vector.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import MissingExtraError
from micromega.models.retrieval.ann import CreatorIndex
from micromega.models.retrieval.exact import top_k_exact
from micromega.models.retrieval.shortlists import choose_effort
from micromega.models.vsvae.result import FocalPost, Neighbour, Neighbourhood

Ints = NDArray[np.int64]
Vectors = NDArray[np.floating[Any]]

INDEX_FROM = 200_000
"""Posts from which an index of them pays; below, looking at every post is as fast."""
SPARE = 8
"""Neighbours sought beyond those wanted: the post itself, and ties of float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """The nearest posts of some posts.

    Attributes:
        rows: (Q, K) rows, nearest first; never the post itself.
        distances: (Q, K) Euclidean.
        search: what found them, in words.
    """

    rows: Ints
    distances: NDArray[np.float64]
    search: str


def nearest(
    vectors_MD: Vectors,
    asked_Q: Ints,
    k: int,
    *,
    among_N: Ints | None = None,
    index_from: int = INDEX_FROM,
    seed: int = 0,
) -> Nearest:
    """Find the K nearest posts of some posts by Euclidean distance, the post itself left out.

    |q − x|² is smallest where q·x − |x|²/2 is largest: an inner product of (q, c) and (x, −|x|²/2c), with which
    `models/retrieval` answers. Distances and their order are computed again from the vectors, in float64. An index is
    used where it finds at least 0.99 of the exact neighbours, measured on some posts; otherwise all are compared.

    Args:
        vectors_MD: (M, D) of all posts, finite, in memory or memory-mapped.
        asked_Q: (Q,) rows asked about.
        k: neighbours; fewer are given where there are fewer posts.
        among_N: rows that may be neighbours, each once; all if None.
        index_from: number of posts from which an index is tried.
        seed: of the index.

    Returns:
        Neighbours; ties go to the lower row.
    """
    rows_N = np.arange(len(vectors_MD)) if among_N is None else np.sort(among_N)
    k = min(k, len(rows_N) - 1)
    if k < 1 or not len(asked_Q):
        return Nearest(rows=np.empty((len(asked_Q), 0), np.int64), distances=np.empty((len(asked_Q), 0)), search="")
    mean_D = np.mean(vectors_MD, axis=0, dtype=np.float64).astype(np.float32)
    posts_NE = np.empty((len(rows_N), vectors_MD.shape[1] + 1), np.float32)  # a million posts: no second copy
    np.subtract(
        vectors_MD if among_N is None else vectors_MD[rows_N], mean_D, out=posts_NE[:, :-1], casting="same_kind"
    )
    half_N = np.einsum("nd,nd->n", posts_NE[:, :-1], posts_NE[:, :-1], dtype=np.float64) / 2
    longest = math.sqrt(2 * float(half_N.max())) or 1.0  # c: the last column is then no longer than the others
    posts_NE[:, -1] = -half_N / longest
    asked_QE = np.column_stack((vectors_MD[asked_Q] - mean_D, np.full(len(asked_Q), longest))).astype(np.float32)
    found_QS, search = _candidates(posts_NE, asked_QE, min(k + SPARE, len(rows_N)), index_from, seed)
    found_QS = rows_N[found_QS]
    offset_QSD = vectors_MD[found_QS].astype(np.float64) - vectors_MD[asked_Q][:, None].astype(np.float64)
    distance_QS = np.sqrt(np.einsum("qsd,qsd->qs", offset_QSD, offset_QSD))
    distance_QS[found_QS == asked_Q[:, None]] = np.inf
    order_QK = np.lexsort((found_QS, distance_QS))[:, :k]
    return Nearest(
        rows=np.take_along_axis(found_QS, order_QK, axis=1),
        distances=np.take_along_axis(distance_QS, order_QK, axis=1),
        search=search,
    )


def _candidates(posts_NE: Vectors, asked_QE: Vectors, wanted: int, index_from: int, seed: int) -> tuple[Ints, str]:
    """(Q, wanted) rows with the largest inner products, and what found them."""
    why = ""
    if len(posts_NE) >= index_from:
        try:
            index = CreatorIndex.build(posts_NE, seed=seed)
            effort = choose_effort(index, asked_QE, posts_NE, wanted, seed=seed)
        except MissingExtraError:
            why = " (FAISS is not installed)"
        else:
            if effort.enough:
                rows_QS, _ = index.search(asked_QE, wanted, probes=effort.probes)
                lists = f"{effort.probes:,} of {index.lists:,} lists"
                return (
                    rows_QS,
                    f"{index.library}, {lists} read, recall@10 {effort.recall:.3f} on {effort.brands:,} posts",
                )
            why = f" (an index would find {effort.recall:.3f} of them)"
    rows_QS, _ = top_k_exact(asked_QE, posts_NE, wanted)
    return rows_QS, "every post compared" + why


def hashtags(posts: pa.Table) -> pa.Array:
    """Hashtag under which each post is listed, "" where unknown; the first one it names where no post is listed."""
    listed = posts["hashtag"]
    if listed.null_count == len(listed) and "hashtags" in posts.column_names:
        named = posts["hashtags"].combine_chunks()
        first = pc.list_slice(named, 0, 1)
        place = pc.list_parent_indices(first)
        values = np.full(len(named), "", dtype=object)
        values[place.to_numpy()] = pc.list_flatten(first).to_numpy(zero_copy_only=False)
        listed = pa.chunked_array([pa.array(values, pa.string())])
    return pc.fill_null(listed, "").combine_chunks()


def same_hashtag(rows_QK: Ints, asked_Q: Ints, hashtag_M: Ints, among_N: Ints | None = None) -> tuple[float, float]:
    """Share of neighbours that stand under the hashtag of the post they are near to.

    Args:
        rows_QK: (Q, K) neighbours.
        asked_Q: (Q,) posts, each with a hashtag.
        hashtag_M: (M,) number of each post's hashtag; -1 for none.
        among_N: rows that could be neighbours, those asked about among them; all if None.

    Returns:
        The share, mean over posts, and the same of neighbours drawn at random; NaN without posts or neighbours.
    """
    if not rows_QK.size:
        return math.nan, math.nan
    own_Q = hashtag_M[asked_Q]
    eligible_N = hashtag_M if among_N is None else hashtag_M[among_N]
    counts = np.bincount(eligible_N[eligible_N >= 0])
    by_chance = (counts[own_Q] - 1) / (len(eligible_N) - 1)
    return float((hashtag_M[rows_QK] == own_Q[:, None]).mean()), float(by_chance.mean())


def focal_rows(held_out: Ints, hashtag_M: Ints, count: int, *, seed: int = 0) -> Ints:
    """Draw focal posts under different hashtags, hashtags first, so that large ones are no likelier.

    Args:
        held_out: rows to draw from.
        hashtag_M: (M,) number of each post's hashtag; -1 for none.
        count: how many are wanted; fewer where there are fewer hashtags; without any hashtag, any posts.
        seed: random seed.

    Returns:
        Rows.
    """
    random = np.random.default_rng(seed)
    tagged = held_out[hashtag_M[held_out] >= 0]
    if not len(tagged):
        return random.permutation(held_out)[:count]
    mixed = random.permutation(tagged)
    _, first = np.unique(hashtag_M[mixed], return_index=True)  # one post of each hashtag, drawn at random
    chosen: Ints = mixed[random.permutation(first)[:count]]
    return chosen


def neighbourhood(
    r_MD: Vectors,
    *,
    posts: pa.Table,
    held_out: Ints,
    k: int,
    focal_posts: int,
    most: int,
    pca_MD: Vectors | None = None,
    among: Ints | None = None,
    index_from: int = INDEX_FROM,
    seed: int = 0,
) -> Neighbourhood:
    """Look at the neighbours of held-out posts among all posts.

    Args:
        r_MD: (M, D) posterior means.
        posts: M rows of the posts table, in the same order.
        held_out: rows of held-out posts.
        k: neighbours of each post.
        focal_posts: posts to show, of different hashtags.
        most: held-out posts to ask about, at most; drawn at random among those with a hashtag.
        pca_MD: (M, D) principal components, to compare with.
        among: rows that may be neighbours, the held-out ones among them; all if None.
        index_from: see `nearest`.
        seed: random seed.

    Returns:
        Examples and shares; shares are NaN where no held-out post has a hashtag.
    """
    names = hashtags(posts)
    encoded = pc.dictionary_encode(names)
    hashtag_M = encoded.indices.to_numpy().astype(np.int64)
    unlisted = encoded.dictionary.to_pylist().index("") if "" in encoded.dictionary.to_pylist() else -1
    hashtag_M[hashtag_M == unlisted] = -1
    random = np.random.default_rng(seed)
    tagged = held_out[hashtag_M[held_out] >= 0]
    asked_Q = np.sort(random.permutation(tagged)[:most])
    focal = focal_rows(held_out, hashtag_M, focal_posts, seed=seed)
    asked = np.concatenate((asked_Q, focal))
    found = nearest(r_MD, asked, k, among_N=among, index_from=index_from, seed=seed)
    share, by_chance = same_hashtag(found.rows[: len(asked_Q)], asked_Q, hashtag_M, among)
    by_pca = None
    if pca_MD is not None and len(asked_Q):
        by_components = nearest(pca_MD, asked_Q, k, among_N=among, index_from=index_from, seed=seed)
        by_pca, _ = same_hashtag(by_components.rows, asked_Q, hashtag_M, among)
    return Neighbourhood(
        focal=_shown(
            focal, found.rows[len(asked_Q) :], found.distances[len(asked_Q) :], posts.append_column("_tag", names)
        ),
        same_hashtag=share,
        same_hashtag_by_chance=by_chance,
        by_pca=by_pca,
        k=found.rows.shape[1],
        posts=len(asked_Q),
        candidates=len(r_MD if among is None else among),
        search=found.search,
    )


def _shown(focal_F: Ints, rows_FK: Ints, distance_FK: NDArray[np.float64], posts: pa.Table) -> tuple[FocalPost, ...]:
    """Texts of focal posts and their neighbours."""
    return tuple(
        FocalPost(
            **_words(posts, int(row)),
            neighbours=tuple(
                Neighbour(**_words(posts, int(near)), distance=float(distance))
                for near, distance in zip(rows_K, distance_K, strict=True)
            ),
        )
        for row, rows_K, distance_K in zip(focal_F, rows_FK, distance_FK, strict=True)
    )


def _words(posts: pa.Table, row: int) -> dict[str, str]:
    columns = {"post_id": "post_id", "hashtag": "_tag", "caption": "caption", "media_path": "media_path"}
    return {
        name: (posts[column][row].as_py() or "") if column in posts.column_names else ""
        for name, column in columns.items()
    }
