"""Put a simulated market together: accounts first, posts block by block, then what rests on both."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.arrays import ArrayWriter
from micromega.market.mentions import mentions_from_posts
from micromega.market.simulated import posts as posting
from micromega.market.simulated import truth
from micromega.market.simulated.accounts import accounts_table, with_hearts
from micromega.market.simulated.block import Streams, World, block_size, draw_block
from micromega.market.simulated.campaigns import campaigns_tables
from micromega.market.simulated.cascade import cascade_tables
from micromega.market.simulated.commerce import commerce_tables
from micromega.market.simulated.deals import WITHOUT_DEAL, draw_deals, place_ads, rarely, true_affinity
from micromega.market.simulated.engagement import draw_rates
from micromega.market.simulated.hashtags import draw_challenges, word_hashtags
from micromega.market.simulated.latent import draw_frame
from micromega.market.simulated.modalities import Modalities, draw_decoders
from micromega.market.simulated.people import AudienceName, draw_people
from micromega.market.simulated.reach import AUDIENCES
from micromega.market.simulated.terms import events_table, prices_table
from micromega.market.simulated.words import draw_lexicon
from micromega.market.write import MarketWriter

PROCESSES = (
    "accounts", "lexicon", "deals", "content", "engagement", "prices", "events", "latent", "listing", "hashtags",
    "reach", "growth", "modalities", "campaigns", "commerce", "cascade",
)  # fmt: skip
"""Each has a random stream of its own; new ones go to the end, so that the others keep their draws."""
ROWS_AT_ONCE = 1 << 16
"""Posts are written so many at a time: large row groups, small memory."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a market is."""

    brands: int
    creators: int
    posts: int
    """Per account."""
    audience: AudienceName
    scale: float
    """Share of the real dimensions of feature arrays; 0: none."""
    view_days: int
    """0: no table views."""
    products: int
    """0: no merchants, products, orders."""
    follows: float
    """Mean number of followers inside the market; 0: no follows, exposures."""


@dataclass(frozen=True, kw_only=True)
class _Posted:
    """What is kept of all posts."""

    author: NDArray[np.int64]
    times: NDArray[np.datetime64]
    likes: NDArray[np.int64]
    """(A,) of each account's posts together."""


def write_tables(writer: MarketWriter, seeds: Mapping[str, np.random.SeedSequence], size: Size) -> None:
    """Draw a market and write it in chunks.

    Args:
        writer: open writer.
        seeds: a seed for each of `PROCESSES`.
        size: how large.
    """
    rng = {name: np.random.default_rng(seed) for name, seed in seeds.items()}
    people = draw_people(rng["accounts"], brands=size.brands, creators=size.creators, audience=size.audience)
    lexicon = draw_lexicon(rng["lexicon"], people)
    affinity = true_affinity(people)
    without = WITHOUT_DEAL if size.audience == "micro" else rarely(size.posts)
    deals = draw_deals(rng["deals"], people, affinity, posts=size.posts, without_deal=without)
    ads = place_ads(rng["deals"], deals, people, posts=size.posts)
    brand_AP = np.full((len(people.ids), size.posts), -1)
    brand_AP[ads.account, ads.slot] = ads.brand
    spread = AUDIENCES[size.audience].hashtag
    tiktok = size.audience == "tiktok"
    world = World(
        people=people,
        ids=pa.array(people.ids),
        lexicon=lexicon,
        audience=size.audience,
        hashtags=(
            draw_challenges(rng["hashtags"], lexicon, spread=spread)
            if tiktok
            else word_hashtags(rng["hashtags"], lexicon)
        ),
        frame=draw_frame(rng["latent"]),
        rates=draw_rates(rng["engagement"], people, affinity, ads, audience=size.audience),
        decoders=draw_decoders(rng["modalities"], scale=size.scale),
        brand=brand_AP,
        days=size.view_days,
    )
    accounts = accounts_table(rng["accounts"], people, lexicon, audience=size.audience)
    prices, events = prices_table(rng["prices"], people), events_table(rng["events"], people)
    writer.append("prices", prices)
    organic_A, ads_A = truth.expected_impressions(world)
    pair_BC = truth.expected_pairs(world, ads_A)
    posted = _write_posts(writer, seeds, world, accounts, organic_A, ads_A)
    writer.append("accounts", with_hearts(accounts, people, posted.likes, size.posts))
    _write_truth(writer, world, affinity, pair_BC)

    last_day = posted.times.max().astype("datetime64[D]")
    _write(
        writer,
        campaigns_tables(
            rng["campaigns"],
            people,
            affinity,
            city=np.array(accounts["location"].to_pylist()[people.brands :]),
            impressions=organic_A[people.brands :],
            engagements=pair_BC,
            prices=prices,
            events=events,
            last_day=last_day,
        ),
    )
    if size.products:
        _write(writer, commerce_tables(rng["commerce"], people, products=size.products, last_day=last_day))
    if size.follows:
        ids = posting.post_ids(0, len(posted.author))
        cascades = cascade_tables(
            rng["cascade"], people, follows=size.follows, post_ids=ids, author=posted.author, posted_at=posted.times
        )
        _write(writer, cascades)


