"""Who mentions whom, derived from posts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.schemas import MENTIONS


def mentions_from_posts(posts: pa.Table, accounts: pa.Table) -> pa.Table:
    """Count each creator's posts that mention each brand.

    A post counts once for a brand, however often it names it. A post with `brand_id` but without that brand among its
    `mentioned_ids` counts too.

    Args:
        posts: posts table.
        accounts: accounts table; says who is brand and who is creator.

    Returns:
        The mentions table, sorted by creator_id and brand_id; times are null where no such post has a known time.
    """
    ids, kinds = accounts.column("account_id"), accounts.column("kind")
    lists = posts.column("mentioned_ids").combine_chunks()
    promoted = posts.column("brand_id").combine_chunks()
    row = np.concatenate([np.asarray(pc.list_parent_indices(lists)), np.flatnonzero(np.asarray(promoted.is_valid()))])
    brand = pa.concat_arrays([pc.list_flatten(lists), promoted.drop_null()])
    pairs = pa.table(
        {
            "row": row,
            "creator_id": posts.column("account_id").take(pa.array(row)),
            "brand_id": brand,
            "posted_at": posts.column("posted_at").take(pa.array(row)),
        }
    )
    is_brand = pc.is_in(pairs.column("brand_id"), ids.filter(pc.equal(kinds, "brand")).combine_chunks())
    is_creator = pc.is_in(pairs.column("creator_id"), ids.filter(pc.equal(kinds, "creator")).combine_chunks())
    pairs = pairs.filter(pc.and_(is_brand, is_creator))
    once = pairs.group_by(["row", "creator_id", "brand_id", "posted_at"]).aggregate([])
    counted = once.group_by(["creator_id", "brand_id"]).aggregate(
        [("row", "count"), ("posted_at", "min"), ("posted_at", "max")]
    )
    counted = counted.rename_columns({"row_count": "posts", "posted_at_min": "first_at", "posted_at_max": "last_at"})
    ordered = counted.sort_by([("creator_id", "ascending"), ("brand_id", "ascending")])
    return ordered.select(list(MENTIONS.columns)).cast(MENTIONS.arrow)


def with_creator_categories(accounts: pa.Table, mentions: pa.Table) -> pa.Table:
    """Give creators without a category that of the brands they mention most (as Gan et al. 2019 assign categories).

    Args:
        accounts: table `accounts`.
        mentions: table `mentions`.

    Returns:
        The accounts; a creator who mentions no brand with a category stays without. Equal counts go to the category
        that comes first in the alphabet.
    """
    brands = accounts.select(["account_id", "category"]).rename_columns({"account_id": "brand_id"})
    counted = mentions.select(["creator_id", "brand_id", "posts"]).join(brands, "brand_id", use_threads=False)
    counted = counted.filter(pc.is_valid(counted["category"]))
    counted = counted.group_by(["creator_id", "category"], use_threads=False).aggregate([("posts", "sum")])
    counted = counted.sort_by([("creator_id", "ascending"), ("posts_sum", "descending"), ("category", "ascending")])
    place = pc.index_in(accounts["account_id"], value_set=counted["creator_id"].combine_chunks())
    usual = counted["category"].combine_chunks().take(place.combine_chunks())
    is_creator = pc.equal(accounts["kind"], "creator")
    category = pc.if_else(is_creator, pc.coalesce(accounts["category"], usual), accounts["category"])
    return accounts.set_column(accounts.schema.get_field_index("category"), "category", category)
