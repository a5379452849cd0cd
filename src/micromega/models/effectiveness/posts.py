"""D_I, the creators: how their own posts fared before the day of the plan. Shapes: R posts, N posts to be bought."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.models.effectiveness.catalog import Catalog, Reals, Tuples, days, places
from micromega.models.effectiveness.running import Running


def read_posts(catalog: Catalog, table: pa.Table | None, *, settle_days: int) -> Running | None:
    """Prepare creators' past posts for questions.

    Args:
        catalog: of the market.
        table: the posts, or None.
        settle_days: from a post until its numbers are known.

    Returns:
        By creator: log impressions, log engagement per follower; None without dated posts.
    """
    if table is None or table["posted_at"].null_count == table.num_rows:
        return None
    table = table.filter(pc.is_valid(table["posted_at"]))
    author = places(table["account_id"], catalog.creators.ids)
    impressions, likes, comments = (
        np.asarray(pc.cast(table[name], pa.float64()).to_numpy(zero_copy_only=False))
        for name in ("impressions", "likes", "comments")
    )
    followers = np.where(author >= 0, catalog.creators.followers[author], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.log1p(likes + np.nan_to_num(comments)) - np.log1p(followers)
    return Running(author, days(table["posted_at"]) + settle_days, np.column_stack([np.log1p(impressions), rate]))


def post_columns(posts: Running | None, tuples: Tuples) -> dict[str, Reals]:
    """Describe the creators' own posts that each plan could know; NaN where there were none.

    Args:
        posts: what `read_posts` gave.
        tuples: the posts to be bought.

    Returns:
        Name -> (N,).
    """
    if posts is None:
        return {}
    found = posts.before(tuples.creator, tuples.known_before)
    mean = found.mean()
    return {
        "own_posts": np.where(found.records > 0, np.log1p(found.records), np.nan),
        "own_impressions": mean[:, 0],
        "own_engagement_rate": mean[:, 1],
    }
