"""The plan as a table that a person can act on: one row per tier."""

import numpy as np
import pyarrow as pa

from micromega.solvers.sizing.answer import SizingPlan
from micromega.tiers import TIERS, tier_ranges


def plan_table(plan: SizingPlan) -> pa.Table:
    """List the best size of each tier, smallest tier first.

    Args:
        plan: the answer.

    Returns:
        tier, low and high (followers that the tier covers inside the support), followers (the best among them),
        impressions, elasticity, cost, profit, recommended (in the tier of the recommended size); subject, currency and
        standing in the metadata.
    """
    ranges = dict(zip(TIERS, np.exp(tier_ranges(*plan.problem.inner_range)).tolist(), strict=True))
    sizes = plan.tiers
    best = max(sizes, key=lambda size: size.profit)
    columns = {
        "tier": pa.array([size.tier for size in sizes], pa.string()),
        "low": pa.array([ranges[size.tier][0] for size in sizes], pa.float64()),
        "high": pa.array([ranges[size.tier][1] for size in sizes], pa.float64()),
        **{
            name: pa.array([getattr(size, name) for size in sizes], pa.float64())
            for name in ("followers", "impressions", "elasticity", "cost", "profit")
        },
        "recommended": pa.array([plan.recommended is not None and size is best for size in sizes], pa.bool_()),
    }
    problem = plan.problem
    metadata = {"subject": problem.subject, "currency": problem.currency, "standing": str(plan.standing)}
    return pa.table(columns).replace_schema_metadata(metadata)
