"""A first map of columns, guessed from the headers of files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from micromega.errors import DataError
from micromega.market.importers.blocks import BadRows
from micromega.market.importers.mapped.column_map import DERIVED
from micromega.market.importers.mapped.read import PARQUET
from micromega.market.importers.stream import csv_blocks, csv_header
from micromega.market.importers.times import ISO, parse_times
from micromega.market.schemas import DATE, SCHEMAS, TIME

ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", *PARQUET)
_SYNONYMS = {
    "post_id": "id media_id video_id shortcode aweme_id pk",
    "account_id": "user user_id username author author_id author_name creator creator_id influencer influencer_id "
    "influencer_name owner owner_id channel channel_id handle profile profile_id account page",
    "posted_at": "date time timestamp created created_at create_time published published_at publish_date taken_at "
    "post_date upload_date",
    "caption": "text description desc title content message body",
    "hashtags": "tags hash_tags",
    "mentioned_ids": "mentions mentioned tagged tagged_users",
    "likes": "like like_count likes_count number_likes n_likes favorites hearts digg_count",
    "comments": "comment comment_count comments_count number_comments n_comments replies",
    "shares": "share share_count shares_count reposts retweets",
    "impressions": "views view_count views_count plays play_count reach video_views number_of_views",
    "brand_id": "brand brand_name advertiser sponsor sponsor_name",
    "sponsored": "is_sponsored is_ad paid paid_partnership is_paid",
    "duration_s": "duration video_duration length_s seconds",
    "music_id": "music sound sound_id audio_id",
    "author_followers": "followers follower_count followers_count subscribers",
    "kind": "type account_type role",
    "name": "full_name display_name nickname",
    "platform": "network channel_type",
    "category": "niche topic vertical industry line_of_business category_code",
    "location": "city country region",
    "followers": "follower_count followers_count number_followers subscribers fans fan_count",
    "verified": "is_verified",
    "videos": "posts video_count media_count number_posts posts_count",
    "biography": "bio about signature",
    "creator_id": "creator influencer influencer_id username user user_id account_id author",
    "content_type": "format type post_type media_type deliverable",
    "price": "rate fee cost unit_price",
    "event_id": "event",
    "date": "event_date day",
    "order_id": "order invoice invoice_id transaction_id basket_id",
    "product_id": "product item item_id sku product_line",
    "customer_id": "customer user user_id client buyer",
    "merchant_id": "merchant brand seller store shop manufacturer",
    "quantity": "qty units",
    "amount": "total revenue sales spend",
    "ordered_at": "date time timestamp event_time order_date invoice_date purchased_at",
    "source_id": "source from from_id followee u",
    "target_id": "target to to_id follower v",
    "probability": "weight p",
    "offset_days": "offset days_offset",
    "campaign_id": "campaign",
    "engagement": "engagements interactions",
}
"""Column of the market -> other names of it, written as `_plain` writes them."""
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_FORMS = (ISO, *(day + clock for day in _DAYS for clock in _CLOCKS), "unix", "unix_ms")
_TABLES = ("orders", "follows", "prices", "campaigns", "events", "views", "mentions", "posts", "accounts", "products")
"""Tables that a file may be, the most particular first."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a file looks like."""

    table: str
    """The table that it fills best; empty if none."""
    columns: dict[str, str]
    """Column of the market -> column of the file."""
    unused: tuple[str, ...]
    """Columns of the file that fit nothing."""
    missing: tuple[str, ...]
    """Required columns of the table that no column of the file fits."""


def suggest_map(path: Path | str, some: Sequence[Path] = ()) -> str:
    """Write a first map of columns for a file, or for all files of a folder.

    Args:
        path: CSV or Parquet file, or a folder of such.
        some: those of the folder's files that shall be in the map; all by default.

    Returns:
        YAML text, to be put beside the files and corrected by hand.

    Raises:
        DataError: there is no such file, or it is unreadable.
    """
    place = Path(path)
    files = list(some) or (sorted(filter(_is_table, place.iterdir())) if place.is_dir() else [place])
    if not files:
        raise DataError(f"{place}: there is no CSV or Parquet file in this folder.")
    name = place.name if place.is_dir() else place.name.split(".")[0]
    lines = [f"name: {_scalar(name)}", "currency: EUR  # correct this", "tables:"]
    guesses = {file: guess_table(columns_of(file)) for file in files}
    for file, guess in guesses.items():
        rivals = {other: len(found.columns) for other, found in guesses.items() if found.table == guess.table}
        best = max(rivals, key=lambda other: rivals[other])
        lines += _table_lines(file, guess, best)
    return "\n".join(lines) + "\n"


