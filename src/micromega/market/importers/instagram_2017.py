"""Real Instagram posts of spring 2017: the latest 17 posts of 978 large accounts, and the brands that they mention.

Published as "instagram-like-predictor" (github.com/gvsi/instagram-like-predictor), pseudonymised; the brands were
picked and put into categories by hand. A mention is no proof of a paid promotion.
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import ConfigError
from micromega.market.checks import OnBadRows
from micromega.market.config import Instagram2017
from micromega.market.importers.cells import first_brand
from micromega.market.importers.source import SourceTable, read_csv
from micromega.market.market import Market
from micromega.market.mentions import mentions_from_posts, with_creator_categories
from micromega.market.open import cached
from micromega.market.schemas import ACCOUNTS, POSTS, TEXTS, TIME
from micromega.market.write import write_market

FILES = ("posts.csv.gz", "profiles.csv", "brand_accounts.csv")
_ID = r"^[0-9a-f]{12}$"
_TOKEN = re.compile(r"@([0-9a-f]{12})(?![0-9a-f])|\x00")


def build(config: Instagram2017, cache: Path) -> Market:
    """Import once per source and read the result from the cache from then on.

    Args:
        config: names the folder of the source.
        cache: folder of all built markets.

    Returns:
        The validated market.
    """
    if not config.path:
        raise ConfigError("market.path: the folder with posts.csv.gz is not given. Add market.path=FOLDER.")
    folder = Path(config.path)
    sources = [folder / name for name in FILES if (folder / name).is_file()]
    return cached(config, cache, sources, lambda target: import_folder(folder, target, on_bad_rows=config.on_bad_rows))


def import_folder(source: Path, target: Path, *, on_bad_rows: OnBadRows = "error") -> Market:
    """Turn the source's files into a market folder.

    Accounts that are brands and also among the 978 profiles (two) become brands with followers and posts of their own.
    A post's `mentioned_ids` are those in the caption, in order, then those only tagged on the picture, sorted by id;
    `brand_id` is the first brand among them that is not the author. Dates of 1970 are unknown.

    Args:
        source: folder with posts.csv.gz, profiles.csv and brand_accounts.csv.
        target: market folder to make.
        on_bad_rows: "error" or "drop".

    Returns:
        The market.

    Raises:
        DataError: naming file, column, count and first bad lines.
    """
    brands = read_csv(source / "brand_accounts.csv", ("brand_id", "brand_handle", "category"), on_bad_rows)
    brands.pattern("brand_id", _ID, "malformed id|malformed ids", "Ids have 12 hexadecimal digits.")
    brands.unique("brand_id")
    profiles = read_csv(source / "profiles.csv", ("creator_id", "numberPosts", "numberFollowers"), on_bad_rows)
    profiles.pattern("creator_id", _ID, "malformed id|malformed ids", "Ids have 12 hexadecimal digits.")
    profiles.unique("creator_id")
    profiles.count("numberPosts")
    profiles.count("numberFollowers")
    accounts, both = _accounts(profiles, brands)

    rows = read_csv(
        source / "posts.csv.gz",
        ("post_id", "creator_id", "date", "numberLikes", "tags", "mentions", "description"),
        on_bad_rows,
    )
    _check_posts(rows, profiles.rows.column("creator_id").combine_chunks())
    posts, unknown_dates = _posts(rows, brands.rows.column("brand_id").combine_chunks())
    notes = [
        "A mention is not a paid promotion; photo credits and reposts are among them. Self-mentions do not count.",
        f"{both} accounts are both brand and profile; they are brands here, with posts of their own.",
        f"{unknown_dates} posts have no known date (1970 in the source).",
        "A creator's category is that of the brands mentioned most; the source has none.",
        "No prices, events, comments or impressions. All profiles have more than 100,000 followers.",
        *brands.notes,
        *profiles.notes,
        *rows.notes,
    ]
    tables = {"accounts": accounts, "posts": posts}
    if (mentions := mentions_from_posts(posts, accounts)).num_rows:
        tables["mentions"] = mentions
        tables["accounts"] = with_creator_categories(accounts, mentions)
    return write_market(
        target,
        tables,
        name="instagram-2017",
        currency="USD",
        source="github.com/gvsi/instagram-like-predictor, commit e5a88a1, pseudonymised; licence: none stated",
        notes=notes,
    )


def _check_posts(rows: SourceTable, creators: pa.Array) -> None:
    rows.pattern("post_id", "^[0-9a-f]{16}$", "malformed id|malformed ids", "Ids have 16 hexadecimal digits.")
    rows.unique("post_id")
    rows.known("creator_id", creators, "profiles.csv")
    pattern = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$"
    rows.pattern("date", pattern, "malformed date|malformed dates", "Dates look like 2017-04-29T05:00:00.000Z.")
    rows.count("numberLikes")
    rows.text_lists("tags")
    rows.text_lists("mentions")


def _accounts(profiles: SourceTable, brands: SourceTable) -> tuple[pa.Table, int]:
    profile = pa.table(
        {
            "account_id": profiles.rows.column("creator_id"),
            "followers": profiles.integers("numberFollowers"),
            "videos": profiles.integers("numberPosts"),
        }
    )
    brand = brands.rows.rename_columns({"brand_id": "account_id", "brand_handle": "name"})
    accounts = profile.join(brand, "account_id", join_type="full outer", use_threads=False).sort_by("account_id")
    is_brand = pc.is_in(accounts.column("account_id"), brand.column("account_id").combine_chunks())
    accounts = accounts.append_column("kind", pc.if_else(is_brand, "brand", "creator"))
    accounts = accounts.append_column("platform", pa.array(["instagram"] * len(accounts)))
    both = pc.sum(pc.is_in(profile.column("account_id"), brand.column("account_id").combine_chunks())).as_py()
    return accounts.select([name for name in ACCOUNTS.columns if name in accounts.column_names]), both


def _posts(rows: SourceTable, brand_ids: pa.Array) -> tuple[pa.Table, int]:
    captions = rows.rows.column("description").combine_chunks()
    authors = rows.rows.column("creator_id").combine_chunks()
    posted_at = pc.strptime(rows.rows.column("date"), "%Y-%m-%dT%H:%M:%S.000Z", "us").cast(TIME)
    unknown = pc.equal(pc.year(posted_at), 1970)
    mentioned = _in_order(rows.lists("mentions"), captions)
    tags = rows.lists("tags")
    hashtags = pa.ListArray.from_arrays(tags.offsets, pc.utf8_ltrim(tags.flatten(), "#"))
    posts = pa.table(
        {
            "post_id": rows.rows.column("post_id"),
            "account_id": authors,
            "posted_at": pc.if_else(unknown, pa.scalar(None, TIME), posted_at),
            "caption": captions,
            "hashtags": hashtags,
            "mentioned_ids": mentioned,
            "likes": rows.integers("numberLikes"),
            "brand_id": first_brand(mentioned, authors, brand_ids),
        }
    )
    return posts.select([name for name in POSTS.columns if name in posts.column_names]), pc.sum(unknown).as_py()


def _in_order(mentioned: pa.Array, captions: pa.Array) -> pa.Array:
    """Order each post's mentions as its caption names them; those that it does not name come last, sorted."""
    # All captions as one text, so that one search finds all tokens; NUL, which no caption keeps, parts them.
    text = "\x00".join(pc.replace_substring(captions, "\x00", " ").to_pylist())
    found = [match.group(1) for match in _TOKEN.finditer(text)]
    row = np.cumsum([token is None for token in found], dtype=np.int64)
    place = pa.table({"row": row, "id": pa.array(found, pa.string()), "place": np.arange(len(found))})
    place = place.group_by(["row", "id"], use_threads=False).aggregate([("place", "min")])
    wanted = pa.table({"row": pc.list_parent_indices(mentioned).cast(pa.int64()), "id": mentioned.flatten()})
    joined = wanted.join(place, ["row", "id"], use_threads=False)
    ordered = joined.sort_by([("row", "ascending"), ("place_min", "ascending"), ("id", "ascending")])
    return pa.ListArray.from_arrays(mentioned.offsets, ordered.column("id").combine_chunks()).cast(TEXTS)
