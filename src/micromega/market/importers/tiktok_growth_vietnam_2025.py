"""Real TikTok videos of 2025 (Vietnam), a quarter of them crawled twice: how impressions grow.

Published as the course project IE403.P21 of the University of Information Technology, Ho Chi Minh City, pseudonymised.
Files and columns read:

- crawl1.csv.gz, crawl2.csv.gz: video_id, creator_id, user_nfollower, vid_caption, vid_postTime, vid_scrapeTime (the
  time zone is not stated; UTC is assumed), vid_duration (mm:ss), vid_nview, vid_nlike, vid_ncomment, vid_nshare (texts
  such as "541.2K"), vid_hashtags (separated by commas), music_id (its low digits were lost at the source)
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import TiktokGrowthVietnam2025
from micromega.market.importers.cells import (
    mentions_in,
    newest,
    parse_minutes,
    tidy_hashtags,
)
from micromega.market.importers.source import ACCOUNT_ID, POST_ID, SourceTable, files_of, read_csv
from micromega.market.importers.times import parse_times
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.schemas import COUNT, REAL
from micromega.market.write import write_market

FILES = ("crawl1.csv.gz", "crawl2.csv.gz")
_COUNTS = {"vid_nlike": "likes", "vid_ncomment": "comments", "vid_nshare": "shares", "vid_nview": "impressions"}
_COLUMNS = ("video_id", "creator_id", "user_nfollower", "vid_caption", "vid_postTime", "vid_scrapeTime",
            "vid_duration", *_COUNTS, "vid_hashtags", "music_id")  # fmt: skip
_CLOCK = "%Y-%m-%d %H:%M:%S"
_DAY_S = 86_400.0


def build(config: TiktokGrowthVietnam2025, cache: Path) -> Market:
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
    """Turn the source's files into a market folder.

    `views` has one row per video and crawl that shows its views; `day` is the video's age in days then, rounded, at
    least 1. A post's likes, comments, shares and impressions come from the latest crawl that shows its views, so that
    they belong together. `author_followers` is from the first crawl, the one nearer to publication; an account's
    followers are the latest. Counts that the source does not show are null, and noted with their lines.

    Args:
        source: folder with crawl1.csv.gz and crawl2.csv.gz.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    first, second = (_crawl(source / name, on_bad_rows) for name in FILES)
    second.known("video_id", first.rows["video_id"].combine_chunks(), FILES[0])
    _check_later(first, second)
    crawls = pa.concat_tables([_values(first), _values(second)])
    posts = _posts(first, crawls)
    return write_market(
        target,
        {"accounts": _accounts(crawls), "posts": posts, "views": _views(crawls)},
        name="tiktok-growth-vietnam-2025",
        currency="USD",
        source=(
            "github.com/thienphucle/IE403.P21_Social_Media_Data_Mining, commit 8826c75, pseudonymised; "
            "licence: none stated"
        ),
        notes=[
            f"{second.rows.num_rows:,} of {first.rows.num_rows:,} videos were crawled twice; views has a row per crawl "
            "that shows the views. Impressions are views.",
            "Day is the age in days at the crawl, rounded, at least 1. The first crawl comes late (median 23 days).",
            "Times are taken as UTC; the source does not state their zone (UTC or UTC+7).",
            "Chosen by success: impressions are cut off from below, which flattens the effect of followers.",
            "No hearts of the creators, brands, prices or events. Digits of music_id were lost at the source.",
            *first.notes,
            *second.notes,
        ],
    )


def _crawl(path: Path, on_bad_rows: OnBadRows) -> SourceTable:
    rows = read_csv(path, _COLUMNS, on_bad_rows)
    rows.ids("video_id", POST_ID)
    rows.unique("video_id")
    rows.ids("creator_id", ACCOUNT_ID)
    rows.clock_time("vid_postTime", _CLOCK)
    rows.clock_time("vid_scrapeTime", _CLOCK)
    rows.require_rows(
        "vid_scrapeTime",
        "crawl before the publication|crawls before the publication",
        "vid_scrapeTime is not earlier than vid_postTime.",
        lambda table: pc.less(table["vid_scrapeTime"], table["vid_postTime"]),
    )
    what = "value that is no duration|values that are no durations"
    rows.pattern("vid_duration", "^[0-9]{1,4}:[0-5][0-9]$", what, "Durations look like 01:05 (minutes, seconds).")
    rows.blank("user_nfollower", *_COUNTS, "vid_caption", "music_id")
    for column in ("user_nfollower", *_COUNTS):
        # Where there is nothing to count, the app's button shows its own name.
        rows.unknown(column, "^(Share|Comment|Like)$", "button's name|names of buttons")
        rows.short_count(column)
    return rows


