import sys
from pathlib import Path

import pytest

from micromega.market import simulate

sys.path.insert(0, str(Path(__file__).parent))  # for the module growth_draws, shared by the tests of this folder


@pytest.fixture(scope="session")
def tiktok_market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("growth") / "market"
    return simulate(seed=0, brands=12, creators=300, posts=5, audience="tiktok", products=0, follows=0, folder=folder)
