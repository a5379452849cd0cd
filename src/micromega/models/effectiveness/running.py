"""Sums of what was known before a day, group by group, for millions of questions at once.

Shapes: R records, V values of a record, N questions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What was known of each question's group before its day.

    Attributes:
        records: (N,) how many records there were.
        count: (N, V) how many of them had each value.
        total: (N, V) sum of those values.
        age: (N,) days from the newest record's day to the question's, NaN without one.
    """

    records: Ints
    count: Reals
    total: Reals
    age: Reals

    def mean(self, shrinkage: float = 0.0, towards: Reals | float = 0.0) -> Reals:
        """Means, drawn towards a value as if `shrinkage` more records had it; NaN where nothing is known, (N, V)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(
                self.count > 0, (self.total + shrinkage * np.asarray(towards)) / (self.count + shrinkage), np.nan
            )


class Running:
    """Records sorted by group and day, with running sums: a question is two binary searches.

    Args:
        group: (R,) code of each record's group, from 0; records with a negative one are left out.
        day: (R,) day from which the record is known.
        values: (R, V) numbers of it, NaN where missing.
    """

    def __init__(self, group: Ints, day: Ints, values: Reals) -> None:
        kept = group >= 0
        group, day, values = group[kept], day[kept], values[kept]
        self.first = int(day.min()) if len(day) else 0
        self.span = int(day.max()) - self.first + 2 if len(day) else 2
        self.groups = int(group.max()) + 1 if len(group) else 0
        place = group * self.span + (day - self.first)
        order = np.lexsort((*values.T[::-1], place))  # ties by value: the order of the table must not matter
        self.place, self.day = place[order], day[order]
        sorted_values = values[order]
        zero = np.zeros((1, values.shape[1]))
        self.total = np.concatenate([zero, np.nancumsum(sorted_values, axis=0)])
        self.count = np.concatenate([zero, np.cumsum(~np.isnan(sorted_values), axis=0)])

    def before(self, group: Ints, day: Ints) -> Sums:
        """Sum the records of a group that were known strictly before a day.

        Args:
            group: (N,) codes; unknown ones have no records.
            day: (N,) days.

        Returns:
            The sums.
        """
        known = (group >= 0) & (group < self.groups)
        base = np.where(known, group, 0) * self.span
        end = np.searchsorted(self.place, base + np.clip(day - self.first, 0, self.span))
        begin = np.searchsorted(self.place, base)
        begin, end = np.where(known, begin, 0), np.where(known, end, 0)
        newest = self.day[np.maximum(end - 1, 0)] if len(self.day) else np.zeros(len(group), np.int64)
        return Sums(
            records=end - begin,
            count=self.count[end] - self.count[begin],
            total=self.total[end] - self.total[begin],
            age=np.where(end > begin, (day - newest).astype(np.float64), np.nan),
        )