def _check_later(first: SourceTable, second: SourceTable) -> None:
    def days(table: pa.Table) -> pa.ChunkedArray:
        return _days(*(parse_times(table[column], _CLOCK) for column in ("vid_scrapeTime", "vid_postTime")))

    ids, before = first.rows["video_id"].combine_chunks(), days(first.rows)

    def too_early(table: pa.Table) -> pa.ChunkedArray:
        return pc.less_equal(days(table), before.take(pc.index_in(table["video_id"], ids)))

    what = "crawl on the day of the first|crawls on the day of the first"
    rule = "At the second crawl the video is at least one day (rounded) older than at the first."
    second.require_rows("vid_scrapeTime", what, rule, too_early)


def _values(rows: SourceTable) -> pa.Table:
    return pa.table(
        {
            "post_id": rows.rows["video_id"],
            "account_id": rows.rows["creator_id"],
            "posted_at": rows.times("vid_postTime", _CLOCK),
            "seen_at": rows.times("vid_scrapeTime", _CLOCK),
            "followers": rows.short_counts("user_nfollower"),
            **{name: rows.short_counts(column) for column, name in _COUNTS.items()},
        }
    )


def _posts(first: SourceTable, crawls: pa.Table) -> pa.Table:
    shown = newest(crawls.filter(pc.is_valid(crawls["impressions"])), "post_id", "seen_at")
    ids = first.rows["video_id"]
    place = pc.index_in(ids, shown["post_id"].combine_chunks())
    values, captions = _values(first), first.rows["vid_caption"]
    counts = {
        name: pc.if_else(pc.is_valid(place), shown[name].combine_chunks().take(place), values[name])
        for name in _COUNTS.values()
    }
    tags = tidy_hashtags(pc.split_pattern(first.rows["vid_hashtags"], ",").combine_chunks())
    return pa.table(
        {
            "post_id": ids,
            "account_id": first.rows["creator_id"],
            "posted_at": values["posted_at"],
            "caption": captions,
            "hashtags": tags,
            "mentioned_ids": mentions_in(captions),
            **counts,
            "duration_s": parse_minutes(first.rows["vid_duration"]),
            "music_id": first.rows["music_id"],
            "content_type": pa.repeat("video", len(ids)),
            "author_followers": values["followers"],
        }
    )


def _accounts(crawls: pa.Table) -> pa.Table:
    everyone = newest(crawls, "account_id", "seen_at")["account_id"]
    latest = newest(crawls.filter(pc.is_valid(crawls["followers"])), "account_id", "seen_at")
    place = pc.index_in(everyone, latest["account_id"].combine_chunks())
    return pa.table(
        {
            "account_id": everyone,
            "kind": pa.repeat("creator", len(everyone)),
            "platform": pa.repeat("tiktok", len(everyone)),
            "followers": latest["followers"].combine_chunks().take(place),
        }
    )


def _views(crawls: pa.Table) -> pa.Table:
    seen = crawls.filter(pc.is_valid(crawls["impressions"]))
    days = _days(seen["seen_at"], seen["posted_at"])
    views = pa.table({"post_id": seen["post_id"], "day": days, "impressions": seen["impressions"]})
    return views.sort_by([("post_id", "ascending"), ("day", "ascending")])


def _days(seen_at: pa.ChunkedArray, posted_at: pa.ChunkedArray) -> pa.ChunkedArray:
    """Age in days, rounded, at least 1."""
    seconds = pc.divide(pc.subtract(seen_at, posted_at).cast(COUNT).cast(REAL), 1e6)
    return pc.max_element_wise(pc.round(pc.divide(seconds, _DAY_S)).cast(COUNT), 1)
