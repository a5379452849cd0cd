"""One schema per market table: columns, types, units, ranges, keys and references.

Ids are strings, times are UTC, counts are non-negative integers, money is in the market's one currency. A column that
is not required may be absent from a file; the loaded table always has all columns (null, or an empty list).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Reference = Literal["", "account", "creator", "brand", "post", "event", "merchant", "product"]
REFERENCE_TABLE = {
    "account": "accounts", "creator": "accounts", "brand": "accounts",
    "post": "posts", "event": "events", "merchant": "merchants", "product": "products",
}  # fmt: skip
"""What an id can refer to -> the table that lists it."""
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
    maximum: float | None = None
    """Largest value allowed."""
    choices: tuple[str, ...] = ()
    """Values allowed; empty: any."""
    refers_to: Reference = ""
    """Values are ids of such things."""


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


def _id(doc: str, refers_to: Reference = "") -> Column:
    return Column(type=TEXT, doc=doc, required=True, refers_to=refers_to)


def _text(doc: str) -> Column:
    return Column(type=TEXT, doc=doc)


def _count(doc: str) -> Column:
    return Column(type=COUNT, doc=doc, minimum=0)


def _real(doc: str) -> Column:
    return Column(type=REAL, doc=doc, minimum=0)


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
        "content_type": _text("what the post is, for instance post, story, video"),
        "hashtag": _text("hashtag under which the post is listed, for instance a challenge"),
        "trending_hashtags": _count("hashtags of the post that were trending"),
        "age_days": _real("age of the post at its first appearance under the hashtag, days"),
        "author_followers": _count("followers of the author at publication"),
        "past_hearts": _real("mean hearts of the author's earlier posts at publication"),
        "media_path": _text("picture or video file, relative to the market's folder"),
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
    remedy="It is derived from posts that name brands: give posts.brand_id or posts.mentioned_ids, and list the brands "
    "in accounts (kind brand); from Python, `micromega.market.mentions.mentions_from_posts`.",
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

SPLITS = TableSchema(
    name="splits",
    key=("account_id", "split"),
    columns={
        "account_id": _id("account; a creator may be a candidate in two splits", "account"),
        "split": Column(type=TEXT, doc="part", required=True, choices=("train", "validation", "test")),
    },
    remedy="Only a data set that was published with a split has it; without it the split is drawn from the seed.",
)

PANEL = TableSchema(
    name="panel",
    key=("account_id", "date"),
    columns={
        "account_id": _id("account observed", "account"),
        "date": Column(type=DATE, doc="day of the observation, or first of its month", required=True),
        "followers": _count("followers then"),
        "mean_impressions": _real("mean impressions of recent posts"),
        "mean_likes": _real("mean likes of recent posts"),
        "mean_comments": _real("mean comments of recent posts"),
        "mean_shares": _real("mean shares of recent posts"),
        "mean_engagement": _real("mean engagement (likes, comments, shares) of recent posts"),
    },
    remedy="Add panel.parquet (account_id, date, followers, …) where accounts were observed repeatedly.",
)

CAMPAIGNS = TableSchema(
    name="campaigns",
    key=("campaign_id",),
    columns={
        "campaign_id": _id("one piece of content that was bought"),
        "creator_id": _id("creator who made it", "creator"),
        "content_type": _id("what was bought, for instance post, story, video"),
        "event_id": Column(type=TEXT, doc="event that it served; null if none", refers_to="event"),
        "offset_days": Column(type=COUNT, doc="day of publication minus day of the event"),
        "posted_on": Column(type=DATE, doc="day of publication"),
        "price": _real("price paid, in the market's currency"),
        "impressions": _count("times shown"),
        "engagement": _count("likes, comments and shares"),
        "revenue": Column(type=REAL, doc="revenue that it brought, in the market's currency"),
    },
    remedy="Add campaigns.parquet (campaign_id, creator_id, content_type, event_id, offset_days, price, outcomes).",
)

TRENDS = TableSchema(
    name="trends",
    key=("date", "genre", "location"),
    columns={
        "date": Column(type=DATE, doc="day, or the Monday of its week", required=True),
        "genre": _id("genre of events"),
        "location": _id("city"),
        "index": Column(type=REAL, doc="interest, 1 is usual", required=True, minimum=0),
    },
    remedy="Add trends.parquet (date, genre, location, index).",
)

MERCHANTS = TableSchema(
    name="merchants",
    key=("merchant_id",),
    columns={
        "merchant_id": _id("unique id"),
        "name": _text("display name"),
        "quota": _count("creators that the merchant can take"),
    },
    remedy="Add merchants.parquet (merchant_id, quota), or import a purchase history.",
)

PRODUCTS = TableSchema(
    name="products",
    key=("product_id",),
    columns={
        "product_id": _id("unique id"),
        "merchant_id": _id("merchant who sells it", "merchant"),
        "name": _text("display name"),
        "category": _text("line of goods"),
        "quota": _count("creators that may promote it"),
        "price": _real("price of a unit, in the market's currency"),
    },
    remedy="Add products.parquet (product_id, merchant_id, quota), or import a purchase history.",
)

ORDERS = TableSchema(
    name="orders",
    key=("order_id", "product_id"),
    columns={
        "order_id": _id("one purchase; it may hold several products"),
        "product_id": _id("product bought", "product"),
        "customer_id": _id("account that bought it: a possible creator", "account"),
        "merchant_id": _id("merchant who sold it", "merchant"),
        "quantity": _count("units"),
        "amount": _real("money paid, in the market's currency"),
        "ordered_at": Column(type=TIME, doc="time of the order, UTC"),
    },
    remedy="Add orders.parquet (order_id, product_id, customer_id, merchant_id, amount), or import a purchase history.",
)

FOLLOWS = TableSchema(
    name="follows",
    key=("source_id", "target_id"),
    columns={
        "source_id": _id("account that is followed: it activates the target", "account"),
        "target_id": _id("account that follows", "account"),
        "probability": Column(type=REAL, doc="activation probability, where known", minimum=0, maximum=1),
    },
    remedy="Add follows.parquet (source_id, target_id), or import an edge list with market=edge_list.",
)

EXPOSURES = TableSchema(
    name="exposures",
    key=("post_id", "source_id", "target_id"),
    columns={
        "post_id": _id("what was passed on", "post"),
        "source_id": _id("account that passed it on", "account"),
        "target_id": _id("account that saw it", "account"),
        "activated": Column(
            type=FLAG,
            doc="the target passed it on in turn: after this exposure, or, where nobody knows after which, after any",
            required=True,
        ),
        "at": Column(type=TIME, doc="time of the exposure, UTC"),
    },
    remedy="Add exposures.parquet (post_id, source_id, target_id, activated).",
)

VIEWS = TableSchema(
    name="views",
    key=("post_id", "day"),
    columns={
        "post_id": _id("post observed", "post"),
        "day": Column(type=COUNT, doc="day of the observation; 1 is the first appearance", required=True, minimum=1),
        "impressions": Column(type=COUNT, doc="times shown until then", required=True, minimum=0),
    },
    remedy="Add views.parquet (post_id, day, impressions): the impressions of each post on several days.",
)

SCHEMAS: Mapping[str, TableSchema] = {
    schema.name: schema
    for schema in (
        ACCOUNTS, POSTS, MENTIONS, PRICES, EVENTS, SPLITS, PANEL, CAMPAIGNS, TRENDS,
        MERCHANTS, PRODUCTS, ORDERS, FOLLOWS, EXPOSURES, VIEWS,
    )
}  # fmt: skip
"""All tables; one comes after those that it refers to."""
