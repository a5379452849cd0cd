"""Real TikTok videos of autumn 2020 with their creators' followers, hearts and numbers of videos.

Published as "TikTok_famous" by the DataRes student group at UCLA (I. Tran and others), pseudonymised: the 25 or so
latest videos of the most followed accounts and of those that TikTok suggests from them; or the videos of about 20
sounds, whose creators are smaller; or both pooled. Files and columns read:

- videos.csv.gz (or song_videos.csv.gz): video_id, creator_id, create_time (Unix seconds), n_likes, n_shares,
  n_comments, n_plays (impressions), n_followers, n_total_likes (the creator's hearts), n_total_vids; videos:
  hashtags (a list as Python prints it), song (title), video_length (seconds); song_videos: song_id
- top_creators.csv: creator_id, Country, Followers (as "78.9m"), Brand Account (1: a brand), Genre (the first is taken)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import TiktokCreators2020, Videos
from micromega.market.importers.cells import newest, or_null, tidy_hashtags
from micromega.market.importers.source import ACCOUNT_ID, POST_ID, SourceTable, files_of, read_csv
from micromega.market.importers.times import UNIX
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.schemas import COUNT, REAL, TEXT
from micromega.market.write import write_market

VIDEOS, SONGS, TOP = "videos.csv.gz", "song_videos.csv.gz", "top_creators.csv"
FILES: Mapping[Videos, Sequence[str]] = {"creators": (VIDEOS,), "songs": (SONGS,), "pooled": (VIDEOS, SONGS)}
_COUNTS = {"n_likes": "likes", "n_comments": "comments", "n_shares": "shares", "n_plays": "impressions"}
_COLUMNS = ("video_id", "creator_id", "create_time", *_COUNTS, "n_followers", "n_total_likes", "n_total_vids")
_ORIGINAL = (
    "^(?i)(original sound|sonido original|оригинальный звук|som original|originalton|الصوت الأصلي|son original|"
    "orijinal ses|suono originale)$"
)
"""Titles of sounds that a video brought with it: one title, as many sounds as creators."""


def build(config: TiktokCreators2020, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source and says which videos.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    sources, folder = files_of(config.path, (*FILES[config.videos], TOP)), Path(config.path)

    def make(target: Path) -> Market:
        return import_folder(folder, target, on_bad_rows=config.on_bad_rows, videos=config.videos)

    return cached(config, cache, sources, make)


def import_folder(
    source: Path, target: Path, *, on_bad_rows: OnBadRows = "error", videos: Videos = "creators"
) -> Market:
    """Turn the source's files into a market folder.

    `past_hearts`, the instrument of Tian et al. 2022, is the mean of the creator's other videos,
    (n_total_likes - n_likes) / (n_total_vids - 1): the total includes the video itself. It is null where there is no
    other video or the difference is negative. An account has the figures beside its latest video; brands and creators
    that only the top list knows have the list's followers.

    Args:
        source: folder with the files.
        target: market folder to make.
        on_bad_rows: "error" or "drop".
        videos: of the suggested creators, of songs, or both pooled; a video in both files is taken from the first.

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    top = read_csv(source / TOP, ("creator_id", "Country", "Followers", "Brand Account", "Genre"), on_bad_rows)
    top.ids("creator_id", ACCOUNT_ID)
    top.unique("creator_id")
    top.short_count("Followers")
    top.choice("Brand Account", ("0", "1"))
    read = [_read(source / name, on_bad_rows) for name in FILES[videos]]
    posts = pa.concat_tables([_posts(rows, songs=name == SONGS) for name, rows in read], promote_options="default")
    kept = _first_of_each(posts["post_id"])
    twice = [f"{len(posts) - len(kept)} videos stand in both files: once."] if len(kept) < len(posts) else []
    tables = {"accounts": _accounts([rows for _, rows in read], top), "posts": posts.take(kept)}
    return write_market(
        target,
        tables,
        name="tiktok-creators-2020" if videos == "creators" else f"tiktok-creators-2020-{videos}",
        currency="USD",
        source="github.com/ivantran96/TikTok_famous, commit 68d2d9e, pseudonymised; licence: none stated",
        notes=[
            "past_hearts is unknown where the creator shows no other video, or fewer hearts than the video has.",
            "Followers, hearts and numbers of videos are those of the crawl (autumn 2020), not of the publication.",
            "Counts above about 10,000 are rounded as TikTok shows them. Impressions are plays.",
            "A selection: accounts that TikTok suggests, mostly above a million followers; or the most played videos "
            "of some sounds. Many videos share one creator: split and resample by creator.",
            "The instrument is nearly a proxy of the followers; whether it acts through them alone is doubtful.",
            *twice,
            *top.notes,
            *(note for _, rows in read for note in rows.notes),
        ],
    )


