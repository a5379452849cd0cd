"""Time and peak memory of `inspect` on a market of a million posts, synthetic, each step in a process of its own.

Run `python scripts/bench_inspect.py [--posts 1000000] [--days 0] [--quick]`; days are those of the table views.
"""

import argparse
import datetime as dt
import json
import multiprocessing as mp
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from micromega.market import Market, write_market
from micromega.market.inspect import inspect_market
from micromega.report.data_card import render

WORDS = np.array(
    ["soup", "rain", "drive", "linen", "bread", "forest", "night", "train", "yellow", "quiet", "river", "song"]
)


def make(folder: Path, posts: int, days: int) -> None:
    rng = np.random.default_rng(0)
    creators, brands = max(posts // 20, 20), max(posts // 2000, 4)
    creator_id = np.char.add("c", np.arange(creators).astype(str))
    brand_id = np.char.add("b", np.arange(brands).astype(str))
    author = rng.integers(0, creators, posts)
    brand = rng.integers(0, brands, posts)
    ad = rng.random(posts) < 0.1
    words = WORDS[rng.integers(0, len(WORDS), (posts, 8))]
    caption = words[:, 0]
    for column in words.T[1:]:
        caption = np.char.add(np.char.add(caption, " "), column)
    caption = np.where(ad, np.char.add(np.char.add(caption, " @"), brand_id[brand]), caption)
    followers = np.exp(rng.uniform(np.log(5e3), np.log(1e5), creators)).astype(np.int64)
    impressions = (followers[author] * np.exp(rng.normal(-0.8, 1, posts))).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(ad)]).astype(np.int32)
    start = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
    post_id = pa.array(np.char.add("p", np.arange(posts).astype(str)))
    tables = {
        "accounts": pa.table(
            {
                "account_id": np.concatenate([brand_id, creator_id]),
                "kind": ["brand"] * brands + ["creator"] * creators,
                "followers": np.concatenate([np.full(brands, 200_000), followers]),
            }
        ),
        "posts": pa.table(
            {
                "post_id": post_id,
                "account_id": creator_id[author],
                "posted_at": pa.array(
                    start + rng.integers(0, 180 * 86_400_000_000, posts), pa.timestamp("us", tz="UTC")
                ),
                "caption": caption,
                "hashtags": pa.ListArray.from_arrays(offsets, pa.array(WORDS[brand[ad] % len(WORDS)])),
                "mentioned_ids": pa.ListArray.from_arrays(offsets, pa.array(brand_id[brand[ad]])),
                "likes": impressions // 20,
                "comments": impressions // 300,
                "impressions": impressions,
                "past_hearts": followers[author] / 30,
            }
        ),
    }
    pairs = np.unique(np.stack([author[ad], brand[ad]]), axis=1)
    tables["mentions"] = pa.table(
        {"creator_id": creator_id[pairs[0]], "brand_id": brand_id[pairs[1]], "posts": np.ones(pairs.shape[1], int)}
    )
    if days:
        day = np.tile(np.arange(1, days + 1), posts)
        seen = np.sort((rng.random((posts, days)) * impressions[:, None]).astype(np.int64), axis=1).ravel()
        tables["views"] = pa.table(
            {"post_id": post_id.take(pa.array(np.repeat(np.arange(posts), days))), "day": day, "impressions": seen}
        )
    write_market(folder, tables, name="synthetic", currency="EUR")


def look(folder: Path, result: Path) -> None:
    started = time.perf_counter()
    market = Market.load(folder)
    loaded, memory = time.perf_counter(), _peak()
    card = inspect_market(market)
    done, peak = time.perf_counter(), _peak()
    page = render(card)
    figures = {
        "load": loaded - started, "load peak": memory, "card": done - loaded, "card peak": peak,
        "page": time.perf_counter() - done, "page size": len(page),
    }  # fmt: skip
    result.write_text(json.dumps(figures))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=0, help="days of views per post")
    parser.add_argument("--quick", action="store_true")
    wanted = parser.parse_args()
    posts = 100_000 if wanted.quick else wanted.posts
    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder, result = Path(name) / "market", Path(name) / "result.json"
        for target, arguments in ((make, (folder, posts, wanted.days)), (look, (folder, result))):
            process = context.Process(target=target, args=arguments)
            process.start()
            process.join()
        found = json.loads(result.read_text())
    print(f"{posts:,} posts, {wanted.days} days of views")
    print(f"figure: loading and checking = {found['load']:.1f} s, peak {found['load peak']:.2f} GiB")
    print(f"figure: card = {found['card']:.1f} s, peak of the process {found['card peak']:.2f} GiB")
    print(f"figure: page = {found['page']:.2f} s, {found['page size']:,} characters")


if __name__ == "__main__":
    main()
