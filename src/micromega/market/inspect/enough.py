"""How much of a market each model can use: the rows that are left once everything it needs is known together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.inspect.finding import floats, mask_of
from micromega.market.inspect.leaks import brand_mentions, pairs_without_posts
from micromega.market.market import Market
from micromega.models.deepiv.instrument import PAST_SUCCESS, of_author

LEAST_BRANDS, LEAST_PARTNERS, LEAST_POSTS, LEAST_CREATORS = 3, 3, 2, 4
"""What the ranker's defaults ask for: data.min_positives, data.min_posts, lists of three."""
FEW = {"deepiv": 1_000, "effectiveness": 100, "growth": 100, "diffusion": 1_000, "mir": 20, "vsvae": 1_000}
"""Below this a model runs, but shows little: posts, campaigns, posts, exposures, brands, posts."""
LEAST: Mapping[str, tuple[int, str]] = {
    "vsvae": (10, "posts"), "deepiv": (30, "posts"), "effectiveness": (10, "campaigns"), "growth": (10, "posts"),
    "diffusion": (10, "exposures"), "matching": (2, "customers"), "cascade": (2, "edges"),
}  # fmt: skip
"""Below this there is nothing to learn from; chosen, not measured."""
VSVAE_TEXTS = ("caption", "sticker_text", "speech_text")
VSVAE_ARRAYS = ("image_frames", "image_objects", "image_sentiment", "audio", "editing")
"""What data.parts reads by default: columns of posts, feature arrays."""
LEAST_AUTHORS = 5
"""Deep IV compares creators, and resamples them for its bands."""
_LEAST_ROWS: Mapping[str, tuple[str, int]] = {
    "mir": ("posts", LEAST_POSTS * LEAST_CREATORS), "campaign": ("posts", LEAST_POSTS * LEAST_CREATORS),
    "vsvae": ("posts", 10),
    "deepiv": ("posts", 30), "effectiveness": ("campaigns", 10), "growth": ("views", 20),
    "diffusion": ("exposures", 10), "matching": ("orders", 2), "cascade": ("follows", 2),
}  # fmt: skip
"""Rows without which a model cannot have what it needs at least, however well they are filled."""


@dataclass(frozen=True, kw_only=True)
class Usable:
    """What a model can use.

    Attributes:
        words: how much, as a phrase.
        stop: why it cannot run all the same; "" if it can.
        warning: why its results will be weak; "" if they need not be.
        advice: a setting or a caution that goes with it; "" if there is nothing to say.
    """

    words: str
    stop: str = ""
    warning: str = ""
    advice: str = ""


def usable(name: str, market: Market, *, otherwise: bool = False) -> Usable:
    """Count what a model can use; everything that it needs is there.

    Args:
        name: of the model.
        market: the market.
        otherwise: it makes do with `ModelNeeds.otherwise`.

    Returns:
        The count in words, and what stands against it.
    """
    return (_OTHERWISE if otherwise else _COUNTS)[name](market)


def too_few(name: str, rows: Mapping[str, int]) -> str:
    """Say why a model cannot run after an import, as far as numbers of rows tell.

    Args:
        name: of the model.
        rows: table -> rows that the import will find at most, where that is known.

    Returns:
        The reason; "" if there may be enough.
    """
    table, least = _LEAST_ROWS.get(name, ("", 0))
    found = rows.get(table, least)
    if found >= least:
        return ""
    return f"{_count(found, 'row')} of {table}: it needs {least} or more, all else being there."


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _mir(market: Market) -> Usable:
    tables, accounts, posts = market.tables, market.tables["accounts"], market.tables["posts"]
    is_brand = mask_of(pc.equal(accounts["kind"], "brand"))
    author = np.asarray(pc.index_in(posts["account_id"], value_set=accounts["account_id"].combine_chunks()))
    about = np.zeros(posts.num_rows, dtype=bool)
    about[brand_mentions(tables)[0]] = True
    history = np.bincount(author[~about & ~is_brand[author]], minlength=accounts.num_rows)
    candidates = accounts["account_id"].filter(pa.array(~is_brand & (history >= LEAST_POSTS))).combine_chunks()
    kept, words = _pairs_left(tables["mentions"], candidates)
    if len(kept) < LEAST_BRANDS or len(candidates) < LEAST_CREATORS:
        return Usable(
            words=words,
            stop=f"Training needs {LEAST_BRANDS} brands with {LEAST_PARTNERS} creators each and {LEAST_CREATORS} "
            f"creators with {LEAST_POSTS} posts that are not about brands. Add posts, or lower data.min_positives "
            "and data.min_posts.",
        )
    if lost := int(pairs_without_posts(tables).sum()):
        return Usable(words=words, stop=f"{_count(lost, 'pair')} of mentions without a post: see what is suspicious.")
    silent = int((~mask_of(pc.is_in(kept, value_set=pc.unique(posts["account_id"])))).sum())
    advice = f"{_count(silent, 'brand')} without own posts: set data.brand_posts=mentions." if silent else ""
    return Usable(words=words, warning=_few("mir", len(kept), "brands"), advice=advice)


