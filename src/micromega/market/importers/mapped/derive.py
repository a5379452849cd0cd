"""What a map leaves out and other columns tell."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.importers.cells import first_brand, hashtags_in, newest
from micromega.market.importers.mapped.column_map import TableMap
from micromega.market.importers.mapped.read import Rows
from micromega.market.market import account_ids
from micromega.market.mentions import mentions_from_posts, with_creator_categories
from micromega.market.schemas import SCHEMAS, TEXTS

_HANDLE = re.compile(r"@([A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?)|\x00")
_ONE_MERCHANT = "shop"
_Tables = dict[str, pa.Table]


def derive_tables(tables: Mapping[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Make accounts, merchants and products where the map names no file for them, and kinds of accounts.

    Args:
        tables: as read, not checked yet.

    Returns:
        The tables with those made, and a note for each.
    """
    found, notes = dict(tables), list[str]()
    if "orders" in found:
        notes += _commerce(found)
    everyone, brands = _ids_used(found, ("account", "creator", "brand")), _ids_used(found, ("brand",))
    if "accounts" not in found:
        ids = pc.unique(everyone).sort() if len(everyone) else everyone
        table = pa.table({"account_id": ids, "kind": _kinds(ids, brands)})
        if "posts" in found:
            table = _with_followers(table, found["posts"].table)
        found["accounts"] = _made("accounts", table)
        count = _count(len(ids), "account")
        notes.append(f"{count} derived from the ids in other tables; brands are those in brand columns.")
    elif found["accounts"].table["kind"].null_count == found["accounts"].table.num_rows:
        accounts = found["accounts"]
        kinds = _kinds(accounts.table["account_id"], brands)
        table = accounts.table.set_column(accounts.table.column_names.index("kind"), "kind", kinds)
        found["accounts"] = replace(accounts, table=table)
        notes.append("accounts.kind derived: brands are the accounts in brand columns of other tables.")
    return found, notes


def derive_from_posts(tables: Mapping[str, pa.Table], plan: Mapping[str, TableMap]) -> tuple[_Tables, list[str]]:
    """Read hashtags and mentions from captions, brands promoted and table mentions from posts, where not mapped.

    Args:
        tables: checked.
        plan: what is mapped.

    Returns:
        The tables with columns and tables filled in, and a note for each.
    """
    found, notes = dict(tables), list[str]()
    if "posts" not in found:
        return found, notes
    accounts, posts, mapped = found["accounts"], found["posts"], {*plan["posts"].columns, *plan["posts"].constants}
    brands = account_ids(accounts)["brand"]
    if posts["caption"].null_count < posts.num_rows:
        for column, made in (("hashtags", hashtags_in), ("mentioned_ids", lambda texts: _mentioned(texts, accounts))):
            if column not in mapped:
                posts = _with(posts, column, made(posts["caption"]))
                notes.append(f"posts.{column} read from the captions.")
    if "brand_id" not in mapped and len(brands):
        mentioned, authors = posts["mentioned_ids"].combine_chunks(), posts["account_id"].combine_chunks()
        posts = _with(posts, "brand_id", first_brand(mentioned, authors, brands))
        notes.append(
            "posts.brand_id is the first brand that the post mentions; a mention is no proof of a paid promotion."
        )
    found["posts"] = posts
    if "mentions" not in found and len(brands) and (mentions := mentions_from_posts(posts, accounts)).num_rows:
        found["mentions"] = mentions
        notes.append(f"mentions: {_count(mentions.num_rows, 'pair')} of creator and brand counted from the posts.")
        found["accounts"] = with_creator_categories(accounts, mentions)
        if made := accounts["category"].null_count - found["accounts"]["category"].null_count:
            few = ("creator without a category has", "it mentions")
            many = ("creators without a category have", "they mention")
            verb, mention = few if made == 1 else many
            notes.append(f"{made:,} {verb} that of the brands {mention} most.")
    return found, notes


