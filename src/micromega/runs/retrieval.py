"""What `retrieve` leaves beside the score table: vectors, and how they serve."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from micromega.files import write_text_atomically
from micromega.models.evaluation import Retrieved
from micromega.scores import Lineage, ScoreKind, embedding_table, write_scores

BRANDS, CREATORS = "embedding_brands.parquet", "embedding_creators.parquet"
INDEX, FACTS = "creators.faiss", "retrieval.json"

_NOTE = "The score of a brand and a creator (rank logit) is the inner product of their vectors in {} and {}."


def write_retrieval(folder: Path, found: Retrieved, lineage: Lineage) -> dict[str, Any]:
    """Write the vectors of both sides, the index if there is one, and how shortlists were found.

    Brands and creators have a file each: an account may be on both sides, with another vector on each, and the brands'
    few rows change more often than the creators' millions.

    Args:
        folder: the run folder.
        found: vectors and shortlists; vectors may be of any float type, in memory or memory-mapped.
        lineage: where the vectors come from; score_kind and the first note are set here.

    Returns:
        The content of `retrieval.json`: the fields of `RetrievalFacts`.

    Raises:
        ScoreError: ids and vectors differ in number, or an id is there twice.
    """
    notes = (_NOTE.format(BRANDS, CREATORS), *lineage.notes)
    own = dataclasses.replace(lineage, score_kind=ScoreKind.VECTOR, notes=notes)
    (folder / INDEX).unlink(missing_ok=True)  # an earlier one is of other vectors
    sides = ((BRANDS, found.brand_ids, found.brands), (CREATORS, found.creator_ids, found.creators))
    for file, ids, vectors in sides:
        table = embedding_table(subject_ids=ids, vectors=vectors)
        write_scores(table, folder / file, name="embedding", lineage=own)
    if found.shortlists.index is not None:
        found.shortlists.index.save(folder / INDEX)
    facts = dataclasses.asdict(found.shortlists.facts)
    write_text_atomically(folder / FACTS, json.dumps(facts, indent=2) + "\n")
    return facts
