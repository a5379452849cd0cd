"""The simulated market: every table from one seeded process, with the truth beside it (assumptions: docs/market.md)."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np

from micromega.errors import ConfigError
from micromega.market.config import Simulated
from micromega.market.market import Market
from micromega.market.mentions import mentions_from_posts
from micromega.market.open import cached
from micromega.market.simulated.accounts import accounts_table
from micromega.market.simulated.content import draw_captions
from micromega.market.simulated.deals import draw_deals, place_ads, true_affinity
from micromega.market.simulated.engagement import draw_engagement
from micromega.market.simulated.people import draw_people
from micromega.market.simulated.posts import posts_table
from micromega.market.simulated.terms import events_table, prices_table
from micromega.market.simulated.truth import truth_tables
from micromega.market.simulated.words import draw_lexicon
from micromega.market.write import write_market

__all__ = ["build", "simulate"]

MAX_BRANDS = 5_000
MAX_PAIRS = 10_000_000
_PROCESSES = ("accounts", "lexicon", "deals", "content", "engagement", "prices", "events")


def simulate(
    *,
    seed: int = 0,
    brands: int = 60,
    creators: int = 600,
    posts: int = 20,
    folder: Path | str | None = None,
) -> Market:
    """Draw a market of brands, creators, posts, mentions, prices and events, and keep the truth beside it.

    The same arguments give the same bytes (same machine and library versions). Each process has a random stream of its
    own, so a change in one leaves the draws of the others alone.

    Args:
        seed: random seed.
        brands: number of brands, spread evenly over 12 categories.
        creators: number of creators, 5,000 to 100,000 followers each.
        posts: posts per account, at least 2.
        folder: where to write; without it a temporary folder that is removed when the process ends.

    Returns:
        The market; `market.truth("affinity")`, `market.truth("accounts")` and `market.truth("posts")` hold the truth.

    Raises:
        ConfigError: a size is out of range.
        DataError: the folder exists already.

    Example:
        >>> from micromega.market import simulate
        >>> market = simulate(seed=1, brands=12, creators=30, posts=4)
        >>> market.truth("affinity").column_names
        ['brand_id', 'creator_id', 'affinity', 'expected_engagements']
    """
    if seed < 0 or not 1 <= brands <= MAX_BRANDS or creators < 1 or posts < 2:
        raise ConfigError(
            f"seed is 0 or more, brands 1 to {MAX_BRANDS:,}, creators 1 or more, posts 2 or more; "
            f"got {seed}, {brands}, {creators}, {posts}."
        )
    if brands * creators > MAX_PAIRS:
        raise ConfigError(
            f"{brands:,} brands and {creators:,} creators are {brands * creators:,} pairs; the simulator keeps the "
            f"truth of each and takes at most {MAX_PAIRS:,}. Ask for fewer."
        )
    if folder is None:
        temporary = Path(tempfile.mkdtemp(prefix="micromega-market-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        folder = temporary / "market"
    streams = np.random.SeedSequence(seed).spawn(len(_PROCESSES))
    rng = {name: np.random.default_rng(stream) for name, stream in zip(_PROCESSES, streams, strict=True)}

    people = draw_people(rng["accounts"], brands=brands, creators=creators)
    lexicon = draw_lexicon(rng["lexicon"], people)
    affinity = true_affinity(people)
    deals = draw_deals(rng["deals"], people, affinity, posts=posts)
    ads = place_ads(rng["deals"], deals, people, posts=posts)
    captions = draw_captions(rng["content"], people, lexicon, ads, posts=posts)
    engagement = draw_engagement(rng["engagement"], people, captions, affinity)
    accounts = accounts_table(rng["accounts"], people, lexicon)
    tables = {"accounts": accounts, "posts": posts_table(rng["content"], people, captions, engagement)}
    tables["mentions"] = mentions_from_posts(tables["posts"], accounts)
    tables["prices"] = prices_table(rng["prices"], people)
    tables["events"] = events_table(rng["events"], people)
    return write_market(
        folder,
        tables,
        name=f"simulated-{seed}",
        currency="USD",
        source=f"micromega simulator: seed {seed}, {brands} brands, {creators} creators, {posts} posts an account",
        notes=("Simulated: no person, brand or price in it is real.",),
        truth=truth_tables(people, captions, engagement, affinity),
    )


def build(config: Simulated, cache: Path) -> Market:
    """Simulate once per config and read the result from the cache from then on."""

    def make(folder: Path) -> Market:
        return simulate(
            seed=config.seed, brands=config.brands, creators=config.creators, posts=config.posts, folder=folder
        )

    return cached(config, cache, (), make)
