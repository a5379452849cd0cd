"""The choices of the config group `market`: a folder of tables, the simulator, or an importer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from micromega.config.base import config

Videos = Literal["creators", "songs", "pooled"]
"""Which videos of tiktok_creators_2020."""


@config(group="market/folder", target="micromega.market.folder:build")
class Folder:
    """A market that lies in a folder already."""

    path: str = ""
    """Folder with market.yaml and one Parquet file per table."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad rows and stop; drop: leave them out and say how many went."""


@config(group="market/simulated", target="micromega.market.simulated:build")
class Simulated:
    """The simulated market; its assumptions stand in docs/simulator.md."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Random seed of the market; another one than the run's, so that five runs can share one market."""
    brands: Annotated[int, Field(ge=1, le=5_000)] = 60
    """Number of brands, spread evenly over 12 categories."""
    creators: Annotated[int, Field(ge=1, le=200_000)] = 600
    """Number of creators."""
    posts: Annotated[int, Field(ge=2, le=1_000)] = 20
    """Posts per account."""
    audience: Literal["micro", "tiktok"] = "micro"
    """micro: 5,000 to 100,000 followers; tiktok: 2 to 71 million, as in Tian et al. 2022."""
    scale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Feature arrays in this share of the real dimensions (1: 4,096 per frame …); 0: none."""
    view_days: Annotated[int, Field(ge=0, le=90)] = 14
    """Days over which each post's impressions are listed; 0: no table views."""
    products: Annotated[int, Field(ge=0, le=100_000)] = 60
    """Products for sale; 0: no merchants, products and orders."""
    follows: Annotated[float, Field(ge=0, le=1_000)] = 10.0
    """Mean number of accounts that follow an account inside the market; 0: no follows and exposures."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    path: str = ""
    """Folder with the files of the source."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad lines and stop; drop: leave them out and say how many went."""


@config(group="market/instagram_2017", target="micromega.market.importers.instagram_2017:build")
class Instagram2017(_Source):
    """Real Instagram posts of spring 2017 with the brands that they mention."""


@config(group="market/instagram_indonesia_2020", target="micromega.market.importers.instagram_indonesia_2020:build")
class InstagramIndonesia2020(_Source):
    """Real Instagram posts of large Indonesian accounts, 2020, with the brands that they mention."""


@config(group="market/tiktok_creators_2020", target="micromega.market.importers.tiktok_creators_2020:build")
class TiktokCreators2020(_Source):
    """Real TikTok videos of autumn 2020 with their creators' followers, hearts and numbers of videos."""

    videos: Videos = "creators"
    """Of the suggested creators, of 20 songs (smaller creators), or both pooled."""


@config(group="market/tiktok_trending_2020", target="micromega.market.importers.tiktok_trending_2020:build")
class TiktokTrending2020(_Source):
    """1,000 real videos of TikTok's trending feed, December 2020."""


@config(group="market/tiktok_growth_vietnam_2025", target="micromega.market.importers.tiktok_growth_vietnam_2025:build")
class TiktokGrowthVietnam2025(_Source):
    """Real TikTok videos of 2025, part of them crawled twice: growth of impressions."""


@config(group="market/toplists_2022", target="micromega.market.importers.toplists_2022:build")
class Toplists2022(_Source):
    """Real top lists of Instagram, TikTok and YouTube accounts, five months of 2022."""


@config(group="market/tides", target="micromega.market.importers.tides:build")
class Tides(_Source):
    """Real accounts by tier and continent with features of their audio, captions and faces."""

    platform: Literal["tiktok", "youtube"] = "tiktok"
    """Which accounts."""


@config(group="market/mir_features_2019", target="micromega.market.importers.mir_features_2019:build")
class MirFeatures2019(_Source):
    """The real accounts of the MIR paper: labels, split and account features."""


@config(group="market/snap_ego", target="micromega.market.importers.snap_ego:build")
class SnapEgo(_Source):
    """Real friendships of Facebook users (SNAP ego-Facebook)."""

    ego: str = "0"
    """Whose friends; "combined" for the union of all ten networks."""


@config(group="market/edge_list", target="micromega.market.importers.edge_list:build")
class EdgeList:
    """A graph in a text file, one edge per line."""

    path: str = ""
    """The file, .gz allowed."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad lines and stop; drop: leave them out and say how many went."""
    directed: bool = True
    """false: each line is an edge in both directions."""


@config(group="market/supermarket", target="micromega.market.importers.supermarket:build")
class Supermarket(_Source):
    """Sales of three supermarkets, 2019; customers are profiles."""


@config(group="market/electronics_store", target="micromega.market.importers.electronics_store:build")
class ElectronicsStore(_Source):
    """Purchases of an electronics store in the format of the public file (event_time, order_id, …, user_id)."""


@config(group="market/cdnow", target="micromega.market.importers.cdnow:build")
class Cdnow(_Source):
    """Real purchases of CDs, 1997 to 1998."""


@config(group="market/mapped", target="micromega.market.importers.mapped:build")
class Mapped:
    """Your own CSV or Parquet files by a map of columns."""

    path: str = ""
    """YAML file that maps your columns to the market's (docs/own_data.md)."""
    on_bad_rows: Literal["error", "drop"] = "error"
    """error: name the first bad rows and stop; drop: leave them out and say how many went."""
