"""What cannot be true: repeated posts, counts that contradict one another, sums that do not fit."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.checks import repeated
from micromega.market.inspect.finding import Finding, floats, mask_of, rows_found

Tables = Mapping[str, pa.Table]
_RECRAWL = "Were they counted on different days? Take both from one crawl, or clear the column that is wrong."


def impossible(tables: Tables) -> Iterator[Finding]:
    """Look for contradictions.

    Args:
        tables: of a market, each with all columns of its schema.

    Yields:
        Findings.
    """
    if "posts" in tables:
        yield from _repeated_posts(tables["posts"])
        yield from _above_impressions("posts", tables["posts"], ("likes", "comments", "shares"))
        yield from _against_accounts(tables["posts"], tables["accounts"])
    if "campaigns" in tables:
        yield from _above_impressions("campaigns", tables["campaigns"], ("engagement",))
    if "views" in tables:
        yield from _views(tables)
    for name in ("follows", "exposures"):
        if name in tables:
            yield from _loops(name, tables[name])
    if "products" in tables and "merchants" in tables:
        yield from _quotas(tables)
    if "orders" in tables and "products" in tables:
        yield from _other_merchant(tables)


def _repeated_posts(posts: pa.Table) -> Iterator[Finding]:
    said = mask_of(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(posts["caption"])), 0))
    if not said.any():
        return
    known = posts.filter(pa.array(said))
    author, time, caption = (known[name] for name in ("account_id", "posted_at", "caption"))
    same = repeated((author, caption, time)) & mask_of(pc.is_valid(time))
    yield from rows_found(
        "serious", "posts", known, same, shown=("account_id",), total=posts.num_rows,
        what="post that repeats another's account, time and caption|posts that repeat another's account, time and "
        "caption",
        remedy="Keep one of each: copies on both sides of a split leak, and count twice everywhere else.",
    )  # fmt: skip
    again = repeated((author, caption)) & ~same
    yield from rows_found(
        "note", "posts", known, again, column="caption", shown=("account_id",), total=posts.num_rows,
        what="post that repeats a caption of its account|posts that repeat a caption of their account",
        remedy="Templates and reposts say little about a creator; drop them if they are many.",
    )  # fmt: skip


def _above_impressions(name: str, table: pa.Table, columns: Sequence[str]) -> Iterator[Finding]:
    impressions = floats(table["impressions"])
    for column in columns:
        values = floats(table[column])
        noun = "post" if name == "posts" else "campaign"
        yield from rows_found(
            "serious", name, table, values > impressions, column=column, shown=(column, "impressions"),
            total=int((~np.isnan(values) & ~np.isnan(impressions)).sum()),
            what=f"{noun} with more {column} than impressions|{noun}s with more {column} than impressions",
            remedy=_RECRAWL,
        )  # fmt: skip


def _against_accounts(posts: pa.Table, accounts: pa.Table) -> Iterator[Finding]:
    place = pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks()).combine_chunks()
    likes = floats(posts["likes"])
    then, now = floats(posts["author_followers"]), floats(accounts["followers"].take(place))
    nobody = np.where(np.isnan(then), now, then) == 0
    yield from rows_found(
        "check", "posts", posts, nobody & (likes >= 10), column="likes", shown=("account_id", "likes"),
        what="post with 10 likes or more whose author has no followers|posts with 10 likes or more whose authors have "
        "no followers",
        remedy="A follower count of 0 usually means that it was not read: leave it empty.",
    )  # fmt: skip
    hearts = floats(accounts["hearts"].take(place))
    yield from rows_found(
        "serious", "posts", posts, likes > hearts, column="likes", shown=("account_id", "likes"),
        total=int((~np.isnan(likes) & ~np.isnan(hearts)).sum()),
        what="post with more likes than its author has hearts in all|posts with more likes than their authors have "
        "hearts in all",
        remedy=_RECRAWL,
    )  # fmt: skip
    listed = np.bincount(np.asarray(place, dtype=np.int64), minlength=accounts.num_rows)
    published = floats(accounts["videos"])
    yield from rows_found(
        "check", "accounts", accounts, listed > published, column="videos", shown=("videos",),
        total=int((~np.isnan(published)).sum()),
        what="account with more posts in the market than `videos` says|accounts with more posts in the market than "
        "`videos` says",
        remedy="Deleted posts or an old count. Deep IV divides hearts by it: correct or clear it.",
    )  # fmt: skip


def _views(tables: Tables) -> Iterator[Finding]:
    views = tables["views"]
    post = np.asarray(views["post_id"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
    day, seen = (np.asarray(views[name], dtype=np.int64) for name in ("day", "impressions"))
    order = np.arange(len(post))
    ordered = (np.diff(post) > 0) | ((np.diff(post) == 0) & (np.diff(day) > 0))
    if not ordered.all():
        order = np.lexsort((day, post))
        post, seen = post[order], seen[order]
    falls = np.zeros(len(post), dtype=bool)
    falls[order[1:]] = (np.diff(post) == 0) & (np.diff(seen) < 0)
    yield from rows_found(
        "serious", "views", views, falls, column="impressions", shown=("day", "impressions"),
        what="day on which a post's impressions fall|days on which a post's impressions fall",
        remedy="Impressions are cumulative. Were daily ones meant? Then add them up. The growth model needs them.",
    )  # fmt: skip
    if "posts" not in tables:
        return
    last = order[np.append(np.diff(post) > 0, len(post) > 0)]
    posts, final = tables["posts"], views.take(pa.array(last))
    place = pc.index_in(final["post_id"], value_set=posts["post_id"].combine_chunks())
    total = floats(posts["impressions"].take(place))
    yield from rows_found(
        "check", "views", final, floats(final["impressions"]) > total, column="impressions",
        shown=("day", "impressions"), total=int((~np.isnan(total)).sum()),
        what="post whose last views exceed its impressions in posts|posts whose last views exceed their impressions "
        "in posts",
        remedy=_RECRAWL,
    )  # fmt: skip


def _loops(name: str, edges: pa.Table) -> Iterator[Finding]:
    yield from rows_found(
        "check", name, edges, mask_of(pc.equal(edges["source_id"], edges["target_id"])), ids="source_id",
        what="edge from an account to itself|edges from an account to itself",
        remedy="Remove them: they carry nothing.",
    )  # fmt: skip


def _quotas(tables: Tables) -> Iterator[Finding]:
    """A merchant's quota lies between the largest quota of its products and their sum (student-project allocation)."""
    products, merchants = tables["products"], tables["merchants"]
    place = pc.index_in(products["merchant_id"], value_set=merchants["merchant_id"].combine_chunks())
    owner, quota = np.asarray(place, dtype=np.int64), np.nan_to_num(floats(products["quota"]))
    largest, total = np.zeros(merchants.num_rows), np.bincount(owner, weights=quota, minlength=merchants.num_rows)
    np.maximum.at(largest, owner, quota)
    own = floats(merchants["quota"])
    yield from rows_found(
        "check", "merchants", merchants, own < largest, column="quota", shown=("quota",),
        what="merchant with a smaller quota than one of its products|merchants with smaller quotas than one of their "
        "products",
        remedy="That product can never be full: lower its quota or raise the merchant's.",
    )  # fmt: skip
    yield from rows_found(
        "note", "merchants", merchants, own > total, column="quota", shown=("quota",),
        what="merchant with a larger quota than its products together|merchants with larger quotas than their products "
        "together",
        remedy="The merchant's quota never binds: lower it to the sum, or raise the products'.",
    )  # fmt: skip


def _other_merchant(tables: Tables) -> Iterator[Finding]:
    orders, products = tables["orders"], tables["products"]
    place = pc.index_in(orders["product_id"], value_set=products["product_id"].combine_chunks())
    seller = products["merchant_id"].take(place)
    yield from rows_found(
        "serious", "orders", orders, mask_of(pc.not_equal(orders["merchant_id"], seller)), column="merchant_id",
        shown=("product_id", "merchant_id"),
        what="order of a product from another merchant than products names|orders of a product from another merchant "
        "than products names",
        remedy="A product has one merchant: correct one of the two tables, or give each merchant's offer its own id.",
    )  # fmt: skip
