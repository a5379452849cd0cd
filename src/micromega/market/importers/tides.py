"""Real TikTok or YouTube accounts of 2024 by tier and continent, with features of their audio, captions and faces.

Published as "TIDES-TikTok-Influencer-dataset" by skmtr1, pseudonymised. Files and columns read (`<p>`: the platform):

- tiktok_influencers.csv.gz: creator_id, author_id, verified, commerceCategory, region (ISO 3166), followers,
  total_likes, total_videos
- youtube_influencers.csv.gz: creator_id, continent, followers, tot_videos
- <p>_audio_adv.csv.gz, <p>_audio_emotion.csv.gz, <p>_caption.csv.gz, tiktok_faces.csv.gz: the key (author_id on TikTok,
  creator_id on YouTube) and the columns that `feature_columns` lists
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.market.checks import OnBadRows
from micromega.market.config import Tides
from micromega.market.importers.cells import or_null
from micromega.market.importers.source import ACCOUNT_ID, SourceTable, files_of, read_csv
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.schemas import COUNT
from micromega.market.write import MarketWriter

_BINS = 12
_MOMENTS = ("min", "max", "mean", "std")
_FACES = (
    *(f"video_{mood}" for mood in ("surprise", "sad", "fear", "neutral", "angry", "happy", "disgust")),
    *(f"video_{count}_faces" for count in (0, 1, 2, 3, 4, 5, "above5")),
)


def feature_columns(platform: str) -> dict[str, tuple[str, ...]]:
    """List the columns of each feature array, in order.

    Args:
        platform: tiktok or youtube.

    Returns:
        audio_adv (48: histograms of 12 bins, then minima, maxima, means and standard deviations of arousal, dominance
        and valence), audio_emotion (4 shares of videos), caption (96, YouTube 112: the same for length, emojis, on
        YouTube hashtags, and four sentiments of emojis), faces (14 shares of frames; TikTok only).
    """
    hashtags = ("text_n_hashtag",) if platform == "youtube" else ()
    sentiments = tuple(f"text_Emo{name}" for name in ("Negative", "Neutral", "Positive", "SentScore"))
    columns = {
        "audio_adv": _histograms("audio_arousal", "audio_dominance", "audio_valence"),
        "audio_emotion": tuple(f"audio_{mood}" for mood in ("neu", "hap", "sad", "ang")),
        "caption": (
            *_histograms("text_CaptionLength", "text_EmojisLength", *hashtags),
            *_histograms(*sentiments),
        ),
    }
    return columns | {"faces": _FACES} if platform == "tiktok" else columns


def build(config: Tides, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source and the platform.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    names = [f"{config.platform}_{name}.csv.gz" for name in ("influencers", *feature_columns(config.platform))]
    sources, folder = files_of(config.path, names), Path(config.path)

    def make(target: Path) -> Market:
        return import_folder(folder, target, on_bad_rows=config.on_bad_rows, platform=config.platform)

    return cached(config, cache, sources, make)


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error", platform: str = "tiktok") -> Market:
    """Turn the files of one platform into a market folder with account-level feature arrays.

    An account without a row in a feature's file has no such feature. A standard deviation that is empty in the source
    (a single video) is 0.

    Args:
        source: folder with the files.
        target: market folder to make.
        on_bad_rows: "error" or "drop".
        platform: tiktok or youtube.

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    accounts, keys, notes = (_tiktok if platform == "tiktok" else _youtube)(source, on_bad_rows)
    writer = MarketWriter(
        target,
        name=f"tides-{platform}",
        currency="USD",
        source="github.com/skmtr1/TIDES-TikTok-Influencer-dataset, commit 73e93bf, pseudonymised; licence: none stated",
        notes=[
            "Accounts were drawn by tier and continent: shares of tiers are not those of the platform.",
            "Features are means over an account's videos; a deviation of a single value (empty in the source) is 0.",
            "No posts, brands, prices or events.",
            *notes,
        ],
    )
    with writer:
        writer.append("accounts", accounts)
        for name, columns in feature_columns(platform).items():
            file = source / f"{platform}_{name}.csv.gz"
            ids, values, notes = _features(file, columns, accounts, keys, on_bad_rows)
            writer.notes.extend(notes)
            with writer.array(
                name, key="account_id", shape=(len(columns),), dtype="float32", source=f"TIDES, {file.name}"
            ) as array:
                array.append(ids, values)
    return writer.market


