"""How a video is edited: length, stickers, scenes, complexity and looks (Tian et al. 2022, Web Appendix E).

The paper counts 157 editing features and lists far fewer; here are those it lists, by name.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STICKERS = ("has_stickers", "stickers", "sticker_words", "words_per_sticker")
"""Come from the posts table."""
TIMING = ("duration_s", "scenes", "mean_scene_s")
LOOKS = ("lightness", "lightness_contrast", "symmetry_left_right", "symmetry_top_bottom")


def names(*probabilities: str) -> tuple[str, ...]:
    """Name the editing features in their order.

    Args:
        probabilities: the class probabilities at hand: "object", "sentiment", both or none.

    Returns:
        One name per dimension: stickers, timing, looks, then spatial and temporal complexity per kind of probability.
    """
    return (
        *STICKERS,
        *TIMING,
        *LOOKS,
        *(f"{axis}_{kind}" for kind in probabilities for axis in ("spatial", "temporal")),
    )


def spatial_complexity(probabilities: Floats | NDArray[np.float32]) -> float:
    """Spatial content complexity: variance over classes, averaged over key frames (Tian et al. 2022, Web Appendix E).

    Args:
        probabilities: (F, C) class probabilities of each key frame.

    Returns:
        Mean over frames of the population variance across classes; large when few classes hold the mass.
    """
    return float(np.var(probabilities, axis=1, dtype=np.float64).mean())


def temporal_complexity(probabilities: Floats | NDArray[np.float32]) -> float:
    """Temporal content complexity: variance over key frames, averaged over classes (Web Appendix E).

    Args:
        probabilities: (F, C) class probabilities of each key frame.

    Returns:
        Mean over classes of the population variance across frames; 0 for a single frame.
    """
    return float(np.var(probabilities, axis=0, dtype=np.float64).mean())


def lightness(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Lightness L* of each pixel (CIE 1976, sRGB primaries, white point D65).

    Args:
        frames: (F, H, W, 3) sRGB values.

    Returns:
        (F, H, W) in [0, 1], 1 being white: perceived, not physical, lightness.
    """
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
    luminance = linear[frames] @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    cube = np.where(luminance > (6 / 29) ** 3, np.cbrt(luminance), luminance * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.clip(1.16 * cube - 0.16, 0, 1).astype(np.float32)


def symmetry(light: NDArray[np.float32]) -> tuple[float, float]:
    """Mirror symmetry of pictures, averaged over them (aesthetic measure of Web Appendix E).

    Args:
        light: (F, H, W) lightness in [0, 1].

    Returns:
        Left-right and top-bottom: 1 − the mean absolute difference from the mirror image, in [0, 1]; 1 is symmetric.
    """
    left_right = 1 - np.abs(light - light[:, :, ::-1]).mean(dtype=np.float64)
    top_bottom = 1 - np.abs(light - light[:, ::-1, :]).mean(dtype=np.float64)
    return float(left_right), float(top_bottom)


def looks(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure the looks that filters change: lightness, its contrast, and symmetry.

    Args:
        frames: (F, H, W, 3) key frames, F ≥ 1.

    Returns:
        (4,) in the order of `LOOKS`; contrast is the standard deviation within a frame; all are means over frames.
    """
    measured = []
    for frame in frames:  # one at a time: as floats, the key frames of a long video take gigabytes
        light = lightness(frame[None])
        measured.append([light.mean(dtype=np.float64), light.std(dtype=np.float64), *symmetry(light)])
    return np.asarray(np.mean(measured, axis=0), dtype=np.float32)


def timing(duration_s: float, cuts_s: Floats) -> NDArray[np.float32]:
    """Measure length and pace.

    Args:
        duration_s: length of the video, seconds; 0 for a picture.
        cuts_s: (K,) times of the scene transitions.

    Returns:
        (3,) in the order of `TIMING`. Begin and end count as transitions, so the mean scene of a video without a cut
        is the whole video (the paper's wording leaves such videos without a scene).
    """
    scenes = len(cuts_s) + 1
    return np.array([duration_s, scenes, duration_s / scenes], dtype=np.float32)


def stickers(text: str | None) -> NDArray[np.float32]:
    """Count textual stickers and their words.

    Args:
        text: the post's sticker texts, one a line; None or blank: no stickers.

    Returns:
        (4,) in the order of `STICKERS`.
    """
    words = [len(line.split()) for line in (text or "").splitlines() if line.strip()]
    total = sum(words)
    return np.array([bool(words), len(words), total, total / max(len(words), 1)], dtype=np.float32)
