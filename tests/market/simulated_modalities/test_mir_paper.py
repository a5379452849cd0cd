"""The choice market=mir_paper has the sizes and the pairs of Gan et al. 2019, section 4."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from micromega.market.config import Simulated
from micromega.market.simulated.deals import draw_deals, true_affinity
from micromega.market.simulated.people import draw_people

CHOICE = Path(__file__).parents[3] / "conf/market/mir_paper.yaml"


@pytest.fixture(scope="module")
def config():
    settings = yaml.safe_load(CHOICE.read_text())
    settings.pop("defaults")
    return Simulated(**settings)


def test_its_sizes_are_those_of_the_paper(config):
    assert (config.brands, config.creators, config.posts, config.audience) == (360, 3748, 50, "micro")
    assert config.scale > 0, "a ranker on pictures needs feature arrays"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_its_pairs_are_like_those_of_the_paper(config, seed):
    rng = np.random.default_rng(seed)
    people = draw_people(rng, brands=config.brands, creators=config.creators)
    deals = draw_deals(rng, people, true_affinity(people), posts=config.posts)
    followers = people.followers[people.brands :]
    assert 5_000 <= followers.min() <= 5_100
    assert 98_000 <= followers.max() <= 100_000
    assert np.unique(people.category[: people.brands], return_counts=True)[1].tolist() == [30] * 12
    assert len(deals.brand) / config.brands == pytest.approx(11, abs=0.7)
    brands_of_each = np.bincount(deals.creator)
    assert (brands_of_each > 1).sum() / (brands_of_each > 0).sum() == pytest.approx(0.092, abs=0.02)
