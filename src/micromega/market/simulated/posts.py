"""The posts table."""

import numpy as np
import pyarrow as pa

from micromega.market.schemas import FLAG, TEXT, TIME
from micromega.market.simulated.content import Captions
from micromega.market.simulated.engagement import Engagement
from micromega.market.simulated.people import People

START = np.datetime64("2024-01-01T00:00:00", "s")
"""Posts appear in the 182 days from here."""
DAYS = 182


def posts_table(rng: np.random.Generator, people: People, captions: Captions, engagement: Engagement) -> pa.Table:
    """Put content, counts and times together; an account's posts are in order of time."""
    count = len(captions.account)
    seconds = rng.integers(0, DAYS * 86_400, (len(people.ids), count // len(people.ids)))
    times = START + np.sort(seconds, axis=1).ravel().astype("timedelta64[s]")
    ad_N = captions.brand >= 0
    brand_ids = pa.array(np.where(ad_N, people.ids[captions.brand], ""), TEXT, mask=~ad_N)
    return pa.table(
        {
            "post_id": post_ids(count),
            "account_id": people.ids[captions.account],
            "posted_at": pa.array(times.astype("datetime64[us]")).cast(TIME),
            "caption": captions.caption,
            "hashtags": captions.hashtags,
            "mentioned_ids": captions.mentioned_ids,
            "likes": engagement.likes,
            "comments": engagement.comments,
            "shares": engagement.shares,
            "impressions": engagement.impressions,
            "brand_id": brand_ids,
            "sponsored": pa.array(ad_N, FLAG),
        }
    )


def post_ids(count: int) -> pa.Array:
    """Ids of simulated posts."""
    return pa.array(np.char.mod("p%08d", np.arange(count)))
