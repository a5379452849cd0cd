"""One schema per market table: columns, types, units, ranges, keys and references.

Ids are strings, times are UTC, counts are non-negative integers, money is in the market's one currency. A column that
is not required may be absent from a file; the loaded table always has all columns (null, or an empty list).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

TEXT = pa.string()
COUNT = pa.int64()
REAL = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
DATE = pa.date32()
TEXTS = pa.list_(pa.string())


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its Arrow type and what its values must satisfy."""

    type: pa.DataType
    doc: str
    """Meaning and unit."""
    required: bool = False
    """Present in the file and never null."""
    minimum: float | None = None
    """Smallest value allowed."""
    choices: tuple[str, ...] = ()
    """Values allowed; empty: any."""
    refers_to: Literal["", "account", "creator", "brand"] = ""
    """Values are ids of such accounts."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One table: its columns and its key."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    remedy: str
    """How to get the table when a market lacks it."""

    @property
    def arrow(self) -> pa.Schema:
        """The pyarrow schema, in column order."""
        return pa.schema([pa.field(name, column.type, not column.required) for name, column in self.columns.items()])


def _id(doc: str, refers_to: Literal["", "account", "creator", "brand"] = "") -> Column:
    return Column(type=TEXT, doc=doc, required=True, refers_to=refers_to)


def _text(doc: str) -> Column:
    return Column(type=TEXT, doc=doc)


def _count(doc: str) -> Column:
    return Column(type=COUNT, doc=doc, minimum=0)


ACCOUNTS = TableSchema(
    name="accounts",
    key=("account_id",),
    columns={
        "account_id": _id("unique id"),
        "kind": Column(type=TEXT, doc="brand or creator", required=True, choices=("brand", "creator")),
        "name": _text("display name, for instance a brand's handle"),
        "platform": _text("where the account lives, for instance instagram"),
        "category": _text("line of business or main subject"),
        "location": _text("city or country"),
        "followers": _count("accounts that follow this one"),
        "verified": Column(type=FLAG, doc="has the platform's badge"),
        "hearts": _count("likes received over the account's life"),
        "videos": _count("posts published over the account's life"),
        "biography": _text("profile text"),
    },
    remedy="Every market needs it: one row per brand and per creator with account_id and kind.",
)

POSTS = TableSchema(
    name="posts",
    key=("post_id",),
    columns={
        "post_id": _id("unique id"),
        "account_id": _id("author", "account"),
        "posted_at": Column(type=TIME, doc="time of publication, UTC"),
        "caption": _text("text, with @mentions and #hashtags as written"),
        "hashtags": Column(type=TEXTS, doc='without "#", in order'),
        "mentioned_ids": Column(type=TEXTS, doc="accounts mentioned, in order; they need not be in `accounts`"),
        "likes": _count("likes"),
        "comments": _count("comments"),
        "shares": _count("shares"),
        "impressions": _count("times shown"),
        "brand_id": Column(type=TEXT, doc="brand that the post promotes; null if organic", refers_to="brand"),
        "sponsored": Column(type=FLAG, doc="paid for by brand_id"),
        "duration_s": Column(type=REAL, doc="length of a video, seconds", minimum=0),
        "music_id": _text("sound used"),
        "sticker_text": _text("text laid over the picture"),
        "speech_text": _text("transcript of what is said"),
        "ranking": Column(type=COUNT, doc="place in the hashtag's list, best is 1", minimum=1),
        "hashtag_age_days": Column(type=REAL, doc="age of the hashtag at publication, days", minimum=0),
        "is_trending": Column(type=FLAG, doc="the hashtag was trending at publication"),
    },
    remedy="Add posts.parquet with at least post_id and account_id, or use market=simulated.",
)

MENTIONS = TableSchema(
    name="mentions",
    key=("creator_id", "brand_id"),
    columns={
        "creator_id": _id("creator who mentions", "creator"),
        "brand_id": _id("brand mentioned", "brand"),
        "posts": Column(type=COUNT, doc="posts of the creator that mention the brand", required=True, minimum=1),
        "first_at": Column(type=TIME, doc="earliest such post with a known time, UTC"),
        "last_at": Column(type=TIME, doc="latest such post with a known time, UTC"),
    },
    remedy="Derive it from posts with `micromega.market.mentions.mentions_from_posts`, or use market=simulated.",
)

PRICES = TableSchema(
    name="prices",
    key=("creator_id", "content_type"),
    columns={
        "creator_id": _id("creator who asks the price", "creator"),
        "content_type": _id("what is bought, for instance post, story, video"),
        "price": Column(type=REAL, doc="price of one piece, in the market's currency", required=True, minimum=0),
    },
    remedy="Add prices.parquet (creator_id, content_type, price), or let the problem use its rate card.",
)

EVENTS = TableSchema(
    name="events",
    key=("event_id",),
    columns={
        "event_id": _id("unique id"),
        "brand_id": _id("brand that holds the event", "brand"),
        "date": Column(type=DATE, doc="day of the event", required=True),
        "location": _text("city"),
        "genre": _text("for instance festival, fair, charity"),
        "scale": Column(type=REAL, doc="visitors expected", minimum=0),
        "type": _text("for instance in person, online"),
    },
    remedy="Add events.parquet (event_id, brand_id, date), or list the events in the problem's config.",
)

SCHEMAS: Mapping[str, TableSchema] = {schema.name: schema for schema in (ACCOUNTS, POSTS, MENTIONS, PRICES, EVENTS)}
"""All tables; one comes after those that it refers to."""
