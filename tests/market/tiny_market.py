"""A tiny market, by hand, that tests damage in one place each."""

import datetime as dt
from pathlib import Path

import pyarrow as pa

from micromega.market import Market, write_market

TIMES = [dt.datetime(2024, 5, day, 12, tzinfo=dt.UTC) for day in (1, 2, 3, 4)]


def tiny_tables() -> dict[str, pa.Table]:
    return {
        "accounts": pa.table(
            {
                "account_id": ["acme", "bolt", "ann", "ben", "cem"],
                "kind": ["brand", "brand", "creator", "creator", "creator"],
                "followers": pa.array([None, None, 9000, 12000, 50000], pa.int64()),
                "category": ["food", "cars", "food", None, "cars"],
            }
        ),
        "posts": pa.table(
            {
                "post_id": ["p1", "p2", "p3", "p4"],
                "account_id": ["ann", "ann", "ben", "cem"],
                "posted_at": pa.array(TIMES, pa.timestamp("us", tz="UTC")),
                "caption": ["soup @acme", "rain", "", "drive"],
                "hashtags": [["food"], [], [], ["cars", "road"]],
                "mentioned_ids": [["acme"], [], [], ["bolt", "acme"]],
                "likes": [100, 50, 70, 900],
                "brand_id": ["acme", None, None, "bolt"],
                "duration_s": [1.5, None, 2.0, 0.0],
            }
        ),
        "mentions": pa.table(
            {
                "creator_id": ["ann", "cem", "cem"],
                "brand_id": ["acme", "acme", "bolt"],
                "posts": [1, 1, 1],
                "first_at": pa.array([TIMES[0], TIMES[3], TIMES[3]], pa.timestamp("us", tz="UTC")),
                "last_at": pa.array([TIMES[0], TIMES[3], TIMES[3]], pa.timestamp("us", tz="UTC")),
            }
        ),
        "prices": pa.table(
            {"creator_id": ["ann", "ben", "cem"], "content_type": ["post"] * 3, "price": [90.0, 120.0, 400.0]}
        ),
        "events": pa.table(
            {"event_id": ["e1"], "brand_id": ["acme"], "date": pa.array([dt.date(2024, 6, 1)]), "scale": [250.0]}
        ),
    }


def write_tiny(path: Path, **changed: pa.Table) -> Market:
    return write_market(path, {**tiny_tables(), **changed}, name="tiny", currency="EUR")


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return table.set_column(table.column_names.index(name), name, column)
