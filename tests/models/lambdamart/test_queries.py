"""Pairs that the trees learn from: all partners, some others, in no order that tells them apart."""

import numpy as np
import pytest
from mir_markets import hand_made

from micromega.models.lambdamart import queries
from micromega.models.lambdamart.queries import sample_queries
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig


@pytest.fixture(scope="module")
def accounts():
    generator = np.random.default_rng(0)
    posts = [(f"c{n:02}", f"own words w{n}", []) for n in range(40)]
    for brand in range(12):
        for creator in generator.choice(40, 4 + brand % 3, replace=False):
            posts.append((f"c{creator:02}", f"ad z{creator}", [f"b{brand:02}"]))
    config = MIRDataConfig(brand_posts="mentions", min_positives=2, min_posts=1, list_length=2, hashed_size=16)
    return build_accounts(hand_made(posts), config)


def drawn(accounts, negatives, seed=0, brands=None, candidates=None):
    brands = np.array([3, 7, 8, 1, 11]) if brands is None else brands
    candidates = np.flatnonzero(accounts.candidates(brands, "split")) if candidates is None else candidates
    blocks = list(sample_queries(accounts, brands, candidates, negatives, seed))
    sizes = np.concatenate([block.sizes for block in blocks])
    parts = [np.concatenate([getattr(b, name) for b in blocks]) for name in ("brand_view", "creator", "label")]
    cuts = np.cumsum(sizes)[:-1]
    return [
        (brand, *part)
        for brand, part in zip(brands, zip(*(np.split(p, cuts) for p in parts), strict=True), strict=True)
    ]


@pytest.mark.parametrize("block", [1, 100, 1 << 22])
@pytest.mark.parametrize("negatives", [0, 5, 1000, None])
def test_every_partner_and_as_many_others_as_asked_for(monkeypatch, accounts, block, negatives):
    monkeypatch.setattr(queries, "_BLOCK", block)
    labels = accounts.labels()
    candidates = np.flatnonzero(accounts.candidates(np.array([3, 7, 8, 1, 11]), "split"))
    for brand, _, creator, label in drawn(accounts, negatives):
        partners = np.flatnonzero(labels[brand])
        others = np.setdiff1d(candidates, partners)
        assert sorted(creator[label == 1]) == partners.tolist()
        wanted = len(others) if negatives is None else min(negatives, len(others))
        assert len(np.unique(creator[label == 0])) == (label == 0).sum() == wanted
        assert np.isin(creator[label == 0], others).all()


def test_creators_are_shown_the_view_that_they_are_scored_with(accounts):
    for brand, view, creator, _ in drawn(accounts, None):
        views, shown = accounts.shown_views(np.array([brand]))
        np.testing.assert_array_equal(view, views[shown[0, creator]])


def test_partners_stand_anywhere_and_others_are_drawn_evenly(accounts):
    candidates = np.arange(len(accounts.creator_ids))
    places, counts = [], np.zeros(len(candidates))
    for seed in range(300):
        ((_, _, creator, label),) = drawn(accounts, 8, seed, np.array([2]), candidates)
        places.append(np.flatnonzero(label).mean() / (len(label) - 1))
        counts[creator[label == 0]] += 1
    assert np.mean(places) == pytest.approx(0.5, abs=0.03)  # standard error 0.008
    others = ~accounts.labels()[2]
    expected = 300 * 8 / others.sum()
    assert np.abs(counts[others] - expected).max() < 5 * np.sqrt(expected)
    assert not counts[~others].any()


def test_the_seed_decides(accounts):
    def creators(seed):
        return [part[2].tolist() for part in drawn(accounts, 6, seed)]

    assert creators(1) == creators(1) != creators(2)