def _pairs_left(mentions: pa.Table, candidates: pa.Array) -> tuple[pa.Array, str]:
    """Brands that enough candidates work for, and how much is left, in words."""
    pairs = mentions.filter(pc.is_in(mentions["creator_id"], value_set=candidates))
    served = pc.value_counts(pairs["brand_id"])
    kept = served.field("values").filter(pc.greater_equal(served.field("counts"), LEAST_PARTNERS))
    held = int(pc.sum(pc.is_in(pairs["brand_id"], value_set=kept)).as_py() or 0)
    return kept, f"{_count(len(kept), 'brand')}, {_count(len(candidates), 'candidate')}, {_count(held, 'pair')}"


def _mir_of_arrays(market: Market) -> Usable:
    """The ranker where accounts are known by feature arrays alone: those that hold brands and creators."""
    accounts = market.tables["accounts"]
    is_brand, known, names = mask_of(pc.equal(accounts["kind"], "brand")), np.ones(accounts.num_rows, dtype=bool), []
    for name in market.feature_names:
        array = market.features(name)
        if array.key == "account_id" and not name.endswith("_test"):  # those stand in for others in judging
            inside = array.rows_of(accounts["account_id"]) >= 0
            if inside[is_brand].any() and inside[~is_brand].any():
                names.append(name)
                known &= inside
    known &= bool(names)
    ids = accounts["account_id"].combine_chunks()
    candidates, brands = ids.filter(pa.array(known & ~is_brand)), ids.filter(pa.array(known & is_brand))
    mentions = market.tables["mentions"]
    kept, words = _pairs_left(mentions.filter(pc.is_in(mentions["brand_id"], value_set=brands)), candidates)
    if len(kept) < LEAST_BRANDS or len(candidates) < LEAST_CREATORS:
        return Usable(
            words=words,
            stop=f"Training needs {LEAST_BRANDS} brands with {LEAST_PARTNERS} creators each and {LEAST_CREATORS} "
            "creators, all of them in the same feature arrays. Add posts or features, or lower data.min_positives.",
        )
    chosen = ",".join(names)
    advice = f"By features of accounts: set 'data.modalities=[{chosen}]' 'model.modalities=[{chosen}]'."
    return Usable(words=words, warning=_few("mir", len(kept), "brands"), advice=advice)


def _vsvae(market: Market) -> Usable:
    posts = market.tables["posts"] if "posts" in market.tables else pa.table({"post_id": pa.array([], pa.string())})
    ids = pc.unique(posts["post_id"])
    texts = {name: len(posts) - posts[name].null_count for name in VSVAE_TEXTS if name in posts.column_names}
    shares = [f"{name} {count / len(posts):.0%}" for name, count in texts.items() if count]
    arrays = [market.features(name) for name in VSVAE_ARRAYS if name in market.feature_names and len(ids)]
    shares += [f"{of.name} {(of.rows_of(ids) >= 0).mean():.0%}" for of in arrays if of.key == "post_id"]
    if not shares:
        return Usable(words="no content of posts", stop="The features are not of posts: extract some with key post_id.")
    words, absent = f"{_count(len(ids), 'post')}; " + ", ".join(shares), len(VSVAE_TEXTS) + len(VSVAE_ARRAYS)
    advice = "Name what there is: data.parts=[…] (docs/vsvae.md)." if len(shares) < absent else ""
    return Usable(words=words, stop=_stop("vsvae", len(ids)), warning=_few("vsvae", len(ids), "posts"), advice=advice)


def _deepiv(market: Market) -> Usable:
    posts = market.tables["posts"]
    then = floats(posts["author_followers"])
    followers = np.where(np.isnan(then), of_author(market, posts, "followers"), then)
    outcome = floats(posts["impressions"])
    past = np.stack([find(market, posts) for _, find in PAST_SUCCESS.values()])
    names = [source for source, _ in PAST_SUCCESS.values()]
    ready = (outcome > 0) & (followers > 1)
    counts = (ready & (past > 0)).sum(axis=1)
    best = 0 if counts[0] else int(np.argmax(counts))
    joint = ready & (past[best] > 0)
    authors = len(pc.unique(posts["account_id"].filter(pa.array(joint))))
    words = f"{_count(int(joint.sum()), 'post')} of {_count(authors, 'creator')}; instrument: {names[best]}"
    if not joint.any():
        return Usable(words=words, stop="No post has impressions, followers and an instrument above 0 together.")
    stop = _stop("deepiv", int(joint.sum()))
    if not stop and authors < LEAST_AUTHORS:
        stop = f"Fewer than {LEAST_AUTHORS} creators: there is nothing to compare."
    if stop:
        return Usable(words=words, stop=stop)
    advice = "Hearts are those of today, not of the day of publication: read it with care." if best == 1 else ""
    return Usable(words=words, warning=_few("deepiv", int(joint.sum()), "posts"), advice=advice)


