"""The choices of the config group `market`: a folder of tables, the simulator, or an importer."""

from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config


@config(group="market/folder", target="micromega.market.folder:build")
class Folder:
    """A market that lies in a folder already."""

    path: str = ""
    """Folder with market.yaml and one Parquet file per table."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad rows and stop; drop: leave them out and say how many went."""


@config(group="market/simulated", target="micromega.market.simulated:build")
class Simulated:
    """The simulated market; its assumptions stand in docs/market.md."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Random seed of the market; another one than the run's, so that five runs can share one market."""
    brands: Annotated[int, Field(ge=1, le=5_000)] = 60
    """Number of brands, spread evenly over 12 categories."""
    creators: Annotated[int, Field(ge=1, le=200_000)] = 600
    """Number of creators with 5,000 to 100,000 followers."""
    posts: Annotated[int, Field(ge=2, le=1_000)] = 20
    """Posts per account."""


@config(group="market/instagram_2017", target="micromega.market.importers.instagram_2017:build")
class Instagram2017:
    """Real Instagram posts of spring 2017 with the brands that they mention."""

    path: str = ""
    """Folder with posts.csv.gz, profiles.csv and brand_accounts.csv."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad lines and stop; drop: leave them out and say how many went."""