def guess_table(names: list[str]) -> Guess:
    """Guess which table a file fills, by the names of its columns.

    Args:
        names: columns of the file.

    Returns:
        The table whose required columns are all there and that takes most columns; else the one that takes most.
    """
    guesses = [_guess(table, names) for table in _TABLES]
    best = max(guesses, key=lambda guess: (not guess.missing, len(guess.columns)))
    if not best.columns:
        return Guess(table="", columns={}, unused=tuple(names), missing=())
    return best


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a CSV or Parquet file.

    Raises:
        DataError: there is no such file, or it is unreadable.
    """
    if path.suffix.lower() not in PARQUET:
        return csv_header(path, delimiter=delimiter_of(path))
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name}: not a readable Parquet file ({str(error).splitlines()[0]}).") from error
    return names


def delimiter_of(path: Path) -> str:
    """The character that parts the header's names: comma, semicolon, tab or bar."""
    names = csv_header(path)
    header = names[0] if len(names) == 1 else ""
    return max(",;\t|", key=header.count) if header else ","


def _guess(table: str, names: list[str]) -> Guess:
    columns: dict[str, str] = {}
    plain = {name: _plain(name) for name in names}
    schema = SCHEMAS[table].columns
    for known_as in (_itself, _synonyms, _counted):  # a column's own name beats a synonym
        for column in schema:
            known = known_as(column)
            free = (name for name in names if name not in columns.values() and plain[name] in known)
            if column not in columns and (name := next(free, None)) is not None:
                columns[column] = name
    ordered = {column: columns[column] for column in schema if column in columns}
    missing = [column for column, what in schema.items() if what.required and column not in columns]
    return Guess(
        table=table,
        columns=ordered,
        unused=tuple(name for name in names if name not in columns.values()),
        missing=tuple(column for column in missing if column not in DERIVED.get(table, ())),
    )


def _itself(column: str) -> set[str]:
    return {column}


def _synonyms(column: str) -> set[str]:
    return set(_SYNONYMS.get(column, "").split())


def _counted(column: str) -> set[str]:
    return {
        f"{prefix}_{name}" for name in (column, *_synonyms(column)) for prefix in ("n", "num", "number", "number_of")
    }


def _plain(name: str) -> str:
    """A name in lower case with underscores: "Like Count", "likeCount" and "like-count" are like_count."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _table_lines(file: Path, guess: Guess, best: Path) -> list[str]:
    if not guess.table:
        return [f"  # {file.name}: no column fits. It has: {', '.join(guess.unused)}."]
    lines = [f"  {guess.table}:", f"    file: {_scalar(file.name)}"]
    if file != best:
        return [f"  # {file.name} looks like {guess.table} too, as {best.name} does, which has more of its columns."]
    if file.suffix.lower() not in PARQUET and (delimiter := delimiter_of(file)) != ",":
        lines.append(f"    delimiter: {_scalar(delimiter)}")
    lines.append("    columns:")
    lines += [f"      {column}: {_scalar(name)}" for column, name in guess.columns.items()]
    doc = SCHEMAS[guess.table].columns
    lines += [f"      # {column}: ?  required: {doc[column].doc}" for column in guess.missing]
    if times := {column: form for column, name in guess.columns.items() if (form := _time_form(file, guess, column))}:
        lines += ["    times:", *(f"      {column}: {form}" for column, form in times.items())]
    if guess.unused:
        lines.append(f"    # not used: {', '.join(guess.unused)}")
    return lines


def _time_form(file: Path, guess: Guess, column: str) -> str:
    """Form of a column of times, if it is not ISO 8601: the first that fits all of the first values."""
    if SCHEMAS[guess.table].columns[column].type not in {TIME, DATE} or file.suffix.lower() in PARQUET:
        return ""
    name = guess.columns[column]
    blocks = csv_blocks(file, (name,), BadRows(file=file.name, on_bad_rows="drop"), delimiter=delimiter_of(file))
    values = next((block.rows[name].slice(0, 1_000) for block in blocks), pa.chunked_array([[]], pa.string()))
    texts = pc.utf8_trim_whitespace(values.filter(pc.not_equal(values, "")))
    fits = [form for form in _FORMS if len(texts) and not parse_times(texts, form).null_count]
    if not fits or fits[0] == ISO:
        return ""
    doubt = f"  # or {_scalar(fits[1])}: correct this" if len(fits) > 1 and fits[0][1] != fits[1][1] else ""
    return f"{_scalar(fits[0])}{doubt}"


def _is_table(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith(ENDINGS)


def _scalar(text: str) -> str:
    """Text as YAML writes it, quoted where it must be."""
    return yaml.safe_dump(text, default_style='"' if text.strip() != text or not text.strip() else None).split("\n")[0]
