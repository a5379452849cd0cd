"""What a post is, before any of it is seen: its kind, subject, style, and how appealing the style is.

Shapes: N posts; L subject, S style dimensions; K = 3 kinds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DESCRIPTIONS = ("special effects", "self-expression", "product demonstration")
"""What the kinds are in life: reach grows in an S shape, linearly, concavely (Tian et al. 2022, Table 5)."""
KINDS = ("s-shaped", "linear", "concave")
KIND_SHARES = np.array([0.35, 0.40, 0.25])
STYLE_DIMS = 8
KIND_DISTANCE = 1.5
"""Distance of each kind's centre from the origin of style space, in a plane; the three are 120 degrees apart."""
KIND_SD = 0.6
"""Spread of posts around their kind's centre, in that plane."""
LASTING = 0.64
"""Share of the variance of a post's first appeal axis that is its author's and lasts."""
APPEAL_WEIGHTS = (0.8, 0.4, 0.4472135955)
"""Weights of the linear, the step and the wave part of appeal; their squares add up to 1."""
WAVE = 1.5
"""Angular frequency of the wave part."""
_WAVE_SD = float(np.sqrt((1 - np.exp(-2 * WAVE**2)) / 2))  # of sin(WAVE z), z standard normal


@dataclass(frozen=True, kw_only=True)
class Content:
    """The latents of N posts; every modality is made from them."""

    kind: NDArray[np.int64]
    """(N,) 0 S-shaped, 1 linear, 2 concave."""
    subject: NDArray[np.float64]
    """(N, L) what it is about."""
    style: NDArray[np.float64]
    """(N, S) how it is made."""
    quality: NDArray[np.float64]
    """(N,) appeal of the style: mean 0, variance 1, a nonlinear function of `style`."""


def draw_frame(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the market's axes of style: three of appeal, two of kind, three of taste alone.

    Returns:
        (S, S) orthonormal rows.
    """
    frame, _ = np.linalg.qr(rng.normal(size=(STYLE_DIMS, STYLE_DIMS)))
    rows: NDArray[np.float64] = frame.T
    return rows


def draw_content(
    rng: np.random.Generator,
    frame: NDArray[np.float64],
    *,
    kind: NDArray[np.int64],
    subject: NDArray[np.float64],
    author_appeal: NDArray[np.float64],
) -> Content:
    """Draw styles around kinds and authors.

    Args:
        rng: random stream.
        frame: (S, S) axes of style.
        kind: (N,) kind of each post.
        subject: (N, L) what each post is about.
        author_appeal: (N,) lasting appeal of each post's author, standard normal.

    Returns:
        The latents.
    """
    along_NS = rng.normal(size=(len(kind), STYLE_DIMS))
    along_NS[:, 0] = np.sqrt(LASTING) * author_appeal + np.sqrt(1 - LASTING) * along_NS[:, 0]
    angle_N = 2 * np.pi * kind / len(KINDS)
    along_NS[:, 3:5] *= KIND_SD
    along_NS[:, 3] += KIND_DISTANCE * np.cos(angle_N)
    along_NS[:, 4] += KIND_DISTANCE * np.sin(angle_N)
    style_NS = along_NS @ frame
    return Content(kind=kind, subject=subject, style=style_NS, quality=appeal(style_NS, frame))


def appeal(style: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Appeal of styles: a line, a step and a wave along three axes; mean 0 and variance 1 over all posts.

    Args:
        style: (N, S).
        frame: (S, S) axes of style.

    Returns:
        (N,).
    """
    line_N, step_N, wave_N = (style @ frame[:3].T).T
    parts_3N = np.stack([line_N, np.where(step_N > 0, 1.0, -1.0), np.sin(WAVE * wave_N) / _WAVE_SD])
    total_N: NDArray[np.float64] = np.array(APPEAL_WEIGHTS) @ parts_3N
    return total_N


def mean_exp_appeal(weight: float, author_appeal: NDArray[np.float64]) -> NDArray[np.float64]:
    """E[exp(weight · quality)] over an author's posts, exact.

    Args:
        weight: effect of quality on a log outcome.
        author_appeal: (A,) lasting appeal.

    Returns:
        (A,).
    """
    line, step, wave = weight * np.array(APPEAL_WEIGHTS)
    node, mass = np.polynomial.hermite_e.hermegauss(40)
    of_wave = float(mass @ np.exp(wave * np.sin(WAVE * node) / _WAVE_SD) / mass.sum())
    of_line_A = np.exp(line * np.sqrt(LASTING) * author_appeal + line**2 * (1 - LASTING) / 2)
    expected_A: NDArray[np.float64] = of_line_A * np.cosh(step) * of_wave
    return expected_A
