"""Other estimators on the same posts, and how far each is from the truth where it is known.

N posts that curves are averaged over, G log followers, J posts that are judged: whatever answers for them was not
fitted to them, but the model has chosen its epochs by them (see `Judged`).
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.models.deepiv.causal import CausalModel, Response
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.data import DeepIVData
from micromega.models.deepiv.elasticity import blocks
from micromega.models.deepiv.estimator import DeepIV
from micromega.models.deepiv.from_market import CausalInputs
from micromega.models.deepiv.module import CONTROL_FUNCTION, DEEP_IV, TreatmentModule
from micromega.models.deepiv.rivals import KernelIV, NaiveNetwork, TwoStageLeastSquares
from micromega.models.deepiv.subjects import View

log = logging.getLogger(__name__)
Reals = NDArray[np.float64]
Ints = NDArray[np.int64]
NAIVE = "naive network"
TITLES: Mapping[str, str] = {
    "naive": NAIVE,
    "2sls": "2SLS, linear",
    "2sls_2": "2SLS, degree 2",
    "2sls_3": "2SLS, degree 3",
    "dfiv": "DFIV",
    "kernel": "kernel IV",
    "deepiv": DEEP_IV,
    "control_function": CONTROL_FUNCTION,
}
"""Choice of `evaluation.rivals` -> what tables call it."""
_ESTIMATIONS = {"deepiv": "integral", "control_function": "control_function"}
_DEGREES = {"2sls": 1, "2sls_2": 2, "2sls_3": 3}
_MOST_TERMS = 2_000
_NODES = 12
_BLOCK = 4_096


class Estimator(Protocol):
    """What all have, as `DeepIV` has it."""

    def fit(self, *, x: ArrayLike, z: ArrayLike, t: ArrayLike, y: ArrayLike, cluster: ArrayLike | None = None) -> Any:
        """Fit."""
        ...

    def predict(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> NDArray[Any]:
        """E[y | do(t), x]."""
        ...

    def elasticity(self, *, t: ArrayLike, x: ArrayLike, grid: bool = False) -> NDArray[Any]:
        """Its derivative in t."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Posts to which nothing that answers for them was fitted.

    Rivals never see them. The trained model answers by members that held them out, and each of these, whether plain, of
    folds or of a bootstrap, has chosen the best epoch of its networks by what it held out. So errors on these posts
    favour the model a little.

    Attributes:
        rows: their numbers, (J,).
        seen: posts that rivals learn from, (N_all,) bool: those of other creators.
        unseen: which members of the trained model have not seen each, (E, J) bool.
        nodes: quantiles of log followers given instrument and controls, (J, 12); None without a stage 1.
    """

    rows: Ints
    seen: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    nodes: Reals | None


def judged_posts(model: CausalModel, first: TreatmentModule | None, data: DeepIVData, *, seed: int) -> Judged:
    """Choose creators that some member of the trained model has not seen: all of them, or a tenth of the posts.

    Args:
        model: trained.
        first: its stage 1, where it has one.
        data: of its training.
        seed: of the choice.

    Returns:
        The posts.
    """
    unseen_EN = data.members(model.config).held_out > 0
    author = data.inputs.author
    free = np.bincount(author, weights=~unseen_EN.any(axis=0)) == 0
    size = np.bincount(author)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(free))
    enough = size[order].cumsum() <= model.config.validation_share * len(author)
    chosen = order[enough] if enough.any() else order[:1]
    held = np.isin(author, chosen)
    rows = np.flatnonzero(held)
    unseen = unseen_EN[:, rows]
    nodes = None if first is None else _nodes(first, data, rows, unseen)
    return Judged(rows=rows, seen=~held, unseen=unseen, nodes=nodes)


@torch.no_grad()
def _nodes(first: TreatmentModule, data: DeepIVData, rows: Ints, unseen: NDArray[np.bool_]) -> Reals:
    """Midpoint quantiles of a mixture that has not seen the post."""
    levels = (torch.arange(_NODES) + 0.5) / _NODES
    member = torch.from_numpy(unseen.argmax(axis=0))
    found = []
    for begin in range(0, len(rows), _BLOCK):
        part = rows[begin : begin + _BLOCK]
        of = member[begin : begin + _BLOCK]
        mixture = first.mixture(data.values["z"][part][None], data.values["x"][part][None])
        own = mixture.each(lambda value, of=of: value[of, torch.arange(len(of))][None])  # type: ignore[misc]
        found.append(first.scale.original("t", own.quantile(levels)[0]).double().numpy())
    return np.concatenate(found)


def model_errors(model: Response, data: DeepIVData, judged: Judged) -> dict[str, float]:
    """Errors of the trained model on the judged posts: see `_errors`."""
    x = data.values["x"][judged.rows]

    def response(t_JM: Reals) -> Reals:
        found = np.empty(t_JM.shape)
        for part, value in blocks(model, "response", torch.from_numpy(t_JM).float(), x):
            weight = judged.unseen[:, part, None]
            found[part] = (value.numpy() * weight).sum(axis=0) / weight.sum(axis=0)
        return found

    return _errors(response, data.inputs, judged)


def _errors(response: Callable[[Reals], Reals], inputs: CausalInputs, judged: Judged) -> dict[str, float]:
    """Squared errors of held-out log impressions.

    held_out_error: of the response at the followers that a post's creator has. The smallest is not the best cause: what
    comes with followers and impressions alike helps to predict. integrated_error: of the response averaged over the
    followers that instrument and controls let expect, which is the loss of Deep IV's stage 2 (eq. 5).
    """
    y, t = inputs.outcome[judged.rows], inputs.treatment[judged.rows]
    found = {"held_out_error": float(((y - response(t[:, None])[:, 0]) ** 2).mean())}
    if judged.nodes is not None:
        found["integrated_error"] = float(((y - response(judged.nodes).mean(axis=1)) ** 2).mean())
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A rival: FEI of each post at each size, (N, G), errors on the judged posts, seconds that its fit took."""

    elasticity: Reals
    errors: dict[str, float]
    seconds: float


