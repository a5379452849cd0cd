import sys
from pathlib import Path

import pytest

from micromega.market import simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "mir"))  # for the module mir_markets


@pytest.fixture(scope="session")
def small_market():
    return simulate(seed=0, brands=24, creators=120, posts=10)