def _effectiveness(market: Market) -> Usable:
    campaigns = market.tables["campaigns"]
    known = np.any([~np.isnan(floats(campaigns[name])) for name in ("impressions", "engagement", "revenue")], axis=0)
    creators = len(pc.unique(campaigns["creator_id"].filter(pa.array(known))))
    words = f"{_count(int(known.sum()), 'campaign')} with an outcome, {_count(creators, 'creator')}"
    stop, warning = _stop("effectiveness", int(known.sum())), _few("effectiveness", int(known.sum()), "campaigns")
    return Usable(words=words, stop=stop, warning=warning)


def _growth(market: Market) -> Usable:
    days = pc.value_counts(market.tables["views"]["post_id"]).field("counts").to_numpy()
    several = int((days >= 2).sum())
    words = f"{_count(several, 'post')} with two days or more (at most {days.max():,})"
    if not several:
        return Usable(words=words, stop="Every post was seen on one day only: growth needs two.")
    if stop := _stop("growth", several):
        return Usable(words=words, stop=stop)
    advice = "Two days per post fix a line exactly: only means over posts can be tested." if days.max() < 3 else ""
    return Usable(words=words, warning=_few("growth", several, "posts"), advice=advice)


def _diffusion(market: Market) -> Usable:
    exposures = market.tables["exposures"]
    share = float(pc.mean(exposures["activated"].cast(pa.float64())).as_py())
    words = f"{_count(exposures.num_rows, 'exposure')}, {share:.1%} activated"
    if share in (0.0, 1.0):
        return Usable(words=words, stop="All exposures end alike: list those that were not passed on, too.")
    stop, warning = _stop("diffusion", exposures.num_rows), _few("diffusion", exposures.num_rows, "exposures")
    return Usable(words=words, stop=stop, warning=warning)


def _matching(market: Market) -> Usable:
    customers, places = len(pc.unique(market.tables["orders"]["customer_id"])), market.tables["products"]["quota"]
    total = int(pc.sum(places).as_py() or 0)
    words = f"{_count(customers, 'customer')} for {_count(total, 'place')} with {_count(len(places), 'product')}"
    return Usable(
        words=words, stop=_stop("matching", customers) if total else "All quotas are 0: nobody can be assigned."
    )


def _cascade(market: Market) -> Usable:
    edges = market.tables["follows"]
    nodes = len(pc.unique(pa.chunked_array([*edges["source_id"].chunks, *edges["target_id"].chunks])))
    words = f"{_count(edges.num_rows, 'edge')} between {_count(nodes, 'account')}"
    return Usable(words=words, stop=_stop("cascade", edges.num_rows))


def _campaign(market: Market) -> Usable:
    ranker, posts = _mir(market), market.tables["posts"]
    authors = pc.unique(posts["account_id"].filter(pc.is_valid(posts["likes"])))
    accounts = market.tables["accounts"]
    creators = accounts["account_id"].filter(pc.equal(accounts["kind"], "creator"))
    booked = int(pc.sum(pc.is_in(creators, value_set=authors)).as_py() or 0)
    words = f"{_count(booked, 'creator')} with a usual engagement"
    stop = "The ranker cannot run on this market; write a score table of your own." if ranker.stop else ""
    advice = "" if "prices" in market.tables else "No prices: they follow the rate card of the problem's config."
    return Usable(words=words, stop=stop, advice=advice)


def _stop(name: str, count: int) -> str:
    least, what = LEAST[name]
    return f"Fewer than {least} {what}: there is nothing to learn from." if count < least else ""


def _few(name: str, count: int, what: str) -> str:
    return f"Fewer than {FEW[name]:,} {what}: expect wide intervals." if count < FEW[name] else ""


_COUNTS: Mapping[str, Callable[[Market], Usable]] = {
    "mir": _mir, "vsvae": _vsvae, "deepiv": _deepiv, "effectiveness": _effectiveness, "growth": _growth,
    "diffusion": _diffusion, "matching": _matching, "cascade": _cascade, "campaign": _campaign,
}  # fmt: skip
_OTHERWISE: Mapping[str, Callable[[Market], Usable]] = {"mir": _mir_of_arrays}