def fit_rivals(
    config: DeepIVEvaluationConfig,
    model: CausalModel,
    data: DeepIVData,
    judged: Judged,
    view: View,
    absent: list[str],
) -> dict[str, Fitted]:
    """Fit each rival that is asked for to the posts of all creators but the judged ones.

    Args:
        config: names the rivals.
        model: the trained one; it says how the naive network is trained.
        data: of its training.
        judged: posts to keep away.
        view: posts and sizes that curves are wanted of.
        absent: rivals that could not be fitted are added, with the reason.

    Returns:
        Title -> rival, in the order asked for.
    """
    inputs, found = data.inputs, dict[str, Fitted]()
    for name in config.rivals:
        title = TITLES[name]
        if title == model.title:
            continue
        try:
            begun = time.process_time()
            fitted = _fitted(name, config, model, inputs, judged, view.seed)
            seconds = time.process_time() - begun
            slopes = fitted.elasticity(t=view.grid, x=inputs.controls[view.rows], grid=True).astype(np.float64)
            errors = _errors(_asker(fitted, inputs.controls[judged.rows]), inputs, judged)
            if not (np.isfinite(slopes).all() and all(map(math.isfinite, errors.values()))):
                raise DataError("its estimates are not finite")
        except (ConfigError, DataError, MissingExtraError, np.linalg.LinAlgError) as error:
            absent.append(f"{title} is not in the table: {str(error).rstrip('.')}.")
            continue
        log.info("%s: fitted in %.1f CPU seconds", title, seconds)
        found[title] = Fitted(elasticity=slopes, errors=errors, seconds=seconds)
    return found


def _asker(fitted: Estimator, x: Reals) -> Callable[[Reals], Reals]:
    """(J, M) treatments of each row -> responses."""
    return lambda t_JM: np.stack([fitted.predict(t=t, x=x) for t in t_JM.T], axis=1).astype(np.float64)


def _fitted(
    name: str, config: DeepIVEvaluationConfig, model: CausalModel, inputs: CausalInputs, judged: Judged, seed: int
) -> Estimator:
    rows = np.flatnonzero(judged.seen)
    if name == "kernel" and len(rows) > config.kernel_posts:
        rows = np.sort(np.random.default_rng(seed).choice(rows, config.kernel_posts, replace=False))
    estimator = _estimator(name, config, model, inputs, seed)
    estimator.fit(
        x=inputs.controls[rows],
        z=inputs.instrument[rows],
        t=inputs.treatment[rows],
        y=inputs.outcome[rows],
        cluster=inputs.author[rows],
    )
    return estimator


def _estimator(
    name: str, config: DeepIVEvaluationConfig, model: CausalModel, inputs: CausalInputs, seed: int
) -> Estimator:
    if name == "naive":
        return NaiveNetwork(model.without_instrument, seed=seed)
    if name == "kernel":
        return KernelIV(seed=seed)
    if name in _ESTIMATIONS:
        return DeepIV(model.without_instrument, seed=seed, outcome={"estimation": _ESTIMATIONS[name]})
    if name == "dfiv":
        from micromega.models.dfiv.estimator import DFIV  # noqa: PLC0415  (it stands on this package)

        return DFIV(seed=seed)
    degree, columns = _DEGREES[name], 1 + inputs.controls.shape[1]
    terms = math.comb(columns + degree, degree) - 1
    if terms > _MOST_TERMS:
        raise ConfigError(f"{columns} columns have {terms:,} products, more than {_MOST_TERMS:,}")
    return TwoStageLeastSquares(degree)


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What followers cause on a simulated market.

    Attributes:
        kinds: kind of each post, (N,).
        curves: kind -> FEI, (G,).
    """

    kinds: NDArray[np.str_]
    curves: Mapping[str, Reals]

    def errors(self, elasticity: Reals, inside: NDArray[np.bool_]) -> dict[str, float]:
        """Mean absolute errors of the FEI of posts, (N, G), over sizes that were observed, (G,) bool.

        elasticity_error_<kind> of each kind, and elasticity_error, their mean: kinds count alike.
        """
        found = {
            kind: float(np.abs(elasticity[self.kinds == kind][:, inside] - curve[inside]).mean())
            for kind, curve in self.curves.items()
        }
        every = {"elasticity_error": float(np.mean(list(found.values())))}
        return every | {f"elasticity_error_{kind}": error for kind, error in found.items()}


def truth_of(data: DeepIVData, rows: Ints, grid: Reals) -> Truth | None:
    """Read the truth of some posts.

    Args:
        data: of the training.
        rows: posts, (N,).
        grid: log followers, (G,).

    Returns:
        The truth; None where the market keeps none.
    """
    try:
        posts, curves = data.market.truth("posts"), data.market.truth("curves")
    except DataError:
        return None
    kind_of = dict(zip(posts["post_id"].to_pylist(), posts["kind"].to_pylist(), strict=True))
    kinds = np.array([kind_of[name] for name in data.inputs.post_ids[rows]])
    size, fei, of = (curves[name].to_numpy(zero_copy_only=False) for name in ("log_followers", "fei", "kind"))
    names = sorted(set(kinds.tolist()))
    return Truth(kinds=kinds, curves={kind: np.interp(grid, size[of == kind], fei[of == kind]) for kind in names})
