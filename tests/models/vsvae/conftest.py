from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from micromega.market import Market, simulate
from micromega.market.arrays import ArrayWriter
from micromega.market.write import write_market


@pytest.fixture(scope="session")
def small_market():
    return simulate(seed=0, brands=8, creators=40, posts=5, scale=0.02, audience="tiktok")


@pytest.fixture
def make_market(tmp_path):
    """Write a market of a few posts: columns of posts, and arrays as (ids, values, lengths or None[, key])."""

    def make(posts=None, arrays=None, accounts=None, folder="made") -> Market:
        tables = {"accounts": pa.table(accounts or {"account_id": ["ann"], "kind": ["creator"]})}
        if posts:
            count = len(next(iter(posts.values())))
            ids = {"post_id": [f"p{n}" for n in range(count)], "account_id": ["ann"] * count}
            tables["posts"] = pa.table(ids | posts)
        market = write_market(tmp_path / folder, tables, name="made", currency="EUR")
        for name, (ids, values, lengths, *key) in (arrays or {}).items():
            with ArrayWriter(
                Path(market.path, "features"),
                name=name,
                key=key[0] if key else "post_id",
                shape=values.shape[1:],
                dtype=values.dtype.name,
                ragged=lengths is not None,
            ) as out:
                out.append(ids, values, None if lengths is None else np.asarray(lengths))
        return market

    return make
