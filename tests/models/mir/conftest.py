import sys
from pathlib import Path

import pytest

from micromega.market import simulate

sys.path.insert(0, str(Path(__file__).parent))  # for the module mir_markets, shared by the tests of this folder


@pytest.fixture(scope="session")
def small_market():
    return simulate(seed=0, brands=24, creators=120, posts=10)
