"""Markets with media for tests of the extraction, and what is compared of them."""

import hashlib

import numpy as np
import pyarrow as pa

from micromega.market import write_market


def make_market(folder, contents, **columns):
    """A market whose posts p0, p1, … have the files of these contents (None: no media)."""
    folder.mkdir(exist_ok=True)
    names = [None if data is None else f"m{number}" for number, data in enumerate(contents)]
    posts = {"post_id": [f"p{i}" for i in range(len(names))], "account_id": ["ann"] * len(names)}
    posts |= {"media_path": pa.array(names, pa.string()), **columns}
    accounts = pa.table({"account_id": ["ann"], "kind": ["creator"]})
    market = write_market(folder / "market", {"accounts": accounts, "posts": pa.table(posts)}, name="m", currency="EUR")
    for name, data in zip(names, contents, strict=True):
        if data is not None and data != b"GONE" and "media_path" not in columns:
            (market.path / name).write_bytes(data)
    return market


def contents(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, rng.integers(1, 50), np.uint8).tobytes() for _ in range(count)]


def digest(market):
    """Every byte of a market's features."""
    files = sorted(path for path in (market.path / "features").rglob("*") if path.is_file())
    return {str(path.relative_to(market.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
