"""How many rows were dropped, as numbers beside the notes that say it in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WORTH_CHECKING, SERIOUS = 0.01, 0.10
"""Shares of a table's rows above which a loss is worth checking, and serious."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Rows of one table, or of one file of a source, that were dropped.

    Attributes:
        rows: number of them.
        of: rows before.
    """

    rows: int
    of: int

    @property
    def share(self) -> float:
        """Dropped rows as a share of all, in [0, 1]."""
        return self.rows / self.of

    @property
    def words(self) -> str:
        """What was dropped and kept.

        Example:
            >>> Loss(rows=920, of=1000).words
            'dropped 920 of 1,000 rows (92.0%), kept 80'
        """
        share = f"{self.share:.1%}" if self.share >= 0.001 else "under 0.1%"
        return f"dropped {self.rows:,} of {self.of:,} rows ({share}), kept {self.of - self.rows:,}"


class DropNote(str):
    """A note of dropped rows that also knows their number; readers of notes see a text like any other.

    Importers hand notes on in their own order; numbers that travel with them reach the market from every importer.
    """

    __slots__ = ("loss", "where")

    loss: Loss
    where: str
    """Table, or file of a source that fills several."""

    def __new__(cls, text: str, *, where: str, rows: int, of: int) -> "DropNote":
        """Make a note.

        Args:
            text: the sentence.
            where: table or file.
            rows: dropped for this one reason.
            of: rows before that.
        """
        note = super().__new__(cls, text)
        note.loss, note.where = Loss(rows=rows, of=of), where
        return note


def losses(notes: Iterable[str], before: Mapping[str, Loss] | None = None) -> dict[str, Loss]:
    """Sum up what notes say.

    Args:
        notes: any; those that are no `DropNote` say nothing.
        before: dropped earlier.

    Returns:
        Table or file -> its loss, out of the rows before the first of them went.
    """
    found = dict(before or {})
    for note in notes:
        if isinstance(note, DropNote):
            other = found.get(note.where, Loss(rows=0, of=0))
            found[note.where] = Loss(rows=other.rows + note.loss.rows, of=max(other.of, note.loss.of))
    return found


def alarm(dropped: Mapping[str, Loss]) -> str:
    """One loud sentence for tables that lost more than a tenth of their rows; "" if none did."""
    heavy = [f"{where} {loss.words}" for where, loss in dropped.items() if loss.share > SERIOUS]
    if not heavy:
        return ""
    return (
        f"WARNING: more than {SERIOUS:.0%} of the rows were dropped: {'; '.join(heavy)}. What is left may be no fair "
        "sample: correct the source or the map, then import again."
    )