def _tiktok(source: Path, on_bad_rows: OnBadRows) -> tuple[pa.Table, SourceTable, list[str]]:
    counts = {"followers": "followers", "total_likes": "hearts", "total_videos": "videos"}
    columns = ("creator_id", "author_id", "verified", "commerceCategory", "region", *counts)
    rows = read_csv(source / "tiktok_influencers.csv.gz", columns, on_bad_rows)
    for key in ("creator_id", "author_id"):
        rows.ids(key, ACCOUNT_ID)
        rows.unique(key)
    rows.choice("verified", ("True", "False"))
    for column in counts:
        rows.count(column)
    accounts = pa.table(
        {
            "account_id": rows.rows["creator_id"],
            "kind": pa.repeat("creator", rows.rows.num_rows),
            "platform": pa.repeat("tiktok", rows.rows.num_rows),
            "category": or_null(rows.rows["commerceCategory"], "none"),
            "location": or_null(rows.rows["region"]),
            "verified": rows.flags("verified"),
            **{name: rows.integers(column) for column, name in counts.items()},
        }
    )
    return accounts, rows, ["Location is the region that the account states.", *rows.notes]


def _youtube(source: Path, on_bad_rows: OnBadRows) -> tuple[pa.Table, SourceTable, list[str]]:
    columns = ("creator_id", "continent", "followers", "tot_videos")
    rows = read_csv(source / "youtube_influencers.csv.gz", columns, on_bad_rows)
    rows.ids("creator_id", ACCOUNT_ID)
    rows.unique("creator_id")
    rows.whole("followers")
    rows.count("tot_videos")
    accounts = pa.table(
        {
            "account_id": rows.rows["creator_id"],
            "kind": pa.repeat("creator", rows.rows.num_rows),
            "platform": pa.repeat("youtube", rows.rows.num_rows),
            "location": or_null(rows.rows["continent"]),
            "followers": rows.numbers("followers").cast(COUNT),
            "videos": rows.integers("tot_videos"),
        }
    )
    return accounts, rows, ["Location is the continent.", *rows.notes]


def _features(
    file: Path, columns: tuple[str, ...], accounts: pa.Table, people: SourceTable, on_bad_rows: OnBadRows
) -> tuple[pa.Array, NDArray[np.float32], list[str]]:
    """Read one feature: account ids (n,), values (n, columns) and notes."""
    key = "author_id" if "author_id" in people.rows.column_names else "creator_id"
    rows = read_csv(file, (key, *columns), on_bad_rows)
    rows.ids(key, ACCOUNT_ID)
    rows.unique(key)
    known = people.rows[key].combine_chunks()
    rows.known(key, known, people.origin.file)
    rows.blank(*(column for column in columns if column.endswith("_std")))
    for column in columns:
        rows.number(column, signed=True)
    values = np.column_stack([np.asarray(pc.fill_null(rows.numbers(column), 0.0)) for column in columns])
    place = pc.index_in(rows.rows[key], known).combine_chunks()
    ids = accounts["account_id"].combine_chunks().take(place)
    return ids, values.astype(np.float32), rows.notes


def _histograms(*names: str) -> tuple[str, ...]:
    bins = tuple(f"{name}_bin_{place}" for name in names for place in range(_BINS))
    return bins + tuple(f"{name}_{moment}" for moment in _MOMENTS for name in names)
