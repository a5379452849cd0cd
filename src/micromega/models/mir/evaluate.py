"""The ranker on brands it has not seen, beside its baselines."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError
from micromega.models.evaluation import BrandMetrics, PairScores, RankingEvaluation, Retrieved
from micromega.models.mir.baselines import popularity_scores, random_scores, similarity_scores
from micromega.models.mir.blend import Member, blended
from micromega.models.mir.cases import case_studies
from micromega.models.mir.config import MIREvaluationConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.features import numbers
from micromega.models.mir.metrics import metrics_by_brand
from micromega.models.mir.module import MIRModule
from micromega.models.mir.origin import check_origin
from micromega.models.mir.ranker import Ranker, Scorer, VectorRanker
from micromega.models.mir.retrieved import judged_creators, retrieved
from micromega.models.mir.self_similarity import self_similarity
from micromega.models.mir.summary import category_rows, intervals, merged, overall, paired_tests
from micromega.models.mir.uncertainty import scores_with_deviation
from micromega.models.retrieval.ann import load_faiss

Ints = NDArray[np.int64]


def evaluate(
    config: MIREvaluationConfig,
    *,
    checkpoint: Mapping[str, Any],
    data: MIRData,
    seed: int,
    model: type[Ranker] = MIRModule,
    members: Mapping[str, Member] = MappingProxyType({}),
    compared: Mapping[str, BrandMetrics] | None = None,
    retrieve: Literal["none", "exact", "ann"] = "none",
) -> RankingEvaluation:
    """Score pairs with a trained ranker and compute the paper's metrics, tables and figures.

    Args:
        config: what to compute.
        checkpoint: a trained ranker, as read by `load_checkpoint`.
        data: the datamodule of the market to score; its split must be the one of training.
        seed: seed of the random baseline, of the dropout passes and of the bootstrap.
        model: class that wrote the checkpoint; its name without "Module" heads the tables.
        members: other trained rankers whose scores are mixed with the model's, name -> member; each also gets its own
            row in the tables.
        compared: other evaluated runs on the same brands, name -> metrics.
        retrieve: give shortlists of the exported brands from vectors, instead of all their pairs; no array of all
            brands by all creators is made then.

    Returns:
        Metrics of the model, SBR, RAND and POP (creators by followers, where known) on the test brands; the scores.

    Raises:
        CheckpointError: the checkpoint does not fit the data, or was trained on brands that are held out here.
        ConfigError: a run to compare with has other brands, a member ranks other brands or creators, or there are no
            embeddings.
        DataError: there is no brand to export.
        MissingExtraError: retrieve is "ann" and FAISS is not installed.
    """
    data.setup("test")
    accounts = data.accounts
    assert accounts is not None
    held_out = set(accounts.brand_ids[np.concatenate([data.splits["validation"], data.splits["test"]])].tolist())
    check_origin(checkpoint, data, held_out)
    if retrieve != "none" and members:
        raise ConfigError(f"retrieve={retrieve}: a blend has no embeddings to search. Set retrieve=none.")
    if retrieve != "none" and not hasattr(model, "embeddings"):
        msg = f"retrieve: {_title(model)} scores pairs and has no embeddings to search. Set retrieve=none."
        raise ConfigError(msg)
    if retrieve == "ann":
        load_faiss()  # where it is missing, better now than after all the scoring
    ranker: Scorer = model.restore(checkpoint)
    titles = [_title(model), *members]
    blend = blended(ranker, members, config.blend_weight, data, held_out) if members else None
    ranker = blend or ranker
    test = data.splits["test"]
    rivals = np.flatnonzero(accounts.candidates(test, data.config.candidates))
    if retrieve == "none":
        validated = _every_pair(ranker, data, data.splits["validation"], config, seed)
        tested = _every_pair(ranker, data, test, config, seed, held_out=True)
        among = _among(tested, rivals)
        exported: PairScores | Retrieved = _exported(ranker, data, tested, config, seed)
    else:
        validated, _ = _judged_pairs(cast(VectorRanker, ranker), data, "validation", seed)
        tested, creators = _judged_pairs(cast(VectorRanker, ranker), data, "test", seed)
        among = _among(tested, np.searchsorted(creators, rivals))
        exported = _retrieved(cast(VectorRanker, ranker), data, config, seed, retrieve)
    scores = {" + ".join(titles): among.scores}
    if blend:
        blend.attach(data, held_out=True)
        alone = blend.alone(torch.from_numpy(test))
        scores |= {name: of[:, rivals] for name, of in zip(titles, alone, strict=True)}
    scores |= _baselines(data, rivals, seed)
    own = _by_brand(scores, data, among, rivals, config.recall_at)
    every = merged(own, compared or {})
    alike = self_similarity(data)
    cases = case_studies(data, test, among, rivals, config.cases)
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
        facts={
            "brands": {name: len(rows) for name, rows in data.splits.items()},
            "train_brands": accounts.brand_ids[data.splits["train"]].tolist(),
            "creators": len(accounts.creator_ids),
            "test_candidates": len(rivals),
            "test_pairs": int(tested.positives.sum()),
            "positive_pairs": len(accounts.pair_brand),
            "brand_posts": data.config.brand_posts,
            "blend": {name: member.sha256 for name, member in members.items()},
        },
    )


def _title(model: type[Any]) -> str:
    return model.__name__.removesuffix("Module")


def _every_pair(
    ranker: Scorer, data: MIRData, rows: Ints, config: MIREvaluationConfig, seed: int, *, held_out: bool = False
) -> PairScores:
    assert data.accounts is not None
    ranker.attach(data, held_out=held_out)
    scores, deviation = scores_with_deviation(ranker, rows, samples=config.uncertainty_samples, seed=seed)
    return PairScores(
        brand_ids=data.accounts.brand_ids[rows],
        creator_ids=data.accounts.creator_ids,
        scores=scores,
        deviation=deviation,
        positives=data.accounts.labels(rows),
    )


def _judged_pairs(ranker: VectorRanker, data: MIRData, split: str, seed: int) -> tuple[PairScores, Ints]:
    """Pairs of a split's brands with those creators that they can be judged on, and the rows of these."""
    accounts, rows = data.accounts, data.splits[split]
    assert accounts is not None
    ranker.attach(data, held_out=split == "test")
    ranker.eval()
    judged = judged_creators(len(rows), accounts.candidates(rows, data.config.candidates), seed)
    scores = ranker.score(torch.from_numpy(rows).to(ranker.device), judged.creators)
    pairs = PairScores(
        brand_ids=accounts.brand_ids[rows],
        creator_ids=accounts.creator_ids[judged.creators],
        scores=scores.double().cpu().numpy(),
        deviation=None,
        positives=accounts.labels(rows, judged.creators),
        weights=judged.weights,
    )
    return pairs, judged.creators