def _read(file: Path, on_bad_rows: OnBadRows) -> tuple[str, SourceTable]:
    """Read and check one file of videos: its name and rows."""
    songs = file.name == SONGS
    own = ("song_id",) if songs else ("hashtags", "song", "video_length")
    rows = read_csv(file, (*_COLUMNS, *own), on_bad_rows)
    rows.ids("video_id", POST_ID)
    rows.unique("video_id")
    rows.ids("creator_id", ACCOUNT_ID)
    rows.clock_time("create_time", UNIX)
    # TikTok shows negative numbers of videos for a few accounts: their other figures are sound.
    rows.unknown("n_total_vids", "^-[0-9]{1,9}$", "negative number of videos|negative numbers of videos")
    for column in (*_COUNTS, "n_followers", "n_total_likes", "n_total_vids"):
        rows.count(column)
    if not songs:
        rows.text_lists("hashtags", python=True)
        rows.number("video_length")
    return file.name, rows


def _first_of_each(ids: pa.ChunkedArray) -> pa.Array:
    """Places of the first row of each id, in order."""
    _, first = np.unique(np.asarray(ids.to_numpy(), str), return_index=True)
    return pa.array(np.sort(first))


def _posts(rows: SourceTable, *, songs: bool) -> pa.Table:
    likes, hearts = rows.integers("n_likes"), rows.integers("n_total_likes")
    others = pc.subtract(rows.integers("n_total_vids"), 1)
    rest = pc.subtract(hearts, likes)
    defined = pc.fill_null(pc.and_(pc.greater(others, 0), pc.greater_equal(rest, 0)), fill_value=False)
    what = "number of videos without past hearts|numbers of videos without past hearts"
    rows.tell("n_total_vids", ~np.asarray(defined), what)
    past = pc.divide(rest.cast(REAL), pc.if_else(defined, others, 1).cast(REAL))
    columns = {
        "post_id": rows.rows["video_id"],
        "account_id": rows.rows["creator_id"],
        "posted_at": rows.times("create_time", UNIX),
        **{name: rows.integers(column) for column, name in _COUNTS.items()},
        "content_type": pa.repeat("video", rows.rows.num_rows),
        "author_followers": rows.integers("n_followers"),
        "past_hearts": pc.if_else(defined, past, pa.scalar(None, REAL)),
    }
    if songs:
        columns["music_id"] = rows.rows["song_id"]
    else:
        title = rows.rows["song"]
        own = pc.or_(pc.equal(title, ""), pc.match_substring_regex(title, _ORIGINAL))
        columns["music_id"] = pc.if_else(own, pa.scalar(None, TEXT), title)
        columns["hashtags"] = tidy_hashtags(rows.lists("hashtags", python=True))
        columns["duration_s"] = rows.numbers("video_length")
    return pa.table(columns)


def _accounts(read: Sequence[SourceTable], top: SourceTable) -> pa.Table:
    seen = pa.concat_tables(
        pa.table(
            {
                "account_id": rows.rows["creator_id"],
                "posted_at": rows.times("create_time", UNIX),
                "seen": rows.integers("n_followers"),
                "hearts": rows.integers("n_total_likes"),
                "videos": rows.integers("n_total_vids"),
            }
        )
        for rows in read
    )
    genre = pc.utf8_trim_whitespace(pc.replace_substring_regex(top.rows["Genre"], ",.*$", ""))
    listed = pa.table(
        {
            "account_id": top.rows["creator_id"],
            "kind": pc.if_else(pc.equal(top.rows["Brand Account"], "1"), "brand", "creator"),
            "listed": top.short_counts("Followers"),
            "location": or_null(top.rows["Country"]),
            "category": or_null(genre),
        }
    )
    latest = newest(seen, "account_id", "posted_at")
    accounts = latest.join(listed, "account_id", join_type="full outer", use_threads=False).sort_by("account_id")
    return pa.table(
        {
            "account_id": accounts["account_id"],
            "kind": pc.fill_null(accounts["kind"], "creator"),
            "platform": pa.repeat("tiktok", accounts.num_rows),
            "category": accounts["category"],
            "location": accounts["location"],
            "followers": pc.coalesce(accounts["seen"], accounts["listed"]).cast(COUNT),
            "hearts": accounts["hearts"],
            "videos": accounts["videos"],
        }
    )
