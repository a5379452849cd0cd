"""The VS-VAE on posts it has not seen, beside the no-information rate and PCA."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from micromega.errors import CheckpointError, DataError
from micromega.models.growth import fit_growth, growth_inputs
from micromega.models.origin import ORIGIN
from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.bounds import importance_weighted_bound
from micromega.models.vsvae.config import VSVAEEvaluationConfig
from micromega.models.vsvae.data import PostData
from micromega.models.vsvae.describe import describe, posterior_means
from micromega.models.vsvae.module import VSVAEModule
from micromega.models.vsvae.neighbours import neighbourhood
from micromega.models.vsvae.network import VSVAE
from micromega.models.vsvae.origin import check_origin
from micromega.models.vsvae.pca import fit_pca
from micromega.models.vsvae.popularity import of_unseen, predict_popularity
from micromega.models.vsvae.probes import probe, true_latents
from micromega.models.vsvae.reconstruction import Restore, fit_no_information, judge, reconstructions
from micromega.models.vsvae.result import (
    NO_INFORMATION,
    PCA,
    Bounds,
    LatentUse,
    Neighbourhood,
    Popularity,
    Probe,
    RepresentationEvaluation,
    table,
)

log = logging.getLogger(__name__)
MODEL = "VSVAE"
FITTED = 20_000
"""Training posts that PCA, the no-information rate and linear probes learn from, at most."""
SEEDS = 5
"""Networks behind each row of the popularity test."""
GROWTH_TOLERANCE = 0.01
"""Largest relative change of variances at which the growth model stops."""
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]


def evaluate(
    config: VSVAEEvaluationConfig,
    *,
    checkpoint: Mapping[str, Any],
    data: PostData,
    seed: int,
    kept: Path | None = None,
    model: type[VSVAEModule] = VSVAEModule,
) -> RepresentationEvaluation:
    """Describe all posts by r, and judge r on the test posts.

    Args:
        config: what to compute.
        checkpoint: as read by `load_checkpoint`.
        data: of the market to describe, with the checkpoint's words; its split must be the one of training.
        seed: of what is drawn at random.
        kept: file for r of all posts, which the caller removes; None: they are kept in memory.
        model: class that wrote the checkpoint.

    Returns:
        Table 2, Figure 5 and the popularity test of Tian et al. (2022); bounds, use of r and linear probes; r itself in
        `vectors`.

    Raises:
        CheckpointError: the checkpoint was trained on other parts or values, or on posts that are held out here.
    """
    data.setup("fit")
    module = model.restore(checkpoint)
    _check_parts(module.network, data)
    check_origin(checkpoint.get(ORIGIN, {}), data.origin)
    device = _device()
    network = module.network.to(device)
    spec, splits, size = data.spec, data.splits, config.batch_size
    random = np.random.default_rng(seed)
    train, test = _some(splits["train"], FITTED, random), _some(splits["test"], config.held_out, random)
    posts, dimensions = len(data.post_ids), module.config.latent_size
    everything = np.sort(np.concatenate(list(splits.values())))
    log.info("Describing %d posts …", len(everything))
    r = describe(data.batches(everything, size), posterior_means(network, device), posts, dimensions, kept)
    log.info("Judging %d of %d held-out posts …", len(test), len(splits["test"]))
    pca = fit_pca(lambda: data.batches(train, size), spec, dimensions, seed=seed)
    components = describe(data.batches(everything, size), pca.transform, posts, len(pca.variance))

    def restore(batch: PostBatch) -> dict[str, torch.Tensor]:
        moved = batch.to(device)
        return network.reconstruct(network.encode(moved).mean, moved)

    methods: dict[str, Restore] = {
        MODEL: restore,
        NO_INFORMATION: fit_no_information(data.batches(train, size), spec),
        PCA: pca,
    }
    rows = reconstructions(judge(data.batches(test, size), methods, spec), spec, model=MODEL)
    bounds, latent = _bounds(network, data.batches(test, 64), config.importance_samples, device, seed)
    absent: list[str] = []
    return RepresentationEvaluation(
        metrics=table(rows, model=MODEL),
        reconstruction=rows,
        bounds=bounds,
        latent=latent,
        neighbourhood=_neighbourhood(config, data, r, components, seed, absent),
        popularity=_popularity(config, data, r, components, seed, device, absent),
        probes=_probes(data, r, components, train, test, absent),
        absent=tuple(absent),
        facts=_facts(data, module, len(test), pca.share),
        vectors=r,
    )


def _device() -> torch.device:
    """The accelerator that is there, not only one that torch was built for."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _check_parts(network: VSVAE, data: PostData) -> None:
    now, then = dict(data.spec.sizes), network.sizes
    other = [part for part in {**then, **now} if now.get(part) != then.get(part)]
    if other:
        shown = ", ".join(f"{part} ({then.get(part, 'none')} then, {now.get(part, 'none')} now)" for part in other)
        msg = f"ckpt_path: the checkpoint was trained on other parts or sizes than data gives: {shown}. Train again."
        raise CheckpointError(msg)


def _some(rows: Ints, most: int, random: np.random.Generator) -> Ints:
    return np.sort(random.permutation(rows)[:most])


