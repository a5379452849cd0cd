"""One small world: people, prices, events, drawn without the rest of the simulator."""

from types import SimpleNamespace

import numpy as np
import pytest

from micromega.market.simulated.campaigns import campaigns_tables
from micromega.market.simulated.deals import true_affinity
from micromega.market.simulated.people import draw_people
from micromega.market.simulated.terms import events_table, prices_table
from micromega.market.simulated.vocabulary import CITIES

LAST_DAY = np.datetime64("2024-06-30")


def draw_world(seed: int, *, brands: int, creators: int, campaigns: float = 5.0) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    people = draw_people(rng, brands=brands, creators=creators)
    affinity = true_affinity(people)
    impressions = 0.45 * people.followers[brands:].astype(float)
    engagements = 0.02 * impressions * np.exp(0.1 * np.clip(affinity, -20, 0) + people.log_engagement[brands:])
    city = rng.choice(CITIES.split(), creators)
    prices, events = prices_table(rng, people), events_table(rng, people)
    tables, truth = campaigns_tables(
        rng, people, affinity, city=city, impressions=impressions, engagements=engagements, prices=prices,
        events=events, last_day=LAST_DAY, campaigns=campaigns,
    )  # fmt: skip
    return SimpleNamespace(
        people=people, affinity=affinity, impressions=impressions, engagements=engagements, city=city,
        prices=prices, events=events, tables=tables, truth=truth,
    )  # fmt: skip


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    return draw_world(0, brands=60, creators=600)


@pytest.fixture(scope="session")
def new_world():
    return draw_world
