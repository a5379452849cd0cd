"""Real Instagram posts of 2020: about 100 recent posts each of 524 large Indonesian accounts, with their brand ties.

Published as "Project-Instagram-Influencers-Prediction" by adiptamartulandi, pseudonymised; the brands were picked and
put into categories by hand. A mention is no proof of a paid promotion. Files and columns read:

- posts.csv.gz: post_id, creator_id, dates (Unix seconds), type_posts, likes, comment_counts, captions
- influencers.csv: creator_id, category (subjects, a list as Python prints it), post, followers
- brand_accounts.csv: brand_id, brand_handle, category
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import OnBadRows
from micromega.market.config import InstagramIndonesia2020
from micromega.market.importers.cells import first_brand, hashtags_in, mentions_in, or_null
from micromega.market.importers.source import ACCOUNT_ID, POST_ID, SourceTable, files_of, read_csv
from micromega.market.importers.times import UNIX
from micromega.market.market import Market
from micromega.market.mentions import mentions_from_posts, with_creator_categories
from micromega.market.open import cached
from micromega.market.schemas import ACCOUNTS
from micromega.market.write import write_market

FILES = ("posts.csv.gz", "influencers.csv", "brand_accounts.csv")
_TYPES = {"GraphImage": "image", "GraphVideo": "video", "GraphSidecar": "carousel"}


def build(config: InstagramIndonesia2020, cache: Path) -> Market:
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

    Accounts that are brands and also among the 720 (nineteen) become brands with followers and posts of their own.
    `mentioned_ids` and `hashtags` are found in the caption, in order; `brand_id` is the first brand mentioned that is
    not the author. A creator's `category` is that of the brands mentioned most, so that it can be compared with brands'
    categories; the source's own subjects of a creator stand in `biography`, which the source has not.

    Args:
        source: folder with posts.csv.gz, influencers.csv and brand_accounts.csv.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    brands = read_csv(source / "brand_accounts.csv", ("brand_id", "brand_handle", "category"), on_bad_rows)
    brands.ids("brand_id", ACCOUNT_ID)
    brands.unique("brand_id")
    people = read_csv(source / "influencers.csv", ("creator_id", "category", "post", "followers"), on_bad_rows)
    people.ids("creator_id", ACCOUNT_ID)
    people.unique("creator_id")
    people.text_lists("category", python=True)
    people.count("post")
    people.count("followers")
    columns = ("post_id", "creator_id", "dates", "type_posts", "likes", "comment_counts", "captions")
    rows = read_csv(source / "posts.csv.gz", columns, on_bad_rows)
    rows.ids("post_id", POST_ID)
    rows.unique("post_id")
    rows.known("creator_id", people.rows["creator_id"].combine_chunks(), "influencers.csv")
    rows.clock_time("dates", UNIX)
    rows.choice("type_posts", tuple(_TYPES))
    rows.count("likes")
    rows.count("comment_counts")
    rows.blank("captions")

    posts = _posts(rows, brands.rows["brand_id"].combine_chunks())
    accounts, both = _accounts(people, brands)
    tables = {"accounts": accounts, "posts": posts}
    if (mentions := mentions_from_posts(posts, accounts)).num_rows:
        tables |= {"accounts": with_creator_categories(accounts, mentions), "mentions": mentions}
    return write_market(
        target,
        tables,
        name="instagram-indonesia-2020",
        currency="USD",
        source=(
            "github.com/adiptamartulandi/Project-Instagram-Influencers-Prediction, commit 8819a1f, pseudonymised; "
            "licence: none stated"
        ),
        notes=[
            "A mention is not a paid promotion; television shows, photographers and friends are among them.",
            f"{both} accounts are both brand and creator in the source; they are brands here, with posts of their own.",
            "A creator's category is that of the brands mentioned most; the source's own subjects stand in biography.",
            "The crawl was about mid July 2020 (day not recorded): the youngest posts had little time for likes.",
            "Captions are mainly Indonesian. No prices, events, shares or impressions.",
            *brands.notes,
            *people.notes,
            *rows.notes,
        ],
    )


def _accounts(people: SourceTable, brands: SourceTable) -> tuple[pa.Table, int]:
    """Make the accounts, and count those that both files name."""
    subjects = pc.binary_join(people.lists("category", python=True), ", ")
    person = pa.table(
        {
            "account_id": people.rows["creator_id"],
            "followers": people.integers("followers"),
            "videos": people.integers("post"),
            "biography": or_null(subjects),
        }
    )
    brand = brands.rows.rename_columns({"brand_id": "account_id", "brand_handle": "name"})
    accounts = person.join(brand, "account_id", join_type="full outer", use_threads=False).sort_by("account_id")
    is_brand = pc.is_in(accounts["account_id"], brand["account_id"].combine_chunks())
    accounts = accounts.append_column("kind", pc.if_else(is_brand, "brand", "creator"))
    accounts = accounts.append_column("platform", pa.repeat("instagram", accounts.num_rows))
    both = person.num_rows + brand.num_rows - accounts.num_rows
    return accounts.select([name for name in ACCOUNTS.columns if name in accounts.column_names]), both


def _posts(rows: SourceTable, brand_ids: pa.Array) -> pa.Table:
    captions, authors = rows.rows["captions"], rows.rows["creator_id"].combine_chunks()
    mentioned = mentions_in(captions)
    kinds = pc.index_in(rows.rows["type_posts"], pa.array(list(_TYPES)))
    return pa.table(
        {
            "post_id": rows.rows["post_id"],
            "account_id": authors,
            "posted_at": rows.times("dates", UNIX),
            "caption": captions,
            "hashtags": hashtags_in(captions),
            "mentioned_ids": mentioned,
            "likes": rows.integers("likes"),
            "comments": rows.integers("comment_counts"),
            "brand_id": first_brand(mentioned, authors, brand_ids),
            "content_type": pa.array(list(_TYPES.values())).take(kinds.combine_chunks()),
        }
    )
