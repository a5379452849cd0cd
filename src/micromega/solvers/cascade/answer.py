"""Chosen creators as tables that a person can act on."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from micromega.solvers.cascade.certificate import Z95
from micromega.solvers.cascade.evidence import Evidence
from micromega.solvers.cascade.expected import Spread
from micromega.solvers.cascade.influence import Influence

Floats = NDArray[np.float64]


def plan_table(names: Sequence[str], needs: Floats, creator_ids: Sequence[str], evidence: Evidence) -> pa.Table:
    """List who spreads which need.

    Args:
        names: of the needs, (J,).
        needs: volumes, accounts, (J,).
        creator_ids: of each need's creator, (J,).
        evidence: recomputed by the certificate.

    Returns:
        need, volume, creator_id; awareness by the closed form; mean, lower and upper of the simulated process (95 %);
        alone, alone_lower, alone_upper: what the creator reaches without the others. All in accounts.
    """
    wide, alone = Z95 * evidence.process_error, Z95 * evidence.alone_error
    return pa.table(
        {
            "need": pa.array(list(names), pa.string()),
            "volume": pa.array(needs, pa.float64()),
            "creator_id": pa.array(list(creator_ids), pa.string()),
            "awareness": pa.array(evidence.closed_form, pa.float64()),
            "mean": pa.array(evidence.process, pa.float64()),
            "lower": pa.array(evidence.process - wide, pa.float64()),
            "upper": pa.array(evidence.process + wide, pa.float64()),
            "alone": pa.array(evidence.alone, pa.float64()),
            "alone_lower": pa.array(evidence.alone - alone, pa.float64()),
            "alone_upper": pa.array(evidence.alone + alone, pa.float64()),
        }
    )


def seeds_table(found: Influence, creator_ids: Sequence[str], alone: Sequence[Spread], prices: Floats) -> pa.Table:
    """List seeds in the order in which they were chosen.

    Args:
        found: k seeds.
        creator_ids: of all accounts, (N,).
        alone: what each seed reaches without the others, k.
        prices: of all accounts, NaN where there is none, (N,).

    Returns:
        place, creator_id, price; alone, alone_lower, alone_upper: accounts that the seed reaches without the others.
    """
    seeds = found.seeds.tolist()
    return pa.table(
        {
            "place": pa.array(range(1, len(seeds) + 1), pa.int64()),
            "creator_id": pa.array([creator_ids[v] for v in seeds], pa.string()),
            "price": pa.array(prices[found.seeds], pa.float64(), from_pandas=True),
            "alone": pa.array([one.mean for one in alone], pa.float64()),
            "alone_lower": pa.array([one.interval[0] for one in alone], pa.float64()),
            "alone_upper": pa.array([one.interval[1] for one in alone], pa.float64()),
        }
    )
