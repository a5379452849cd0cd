"""Small markets made by hand."""

import datetime as dt

import pyarrow as pa


class HandMadeMarket:
    """Tables without files: what `build_accounts` asks of a market."""

    feature_names = ()

    def __init__(self, tables):
        self.tables, self.path, self.fingerprint, self.name, self.currency = (
            tables,
            "hand-made",
            "0" * 64,
            "hand-made",
            "USD",
        )

    def table(self, name, **_):
        return self.tables[name]


def hand_made(posts, followers=None, categories=None):
    """Build accounts, posts and mentions from (author, caption, [brands]) triples; b* are brands, c* creators."""
    ids = sorted({author for author, *_ in posts} | {brand for *_, brands in posts for brand in brands})
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    pairs = {}
    for author, _, brands in posts:
        for brand in brands:
            if author.startswith("c"):
                pairs[brand, author] = pairs.get((brand, author), 0) + 1
    return HandMadeMarket(
        {
            "accounts": pa.table(
                {
                    "account_id": ids,
                    "kind": ["brand" if i.startswith("b") else "creator" for i in ids],
                    "category": pa.array([(categories or {}).get(i) for i in ids], pa.string()),
                    "followers": pa.array([(followers or {}).get(i, 1000) for i in ids], pa.int64()),
                    "name": pa.nulls(len(ids), pa.string()),
                    "biography": pa.nulls(len(ids), pa.string()),
                }
            ),
            "posts": pa.table(
                {
                    "post_id": [f"p{n}" for n in range(len(posts))],
                    "account_id": [author for author, *_ in posts],
                    "posted_at": pa.array(
                        [start + dt.timedelta(days=n) for n in range(len(posts))], pa.timestamp("us", tz="UTC")
                    ),
                    "caption": [caption for _, caption, _ in posts],
                    "hashtags": pa.array([[] for _ in posts], pa.list_(pa.string())),
                    "mentioned_ids": pa.array([brands for *_, brands in posts], pa.list_(pa.string())),
                    "brand_id": pa.array([brands[0] if brands else None for *_, brands in posts], pa.string()),
                    "likes": pa.array([100 + n for n in range(len(posts))], pa.int64()),
                    "comments": pa.array([None] * len(posts), pa.int64()),
                }
            ),
            "mentions": pa.table(
                {
                    "creator_id": [creator for _, creator in pairs],
                    "brand_id": [brand for brand, _ in pairs],
                    "posts": list(pairs.values()),
                }
            ),
        }
    )
