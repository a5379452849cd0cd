"""What a post belongs to in the hierarchy, and which day is its first. N posts."""

from collections import Counter
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Group = Literal["hashtag", "commonest_hashtag", "author"]
Clock = Literal["views", "first_listed"]


def needed_for(group: Group) -> str:
    """Column of posts that a group comes from."""
    columns: dict[Group, str] = {"hashtag": "hashtag", "commonest_hashtag": "hashtags", "author": "account_id"}
    return columns[group]


def group_of(posts: pa.Table, group: Group) -> pa.Array | pa.ChunkedArray:
    """(N,) group of each post, null where it has none."""
    column = posts[needed_for(group)]
    return commonest(column) if group == "commonest_hashtag" else column


def commonest(hashtags: pa.ChunkedArray) -> pa.Array:
    """Of each post's hashtags the one that most posts carry, the first in the alphabet of several; null without any.

    Args:
        hashtags: (N,) lists of strings; case does not count.

    Returns:
        (N,) strings in lower case.
    """
    lists = [sorted({tag.lower() for tag in tags or ()}) for tags in hashtags.to_pylist()]
    carried = Counter(tag for tags in lists for tag in tags)
    return pa.array([max(tags, key=carried.__getitem__, default=None) for tags in lists], pa.string())


def from_first_listed(views: pa.Table, posts: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Count days from the first that is listed of each post.

    Args:
        views: with day.
        posts: with age_days.

    Returns:
        Views whose day is 1 where a post is listed first, and posts with that day's number, less 1, as age in days if
        no post had an age.
    """
    first = views.group_by("post_id").aggregate([("day", "min")])
    ids, began = first["post_id"].combine_chunks(), first["day_min"].combine_chunks()
    day = pc.add(pc.subtract(views["day"], began.take(pc.index_in(views["post_id"], value_set=ids))), 1)
    views = views.set_column(views.column_names.index("day"), "day", day)
    if posts["age_days"].null_count == len(posts):
        age = pc.subtract(began.take(pc.index_in(posts["post_id"], value_set=ids)), 1).cast(pa.float64())
        posts = posts.set_column(posts.column_names.index("age_days"), "age_days", age)
    return views, posts
