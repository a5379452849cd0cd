"""The ranker on brands it has not seen, beside its baselines."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromega.errors import CheckpointError, ConfigError, DataError
from micromega.models.evaluation import BrandMetrics, Embeddings, PairScores, RankingEvaluation
from micromega.models.mir.baselines import popularity_scores, random_scores, similarity_scores
from micromega.models.mir.cases import case_studies
from micromega.models.mir.config import MIREvaluationConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.features import numbers
from micromega.models.mir.metrics import metrics_by_brand
from micromega.models.mir.module import MIRModule
from micromega.models.mir.origin import ORIGIN, check_arrays
from micromega.models.mir.self_similarity import self_similarity
from micromega.models.mir.summary import category_rows, intervals, merged, overall, paired_tests

log = logging.getLogger(__name__)
Ints = NDArray[np.int64]


class Ranker(Protocol):
    """What evaluation asks of a trained model; a model without `embeddings` cannot be retrieved from."""

    config: Any

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Rebuild a trained model."""

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""

    def attach(self, data: MIRData, *, held_out: bool = False) -> None:
        """Take a market's features, of training or of the held-out part."""

    def score(self, brands: Tensor) -> Tensor:
        """(n, M) scores of brand rows (n,)."""

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off."""

    def eval(self) -> Self:
        """Switch dropout off."""


def evaluate(
    config: MIREvaluationConfig,
    *,
    checkpoint: Mapping[str, Any],
    data: MIRData,
    seed: int,
    model: type[Ranker] = MIRModule,
    compared: Mapping[str, BrandMetrics] | None = None,
    embed: bool = False,
) -> RankingEvaluation:
    """Score pairs with a trained ranker and compute the paper's metrics, tables and figures.

    Args:
        config: what to compute.
        checkpoint: a trained ranker, as read by `load_checkpoint`.
        data: the datamodule of the market to score; its split must be the one of training.
        seed: seed of the random baseline, of the dropout passes and of the bootstrap.
        model: class that wrote the checkpoint; its name without "Module" heads the tables.
        compared: other evaluated runs on the same brands, name -> metrics.
        embed: whether to give embeddings of the exported brands and all candidates.

    Returns:
        Metrics of the model, SBR, RAND and POP (creators by followers, where known) on the test brands; the scores.

    Raises:
        CheckpointError: the checkpoint does not fit the data, or was trained on brands that are held out here.
        ConfigError: a run to compare with has other brands, or the model has no embeddings.
        DataError: there is no brand to export.
    """
    data.setup("test")
    accounts = data.accounts
    assert accounts is not None
    _check_origin(checkpoint, data, config)
    if embed and not hasattr(model, "embeddings"):
        msg = f"retrieve: {_title(model)} scores pairs and has no embeddings to search. Set retrieve=none."
        raise ConfigError(msg)
    ranker = model.restore(checkpoint)
    test = data.splits["test"]
    rivals = accounts.candidates(test, data.config.candidates)
    validated = _pairs(ranker, data, data.splits["validation"], config, seed)
    tested = _pairs(ranker, data, test, config, seed, held_out=True)
    exported = _exported(ranker, data, tested, config, seed)
    own = _by_brand(_methods(_title(model), data, tested, seed), data, rivals, config.recall_at)
    every = merged(own, compared or {})
    alike = self_similarity(data)
    cases = case_studies(data, test, tested, rivals, config.cases)
    return RankingEvaluation(
        metrics={method: overall(values) for method, values in every.methods.items()},
        by_brand=own,
        intervals=intervals(every, samples=config.bootstrap_samples, seed=seed),
        tests=paired_tests(every, samples=config.bootstrap_samples, seed=seed),
        categories=category_rows(own),
        self_similarity=alike,
        cases=cases,
        absent=_absent(data, own, alike is not None),
        exported=exported,
        validation=validated,
        test=tested,
        embeddings=_embeddings(ranker, data, exported) if embed else None,
        facts={
            "brands": {name: len(rows) for name, rows in data.splits.items()},
            "train_brands": accounts.brand_ids[data.splits["train"]].tolist(),
            "creators": len(accounts.creator_ids),
            "test_candidates": int(rivals.sum()),
            "test_pairs": int(tested.positives.sum()),
            "positive_pairs": len(accounts.pair_brand),
            "brand_posts": data.config.brand_posts,
        },
    )


def _title(model: type[Any]) -> str:
    return model.__name__.removesuffix("Module")


def _pairs(
    ranker: Ranker, data: MIRData, rows: Ints, config: MIREvaluationConfig, seed: int, *, held_out: bool = False
) -> PairScores:
    assert data.accounts is not None
    ranker.attach(data, held_out=held_out)
    scores, deviation = scores_with_deviation(ranker, rows, samples=config.uncertainty_samples, seed=seed)
    return PairScores(
        brand_ids=data.accounts.brand_ids[rows],
        creator_ids=data.accounts.creator_ids,
        scores=scores,
        deviation=deviation,
        positives=data.accounts.labels()[rows],
    )


def _exported(ranker: Ranker, data: MIRData, tested: PairScores, config: MIREvaluationConfig, seed: int) -> PairScores:
    """Pairs for the score table; those of test brands are the same whatever else is exported."""
    assert data.accounts is not None
    if config.brands == "test":
        return tested
    if config.brands == "cold":
        if not len(data.splits["cold"]):
            msg = (
                "evaluation.brands=cold: every brand of this market that has posts also has "
                f"{data.config.min_positives} partners or more. Set evaluation.brands=test or all."
            )
            raise DataError(msg)
        return _pairs(ranker, data, data.splits["cold"], config, seed)
    every = _pairs(ranker, data, np.arange(len(data.accounts.brand_ids)), config, seed)
    every.scores[data.splits["test"]] = tested.scores
    if every.deviation is None or tested.deviation is None:
        return replace(every, deviation=None)
    every.deviation[data.splits["test"]] = tested.deviation
    return every


def _methods(title: str, data: MIRData, tested: PairScores, seed: int) -> dict[str, NDArray[np.float64]]:
    """Scores of the model and its baselines on the test brands."""
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    methods = {
        title: tested.scores,
        "SBR": similarity_scores(accounts, _standardised(data), test),
        "RAND": random_scores(len(test), len(accounts.creator_ids), seed),
    }
    table = data.market.table("accounts")
    place = dict(zip(table["account_id"].to_pylist(), numbers(table["followers"]).tolist(), strict=True))
    followers = np.array([place[creator] for creator in accounts.creator_ids.tolist()])
    if not np.isnan(followers).all():
        methods["POP"] = popularity_scores(followers, len(test))
    return methods


def _standardised(data: MIRData) -> NDArray[np.float32]:
    """(V, d) as `MIRData.standardised`, of the values that test brands are scored with."""
    mean, deviation = data.spec.mean, data.spec.deviation
    parts = [(values - mean[name]) / deviation[name] for name, values in data.held_out_features.items()]
    return np.asarray(torch.cat(parts, dim=1).numpy())


def _by_brand(
    methods: Mapping[str, NDArray[np.float64]], data: MIRData, rivals: NDArray[np.bool_], recall_at: tuple[int, ...]
) -> BrandMetrics:
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    labels, same_category = accounts.labels()[test][:, rivals], accounts.same_category()[test][:, rivals]
    return BrandMetrics(
        brand_ids=accounts.brand_ids[test],
        categories=accounts.brand_categories[test],
        candidates=int(rivals.sum()),
        market=data.market.fingerprint,
        methods={
            name: metrics_by_brand(scores[:, rivals], labels, same_category, recall_at)
            for name, scores in methods.items()
        },
    )


def _absent(data: MIRData, metrics: BrandMetrics, has_self_similarity: bool) -> tuple[str, ...]:
    assert data.accounts is not None
    found = []
    if not (metrics.categories != "").any():
        found.append("No brand's category is known, so there is no cAUC and no table by category.")
    if not data.accounts.members.shape[1]:
        found.append("The market has no posts, so there is no case study and no self-similarity of categories.")
    elif not has_self_similarity:
        found.append("No category has two brands, so there is no self-similarity of categories.")
    if "POP" not in metrics.methods:
        found.append("No creator's followers are known, so popularity (POP) is no baseline.")
    return tuple(found)


def _embeddings(ranker: Any, data: MIRData, exported: PairScores) -> Embeddings:
    assert data.accounts is not None
    row = {brand: place for place, brand in enumerate(data.accounts.brand_ids.tolist())}
    rows = torch.tensor([row[brand] for brand in exported.brand_ids.tolist()], device=ranker.device)
    brands, creators = ranker.embeddings(rows)
    return Embeddings(
        brand_ids=exported.brand_ids,
        creator_ids=exported.creator_ids,
        brands=brands.float().cpu().numpy(),
        creators=creators.float().cpu().numpy(),
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
    module: Ranker, brands: Ints, *, samples: int, seed: int
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
    if samples < 2 or not getattr(module.config, "dropout", 0):
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
