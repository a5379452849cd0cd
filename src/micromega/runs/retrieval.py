"""What evaluate.py leaves with `retrieve=exact` or `retrieve=ann`: vectors, shortlists, and how these were found."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.files import write_text_atomically
from micromega.models.retrieval.exact import Vectors
from micromega.models.retrieval.shortlists import Mode, shortlist
from micromega.scores import Lineage, ScoreKind, affinity_table, embedding_table, write_scores

BRANDS, CREATORS = "embedding_brands.parquet", "embedding_creators.parquet"
SHORTLIST, INDEX, FACTS = "shortlist.parquet", "creators.faiss", "retrieval.json"
FILES = (BRANDS, CREATORS, SHORTLIST, INDEX, FACTS)
"""All that may be left in a run folder."""

_NOTE = "The score of a brand and a creator (rank logit) is the inner product of their vectors in {} and {}."


def write_retrieval(
    folder: Path,
    *,
    mode: Mode,
    brand_ids: NDArray[np.str_],
    brand_vectors: Vectors,
    creator_ids: NDArray[np.str_],
    creator_vectors: Vectors,
    k: int,
    lineage: Lineage,
) -> dict[str, Any]:
    """Write the vectors of both sides, the k best creators of each brand, and how they were found.

    Brands and creators have a file each: an account may be on both sides, with another vector on each, and the brands'
    few rows change more often than the creators' millions.

    Args:
        folder: the run folder.
        mode: exact, or through an index, which is then written too.
        brand_ids: (B,) ids, each once.
        brand_vectors: (B, D) vectors, scaled so that inner products are the model's scores.
        creator_ids: (M,) ids, each once.
        creator_vectors: (M, D) vectors, in memory or memory-mapped.
        k: creators per brand.
        lineage: where the vectors come from; score_kind and the first note are set here.

    Returns:
        The content of `retrieval.json`: the fields of `RetrievalFacts`.

    Raises:
        ScoreError: ids and vectors differ in number, or an id is there twice.
        DataError: a vector is not finite.
        MissingExtraError: mode is "ann" and FAISS is not installed.
    """
    brand_vectors, creator_vectors = _narrow(brand_vectors), _narrow(creator_vectors)
    notes = (_NOTE.format(BRANDS, CREATORS), *lineage.notes)
    own = dataclasses.replace(lineage, score_kind=ScoreKind.VECTOR, notes=notes)
    (folder / INDEX).unlink(missing_ok=True)  # an earlier one is of other vectors
    for file, ids, vectors in ((BRANDS, brand_ids, brand_vectors), (CREATORS, creator_ids, creator_vectors)):
        table = embedding_table(subject_ids=ids, vectors=vectors)
        write_scores(table, folder / file, name="embedding", lineage=own)
    found = shortlist(brand_vectors, creator_vectors, k, mode=mode)
    table = affinity_table(
        brand_ids=np.repeat(brand_ids, found.rows.shape[1]),
        creator_ids=creator_ids[found.rows.ravel()],
        scores=found.scores.ravel(),
    )
    own = dataclasses.replace(lineage, score_kind=ScoreKind.RANK_LOGIT, notes=notes)
    write_scores(table, folder / SHORTLIST, name="affinity", lineage=own)
    if found.index is not None:
        found.index.save(folder / INDEX)
    facts = dataclasses.asdict(found.facts)
    write_text_atomically(folder / FACTS, json.dumps(facts, indent=2) + "\n")
    return facts


def _narrow(vectors: Vectors) -> Vectors:
    """No wider than what the file holds, so that scores made here and scores made from the file agree."""
    return vectors.astype(np.float32) if vectors.dtype.itemsize > 4 else vectors
