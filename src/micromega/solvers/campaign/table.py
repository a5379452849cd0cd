"""The plan as a table that a person can act on."""

import numpy as np
import pyarrow as pa

from micromega.solvers.campaign.problem import CampaignProblem
from micromega.solvers.plan import Plan


def plan_table(problem: CampaignProblem, plan: Plan) -> pa.Table:
    """List the chosen posts, the most effective first.

    Args:
        problem: what was asked.
        plan: what was answered.

    Returns:
        creator_id, content_type, event_id, date (null without one), offset_days, price, effectiveness, std; brand_id
        and level (multiple of the usual price) where the plan has several; currency and unit in the metadata.
    """
    chosen = np.flatnonzero(plan.chosen)
    chosen = chosen[np.lexsort((problem.creator_id[chosen], -problem.effectiveness[chosen]))]
    columns = {
        "creator_id": pa.array(problem.creator_id[chosen].tolist(), pa.string()),
        "content_type": pa.array(problem.content_type[chosen].tolist(), pa.string()),
        "event_id": pa.array(problem.event_id[chosen].tolist(), pa.string()),
        "date": pa.array(problem.date[chosen], pa.date32()),
        "offset_days": pa.array(problem.offset_days[chosen], pa.int64()),
        "price": pa.array(problem.price[chosen], pa.float64()),
        "effectiveness": pa.array(problem.effectiveness[chosen], pa.float64()),
        "std": pa.array(problem.std[chosen], pa.float64()),
    }
    if len(np.unique(problem.brand_id)) > 1:
        columns["brand_id"] = pa.array(problem.brand_id[chosen].tolist(), pa.string())
    if np.any(problem.level != 1):
        columns["level"] = pa.array(problem.level[chosen], pa.float64())
    return pa.table(columns).replace_schema_metadata({"currency": problem.currency, "unit": problem.unit})
