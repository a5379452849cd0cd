"""Real top lists of 2022: the 1,000 largest accounts of Instagram, TikTok and YouTube in five months.

Published on Kaggle as "Social Media Influencers in 2022" by ramjasmaurya, and "Top Instagram Influencers Data" by
surajjha101, pseudonymised. Files and columns read:

- influencer_panel.csv.gz: platform, month, creator_id, category, audience_country, followers, views_avg, likes_avg,
  comments_avg, shares_avg (means per video), engagement_avg (mean interactions per post, Instagram)
- top_instagram_200.csv: creator_id, Posts, Followers, Total_likes (texts such as "3.3k", "29.0b"), Country
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import Toplists2022
from micromega.market.importers.cells import newest, or_null
from micromega.market.importers.source import ACCOUNT_ID, SourceTable, files_of, read_csv
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.schemas import COUNT, DATE
from micromega.market.write import write_market

FILES = ("influencer_panel.csv.gz", "top_instagram_200.csv")
PLATFORMS = ("instagram", "tiktok", "youtube")
_MEANS = {
    "views_avg": "mean_impressions",
    "likes_avg": "mean_likes",
    "comments_avg": "mean_comments",
    "shares_avg": "mean_shares",
    "engagement_avg": "mean_engagement",
}


def build(config: Toplists2022, cache: Path) -> Market:
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
    """Turn the source's files into a market folder with the table `panel`.

    An account is a handle on a platform. Its id is the handle's, or "<platform>:<id>" where the handle occurs on
    several platforms: the same handle need not be the same person. An account has the followers, category and main
    country of its audience from the latest month that names them; `hearts` and `videos` come from the Instagram top
    200, whose month is not known. The panel's `date` is the first of the month.

    Args:
        source: folder with influencer_panel.csv.gz and top_instagram_200.csv.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    columns = ("platform", "month", "creator_id", "category", "audience_country", "followers", *_MEANS)
    rows = read_csv(source / FILES[0], columns, on_bad_rows)
    rows.choice("platform", PLATFORMS)
    rows.pattern(
        "month", "^20[0-9]{2}-(0[1-9]|1[0-2])$", "malformed month|malformed months", "Months look like 2022-03."
    )
    rows.ids("creator_id", ACCOUNT_ID)
    rows.unique("platform", "month", "creator_id")
    rows.unknown("audience_country", "[0-9]", "number that stands for a country|numbers that stand for countries")
    rows.whole("followers")
    rows.blank(*_MEANS, note=False)  # a month's list without the column leaves all its cells empty
    for column in ("views_avg", "likes_avg"):
        # Of such accounts a mean of 0 is "not available"; without comments there are some.
        rows.unknown(column, r"^0(\.0)?$", "mean of 0|means of 0")
    for column in _MEANS:
        rows.number(column)
    top = read_csv(source / FILES[1], ("creator_id", "Posts", "Followers", "Total_likes", "Country"), on_bad_rows)
    top.ids("creator_id", ACCOUNT_ID)
    top.unique("creator_id")
    for column in ("Posts", "Followers", "Total_likes"):
        top.short_count(column)

    panel, listed, both = _identified(_panel(rows), _listed(top))
    return write_market(
        target,
        {"accounts": _accounts(panel, listed), "panel": panel.drop_columns(["platform", "category", "location"])},
        name="toplists-2022",
        currency="USD",
        source=(
            "Kaggle: Social Media Influencers in 2022; Top Instagram Influencers Data; pseudonymised; "
            "licence: none stated"
        ),
        notes=[
            "Top lists only: nothing below the largest accounts, except TikTok, where the rank is by recent views.",
            f'{both} handles occur on several platforms; their account_id is "<platform>:<id>".',
            "Location is the main country of the audience; TikTok's lists have neither country nor category.",
            "Some YouTube names are channel names, not handles: ids do not always link over months.",
            "Means that a list does not give are null. No posts, prices or events.",
            *rows.notes,
            *top.notes,
        ],
    )


def _panel(rows: SourceTable) -> pa.Table:
    first_day = pc.binary_join_element_wise(rows.rows["month"], "01", "-")
    return pa.table(
        {
            "platform": rows.rows["platform"],
            "account_id": rows.rows["creator_id"],
            "date": pc.strptime(first_day, "%Y-%m-%d", "s").cast(DATE),
            "followers": rows.numbers("followers").cast(COUNT),
            **{name: rows.numbers(column) for column, name in _MEANS.items()},
            "category": or_null(rows.rows["category"]),
            "location": or_null(rows.rows["audience_country"]),
        }
    )


def _listed(top: SourceTable) -> pa.Table:
    return pa.table(
        {
            "platform": pa.repeat("instagram", top.rows.num_rows),
            "account_id": top.rows["creator_id"],
            "followers": top.short_counts("Followers"),
            "hearts": top.short_counts("Total_likes"),
            "videos": top.short_counts("Posts"),
            "location": or_null(top.rows["Country"]),
        }
    )


def _identified(panel: pa.Table, listed: pa.Table) -> tuple[pa.Table, pa.Table, int]:
    """Put the platform before the ids of handles that occur on several, and count those."""
    names = ["platform", "account_id"]
    homes = pa.concat_tables([panel.select(names), listed.select(names)]).group_by(names).aggregate([])
    counted = pc.value_counts(homes["account_id"])
    several = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")

    def renamed(table: pa.Table) -> pa.Table:
        ids = table["account_id"]
        full = pc.binary_join_element_wise(table["platform"], ids, ":")
        place = table.schema.get_field_index("account_id")
        return table.set_column(place, "account_id", pc.if_else(pc.is_in(ids, several), full, ids))

    return renamed(panel), renamed(listed), len(several)


def _accounts(panel: pa.Table, listed: pa.Table) -> pa.Table:
    homes = pa.concat_tables([table.select(["account_id", "platform"]) for table in (panel, listed)])
    accounts = homes.group_by(["account_id", "platform"]).aggregate([]).sort_by("account_id")
    ids = accounts["account_id"]

    def value(table: pa.Table, column: str) -> pa.ChunkedArray:
        place = pc.index_in(ids, table["account_id"].combine_chunks())
        return table[column].combine_chunks().take(place)

    def latest(column: str) -> pa.ChunkedArray:
        return value(newest(panel.filter(pc.is_valid(panel[column])), "account_id", "date"), column)

    return pa.table(
        {
            "account_id": ids,
            "kind": pa.repeat("creator", len(ids)),
            "platform": accounts["platform"],
            "category": latest("category"),
            "location": pc.coalesce(latest("location"), value(listed, "location")),
            "followers": pc.coalesce(latest("followers"), value(listed, "followers")),
            "hearts": value(listed, "hearts"),
            "videos": value(listed, "videos"),
        }
    )
