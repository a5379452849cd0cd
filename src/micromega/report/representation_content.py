"""What the report of a representation of posts shows: plain values, gathered by the caller. No models, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from micromega.models.vsvae.result import RepresentationEvaluation

REPRESENTATION_LIMITS = (
    "Accuracy is of words in the vocabulary, each at its own place, restored from r alone without seeing the words "
    "before it. A fluent caption that says the same in another order counts as wrong.",
    "A mean squared error over numbers of different units speaks of the largest ones. The standardised R² weighs "
    "all numbers of a part alike.",
    "Posts under one hashtag are alike in what the hashtag asks for. A neighbour under another hashtag may be alike "
    "as well.",
    "That r foretells popularity does not say that changing the content would change it.",
)
"""What every report of a representation must admit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RepresentationReport:
    """All that the page of one evaluated VS-VAE shows. Parts of the result that are None or empty are left out.

    Attributes:
        market: name of the market.
        result: what evaluation has found.
        notice: what a reader must know first, for instance that the market is simulated.
        limits: one or two sentences each.
        facts: label -> value, of the split and the data.
        lineage: label -> value: fingerprints, commit, versions, seed, signature, time.
    """

    market: str
    result: RepresentationEvaluation
    notice: str | None = None
    limits: tuple[str, ...] = REPRESENTATION_LIMITS
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lineage: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
