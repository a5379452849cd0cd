"""The simulated market: all tables from one seeded process, the truth beside them (assumptions: docs/simulator.md)."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np

from micromega.errors import ConfigError
from micromega.market.config import Simulated
from micromega.market.market import Market
from micromega.market.open import cached
from micromega.market.simulated.people import AudienceName
from micromega.market.simulated.tables import PROCESSES, Size, write_tables
from micromega.market.write import MarketWriter

__all__ = ["build", "simulate"]

MAX_BRANDS = 5_000
MAX_PAIRS = 10_000_000


def simulate(
    *,
    seed: int = 0,
    brands: int = 60,
    creators: int = 600,
    posts: int = 20,
    audience: AudienceName = "micro",
    scale: float = 0.0,
    view_days: int = 14,
    products: int = 60,
    follows: float = 10.0,
    folder: Path | str | None = None,
) -> Market:
    """Draw all tables of a market of brands and creators, and keep the truth beside them.

    The same arguments give the same bytes (same machine and library versions). Each process has a random stream of its
    own, so a change in one leaves the draws of the others alone. Posts are drawn and written in blocks.

    Args:
        seed: random seed.
        brands: number of brands, spread evenly over 12 categories.
        creators: number of creators.
        posts: posts per account, at least 2.
        audience: "micro": Instagram creators with 5,000 to 100,000 followers; "tiktok": 2 to 71 million followers and
            216 hashtags, with the moments of Tian et al. 2022.
        scale: feature arrays with this share of the real dimensions, at least 8 each; 0: none.
        view_days: days over which each post's impressions are listed, at least 2; 0: no table views.
        products: products for sale; 0: no merchants, products and orders.
        follows: mean number of followers of a creator inside the market; 0: no follows and exposures.
        folder: where to write; without it a temporary folder that is removed when the process ends.

    Returns:
        The market; `market.truth("affinity")`, `market.truth("posts")`, … hold the truth.

    Raises:
        ConfigError: a size is out of range.
        DataError: the folder exists already.

    Example:
        >>> from micromega.market import simulate
        >>> market = simulate(seed=1, brands=12, creators=30, posts=4)
        >>> market.truth("affinity").column_names
        ['brand_id', 'creator_id', 'affinity', 'expected_engagements']
    """
    _check(seed=seed, brands=brands, creators=creators, posts=posts, view_days=view_days, audience=audience)
    if not 0 <= scale <= 1 or products < 0 or follows < 0:
        raise ConfigError(f"scale is 0 to 1, products and follows 0 or more; got {scale}, {products}, {follows}.")
    if folder is None:
        temporary = Path(tempfile.mkdtemp(prefix="micromega-market-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        folder = temporary / "market"
    seeds = dict(zip(PROCESSES, np.random.SeedSequence(seed).spawn(len(PROCESSES)), strict=True))
    size = Size(
        brands=brands, creators=creators, posts=posts, audience=audience, scale=scale, view_days=view_days,
        products=products, follows=follows,
    )  # fmt: skip
    writer = MarketWriter(
        folder,
        name=f"simulated-{seed}",
        currency="USD",
        source=(
            f"micromega simulator: seed {seed}, audience {audience}, {brands} brands, {creators} creators, "
            f"{posts} posts an account"
        ),
        notes=("Simulated: no person, brand or price in it is real.",),
    )
    with writer:
        write_tables(writer, seeds, size)
    return writer.market


def _check(*, seed: int, brands: int, creators: int, posts: int, view_days: int, audience: str) -> None:
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
    if view_days == 1 or view_days < 0:
        raise ConfigError(f"view_days is 0 (no table views) or at least 2: one day shows no growth; got {view_days}.")
    if audience not in ("micro", "tiktok"):
        raise ConfigError(f'audience is "micro" or "tiktok", got "{audience}".')


def build(config: Simulated, cache: Path) -> Market:
    """Simulate once per config and read the result from the cache from then on."""

    def make(folder: Path) -> Market:
        return simulate(
            seed=config.seed,
            brands=config.brands,
            creators=config.creators,
            posts=config.posts,
            audience=config.audience,
            scale=config.scale,
            view_days=config.view_days,
            products=config.products,
            follows=config.follows,
            folder=folder,
        )

    return cached(config, cache, (), make)