def _commerce(found: dict[str, Rows]) -> list[str]:
    orders, notes = found["orders"].table, list[str]()
    if orders["merchant_id"].null_count == orders.num_rows:
        merchant = pa.repeat(_ONE_MERCHANT, orders.num_rows)
        if "products" in found:
            products = found["products"].table
            place = pc.index_in(orders["product_id"], value_set=products["product_id"].combine_chunks())
            merchant = products["merchant_id"].combine_chunks().take(place.combine_chunks())
        orders = _with(orders, "merchant_id", merchant)
        found["orders"] = replace(found["orders"], table=orders)
        how = "that of the product" if "products" in found else f'"{_ONE_MERCHANT}" for all'
        notes.append(f"orders.merchant_id is {how}.")
    if "products" not in found:
        rows = orders.select(["product_id", "merchant_id"]).drop_null().group_by("product_id", use_threads=False)
        products = rows.aggregate([("merchant_id", "min")]).rename_columns({"merchant_id_min": "merchant_id"})
        found["products"] = _made("products", products.sort_by("product_id"))
        notes.append(f"{_count(products.num_rows, 'product')} derived from orders.")
    if "merchants" not in found:
        ids = pc.unique(_ids_used(found, ("merchant",))).sort()
        found["merchants"] = _made("merchants", pa.table({"merchant_id": ids}))
        notes.append(f"{_count(len(ids), 'merchant')} derived from products and orders.")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _ids_used(tables: Mapping[str, Rows], kinds: tuple[str, ...]) -> pa.Array:
    """Ids of such things in all tables that refer to them."""
    columns = [
        rows.table[column]
        for name, rows in tables.items()
        for column, what in SCHEMAS[name].columns.items()
        if what.refers_to in kinds
    ]
    return pa.concat_arrays([pa.array([], pa.string()), *(pc.unique(column).drop_null() for column in columns)])


def _kinds(ids: pa.Array | pa.ChunkedArray, brands: pa.Array) -> pa.Array | pa.ChunkedArray:
    return pc.if_else(pc.is_in(ids, value_set=brands), "brand", "creator")


def _with_followers(accounts: pa.Table, posts: pa.Table) -> pa.Table:
    """Add the followers that the newest post of each author names."""
    known = posts.filter(pc.is_valid(posts["author_followers"])).select(["account_id", "posted_at", "author_followers"])
    if not known.num_rows:
        return accounts
    last = newest(known, "account_id", "posted_at")
    place = pc.index_in(accounts["account_id"], value_set=last["account_id"].combine_chunks())
    return accounts.append_column("followers", last["author_followers"].take(place))


def _made(name: str, table: pa.Table) -> Rows:
    count = table.num_rows
    columns = [
        table[column].cast(what.type) if column in table.column_names else pa.nulls(count, what.type)
        for column, what in SCHEMAS[name].columns.items()
    ]
    whole = pa.table(columns, names=list(SCHEMAS[name].columns))
    return Rows(table=whole, file=f"{name} (derived)", numbers=np.arange(count), word="row")


def _mentioned(captions: pa.ChunkedArray, accounts: pa.Table) -> pa.Array:
    """Handles in captions, each once, in order: as account ids where an id or a name is that handle (case ignored)."""
    plain = pc.replace_substring(pc.fill_null(captions, ""), "\x00", " ")
    found = [match.group(1) for match in _HANDLE.finditer("\x00".join(plain.to_pylist()))]
    breaks = np.array([handle is None for handle in found], dtype=bool)
    handles = pa.array([handle.lower() for handle in found if handle is not None], pa.string())
    ids, names = accounts["account_id"].combine_chunks(), accounts["name"].combine_chunks()
    lower = [pc.utf8_lower(pc.utf8_ltrim(texts, "@")) for texts in (ids, names)]
    places = [pc.index_in(handles, value_set=texts) for texts in lower]
    handles = pc.coalesce(*(ids.take(place) for place in places), handles)
    table = pa.table({"row": np.cumsum(breaks)[~breaks], "id": handles, "place": np.arange(len(handles))})
    once = table.group_by(["row", "id"], use_threads=False).aggregate([("place", "min")]).sort_by("place_min")
    counts = np.bincount(once["row"].to_numpy(), minlength=len(captions))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), once["id"].combine_chunks()).cast(TEXTS)


def _with(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
