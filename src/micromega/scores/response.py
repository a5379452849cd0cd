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
            from; None: not known. Posts of one size make no range, so two equal numbers become None.
        centre: mean log followers of those posts.
    """

    band: Band | None
    level: float | None
    support: tuple[float, float] | None
    centre: float

    def __post_init__(self) -> None:
        if self.band not in {None, "pointwise", "simultaneous"}:
            raise ScoreError(f"ResponseFacts: band is {self.band!r}. Allowed: pointwise, simultaneous, None.")
        if (self.band is None) != (self.level is None) or not (self.level is None or 0 < self.level < 1):
            raise ScoreError(f"ResponseFacts: level is {self.level}. A band has one between 0 and 1, no band has none.")
        if not math.isfinite(self.centre):
            raise ScoreError(f"ResponseFacts: centre is {self.centre}. It must be a finite number.")
        if self.support is not None:
            low, high = self.support
            if not (low <= high and math.isfinite(low) and math.isfinite(high)):
                raise ScoreError(f"ResponseFacts: support is {low} to {high}. Two finite numbers must rise.")
            object.__setattr__(self, "support", (low, high) if low < high else None)

    def to_text(self) -> str:
        """JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read them back; ValueError, TypeError, OverflowError or ScoreError where the text is damaged."""
        return cls(**json.loads(text))
