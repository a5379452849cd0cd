import sys
from pathlib import Path

import pytest

from micromega.market import simulate
from micromega.models.diffusion.config import DiffusionDataConfig
from micromega.models.diffusion.data import DiffusionData

sys.path.insert(0, str(Path(__file__).parent))  # for the module tiny_diffusion
from tiny_diffusion import fit_tiny


@pytest.fixture(scope="session")
def small_market():
    return simulate(seed=3, brands=12, creators=250, posts=6, products=0, view_days=0)


@pytest.fixture(scope="session")
def data(small_market):
    made = DiffusionData(DiffusionDataConfig(), small_market)
    made.setup("fit")
    return made


@pytest.fixture(scope="session")
def fitted(data):
    """Kind -> a model that was trained for a moment; each is fitted once."""
    made = {}

    def fit(kind):
        if kind not in made:
            made[kind] = fit_tiny(data, kind)
        return made[kind]

    return fit
