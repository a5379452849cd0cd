"""Real TikTok videos of December 2020: 1,000 videos of the trending feed that one client was shown.

Published on Kaggle as "TikTok Trending Videos" by erikvdven, pseudonymised. Nothing is known of the creators' followers
and hearts. File and columns read:

- trending.csv: video_id, creator_id, verified, createTime (Unix seconds), text, hashtags and mentions (JSON lists),
  musicId, duration (seconds), diggCount (likes), shareCount, playCount, commentCount
"""

from pathlib import Path

import pyarrow as pa

from micromega.market.checks import OnBadRows
from micromega.market.config import TiktokTrending2020
from micromega.market.importers.cells import or_null, tidy_hashtags
from micromega.market.importers.source import ACCOUNT_ID, POST_ID, SourceTable, files_of, read_csv
from micromega.market.importers.times import UNIX
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.write import write_market

FILES = ("trending.csv",)
_COUNTS = {"diggCount": "likes", "commentCount": "comments", "shareCount": "shares", "playCount": "impressions"}


def build(config: TiktokTrending2020, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    sources, folder = files_of(config.path, FILES), Path(config.path)
    return cached(config, cache, sources, lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn the source's file into a market folder.

    Args:
        source: folder with trending.csv.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    columns = ("video_id", "creator_id", "verified", "createTime", "text", "hashtags", "mentions", "musicId",
               "duration", *_COUNTS)  # fmt: skip
    rows = read_csv(source / FILES[0], columns, on_bad_rows)
    rows.ids("video_id", POST_ID)
    rows.unique("video_id")
    rows.ids("creator_id", ACCOUNT_ID)
    rows.choice("verified", ("True", "False"))
    rows.clock_time("createTime", UNIX)
    rows.text_lists("hashtags")
    rows.text_lists("mentions")
    rows.number("duration")
    for column in _COUNTS:
        rows.count(column)
    rows.blank("text")
    return write_market(
        target,
        {"accounts": _accounts(rows), "posts": _posts(rows)},
        name="tiktok-trending-2020",
        currency="USD",
        source="Kaggle: TikTok Trending Videos (erikvdven), 21 December 2020, pseudonymised; licence: none stated",
        notes=[
            "The feed of one client: no sample of TikTok. Impressions are plays at the time of the crawl.",
            "No followers, hearts or numbers of videos of the creators; no brands, prices or events.",
            *rows.notes,
        ],
    )


def _accounts(rows: SourceTable) -> pa.Table:
    seen = pa.table({"account_id": rows.rows["creator_id"], "verified": rows.flags("verified")})
    accounts = seen.group_by("account_id", use_threads=False).aggregate([("verified", "max")]).sort_by("account_id")
    return pa.table(
        {
            "account_id": accounts["account_id"],
            "kind": pa.repeat("creator", accounts.num_rows),
            "platform": pa.repeat("tiktok", accounts.num_rows),
            "verified": accounts["verified_max"],
        }
    )


def _posts(rows: SourceTable) -> pa.Table:
    return pa.table(
        {
            "post_id": rows.rows["video_id"],
            "account_id": rows.rows["creator_id"],
            "posted_at": rows.times("createTime", UNIX),
            "caption": rows.rows["text"],
            "hashtags": tidy_hashtags(rows.lists("hashtags")),
            "mentioned_ids": rows.lists("mentions"),
            **{name: rows.integers(column) for column, name in _COUNTS.items()},
            "duration_s": rows.numbers("duration"),
            "music_id": or_null(rows.rows["musicId"]),
            "content_type": pa.repeat("video", rows.rows.num_rows),
        }
    )