def _write_posts(
    writer: MarketWriter,
    seeds: Mapping[str, np.random.SeedSequence],
    world: World,
    accounts: pa.Table,
    organic_A: NDArray[np.float64],
    ads_A: NDArray[np.float64],
) -> _Posted:
    """Draw and write posts, mentions, views, feature arrays and the truth about posts."""
    count, posts = world.brand.shape
    size = block_size(posts)
    starts = range(0, count, size)
    children = {name: seed.spawn(len(starts)) for name, seed in seeds.items()}
    times: list[NDArray[np.datetime64]] = []
    likes: list[NDArray[np.int64]] = []
    pending = _Pending(writer)
    with ExitStack() as stack:
        arrays = {
            layout.name: stack.enter_context(
                writer.array(
                    layout.name, key="post_id", shape=layout.shape, dtype=layout.dtype, ragged=layout.ragged,
                    source="micromega simulator",
                )
            )
            for layout in (world.decoders.layouts if world.decoders else ())
        }  # fmt: skip
        for number, start in enumerate(starts):
            streams = _streams({name: seed[number] for name, seed in children.items()})
            stop = min(start + size, count)
            block = draw_block(world, streams, start, stop)
            times.append(posting.draw_times(streams("listing"), stop - start, posts))
            table = posting.posts_table(world, block, times[-1])
            likes.append(block.engagement.likes.reshape(stop - start, posts).sum(axis=1))
            usual_N = np.where(block.brand >= 0, ads_A[block.account], organic_A[block.account])
            pending.add("posts", table)
            pending.add("mentions", mentions_from_posts(table, accounts))
            if block.growth is not None:
                pending.add("views", posting.views_table(block.first, block.growth))
            pending.add("truth/posts", truth.posts_truth(world, block, usual_N))
            pending.add("truth/content", truth.content_truth(block))
            _append_arrays(arrays, table["post_id"].combine_chunks(), block.modalities)
    pending.flush()
    author = np.repeat(np.arange(count), posts)
    return _Posted(author=author, times=np.concatenate(times), likes=np.concatenate(likes))


class _Pending:
    """Rows of blocks, written together."""

    def __init__(self, writer: MarketWriter) -> None:
        self._writer = writer
        self._tables: dict[str, list[pa.Table]] = {}
        self._posts = 0

    def add(self, name: str, table: pa.Table) -> None:
        """Take rows of a table; "truth/…" is truth."""
        if name == "posts":
            if self._posts >= ROWS_AT_ONCE:
                self.flush()
            self._posts += table.num_rows
        self._tables.setdefault(name, []).append(table)

    def flush(self) -> None:
        """Write what is there."""
        for name, tables in self._tables.items():
            rows = pa.concat_tables(tables)
            if rows.num_rows:
                _append(self._writer, name, rows)
        self._tables, self._posts = {}, 0


def _streams(seeds: Mapping[str, np.random.SeedSequence]) -> Streams:
    generators: dict[str, np.random.Generator] = {}

    def stream(name: str) -> np.random.Generator:
        if name not in generators:
            generators[name] = np.random.default_rng(seeds[name])
        return generators[name]

    return stream


def _append_arrays(arrays: Mapping[str, ArrayWriter], ids: pa.Array, modalities: Modalities) -> None:
    for modality in modalities.arrays:
        present = ids.filter(pa.array(modality.present))
        arrays[modality.layout.name].append(present, modality.values, modality.lengths)


def _write_truth(
    writer: MarketWriter, world: World, affinity: NDArray[np.float64], pair_BC: NDArray[np.float64]
) -> None:
    writer.truth("accounts", truth.accounts_truth(world.people))
    for rows in truth.affinity_truth(world.people, affinity, pair_BC):
        writer.truth("affinity", rows)
    writer.truth("hashtags", truth.hashtags_truth(world))
    writer.truth("curves", truth.curves_truth(world))


def _write(writer: MarketWriter, parts: tuple[Mapping[str, pa.Table], Mapping[str, pa.Table]]) -> None:
    for name, rows in _named(parts):
        _append(writer, name, rows)


def _named(parts: tuple[Mapping[str, pa.Table], Mapping[str, pa.Table]]) -> Iterator[tuple[str, pa.Table]]:
    tables, facts = parts
    yield from tables.items()
    yield from ((f"truth/{name}", rows) for name, rows in facts.items())


def _append(writer: MarketWriter, name: str, rows: pa.Table) -> None:
    if name.startswith("truth/"):
        writer.truth(name.removeprefix("truth/"), rows)
    else:
        writer.append(name, rows)
