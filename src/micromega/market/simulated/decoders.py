"""Random nonlinear maps from what a post is to what its pictures, sound and editing look like.

Each modality sees the same latents through a random two-layer network of its own, drawn once per market. How much of
its input is subject, kind, style, the author's habits and noise is fixed by `SHARES`, in parts of variance that add up
to one. They were written down before any model was run on the result.

Shapes: N posts, H hidden units, D outputs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromega.market.simulated.latent import KINDS, STYLE_DIMS, Content
from micromega.market.simulated.people import SUBJECT_DIMS

HABIT_DIMS = 8
"""What an author's posts have in common apart from their subject: camera, rooms, colours, voice."""
NOISE_DIMS = 8
SUBJECT_SD = 1.5
"""Spread of a post's subject in each dimension: category 1, account 0.9, post 0.8, off-topic ones smaller."""
BRAND_HABIT = 0.5
"""Brands' habits lie around a mean of their own, this far out per dimension: their pictures look like brands'."""
HIDDEN = 64
GAIN = 1.5
"""Steepness of the hidden layer's tanh; the larger, the less linear."""
_SHIFT_SD = 0.5

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Parts of variance at the input of a modality's network; they add up to one."""

    subject: float
    kind: float
    style: float
    habit: float
    """Of the author, the same in all of his posts: it does not average out over a history."""
    noise: float
    """Of the post (audio, editing) or of the scene (pictures)."""


SHARES = {
    "image": Shares(subject=0.30, kind=0.05, style=0.15, habit=0.20, noise=0.30),
    "audio": Shares(subject=0.10, kind=0.15, style=0.25, habit=0.20, noise=0.30),
    "editing": Shares(subject=0.05, kind=0.25, style=0.40, habit=0.15, noise=0.15),
}
"""A post's appeal is not among them: it is a nonlinear function of style, and has to be found there."""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """One random network: tanh(GAIN · z A + a) B, outputs of about unit variance."""

    first: Floats
    """(Z, H)"""
    shift: Floats
    """(H,)"""
    second: Floats
    """(H, D)"""
    offset: Floats
    """(D,) standard normal: some object classes are common, others rare, whatever the post."""

    def __call__(self, latent: Floats) -> Floats:
        """Map (N, Z) latents to (N, D) outputs."""
        hidden = np.tanh(np.float32(GAIN) * (latent @ self.first) + self.shift)
        outputs: Floats = hidden @ self.second
        return outputs


def draw_decoder(rng: np.random.Generator, *, outputs: int) -> Decoder:
    """Draw a network.

    Args:
        rng: random stream.
        outputs: D.

    Returns:
        The network; it is part of the market, the same for all posts.
    """
    inputs = SUBJECT_DIMS + len(KINDS) + STYLE_DIMS + HABIT_DIMS + NOISE_DIMS
    return Decoder(
        first=rng.standard_normal((inputs, HIDDEN), dtype=np.float32),
        shift=np.float32(_SHIFT_SD) * rng.standard_normal(HIDDEN, dtype=np.float32),
        second=rng.standard_normal((HIDDEN, outputs), dtype=np.float32) / np.float32(np.sqrt(HIDDEN / 2)),
        offset=rng.standard_normal(outputs, dtype=np.float32),
    )


def mix(content: Content, post_R: NDArray[np.int64], habit_RH: Floats, noise_RH: Floats, shares: Shares) -> Floats:
    """Put a post's latents side by side, each part scaled to its share of variance.

    Args:
        content: what the N posts are.
        post_R: (R,) post of each row.
        habit_RH: (R, HABIT_DIMS) habits of its author, unit variance.
        noise_RH: (R, NOISE_DIMS) unit variance.
        shares: parts of variance.

    Returns:
        (R, Z) with expected squared length one.
    """
    parts = [
        (content.subject[post_R] / SUBJECT_SD, shares.subject / SUBJECT_DIMS),
        (np.eye(len(KINDS))[content.kind[post_R]], shares.kind),
        (content.style[post_R], shares.style / STYLE_DIMS),
        (habit_RH, shares.habit / HABIT_DIMS),
        (noise_RH, shares.noise / NOISE_DIMS),
    ]
    return np.concatenate([(np.sqrt(share) * values).astype(np.float32) for values, share in parts], axis=1)
