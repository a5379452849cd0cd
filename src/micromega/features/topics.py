"""Hashtag topics: segmented words, mean of their vectors, k-means (Tian et al. 2022, Web Appendix D)."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.features.hashtags import load_frequencies, segment_hashtags, segmenter
from micromega.features.request import Topics as TopicsConfig
from micromega.features.word_vectors import WordVectors, load_word_vectors
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.market.market import Market

log = logging.getLogger(__name__)
_STARTS = 50


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Groups of hashtags of similar meaning.

    Attributes:
        hashtags: (H,) strings, those with at least one known word.
        vectors: (H, d) float32, mean of the hashtag's word vectors.
        topic: (H,) int32, 0 … K − 1; topics are numbered by falling number of hashtags.
        centres: (K, d) float32.
        unknown: hashtags without a known word; they have no topic.
    """

    hashtags: pa.Array
    vectors: NDArray[np.float32]
    topic: NDArray[np.int32]
    centres: NDArray[np.float32]
    unknown: pa.Array

    def exemplars(self, count: int = 5) -> list[list[str]]:
        """Hashtags closest to each topic's centre, closest first: what one names a topic by."""
        found = []
        for topic, centre in enumerate(self.centres):
            rows = np.flatnonzero(self.topic == topic)
            distance = np.linalg.norm(self.vectors[rows] - centre, axis=1)
            best = rows[np.argsort(distance, kind="stable")[:count]]
            found.append(self.hashtags.take(pa.array(best)).to_pylist())
        return found

    def assign(self, vectors: NDArray[np.floating]) -> NDArray[np.int32]:
        """Topic of other vectors, for instance a post's mean over its hashtags.

        Args:
            vectors: (N, d).

        Returns:
            (N,) number of the nearest centre.
        """
        squared = (self.centres**2).sum(axis=1) - 2 * vectors @ self.centres.T
        return np.asarray(squared.argmin(axis=1), dtype=np.int32)


