"""Small markets made by hand."""

import datetime as dt

import numpy as np
import pyarrow as pa

from micromega.market.arrays import FeatureArray


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


class WithoutPosts:
    """Accounts known by one feature array alone: no posts, categories or followers; vectors lie around centres."""

    path, fingerprint, name, currency, feature_names = "hand-made", "0" * 64, "hand-made", "USD", ("topics",)

    def __init__(self, brands, creators, centres=8, dimension=6):
        rng = np.random.default_rng(0)
        ids = [f"b{n:05}" for n in range(brands)] + [f"c{n:05}" for n in range(creators)]
        side = np.repeat(["brand", "creator"], [brands, creators])
        unknown = {
            name: pa.nulls(len(ids), kind) for name, kind in (("category", pa.string()), ("followers", pa.int64()))
        }
        pairs = [(b, c) for b in range(brands) for c in rng.choice(creators, 4, replace=False)]
        self.tables = {
            "accounts": pa.table({"account_id": ids, "kind": side, "name": ids, **unknown}),
            "mentions": pa.table(
                {"brand_id": [ids[b] for b, _ in pairs], "creator_id": [ids[brands + c] for _, c in pairs]}
            ),
        }
        values = rng.normal(size=(centres, dimension))[rng.integers(0, centres, len(ids))]
        values = (values + 0.3 * rng.normal(size=values.shape)).astype(np.float32)
        self.array = FeatureArray(name="topics", key="account_id", ids=pa.array(ids), values=values, offsets=None)

    def table(self, name, **_):
        return self.tables[name]

    def features(self, name):
        return self.array
