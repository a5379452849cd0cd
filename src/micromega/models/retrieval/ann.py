"""An approximate index of creators by inner product: lists of near neighbours with one byte per coordinate (FAISS).

Why this kind (10⁷ vectors of length 64): it builds in minutes where a graph (HNSW; FAISS, usearch) takes an hour or
more, holds 72 bytes per creator where a graph holds 300 to 600, and the same seed gives the same index. What is lost to
one byte per coordinate, the exact scoring of the candidates brings back.
"""

import hashlib
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from micromega.errors import DataError, MissingExtraError
from micromega.files import write_atomically
from micromega.models.retrieval.exact import (
    BLOCK,
    QUERIES,
    Vectors,
    check_shapes,
    largest,
    rescore,
    single,
    top_k_exact,
)

if TYPE_CHECKING:
    import faiss

TRAINED_ON = 64  # vectors per list that the lists are learned from
ROUNDS = 8  # of k-means
DIGEST = hashlib.sha256().digest_size
SPARE = 4  # candidates scored exactly, per creator wanted


class CreatorIndex:
    """Creators sorted into lists of neighbours; a query reads the lists whose middle scores highest.

    Lists are cells of Euclidean k-means, also where vectors differ in length: cells by inner product would gather most
    creators in the few lists with the longest middles. Lists to read are chosen by inner product, which is what counts.

    Attributes:
        lists: number of lists, about √M.
        library: what does the work, with its version.
    """

    def __init__(self, index: "faiss.IndexIVF", vectors_MD: Vectors) -> None:
        """Take a filled FAISS index and the vectors it was made from, in memory or memory-mapped."""
        self._index, self._vectors_MD = index, vectors_MD
        self.lists, self.library = int(index.nlist), f"faiss {load_faiss().__version__}"

    @classmethod
    def build(cls, vectors_MD: Vectors, *, seed: int = 0, block: int = 8 * BLOCK) -> Self:
        """Learn the lists from a sample of the vectors and fill them, block by block.

        Args:
            vectors_MD: (M, D) creators, finite, in memory or memory-mapped; kept for the exact scoring.
            seed: of the sample and of k-means; the same seed and number of threads give the same index.
            block: creators at a time.

        Raises:
            DataError: shapes do not fit, or a value is not finite.
            MissingExtraError: FAISS is not installed.
        """
        library = load_faiss()
        creators, dimension = vectors_MD.shape
        check_shapes(vectors_MD[:0], vectors_MD, 1)
        lists = max(math.isqrt(creators), 1)
        sample = np.random.default_rng(seed).choice(creators, min(TRAINED_ON * lists, creators), replace=False)
        sample_ND = single(np.asarray(vectors_MD[np.sort(sample)]))
        largest(sample_ND, "sampled creators", 0)
        cells = library.IndexFlat(dimension, library.METRIC_L2)
        index = library.IndexIVFScalarQuantizer(
            cells, dimension, lists, library.ScalarQuantizer.QT_8bit, library.METRIC_INNER_PRODUCT
        )
        index.cp.niter, index.cp.seed, index.cp.spherical = ROUNDS, seed % 2**31, False
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAINED_ON
        index.train(sample_ND)
        for first in range(0, creators, block):
            block_MD = single(np.asarray(vectors_MD[first : first + block]))
            largest(block_MD, "creators", first)
            index.add(block_MD)
        cells.metric_type = library.METRIC_INNER_PRODUCT
        return cls(index, vectors_MD)

    def save(self, path: Path) -> None:
        """Write the index, whole or not at all, with its SHA-256 at the end; the vectors stay where they are."""
        content = load_faiss().serialize_index(self._index)
        digest = hashlib.sha256(content.data).digest()
        write_atomically(path, lambda file: file.writelines((content.data, digest)))

    @classmethod
    def load(cls, path: Path, vectors_MD: Vectors) -> Self:
        """Read an index back.

        Args:
            path: file that `save` wrote.
            vectors_MD: (M, D) the vectors that it was built from.

        Raises:
            DataError: the file is missing, damaged, or belongs to other vectors.
            MissingExtraError: FAISS is not installed.
        """
        library = load_faiss()
        if not path.is_file():
            raise DataError(f"{path}: no such file. Run evaluate.py with retrieve=ann; it writes the index.")
        held = np.fromfile(path, dtype=np.uint8)
        content = held[:-DIGEST]
        if hashlib.sha256(content.data).digest() != held[-DIGEST:].tobytes():  # FAISS would believe damaged sizes
            raise DataError(f"{path}: is damaged or no index of ours. Run evaluate.py with retrieve=ann again.")
        index = library.deserialize_index(content)
        if (index.ntotal, index.d) != tuple(vectors_MD.shape):
            vectors = f"{index.ntotal:,} vectors of length {index.d}"
            raise DataError(f"{path}: indexes {vectors}, not these {tuple(vectors_MD.shape)}. Build it again.")
        return cls(index, vectors_MD)

    def search(self, queries_BD: Vectors, k: int, *, probes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Find about the k best creators of each query; their scores and order are exact.

        Args:
            queries_BD: (B, D) queries, finite.
            k: creators per query, at least 1.
            probes: lists that each query reads, up to `lists`; more find more.

        Returns:
            Rows of the creators, (B, min(k, M)), best first, and their inner products, (B, min(k, M)). Queries whose
            lists hold fewer than k are answered from all creators.

        Raises:
            DataError: shapes do not fit, or a value is not finite.
        """
        queries_BD = np.asarray(queries_BD)
        check_shapes(queries_BD, self._vectors_MD, k)
        float_BD = np.ascontiguousarray(single(queries_BD))
        largest(float_BD, "queries", 0)
        k = min(k, len(self._vectors_MD))
        wanted = min(SPARE * k, len(self._vectors_MD))
        settings = load_faiss().SearchParametersIVF(nprobe=min(probes, self.lists))
        rows_BK, scores_BK = np.empty((len(queries_BD), k), np.int64), np.empty((len(queries_BD), k))
        for start in range(0, len(queries_BD), QUERIES):
            some = slice(start, start + QUERIES)
            _, candidates_BC = self._index.search(float_BD[some], wanted, params=settings)
            rows_BK[some], scores_BK[some] = rescore(queries_BD[some], self._vectors_MD, candidates_BC, k)
        short = np.flatnonzero(rows_BK[:, -1] < 0)
        if short.size:
            rows_BK[short], scores_BK[short] = top_k_exact(queries_BD[short], self._vectors_MD, k)
        return rows_BK, scores_BK


def load_faiss() -> Any:
    """Import FAISS.

    Raises:
        MissingExtraError: it is not installed.
    """
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # eight lines about processors otherwise
    try:
        import faiss  # noqa: PLC0415 — heavy, and an extra
    except ImportError:
        raise MissingExtraError('retrieve=ann needs FAISS. Run: pip install "micromega[retrieval]"') from None
    return faiss
