"""The accounts table."""

import numpy as np
import pyarrow as pa

from micromega.market.simulated.people import CATEGORIES, People
from micromega.market.simulated.vocabulary import CITIES
from micromega.market.simulated.words import Lexicon, draw_words, joined

BIOGRAPHY_WORDS = 5


def accounts_table(rng: np.random.Generator, people: People, lexicon: Lexicon) -> pa.Table:
    """Make the accounts table; a biography is five words on the account's subject.

    Args:
        rng: random stream.
        people: the accounts.
        lexicon: the words.

    Returns:
        One row per account, brands first.
    """
    accounts = len(people.ids)
    is_brand_A = np.arange(accounts) < people.brands
    words_AM = draw_words(rng, people.subject, people.voice, lexicon, count=BIOGRAPHY_WORDS)
    text = np.repeat(np.arange(accounts), BIOGRAPHY_WORDS)
    return pa.table(
        {
            "account_id": people.ids,
            "kind": np.where(is_brand_A, "brand", "creator"),
            "name": pa.array([*lexicon.brand_names, *[None] * (accounts - people.brands)], pa.string()),
            "platform": np.full(accounts, "instagram"),
            "category": np.array(CATEGORIES)[people.category],
            "location": rng.choice(CITIES.split(), accounts),
            "followers": people.followers,
            "verified": rng.random(accounts) < np.where(is_brand_A, 0.6, 0.03),
            "videos": np.exp(rng.normal(6.0, 0.8, accounts)).astype(np.int64),
            "biography": joined(lexicon.words[words_AM].ravel(), text, accounts),
        }
    )
