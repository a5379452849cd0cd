"""What would give a ranker the answer: brands on both sides of a split, twins, mentions that nobody marked.

Shapes: B brands with partners, C creators, E pairs of the table mentions.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from micromega.market.inspect.finding import EXAMPLES, Finding, Severity, mask_of, rows_found

Tables = Mapping[str, pa.Table]
Ints = NDArray[np.int64]
TWIN_OVERLAP = 0.8
"""Brands that share this part of all their creators (intersection over union) are twins."""
TWIN_CREATORS = 3


def leaks(tables: Tables) -> Iterator[Finding]:
    """Look for leaks between test and training brands.

    Args:
        tables: of a market, each with all columns of its schema.

    Yields:
        Findings.
    """
    yield from _both_sides(tables)
    yield from _twins(tables)
    yield from _same_name(tables)
    if "mentions" in tables and "posts" in tables:
        yield from _pairs_without_posts(tables)
    if "posts" in tables:
        yield from _unmarked(tables)


def brand_mentions(tables: Tables) -> tuple[Ints, pa.Array]:
    """List what posts name which brand account of somebody else.

    Args:
        tables: accounts and posts.

    Returns:
        (K,) row of the post and (K,) id of the brand, in the order of the posts; a post may name a brand twice.
    """
    accounts, posts = tables["accounts"], tables["posts"]
    brands = accounts["account_id"].filter(pc.equal(accounts["kind"], "brand")).combine_chunks()
    lists = posts["mentioned_ids"].combine_chunks()
    promoted = posts["brand_id"].combine_chunks()
    row = np.concatenate([np.asarray(pc.list_parent_indices(lists)), np.flatnonzero(np.asarray(promoted.is_valid()))])
    named = pa.concat_arrays([pc.list_flatten(lists), promoted.drop_null()])
    keep = mask_of(pc.is_in(named, value_set=brands))
    row, named = row[keep].astype(np.int64), named.filter(pa.array(keep))
    foreign = mask_of(pc.not_equal(posts["account_id"].take(pa.array(row)).combine_chunks(), named))
    return row[foreign], named.filter(pa.array(foreign))


def pairs_without_posts(tables: Tables) -> NDArray[np.bool_]:
    """(E,) which pairs of `mentions` no post stands behind: the ranker refuses them."""
    mentions, authors = tables["mentions"], tables["posts"]["account_id"]
    row, named = brand_mentions(tables)
    brands = pc.unique(pa.chunked_array([named, *mentions["brand_id"].chunks]))
    creators = pc.unique(pa.chunked_array([*authors.chunks, *mentions["creator_id"].chunks]))

    def code(creator: pa.ChunkedArray, brand: pa.Array) -> Ints:
        first = np.asarray(pc.index_in(creator, value_set=creators), dtype=np.int64)
        return first * len(brands) + np.asarray(pc.index_in(brand, value_set=brands), dtype=np.int64)

    found = code(authors.take(pa.array(row)), named)
    wanted = code(mentions["creator_id"], mentions["brand_id"])
    return ~np.isin(wanted, found)


def _both_sides(tables: Tables) -> Iterator[Finding]:
    if "splits" not in tables:
        return
    splits = tables["splits"]
    several = splits.group_by("account_id", use_threads=False).aggregate([("split", "count_distinct")])
    several = several.filter(pc.greater(several["split_count_distinct"], 1))
    accounts = tables["accounts"]
    brands = accounts["account_id"].filter(pc.equal(accounts["kind"], "brand")).combine_chunks()
    is_brand = pc.is_in(several["account_id"], value_set=brands)
    yield from rows_found(
        "serious", "splits", several, mask_of(is_brand), column="split", ids="account_id", total=len(brands),
        what="brand in more than one part of the split|brands in more than one part of the split",
        remedy="A test brand that is also trained on makes every metric too good: keep each brand in one part.",
    )  # fmt: skip
    yield from rows_found(
        "note", "splits", several, ~mask_of(is_brand), column="split", ids="account_id",
        total=int(pc.sum(pc.equal(accounts["kind"], "creator")).as_py() or 0),
        what="creator in more than one part of the split|creators in more than one part of the split",
        remedy="Expected where creators serve brands on both sides; the ranker never sees their posts about brands.",
    )  # fmt: skip


def _twins(tables: Tables) -> Iterator[Finding]:
    """Pairs of brands with nearly the same creators: one in training tells the answer for the other in the test."""
    if "mentions" not in tables:
        return
    mentions = tables["mentions"]
    brand = mentions["brand_id"].combine_chunks().dictionary_encode()
    creator = mentions["creator_id"].combine_chunks().dictionary_encode()
    shape = (len(brand.dictionary), len(creator.dictionary))
    entries = (np.ones(len(mentions)), (np.asarray(brand.indices), np.asarray(creator.indices)))
    serves = sparse.csr_matrix(entries, shape=shape)
    size = np.diff(serves.indptr)
    large = np.flatnonzero(size >= TWIN_CREATORS)
    common = sparse.triu(serves[large] @ serves[large].T, k=1).tocoo()
    first, second = large[common.row], large[common.col]
    twin = common.data >= TWIN_OVERLAP * (size[first] + size[second] - common.data)
    first, second, shared = first[twin], second[twin], common.data[twin].astype(int)
    ids = brand.dictionary.to_pylist()
    part, names = _parts(tables), _names(tables["accounts"], brand.dictionary)
    apart = np.array([part.get(ids[a], "") != part.get(ids[b], "") for a, b in zip(first, second, strict=True)], bool)
    cases: tuple[tuple[NDArray[np.bool_], Severity, str], ...] = (
        (apart, "serious", "in different parts of the split"),
        (~apart, "check", "with nearly the same creators"),
    )
    for chosen, severity, where in cases:
        rows = np.flatnonzero(chosen)
        if len(rows):
            yield Finding(
                severity=severity, table="mentions", column="brand_id", count=len(rows),
                what=f"pair of twin brands {where}|pairs of twin brands {where}",
                examples=tuple(
                    f"{names[first[i]]} and {names[second[i]]} ({shared[i]} shared creators)" for i in rows[:EXAMPLES]
                ),
                remedy="If one is trained on and the other tested, the answer leaks. Merge them, or keep both in one "
                "part of the split.",
            )  # fmt: skip


def _parts(tables: Tables) -> dict[str, str]:
    if "splits" not in tables:
        return {}
    return dict(zip(*(tables["splits"][name].to_pylist() for name in ("account_id", "split")), strict=True))


def _names(accounts: pa.Table, ids: pa.Array) -> list[str]:
    """Name and id of each account, or the id alone."""
    place = pc.index_in(ids, value_set=accounts["account_id"].combine_chunks())
    names = accounts["name"].take(place).to_pylist()
    return [f"{name} ({key})" if name else key for name, key in zip(names, ids.to_pylist(), strict=True)]


def _same_name(tables: Tables) -> Iterator[Finding]:
    accounts = tables["accounts"]
    brands = accounts.filter(pc.and_(pc.equal(accounts["kind"], "brand"), pc.is_valid(accounts["name"])))
    plain = pc.replace_substring_regex(pc.utf8_lower(brands["name"]), r"[^\p{L}\p{N}]", "").combine_chunks()
    code = np.asarray(plain.dictionary_encode().indices, dtype=np.int64)
    repeated = (np.bincount(code, minlength=1)[code] > 1) & mask_of(pc.not_equal(plain, ""))
    brands, code = brands.filter(pa.array(repeated)), code[repeated]
    brands = brands.take(pa.array(np.argsort(code, kind="stable")))
    yield from rows_found(
        "check", "accounts", brands, np.ones(len(brands), bool), column="name", shown=("name",),
        total=int(pc.sum(pc.equal(accounts["kind"], "brand")).as_py() or 0),
        what="brand whose name differs from another's only in case and signs|"
        "brands whose names differ from another's only in case and signs",
        remedy="If they are one brand, merge them: split apart, one gives away the other's creators.",
    )  # fmt: skip


def _pairs_without_posts(tables: Tables) -> Iterator[Finding]:
    yield from rows_found(
        "serious", "mentions", tables["mentions"], pairs_without_posts(tables), column="posts", shown=("brand_id",),
        what="pair that no post stands behind|pairs that no post stands behind",
        remedy="The posts about the brand would describe the creator and give the answer away: fill mentioned_ids or "
        "brand_id in posts.parquet, or derive mentions from the posts.",
    )  # fmt: skip


def _unmarked(tables: Tables) -> Iterator[Finding]:
    """Posts whose caption names a brand by "@" that `mentioned_ids` and `brand_id` lack."""
    accounts, posts = tables["accounts"], tables["posts"]
    brands = accounts.filter(pc.equal(accounts["kind"], "brand"))
    ids = brands["account_id"].combine_chunks()
    handles = pc.utf8_lower(pa.concat_arrays([ids, pc.coalesce(brands["name"].combine_chunks(), ids)]))
    row = np.flatnonzero(mask_of(pc.match_substring(posts["caption"], "@")))
    if not len(row) or not len(ids):
        return
    pieces = pc.split_pattern(posts["caption"].take(pa.array(row)).combine_chunks(), "@")
    start = np.zeros(int(pc.sum(pc.list_value_length(pieces)).as_py()), dtype=bool)
    start[np.asarray(pieces.offsets)[:-1] - np.asarray(pieces.offsets)[0]] = True  # what stands before the first "@"
    post = row[np.asarray(pc.list_parent_indices(pieces))[~start]]
    texts = pc.list_flatten(pieces).filter(pa.array(~start))
    handle = pc.utf8_rtrim(pc.struct_field(pc.extract_regex(texts, r"^(?P<h>[\pL\pN_.]+)"), "h"), ".")
    place = pc.fill_null(pc.index_in(pc.utf8_lower(handle), value_set=handles), -1)
    brand = np.asarray(place, dtype=np.int64)
    post, brand = post[brand >= 0], brand[brand >= 0] % len(ids)
    author = np.asarray(pc.fill_null(pc.index_in(posts["account_id"], value_set=ids), -1), dtype=np.int64)
    marked_post, marked = brand_mentions(tables)
    marked_brand = np.asarray(pc.index_in(marked, value_set=ids), dtype=np.int64)
    known = np.isin(post * len(ids) + brand, marked_post * len(ids) + marked_brand)
    bad = np.zeros(posts.num_rows, dtype=bool)
    bad[post[~known & (author[post] != brand)]] = True
    yield from rows_found(
        "serious", "posts", posts, bad, column="mentioned_ids", shown=("caption",),
        what="post whose caption names a brand that mentioned_ids lacks|"
        "posts whose captions name a brand that mentioned_ids lacks",
        remedy="Such a post describes its creator to the ranker and names the answer: add the brand to mentioned_ids.",
    )  # fmt: skip
