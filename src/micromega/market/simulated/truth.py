"""What really drives the simulated market; for tests, evaluation and benchmarks, never for models."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.market.simulated.content import Captions
from micromega.market.simulated.engagement import Engagement
from micromega.market.simulated.people import SUBJECT_DIMS, People
from micromega.market.simulated.posts import post_ids


def truth_tables(
    people: People, captions: Captions, engagement: Engagement, affinity: NDArray[np.float64]
) -> Mapping[str, pa.Table]:
    """Make the tables of `truth/`: accounts, posts, affinity."""
    brands, creators = affinity.shape
    return {
        "accounts": pa.table(
            {
                "account_id": people.ids,
                "subject": pa.FixedSizeListArray.from_arrays(pa.array(people.subject.ravel()), SUBJECT_DIMS),
                "log_engagement": people.log_engagement,
            }
        ),
        "posts": pa.table(
            {
                "post_id": post_ids(len(captions.account)),
                "off_topic": captions.off_topic,
                "expected_engagements": engagement.expected,
            }
        ),
        "affinity": pa.table(
            {
                "brand_id": np.repeat(people.ids[:brands], creators),
                "creator_id": np.tile(people.ids[brands:], brands),
                "affinity": affinity.ravel(),
                "expected_engagements": engagement.expected_pair.ravel(),
            }
        ),
    }
