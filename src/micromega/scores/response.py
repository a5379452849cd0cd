"""What a reader of a response table must know of its curves beside their numbers."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal, Self

from micromega.errors import ScoreError

Band = Literal["pointwise", "simultaneous"]


@dataclass(frozen=True, kw_only=True)
class ResponseFacts:
    """Of all curves of a response table; stored as JSON in the Parquet metadata.

    Attributes:
        band: what `lower` and `upper` hold with the level: "simultaneous" the whole curve at once, "pointwise" each of
            its points by itself; None: the table has no bands.
        level: of the bands, in (0, 1); None where there are none.
        support: log followers between which sizes count as observed: those of nearly all posts that the model learnt
            from.
        centre: mean log followers of those posts.
    """

    band: Band | None
    level: float | None
    support: tuple[float, float]
    centre: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "support", tuple(self.support))
        if self.band not in {None, "pointwise", "simultaneous"}:
            raise ScoreError(f"ResponseFacts: band is {self.band!r}. Allowed: pointwise, simultaneous, None.")
        if (self.band is None) != (self.level is None) or not (self.level is None or 0 < self.level < 1):
            raise ScoreError(f"ResponseFacts: level is {self.level}. A band has one between 0 and 1, no band has none.")
        low, high = self.support
        if not (low <= high and all(map(math.isfinite, (low, high, self.centre)))):
            raise ScoreError(f"ResponseFacts: support is {low} to {high}, centre {self.centre}. Numbers must rise.")

    def to_text(self) -> str:
        """JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read them back; ValueError, TypeError or ScoreError where the text is damaged."""
        return cls(**json.loads(text))