def _among(pairs: PairScores, columns: Ints) -> PairScores:
    """Pairs of some creators, without deviations and weights."""
    return PairScores(
        brand_ids=pairs.brand_ids,
        creator_ids=pairs.creator_ids[columns],
        scores=pairs.scores[:, columns],
        deviation=None,
        positives=pairs.positives[:, columns],
    )


def _exported_rows(data: MIRData, config: MIREvaluationConfig) -> Ints:
    assert data.accounts is not None
    if config.brands == "test":
        return data.splits["test"]
    if config.brands == "all":
        return np.arange(len(data.accounts.brand_ids))
    if not len(data.splits["cold"]):
        msg = (
            "evaluation.brands=cold: every brand of this market that has posts also has "
            f"{data.config.min_positives} partners or more. Set evaluation.brands=test or all."
        )
        raise DataError(msg)
    return data.splits["cold"]


def _exported(ranker: Scorer, data: MIRData, tested: PairScores, config: MIREvaluationConfig, seed: int) -> PairScores:
    """Pairs for the score table; those of test brands are the same whatever else is exported."""
    rows = _exported_rows(data, config)
    if config.brands == "test":
        return tested
    found = _every_pair(ranker, data, rows, config, seed)
    if config.brands == "cold":
        return found
    found.scores[data.splits["test"]] = tested.scores
    if found.deviation is None or tested.deviation is None:
        return replace(found, deviation=None)
    found.deviation[data.splits["test"]] = tested.deviation
    return found


def _retrieved(
    ranker: VectorRanker, data: MIRData, config: MIREvaluationConfig, seed: int, mode: Literal["exact", "ann"]
) -> Retrieved:
    assert data.accounts is not None
    rows = _exported_rows(data, config)
    if config.brands != "test":  # those of test brands have just been attached
        ranker.attach(data)
    return retrieved(
        ranker, data.accounts, rows, mode=mode, k=config.shortlist, samples=config.uncertainty_samples, seed=seed
    )


def _baselines(data: MIRData, rivals: Ints, seed: int) -> dict[str, NDArray[np.float64]]:
    """Scores without learning of the test brands and those who compete for them."""
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    methods = {
        "SBR": similarity_scores(accounts, _Standardised(data), test, rivals),
        "RAND": random_scores(len(test), len(accounts.creator_ids), seed, rivals),
    }
    table = data.market.table("accounts")
    place = pc.index_in(pa.array(accounts.creator_ids), value_set=table["account_id"].combine_chunks())
    followers = numbers(table["followers"])[place.to_numpy()]
    if not np.isnan(followers).all():
        methods["POP"] = popularity_scores(followers[rivals], len(test))
    return methods


class _Standardised:
    """Rows of (V, d) as `MIRData.standardised`, of the values that test brands are scored with."""

    def __init__(self, data: MIRData) -> None:
        self._data = data

    def __getitem__(self, rows: Ints, /) -> NDArray[np.float32]:
        mean, deviation = self._data.spec.mean, self._data.spec.deviation
        features = self._data.held_out_features.items()
        parts = [(values[torch.from_numpy(rows)] - mean[name]) / deviation[name] for name, values in features]
        return np.asarray(torch.cat(parts, dim=1).numpy())


def _by_brand(
    methods: Mapping[str, NDArray[np.float64]],
    data: MIRData,
    among: PairScores,
    rivals: Ints,
    recall_at: tuple[int, ...],
) -> BrandMetrics:
    accounts, test = data.accounts, data.splits["test"]
    assert accounts is not None
    same_category = accounts.same_category(test, rivals)
    return BrandMetrics(
        brand_ids=accounts.brand_ids[test],
        categories=accounts.brand_categories[test],
        candidates=len(rivals),
        market=data.market.fingerprint,
        methods={
            name: metrics_by_brand(scores, among.positives, same_category, recall_at)
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
