"""A market as the ranker sees it: brands, candidate creators, who worked with whom, and one vector per view.

A *view* is a set of posts that stands for an account, or, where a market has no posts, the account itself. Each brand
and each candidate creator has one. Where a brand is known only by other creators' posts that mention it, each positive
pair has a further view of the brand, without the posts of that creator: otherwise the pair's own post would give the
answer away. For the same reason a creator's view never holds a post that mentions any brand of the market.

Shapes: P posts, B brands (those that take no part in training last), M creators (candidates), E positive pairs, V views
(B brands, E pairs where brands are known by mentions, M creators).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Everything the ranker reads of a market.

    Attributes:
        brand_ids: (B,) account ids; ascending, then those of cold brands, ascending.
        cold: how many brands, the last ones, have too few partners to take part; they have no pairs here.
        brand_categories: (B,) category, "" if unknown.
        creator_ids: (M,) account ids of the candidates, ascending.
        pair_brand, pair_creator: (E,) rows of the positive pairs, ordered by brand, then creator.
        pair_engagement: (E,) mean (likes + comments) per follower of the posts that advertise the brand (eq. 9).
        pair_view: (E,) view that stands for the brand in this pair.
        features: modality -> (V, d) pooled, not standardised.
        members: (V, P) sparse 0/1, which posts stand for which view; of P = 0 where a market has no posts.
    """

    brand_ids: NDArray[np.str_]
    cold: int = 0
    brand_categories: NDArray[np.str_]
    creator_ids: NDArray[np.str_]
    pair_brand: Ints
    pair_creator: Ints
    pair_engagement: NDArray[np.float32]
    pair_view: Ints
    features: Mapping[str, NDArray[np.float32]]
    members: sparse.csr_matrix

    @property
    def creator_view(self) -> Ints:
        """(M,) view of each candidate."""
        return self.first_creator_view + np.arange(len(self.creator_ids))

    @property
    def first_creator_view(self) -> int:
        """Number of views that stand for brands; those of creators come after them."""
        return int(self.members.shape[0]) - len(self.creator_ids)

    def labels(self, brands: Ints | None = None, creators: Ints | None = None) -> NDArray[np.bool_]:
        """Whether pairs are positive.

        Args:
            brands: (n,) rows of different brands; None: all.
            creators: (m,) rows of candidates, ascending; None: all.

        Returns:
            (n, m).
        """
        row, columns = self._row_of(brands), self._all_or(creators)
        found = np.zeros((len(self.brand_ids) if brands is None else len(brands), len(columns)), dtype=bool)
        pairs, column = _within(columns, self.pair_creator, row[self.pair_brand] >= 0)
        found[row[self.pair_brand[pairs]], column] = True
        return found

    def candidates(self, brands: Ints, among: str) -> NDArray[np.bool_]:
        """(M,) who competes for some brands: those who work with one of them ("split") or everybody ("all")."""
        found = np.full(len(self.creator_ids), among == "all")
        found[self.pair_creator[np.isin(self.pair_brand, brands)]] = True
        return found

    def same_category(self, brands: Ints | None = None, creators: Ints | None = None) -> NDArray[np.bool_]:
        """Whether creators work with a brand of a brand's category (what cAUC compares with); see `labels`."""
        categories, code = np.unique(self.brand_categories, return_inverse=True)
        works_for = np.zeros((len(self.creator_ids), len(categories)), dtype=bool)
        works_for[self.pair_creator, code[self.pair_brand]] = True
        mine = code if brands is None else code[brands]
        known: NDArray[np.bool_] = (categories != "")[mine][:, None] & works_for[self._all_or(creators)].T[mine]
        return known

    def shown_views(self, brands: Ints, creators: Ints | None = None) -> tuple[Ints, Ints]:
        """Choose the view of a brand that each candidate is compared with.

        A partner is shown the view that leaves out its posts; anybody else one of those views, in turn, so that neither
        side's views hold more posts, or are smoother, than the other's. Brands without pairs show their whole view.

        Args:
            brands: (n,) rows of different brands.
            creators: (m,) rows of candidates, ascending; None: all. Each is shown the same view whoever else is asked.

        Returns:
            (k,) views, the same for any creators, and (n, m) which of them is shown to each candidate.
        """
        row, columns = self._row_of(brands), self._all_or(creators)
        mine = np.flatnonzero(row[self.pair_brand] >= 0)
        mine = mine[np.argsort(row[self.pair_brand[mine]], kind="stable")]
        counts = np.bincount(row[self.pair_brand[mine]], minlength=len(brands))
        alone = np.flatnonzero(counts == 0)
        views = np.concatenate([self.pair_view[mine], brands[alone]])
        first, counts = np.cumsum(counts) - counts, np.maximum(counts, 1)
        first[alone] = len(mine) + np.arange(len(alone))
        shown = first[:, None] + columns % counts[:, None]
        place, column = _within(columns, self.pair_creator[mine])
        shown[row[self.pair_brand[mine[place]]], column] = place
        return views, shown

    def _all_or(self, creators: Ints | None) -> Ints:
        return np.arange(len(self.creator_ids)) if creators is None else creators

    def _row_of(self, brands: Ints | None) -> Ints:
        """(B,) place of each brand among some, -1 for the others."""
        if brands is None:
            return np.arange(len(self.brand_ids))
        row = np.full(len(self.brand_ids), -1)
        row[brands] = np.arange(len(brands))
        return row


def _within(columns: Ints, creators: Ints, wanted: NDArray[np.bool_] | None = None) -> tuple[Ints, Ints]:
    """Of creators (E,), the places of those that are wanted and in ascending `columns` (m,), and where they are."""
    column = np.searchsorted(columns, creators)
    found = column < len(columns)
    found[found] = columns[column[found]] == creators[found]
    places = np.flatnonzero(found if wanted is None else found & wanted)
    return places, column[places]