@torch.inference_mode()
def _bounds(
    network: VSVAE, batches: Iterable[PostBatch], samples: int, device: torch.device, seed: int
) -> tuple[Bounds, LatentUse]:
    """Bounds of held-out posts and how r is used; one draw a post for the likelihoods."""
    draw, posts = torch.Generator().manual_seed(seed), 0
    parts = dict.fromkeys(network.sizes, 0.0)
    tight, divergences, means = 0.0, [], []
    for batch in batches:
        moved = batch.to(device)
        posterior = network.encode(moved)
        noise = torch.randn(posterior.mean.shape, generator=draw).to(posterior.mean)
        for part, of in network.log_likelihood(posterior.sample(noise, draw), moved).items():
            parts[part] += float(of.sum())
        if samples:
            tight += float(importance_weighted_bound(network, moved, samples, draw).sum())
        divergences.append(posterior.divergence().cpu())
        means.append(posterior.mean.cpu())
        posts += len(batch)
    divergence_ND, mean_ND = torch.cat(divergences).double().numpy(), torch.cat(means).double().numpy()
    likelihood = {part: total / posts for part, total in parts.items()}
    divergence = float(divergence_ND.sum(axis=1).mean())
    bounds = Bounds(
        elbo=sum(likelihood.values()) - divergence,
        importance_weighted=tight / posts if samples else None,
        log_likelihood=likelihood,
        divergence=divergence,
        samples=samples,
        posts=posts,
    )
    return bounds, LatentUse(divergence=divergence_ND.mean(axis=0), variance_of_mean=mean_ND.var(axis=0))


def _neighbourhood(
    config: VSVAEEvaluationConfig, data: PostData, r: Vectors, components: Vectors, seed: int, absent: list[str]
) -> Neighbourhood | None:
    if "posts" not in data.market.tables:
        absent.append("Neighbours are not shown: the market has no posts, only accounts.")
        return None
    return neighbourhood(
        r,
        posts=data.market.table("posts"),
        held_out=data.splits["test"],
        k=config.neighbours,
        focal_posts=config.focal_posts,
        most=config.held_out,
        pca_MD=components,
        among=np.sort(np.concatenate(list(data.splits.values()))),  # posts without any part have no r
        seed=seed,
    )


def _popularity(
    config: VSVAEEvaluationConfig,
    data: PostData,
    r: Vectors,
    components: Vectors,
    seed: int,
    device: torch.device,
    absent: list[str],
) -> Popularity | None:
    if not config.popularity:
        return None
    try:
        inputs = growth_inputs(data.market, group=config.growth_group, clock=config.growth_clock)
        fit = fit_growth(
            inputs.impressions,
            inputs.days,
            inputs.hashtag,
            inputs.covariates,
            noise=config.growth_noise,
            tau=config.growth_tau,
            initial=config.growth_initial,
            tolerance=GROWTH_TOLERANCE,
        )
    except DataError as error:
        absent.append(f"The popularity test was not made. {error}")
        return None
    rate, start = fit.residuals()
    # What is listed once says nothing of growth: its rate is what the regression says, and no surprise.
    rate = np.where(np.isfinite(inputs.impressions).sum(axis=1) > 1, rate, np.nan)
    place = pc.index_in(pa.array(inputs.post_ids, pa.string()), value_set=data.post_ids).to_numpy()
    residuals = {"growth rate": np.full(len(r), np.nan), "starting impressions": np.full(len(r), np.nan)}
    residuals["growth rate"][place], residuals["starting impressions"][place] = rate, start
    explained = fit.bayesian_r2(seed=seed)
    splits = data.splits
    if config.popularity_creators == "unseen":
        splits = of_unseen(splits, data.market.table("posts")["account_id"])
    if config.growth_tau is None and np.isfinite(inputs.impressions).sum(axis=1).max() < 3:
        absent.append(
            "No post lists three days, so the growth model's noise was not learned: set evaluation.growth_tau."
        )
    if not fit.converged:
        absent.append(f"The growth model had not converged after {fit.iterations} iterations.")
    return predict_popularity(
        {"r": r, PCA: components},
        residuals,  # type: ignore[arg-type]  # literal keys
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        bayesian_r2={"rate": explained.a, "start": explained.b},
        epochs=config.popularity_epochs,
        seeds=range(seed, seed + SEEDS),
        device=device,
    )


def _probes(
    data: PostData, r: Vectors, components: Vectors, train: Ints, test: Ints, absent: list[str]
) -> tuple[Probe, ...]:
    truths = true_latents(data.market, data.post_ids)
    if not truths:
        absent.append("What truly drives the posts is not known: the market is not simulated.")
        return ()
    return probe({"r": np.asarray(r), PCA: components}, truths, train=train, test=test)


def _facts(data: PostData, module: VSVAEModule, judged: int, pca_share: float) -> dict[str, Any]:
    return {
        "posts": {name: len(rows) for name, rows in data.splits.items()},
        "parts": dict(data.spec.sizes),
        "judged": judged,
        "latent_size": module.config.latent_size,
        "posterior": module.config.posterior,
        "weights": sum(parameter.numel() for parameter in module.parameters()),
        "pca_share": pca_share,
    }
