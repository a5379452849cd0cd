"""Average elasticity curves of groups of posts, and the counterfactual curves that belong to them.

N posts, G log followers, E members of an ensemble, K groups, C clusters, B replicates of the bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.deepiv.bands import percentile_band, simultaneous_band
from micromega.models.deepiv.shapes import Shape, curve_shape, tier_averages

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupCurve:
    """Average FEI curve of a group of posts.

    Attributes:
        group: its label.
        posts: how many.
        clusters: how many creators made them.
        log_followers: (G,).
        elasticity: mean FEI, (G,).
        lower, upper: interval of the mean, (G,), by percentiles or simultaneous over sizes; NaN for a group of one
            cluster. Sampling variability of the posts and, with several members, of what the members differ in; not
            total error.
        tiers: mean FEI in the observed part of each of the six tiers, (6,), NaN where there is none.
        shape: class of the counterfactual curve by these, see `shapes.curve_shape`.
    """

    group: str
    posts: int
    clusters: int
    log_followers: Reals
    elasticity: Reals
    lower: Reals
    upper: Reals
    tiers: Reals
    shape: Shape


class GroupSums:
    """Running sums of elasticities by group, so that posts can come in blocks of any size.

    The interval is a bootstrap over clusters: replicate b draws clusters with replacement, once for all groups, and
    takes member b mod E. With members fitted to bootstrap samples of their own, both sources of variation are in it.
    """

    def __init__(
        self,
        log_followers: ArrayLike,
        groups: tuple[str, ...],
        *,
        clusters: int,
        replicates: int = 200,
        seed: int = 0,
    ) -> None:
        """Start with nothing.

        Args:
            log_followers: rising, (G,).
            groups: labels, (K,).
            clusters: C, of all groups together.
            replicates: of the bootstrap.
            seed: of its draws.
        """
        if replicates < 2 or clusters < 1:
            raise ConfigError(f"replicates={replicates}, clusters={clusters}: at least 2 replicates and 1 cluster.")
        self.log_followers = np.asarray(log_followers, dtype=np.float64)
        self.groups = groups
        shape = (len(groups), len(self.log_followers))
        rng = np.random.default_rng(seed)
        self._weight_BC = np.empty((replicates, clusters), np.float32)  # small whole numbers: exact
        for weight_C in self._weight_BC:
            weight_C[:] = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)
        self._sum_KG = np.zeros(shape)
        self._count_K = np.zeros(len(groups), np.int64)
        self._sum_BKG = np.zeros((replicates, *shape))
        self._weight_BK = np.zeros((replicates, len(groups)))
        self._seen_KC = np.zeros((len(groups), clusters), dtype=np.bool_)

    def add(self, elasticity: ArrayLike, group: ArrayLike, cluster: ArrayLike) -> None:
        """Add a block of posts.

        Args:
            elasticity: (n, G), or (E, n, G) for the members of an ensemble.
            group: position in `groups`, (n,); -1 for a post of none.
            cluster: 0 … C − 1, (n,).

        Raises:
            DataError: shapes or codes do not fit.
        """
        values = np.asarray(elasticity, dtype=np.float64)
        values = values[None] if values.ndim == 2 else values
        group_n, cluster_n = np.asarray(group, np.int64), np.asarray(cluster, np.int64)
        self._check(values, group_n, cluster_n)
        mean = values.mean(axis=0)
        for k in np.unique(group_n[group_n >= 0]):
            rows = np.flatnonzero(group_n == k)
            self._sum_KG[k] += mean[rows].sum(axis=0)
            self._count_K[k] += len(rows)
            self._seen_KC[k, cluster_n[rows]] = True
            weight = self._weight_BC[:, cluster_n[rows]]
            self._weight_BK[:, k] += weight.sum(axis=1, dtype=np.float64)
            for member in range(min(len(values), len(weight))):
                self._sum_BKG[member :: len(values), k] += weight[member :: len(values)] @ values[member, rows]

    def _check(self, values: Reals, group: Ints, cluster: Ints) -> None:
        wanted = (len(group), len(self.log_followers))
        if values.ndim != 3 or values.shape[1:] != wanted or cluster.shape != group.shape:
            raise DataError(
                f"curves: elasticities of shape {values.shape} for {wanted[0]} posts and {wanted[1]} points."
            )
        if not np.isfinite(values).all():
            raise DataError(f"curves: {int((~np.isfinite(values)).sum())} elasticities are not finite.")
        if len(group) and (group.max() >= len(self.groups) or cluster.min() < 0):
            raise DataError("curves: a group or cluster code is out of range.")
        if len(group) and cluster.max() >= self._weight_BC.shape[1]:
            raise DataError("curves: a cluster code is out of range.")

    def curves(
        self,
        level: float = 0.95,
        *,
        simultaneous: bool = False,
        logarithm: bool = False,
        support: tuple[float, float] | None = None,
    ) -> list[GroupCurve]:
        """Finish.

        Args:
            level: of the intervals, in (0, 1).
            simultaneous: over sizes (`simultaneous_band`), instead of percentiles at each.
            logarithm: of the means, which must be above 0; means of impressions become log impressions.
            support: first and last log followers that were observed: tiers and shape are of these; None: all.

        Returns:
            One curve for each group that has posts, in the order of `groups`.
        """
        read = np.log if logarithm else np.asarray
        found = []
        for k, name in enumerate(self.groups):
            if not self._count_K[k]:
                continue
            mean = np.asarray(read(self._sum_KG[k] / self._count_K[k]), dtype=np.float64)
            lower, upper = self._band(k, mean, read, level, simultaneous=simultaneous)
            tiers = tier_averages(self.log_followers, mean, support)
            found.append(
                GroupCurve(
                    group=name,
                    posts=int(self._count_K[k]),
                    clusters=int(self._seen_KC[k].sum()),
                    log_followers=self.log_followers,
                    elasticity=mean,
                    lower=lower,
                    upper=upper,
                    tiers=tiers,
                    shape=curve_shape(tiers),
                )
            )
        return found

    def _band(
        self, k: int, mean: Reals, read: Callable[[Reals], Reals], level: float, *, simultaneous: bool
    ) -> tuple[Reals, Reals]:
        """(G,) each; NaN for a group of one cluster."""
        drawn = self._weight_BK[:, k] > 0  # a small group may have no cluster in a replicate
        if self._seen_KC[k].sum() < 2 or drawn.sum() < 2:
            return np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        draws = read(self._sum_BKG[drawn, k] / self._weight_BK[drawn, k, None])
        band = simultaneous_band(draws, level, mean) if simultaneous else percentile_band(draws, level)
        return np.asarray(band.lower, np.float64), np.asarray(band.upper, np.float64)


def group_curves(
    log_followers: ArrayLike,
    elasticity: ArrayLike,
    *,
    group: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
    replicates: int = 200,
    seed: int = 0,
    support: tuple[float, float] | None = None,
) -> list[GroupCurve]:
    """Average FEI curves of groups of posts (Tian et al. 2022, Figures 6 to 8 and Table 4).

    Args:
        log_followers: rising, (G,).
        elasticity: FEI of each post, (N, G), or of each member and post, (E, N, G).
        group: label of each post (engagement tactic, topic, hashtag), (N,); None: all posts are one group "all".
        cluster: creator of each post, (N,); None: every post is its own.
        level: of the intervals, in (0, 1).
        replicates: of the bootstrap.
        seed: of its draws.
        support: as in `GroupSums.curves`.

    Returns:
        One curve per label, labels sorted. For posts in blocks see `GroupSums`.

    Raises:
        DataError: shapes do not fit, or a value is not finite.
    """
    values = np.asarray(elasticity, dtype=np.float64)
    posts = values.shape[-2]
    labels, code = np.unique(np.full(posts, "all") if group is None else np.asarray(group), return_inverse=True)
    owner = np.arange(posts) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    names = tuple(map(str, labels.tolist()))
    sums = GroupSums(log_followers, names, clusters=int(owner.max()) + 1, replicates=replicates, seed=seed)
    sums.add(values, code, owner)
    return sums.curves(level, support=support)


def integrate_elasticity(
    log_followers: ArrayLike, elasticity: ArrayLike, *, anchor: float, log_impressions: float
) -> Reals:
    """Log impressions by size, from an FEI curve and one known point (the constant of integration).

    Args:
        log_followers: rising, (G,).
        elasticity: FEI, (..., G), taken as straight between points.
        anchor: log followers of the known point, within the grid.
        log_impressions: there; for the average of many posts the paper takes the log of their mean impressions.

    Returns:
        (..., G).

    Raises:
        ConfigError: the anchor lies outside the grid.
    """
    u, slope = np.asarray(log_followers, np.float64), np.asarray(elasticity, np.float64)
    if not u[0] <= anchor <= u[-1]:
        raise ConfigError(f"anchor: log followers {anchor:g} lie outside the curve ({u[0]:g} to {u[-1]:g}).")
    rise = _areas(u, slope)
    cell = int(np.clip(np.searchsorted(u, anchor, side="right") - 1, 0, len(u) - 2))
    share = (anchor - u[cell]) / (u[cell + 1] - u[cell])
    there = slope[..., cell] + share / 2 * (slope[..., cell + 1] - slope[..., cell])  # mean slope up to the anchor
    at_anchor = rise[..., cell] + (anchor - u[cell]) * there
    return np.asarray(log_impressions + rise - at_anchor[..., None])


def _areas(u: Reals, slope: Reals) -> Reals:
    """(..., G) integral from the first point."""
    cells = np.diff(u) * (slope[..., 1:] + slope[..., :-1]) / 2
    return np.concatenate([np.zeros((*slope.shape[:-1], 1)), np.cumsum(cells, axis=-1)], axis=-1)


def smearing_factor(residual: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean of exp(residual) (Duan 1983): E[R] = exp(h) · factor, if residuals do not depend on what is changed.

    Args:
        residual: y − h(t, x) on rows that h was not fitted to, in logs, (N,).
        weight: of each row, (N,).

    Returns:
        The factor; 1 or more where residuals have mean 0.
    """
    share = None if weight is None else np.asarray(weight, dtype=np.float64)
    return float(np.average(np.exp(np.asarray(residual, dtype=np.float64)), weights=share))
