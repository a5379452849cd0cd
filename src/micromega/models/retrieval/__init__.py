"""Retrieval at scale: of millions of vectors, those with the largest inner products; by all of them or by an index."""

from micromega.models.retrieval.ann import CreatorIndex
from micromega.models.retrieval.exact import top_k_exact
from micromega.models.retrieval.shortlists import RetrievalFacts, Shortlists, shortlist

__all__ = ["CreatorIndex", "RetrievalFacts", "Shortlists", "shortlist", "top_k_exact"]
