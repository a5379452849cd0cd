"""The instrument's diagnostics in plain words, the bad news first."""

import logging
from dataclasses import dataclass

from micromega.models.deepiv.gamma import Gamma
from micromega.models.deepiv.residual_prediction import ResidualPrediction
from micromega.models.deepiv.sensitivity import DirectEffect
from micromega.models.deepiv.strength import LikelihoodGain, Strength

log = logging.getLogger(__name__)

UNTESTABLE = (
    "Exclusion cannot be tested: no statistic here or elsewhere shows that the instrument acts on the outcome through "
    "the treatment alone. A direct linear effect of the instrument leaves γ and the residual-prediction test as they "
    "are with a valid one. Argue for exclusion, and look at the sensitivity curve."
)

ONE_CAUSE = (
    "The control function needs more than Deep IV does, and no test shows it either: given the controls, all that "
    "moves the treatment beside the instrument is one number, and more of it means more of the treatment; and the "
    "instrument is independent of that number together with whatever else moves the outcome, where Deep IV asks "
    "that it does not move the mean of that. evaluation.rivals=[deepiv] fits Deep IV to the same posts: where the "
    "two disagree, trust neither."
)

_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the diagnostics say.

    Attributes:
        weak: the instrument hardly moves the treatment: effective F below 10, or no gain of likelihood from it.
        warnings: what speaks against using the estimates.
        sentences: what was found, one sentence or two for each diagnostic; the last says what cannot be tested.
    """

    weak: bool
    warnings: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it, warnings first, one a line."""
        return "\n".join((*(f"WARNING: {warning}" for warning in self.warnings), *self.sentences))


def verdict(
    strength: Strength,
    *,
    gain: LikelihoodGain | None = None,
    gamma: Gamma | None = None,
    residuals: ResidualPrediction | None = None,
    direct: DirectEffect | None = None,
    by_rank: bool = False,
) -> Verdict:
    """Put the diagnostics in words; a weak instrument is also logged as a warning.

    Args:
        strength: linear first stage.
        gain: of the mixture's likelihood, on held-out rows.
        gamma: predictability of the model's residual.
        residuals: residual-prediction test of the linear model.
        direct: what a direct effect of the instrument would do to the average curve.
        by_rank: the model is a control function.

    Returns:
        The verdict.
    """
    no_gain = gain is not None and not gain.mean > 0
    weak = strength.weak or no_gain
    warnings: list[str] = []
    if weak:
        reasons = [f"its effective F is {strength.f_effective:.3g}, below 10"] if strength.weak else []
        reasons += ["stage 1 predicts the treatment no better with it than without"] if no_gain else []
        warnings.append(
            f"WEAK INSTRUMENT: {' and '.join(reasons)}. Every estimate and band of this model may be far off. Do not "
            "use them: find a stronger instrument or more data."
        )
        log.warning("%s", warnings[0])
    warnings += _objections(gamma)
    sentences = (
        _strength_words(strength),
        *(() if gain is None else (_gain_words(gain),)),
        *(() if gamma is None else (_gamma_words(gamma),)),
        *(() if residuals is None else (_residual_words(residuals),)),
        *(() if direct is None else (direct_words(direct),)),
        *((ONE_CAUSE,) if by_rank else ()),
        UNTESTABLE,
    )
    return Verdict(weak=weak, warnings=tuple(warnings), sentences=sentences)


def _objections(gamma: Gamma | None) -> list[str]:
    found = []
    if gamma is not None and gamma.speaks_against(_LEVEL):
        found.append(
            f"The instrument or the controls predict the model's residual (γ = {gamma.value:.2g}, p = "
            f"{gamma.p_value:.2g}): the instrument is invalid, or the response is not learnt well enough."
        )
    return found


def _strength_words(strength: Strength) -> str:
    size = "one instrument" if strength.instruments == 1 else f"{strength.instruments} instruments"
    correlation = ", ".join(f"{value:.3f}" for value in strength.correlation)
    above = "above" if strength.f_effective > strength.critical_value else "not above"
    return (
        f"Relevance: {size}, correlation with the treatment {correlation}, R² {strength.r2:.3f}, beyond the controls "
        f"{strength.partial_r2:.3f}; effective F {strength.f_effective:,.1f} ({strength.clusters:,} clusters), {above} "
        f"the {strength.critical_value:.1f} that keeps the bias of two-stage least squares below 10 % of the worst."
    )


def _gain_words(gain: LikelihoodGain) -> str:
    sure = "" if gain.p_value <= _LEVEL or gain.mean <= 0 else " That is within the noise."
    return (
        f"Stage 1 gains {gain.mean:.3g} ± {gain.standard_error:.2g} nats of log likelihood per held-out post from the "
        f"instrument.{sure}"
    )


def _gamma_words(gamma: Gamma) -> str:
    fitted = f", cross-fitted in {gamma.folds} folds" if gamma.folds > 1 else ""
    words = f"γ is {gamma.value:.2g} on {gamma.rows:,} rows that the predictor did not learn from{fitted}"
    if len(gamma.reference):
        low, high = gamma.reference.min(), gamma.reference.max()
        words += f"; between {low:.2g} and {high:.2g} if residuals had random signs (p = {gamma.p_value:.2g})"
    few = f" They are of {gamma.clusters} creators: with so few, neither γ nor p tells anything."
    return f"{words}.{few if gamma.least_p_value > _LEVEL else ''} A γ near 0 does not prove the instrument valid."


def _residual_words(residuals: ResidualPrediction) -> str:
    words = f"Residual-prediction test of the linear model: p = {residuals.p_value:.2g}."
    if residuals.p_value > _LEVEL:
        return words
    return f"{words} No linear response fits: it is curved, which networks allow for, or the instrument is invalid."


def direct_words(direct: DirectEffect) -> str:
    """From which direct effect on the sign or the class of the average curve is another."""
    unit = "If one standard deviation of the instrument changed log impressions on its own by"
    zero = direct.zero
    words = f"{unit} {zero:.3g}, the average elasticity would be 0." if zero is not None else ""
    below, above = direct.changes
    known = [(point, side) for point, side in ((below, "or less"), (above, "or more")) if point is not None]
    if not known:
        largest = float(direct.deltas[-1])
        return f"{words} No direct effect up to ±{largest:.3g} would change the class of the curve.".strip()
    shape = direct.shapes[len(direct.shapes) // 2]
    points = " or ".join(f"{point:.3g} {side}" for point, side in known)
    start = "By" if words else unit
    return f"{words} {start} {points}, the curve would no longer be {shape}.".strip()
