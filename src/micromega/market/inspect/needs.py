"""Which model needs which tables and columns, and what helps it. The one list that card, docs and tests read.

A part of a market is written "posts" (the table), "posts.likes" (a column that holds something), "features/audio" (a
feature array) or "features/account_id" (any array with a row per account).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micromega.market.market import Market
from micromega.market.schemas import SCHEMAS

EXTRACT = "Make it from media files with `python -m micromega.features market=folder market.path=…`."


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a model cannot do without, or that helps it.

    Attributes:
        what: in a few words.
        ways: any one is enough; each lists parts that are needed together.
        remedy: how to get it, where the tables' own remedies do not say it.
    """

    what: str
    ways: tuple[tuple[str, ...], ...]
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelNeeds:
    """One model.

    Attributes:
        name: as in configs.
        title: in words.
        gives: what one gets from it.
        needs: all of them are needed.
        helps: none is needed.
        otherwise: all of them do instead of `needs`.
    """

    name: str
    title: str
    gives: str
    needs: tuple[Need, ...]
    helps: tuple[Need, ...] = ()
    otherwise: tuple[Need, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Something that is not there.

    Attributes:
        what: in a few words.
        parts: the missing parts of the nearest way.
        remedy: how to get it.
    """

    what: str
    parts: tuple[str, ...]
    remedy: str


def _need(what: str, *ways: str, remedy: str = "") -> Need:
    return Need(what=what, ways=tuple(tuple(way.split(" + ")) for way in ways), remedy=remedy)


_TEXTS = ("caption", "sticker_text", "speech_text")
_MODALITIES = ("image_frames", "image_objects", "audio", "editing")
_PAIRS = _need("who worked with whom", "mentions")
_NAMED = _need("posts that name the brand", "posts.mentioned_ids", "posts.brand_id")
_FOLLOWERS = _need("followers of the creators", "accounts.followers")

MODELS: tuple[ModelNeeds, ...] = (
    ModelNeeds(
        name="mir", title="Ranker of creators for brands (MIR)", gives="a fit score of each creator for each brand",
        needs=(_PAIRS, _need("captions", "posts.caption"), _need("likes", "posts.likes"), _FOLLOWERS, _NAMED),
        helps=(
            _need("categories of brands, for cAUC", "accounts.category"),
            _need("times of posts, to take the latest", "posts.posted_at"),
            _need("pictures", "features/image_frames", "features/image_objects", remedy=EXTRACT),
        ),
        otherwise=(
            _PAIRS,
            _need(
                "feature arrays of the accounts", "features/account_id",
                remedy="Give the market a feature array with a row per account, brands and creators (docs/market.md).",
            ),
        ),
    ),
    ModelNeeds(
        name="vsvae", title="Vectors of content (VS-VAE)",
        gives="one vector per post from text, pictures and sound",
        needs=(
            _need(
                "at least one modality", *(f"posts.{name}" for name in _TEXTS),
                *(f"features/{name}" for name in _MODALITIES),
                remedy="Fill posts.caption, or posts.media_path with files, from which `python -m micromega.features "
                "market=folder market.path=…` makes pictures, sound and editing.",
            ),
        ),
        helps=(
            _need("text", *(f"posts.{name}" for name in _TEXTS)),
            *(
                _need(what, *ways, remedy=EXTRACT) for what, *ways in (
                    ("pictures", "features/image_frames", "features/image_objects"), ("sound", "features/audio"),
                    ("editing", "features/editing"),
                )
            ),
        ),
    ),
    ModelNeeds(
        name="deepiv", title="Effect of followers on reach (Deep IV)",
        gives="how impressions grow with followers, and the best size of a creator",
        needs=(
            _need("outcome: impressions", "posts.impressions"),
            _need("treatment: followers", "posts.author_followers", "accounts.followers"),
            _need(
                "instrument: past success", "posts.past_hearts", "accounts.hearts + accounts.videos",
                "posts.likes + posts.posted_at",
                remedy="Give posts.past_hearts (mean hearts of the author's earlier posts); or accounts.hearts and "
                "accounts.videos, from which it is made; or likes and times of several posts per author.",
            ),
        ),
        helps=(
            _need(
                "content vectors", *(f"posts.{name}" for name in _TEXTS), *(f"features/{name}" for name in _MODALITIES),
                remedy=EXTRACT,
            ),
            _need("followers at publication", "posts.author_followers"),
            _need("statistics of the post", "posts.duration_s", "posts.is_trending", "posts.ranking"),
        ),
    ),
    ModelNeeds(
        name="effectiveness", title="Effectiveness of campaigns",
        gives="the expected outcome of a planned post",
        needs=(
            _need("past campaigns", "campaigns"),
            _need(
                "their outcome", "campaigns.impressions", "campaigns.engagement", "campaigns.revenue",
                remedy="Fill impressions, engagement or revenue in campaigns.parquet.",
            ),
        ),
        helps=(_need("events", "events"), _need("trends", "trends"), _FOLLOWERS, _need("prices", "campaigns.price")),
    ),
    ModelNeeds(
        name="growth", title="Growth of impressions", gives="impressions of a post on any later day",
        needs=(
            _need("impressions on several days", "views"),
            _need("the hashtag that a post is listed under", "posts.hashtag"),
        ),
    ),
    ModelNeeds(
        name="diffusion", title="Activation probabilities (diffusion)",
        gives="the probability of each edge to pass on",
        needs=(_need("who follows whom", "follows"), _need("who saw what, and passed it on", "exposures")),
        helps=(_need("times of exposures", "exposures.at"),),
    ),
    ModelNeeds(
        name="matching", title="Matching of creators and products",
        gives="a stable assignment within all quotas",
        needs=(
            _need("purchases", "orders"),
            _need("quotas of products", "products.quota"),
            _need("quotas of merchants", "merchants.quota"),
        ),
        helps=(_need("money spent", "orders.amount"), _need("categories of products", "products.category")),
    ),
    ModelNeeds(
        name="cascade", title="Cascades and needs", gives="whom to choose so that awareness spreads",
        needs=(_need("who follows whom", "follows"),),
        helps=(
            _need(
                "activation probabilities", "follows.probability", "exposures",
                remedy="Without them a rule in the config sets them (uniform, 1/in-degree, …).",
            ),
        ),
    ),
    ModelNeeds(
        name="campaign", title="Campaign plan", gives="whom to book for which event, at what price, with a certificate",
        needs=(
            _need("what the ranker needs", "mentions + posts.caption + posts.likes + accounts.followers"),
            _need("usual engagement", "posts.likes"),
            _need("prices, or followers for a rate card", "prices", "accounts.followers"),
        ),
        helps=(_need("prices", "prices"), _need("events", "events"), _need("comments", "posts.comments")),
    ),
)  # fmt: skip


def parts_of(market: Market) -> frozenset[str]:
    """All parts that a market holds."""
    found = {f"features/{name}" for name in market.feature_names}
    if any(market.features(name).key == "account_id" for name in market.feature_names):
        found.add("features/account_id")
    for name, table in market.tables.items():
        found.add(name)
        for column in table.column_names:
            values = table[column]
            empty = values.null_count == len(values)
            if str(values.type).startswith("list"):
                empty = not any(len(chunk.flatten()) for chunk in values.chunks)
            if not empty:
                found.add(f"{name}.{column}")
    return frozenset(found)


def parts_of_tables(tables: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """All parts of tables whose columns are known by name only."""
    return frozenset(tables) | {f"{name}.{column}" for name, columns in tables.items() for column in columns}


def lacking(needs: Iterable[Need], parts: frozenset[str]) -> tuple[Lack, ...]:
    """List the needs that a market does not meet.

    Args:
        needs: of a model.
        parts: of the market.

    Returns:
        What is missing by the way that is nearest to being met; needs with one remedy are one lack.
    """
    found: dict[str, Lack] = {}
    absent: set[str] = set()  # tables that an earlier need asks for as a whole
    for need in needs:
        nearest = min((tuple(part for part in way if part not in parts) for way in need.ways), key=len)
        if not nearest or {part.partition(".")[0] for part in nearest} <= absent:
            continue
        absent |= set(nearest)
        remedy = need.remedy or _remedy(nearest, parts)
        other = found.get(remedy)
        what, missing = (need.what, nearest) if other is None else (f"{other.what}; {need.what}", other.parts + nearest)
        found[remedy] = Lack(what=what, parts=missing, remedy=remedy)
    return tuple(found.values())


def _remedy(missing: tuple[str, ...], parts: frozenset[str]) -> str:
    """What the schemas say of missing tables and columns."""
    sentences = []
    for part in missing:
        table, _, column = part.partition(".")
        if table not in parts:
            sentences.append(SCHEMAS[table].remedy)
        else:
            sentences.append(f"Fill {column} in {table}.parquet ({SCHEMAS[table].columns[column].doc}).")
    return " ".join(dict.fromkeys(sentences))
