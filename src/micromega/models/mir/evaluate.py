"""The ranker on brands it has not seen, beside its baselines."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from micromega.errors import CheckpointError
from micromega.models.evaluation import PairScores, RankingEvaluation
from micromega.models.mir.baselines import random_scores, similarity_scores
from micromega.models.mir.config import MIREvaluationConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.module import ORIGIN, MIRModule, check_arrays, ranking_metrics

log = logging.getLogger(__name__)


def evaluate(
    config: MIREvaluationConfig, *, checkpoint: Mapping[str, Any], data: MIRData, seed: int
) -> RankingEvaluation:
    """Score pairs with a trained ranker and compute the paper's metrics.

    Args:
        config: what to compute.
        checkpoint: a trained ranker, as read by `load_checkpoint`.
        data: the datamodule of the market to score; its split must be the one of training.
        seed: seed of the random baseline and of the dropout passes.

    Returns:
        Metrics of MIR, SBR and RAND on the test brands, and the scores.
    """
    data.setup("test")
    accounts = data.accounts
    assert accounts is not None
    _check_origin(checkpoint, data, config)
    module = MIRModule.restore(checkpoint)
    module.attach(data)
    labels, same_category = accounts.labels(), accounts.same_category()
    test = data.splits["test"]
    rivals = accounts.candidates(test, data.config.candidates)

    def pairs(rows: NDArray[np.int64]) -> PairScores:
        scores, deviation = scores_with_deviation(module, rows, samples=config.uncertainty_samples, seed=seed)
        return PairScores(
            brand_ids=accounts.brand_ids[rows],
            creator_ids=accounts.creator_ids,
            scores=scores,
            deviation=deviation,
            positives=labels[rows],
        )

    tested = pairs(test)
    methods = {
        "MIR": tested.scores,
        "SBR": similarity_scores(accounts, data.standardised(), test),
        "RAND": random_scores(len(test), len(accounts.creator_ids), seed),
    }
    return RankingEvaluation(
        metrics={
            name: ranking_metrics(
                scores[:, rivals], labels[test][:, rivals], same_category[test][:, rivals], config.recall_at
            )
            for name, scores in methods.items()
        },
        exported=tested if config.brands == "test" else pairs(np.arange(len(accounts.brand_ids))),
        validation=pairs(data.splits["validation"]),
        test=tested,
        facts={
            "brands": {name: len(rows) for name, rows in data.splits.items()},
            "train_brands": accounts.brand_ids[data.splits["train"]].tolist(),
            "creators": len(accounts.creator_ids),
            "test_candidates": int(rivals.sum()),
            "positive_pairs": len(accounts.pair_brand),
            "brand_posts": data.config.brand_posts,
        },
    )


def _check_origin(checkpoint: Mapping[str, Any], data: MIRData, config: MIREvaluationConfig) -> None:
    """Refuse weights of another shape, and weights that have been trained on brands which are to be held out here."""
    dimensions = dict(checkpoint["hyper_parameters"]["dimensions"])
    if dimensions != data.spec.dimensions:
        msg = (
            f"ckpt_path: the checkpoint was trained on features of sizes {dimensions}, these data have "
            f"{data.spec.dimensions}. Use the data settings of its training (config.yaml in its run folder)."
        )
        raise CheckpointError(msg)
    origin = checkpoint.get(ORIGIN, {})
    if origin.get("market_fingerprint") != data.market.fingerprint:
        log.warning("The checkpoint was trained on another market; its brands are taken for others than these.")
        return
    check_arrays(origin, {"market_fingerprint": data.market.fingerprint, "arrays": data.arrays})
    assert data.accounts is not None
    held_out = data.accounts.brand_ids[np.concatenate([data.splits["validation"], data.splits["test"]])]
    seen = sorted(set(origin["train_brands"]) & set(held_out.tolist()))
    if seen:
        msg = (
            f"ckpt_path: {len(seen)} of {len(held_out)} held-out brands were in this checkpoint's training "
            f"({', '.join(seen[:3])}, …), so metrics would be too good. Use the seed and data settings of its training."
        )
        raise CheckpointError(msg)


def scores_with_deviation(
    module: MIRModule, brands: NDArray[np.int64], *, samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Score pairs, and measure how much the scores move under dropout (Gal & Ghahramani 2016).

    Args:
        module: a restored module with a market attached.
        brands: (n,) brand rows.
        samples: dropout passes; 0 for none.
        seed: random seed of the passes; the global random state is left as it was.

    Returns:
        (n, M) scores without dropout, and their standard deviation over the passes (None without passes or dropout).
    """
    rows = torch.from_numpy(brands).to(module.device)
    module.eval()
    scores = module.score(rows).double().cpu().numpy()
    if samples < 2 or module.config.dropout == 0:
        return scores, None
    total, squares = torch.zeros(2, *scores.shape, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module.train()
        for _ in range(samples):
            drawn = module.score(rows).double().cpu()
            total += drawn
            squares += drawn.square()
        module.eval()
    variance = (squares - total.square() / samples) / (samples - 1)
    return scores, variance.clamp(min=0).sqrt().numpy()