def mean_vectors(words: pa.Array, table: WordVectors) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Mean vector of each list's known words.

    Args:
        words: (H,) list of strings.
        table: word vectors.

    Returns:
        (H, d) means, zeros where no word is known; (H,) whether one is.
    """
    rows = pc.fill_null(pc.index_in(words.flatten(), value_set=table.words), -1).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(words)), pc.list_value_length(words).to_numpy(zero_copy_only=False))
    known = rows >= 0
    total = np.zeros((len(words), table.vectors.shape[1]))
    np.add.at(total, owner[known], table.vectors[rows[known]])
    count = np.bincount(owner[known], minlength=len(words))
    return (total / np.maximum(count, 1)[:, None]).astype(np.float32), count > 0


def hashtag_topics(
    hashtags: pa.Array, words: pa.Array, table: WordVectors, *, topics: int = 5, min_exemplars: int = 15, seed: int = 0
) -> Topics:
    """Group hashtags into topics of at least so many hashtags each.

    k-means is started 50 times; among the ends whose every topic is large enough, the one with the smallest
    within-topic scatter counts. (The best end alone may set a handful of odd hashtags apart.)

    Args:
        hashtags: (H,) distinct strings.
        words: (H,) list of strings, each hashtag's words (`segment_hashtags`).
        table: word vectors.
        topics: K.
        min_exemplars: least number of hashtags of a topic; 15 in the paper.
        seed: of the starts.

    Returns:
        The topics.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        DataError: there are too few hashtags with known words, or no end of k-means has topics that large.
    """
    try:
        from sklearn.cluster import KMeans  # noqa: PLC0415  (optional, slow to import)
    except ImportError as error:
        raise MissingExtraError('Hashtag topics need scikit-learn: pip install "micromega[features]".') from error
    vectors, known = mean_vectors(words, table)
    mask = pa.array(known)
    vectors = vectors[known]
    if len(vectors) < topics * min_exemplars:
        raise DataError(
            f"{topics} topics of at least {min_exemplars} hashtags need {topics * min_exemplars} hashtags with known "
            f"words, there are {len(vectors)} ({int((~known).sum())} have none). Ask for fewer topics or exemplars."
        )
    best: tuple[float, NDArray[np.int32], NDArray[np.float32]] | None = None
    largest = 0
    for start in range(_STARTS):
        fitted = KMeans(n_clusters=topics, n_init=1, random_state=seed + start).fit(vectors)
        smallest = int(np.bincount(fitted.labels_, minlength=topics).min())
        largest = max(largest, smallest)
        if smallest >= min_exemplars and (best is None or fitted.inertia_ < best[0]):
            best = (float(fitted.inertia_), fitted.labels_, fitted.cluster_centers_)
    if best is None:
        raise DataError(
            f"k-means gave no {topics} topics of at least {min_exemplars} hashtags in {_STARTS} starts (the smallest "
            f"topic had {largest} at best, of {len(vectors)} hashtags). Ask for fewer topics or exemplars."
        )
    _, labels, centres = best
    order = np.argsort(-np.bincount(labels, minlength=topics), kind="stable")
    return Topics(
        hashtags=hashtags.filter(mask),
        vectors=vectors,
        topic=np.argsort(order)[labels].astype(np.int32),
        centres=centres[order].astype(np.float32),
        unknown=hashtags.filter(pc.invert(mask)),
    )


def write_topics(market: Market, config: TopicsConfig) -> dict[str, int]:
    """Write hashtag_vector and hashtag_topic (by hashtag) and post_topic (by post), and say what the topics hold.

    A post that is listed under a hashtag (`posts.hashtag`) has that hashtag's meaning; where no post is, a post has the
    mean of its hashtags'. Its topic is the one with the nearest centre.

    Args:
        market: its posts hold the hashtags.
        config: word vectors, word list, number of topics.

    Returns:
        Array -> rows.

    Raises:
        ConfigError: no word vectors are given.
        DataError: no post has a hashtag, or there are too few.
    """
    if not config.word_vectors:
        raise ConfigError(
            "features.topics.word_vectors: a GloVe or Word2Vec file is needed for topics of hashtags. Give its path, "
            "or leave topics out with features.topics=null."
        )
    owner, tags = _tags_of_posts(market.table("posts"))
    counted = pc.value_counts(tags)
    listed = market.table("posts").column("hashtag").null_count < market.table("posts").num_rows
    counted = counted.filter(pc.greater_equal(counted.field("counts"), 1 if listed else config.min_posts))
    hashtags = counted.field("values").take(pc.sort_indices(counted.field("values")))
    split = segmenter(load_frequencies(Path(config.word_counts)) if config.word_counts else None)
    words = segment_hashtags(hashtags, split)
    table = load_word_vectors(Path(config.word_vectors), only=pc.unique(words.flatten()))
    found = hashtag_topics(
        hashtags, words, table, topics=config.topics, min_exemplars=config.min_exemplars, seed=config.seed
    )
    for topic, names in enumerate(found.exemplars()):
        log.info("topic %d: %d hashtags, such as %s", topic, int((found.topic == topic).sum()), " ".join(names))
    if len(found.unknown):
        log.info("%d hashtags have no known word and no topic", len(found.unknown))
    return _write_topics(market, found, owner, tags, Path(config.word_vectors).name)


def _tags_of_posts(posts: pa.Table) -> tuple[NDArray[np.int64], pa.Array]:
    """Row of the post and hashtag, one pair per use."""
    tags = posts.column("hashtag").combine_chunks()
    if tags.null_count < len(tags):
        has = pc.is_valid(tags)
        return np.flatnonzero(has.to_numpy(zero_copy_only=False)), tags.filter(has)
    lists = posts.column("hashtags").combine_chunks()
    flat = pc.utf8_lower(lists.flatten())
    if not len(flat):
        raise DataError('posts.parquet: columns "hashtag" and "hashtags" are empty: no hashtags, so no topics.')
    owner = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    has = pc.fill_null(pc.not_equal(flat, ""), False)
    return owner[has.to_numpy(zero_copy_only=False)], flat.filter(has)


def _write_topics(market: Market, found: Topics, owner: NDArray[np.int64], tags: pa.Array, made: str) -> dict[str, int]:
    folder, d = market.path / FOLDER, found.vectors.shape[1]
    row = pc.fill_null(pc.index_in(tags, value_set=found.hashtags), -1).to_numpy(zero_copy_only=False)
    known = row >= 0
    posts, place = np.unique(owner[known], return_inverse=True)
    total = np.zeros((len(posts), d))
    np.add.at(total, place, found.vectors[row[known]])
    vectors = (total / np.bincount(place, minlength=len(posts))[:, None]).astype(np.float32)
    post_ids = market.table("posts").column("post_id").combine_chunks().take(pa.array(posts))
    parts = (
        ("hashtag_vector", "hashtag", found.hashtags, found.vectors),
        ("hashtag_topic", "hashtag", found.hashtags, found.topic),
        ("post_topic", "post_id", post_ids, found.assign(vectors)),
    )
    for name, key, ids, values in parts:
        shape, dtype = values.shape[1:], values.dtype.name
        with ArrayWriter(
            folder, name=name, key=key, shape=shape, dtype=dtype, source=f"topics of hashtags, {made}"
        ) as out:
            out.append(ids, values)
    return {name: len(ids) for name, _, ids, _ in parts}
