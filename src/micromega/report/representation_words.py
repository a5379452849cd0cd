"""Names of parts and verdicts on a representation of posts, in words that a manager reads without help."""

import math
from collections.abc import Sequence
from pathlib import PurePosixPath

from micromega.models.vsvae.result import NO_INFORMATION, Reconstruction, RepresentationEvaluation
from micromega.report.words import number, percent, plural

_PARTS = {
    "caption": "Caption",
    "sticker": "Words on the video",
    "speech": "Spoken words",
    "frames": "Frames",
    "objects": "Objects",
    "sentiment": "Sentiment",
    "audio": "Sound",
    "editing": "Editing",
}
_TARGETS = {
    "subject": "what it is about",
    "style": "how it is made",
    "quality": "how appealing it is",
    "log_rate": "growth of impressions, a",
    "log_start": "first impressions, b",
}
SIMILAR = 0.005
"""Differences below this, in accuracy or R², are not called a lead."""


def part_name(part: str) -> str:
    """Name of a part as the page shows it.

    Example:
        >>> part_name("speech"), part_name("smell")
        ('Spoken words', 'smell')
    """
    return _PARTS.get(part, part)


def target_meaning(target: str) -> str:
    """What a true latent stands for, "" if not known here."""
    return _TARGETS.get(target, "")


def error(value: float | None, row: Reconstruction) -> str:
    """Accuracy in per cent, mean squared error with three digits.

    Example:
        >>> row = Reconstruction(part="audio", measure="mse", model=0.97, no_information=3.96, posts=9)
        >>> error(row.model, row), error(None, row)
        ('0.970', '–')
    """
    return percent(value) if row.measure == "accuracy" else number(value)


def is_better(value: float | None, other: float | None, row: Reconstruction) -> bool:
    """Whether a method restores a part better than another; False where one of them is unknown.

    Example:
        >>> row = Reconstruction(part="audio", measure="mse", model=0.97, no_information=3.96, posts=9)
        >>> is_better(0.97, 1.2, row), is_better(0.97, None, row)
        (True, False)
    """
    if value is None or other is None:
        return False
    return value > other if row.measure == "accuracy" else value < other


def score(value: float | None) -> str:
    """R², with three digits and a true minus sign.

    Example:
        >>> score(0.5), score(-0.25), score(None)
        ('0.500', '−0.250', '–')
    """
    return number(value, 3).replace("-", "−")


def nats(value: float | None) -> str:
    """Nats with one digit and a true minus sign.

    Example:
        >>> nats(-1234.56)
        '−1,234.6'
    """
    return number(value, 1).replace("-", "−")


def spread(value: float, deviation: float | None) -> str:
    """Share in per cent, with its standard deviation in points.

    Example:
        >>> spread(0.714, 0.012).replace("\N{NO-BREAK SPACE}", " ")
        '71.4 % ± 1.2'
    """
    return percent(value) + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def file_name(path: str) -> str:
    """Last part of a path.

    Example:
        >>> file_name("media/a/7.mp4")
        '7.mp4'
    """
    return PurePosixPath(path.replace("\\", "/")).name


def verdict(result: RepresentationEvaluation) -> str:
    """What r holds, in one sentence."""
    size = "" if result.latent is None else f" {len(result.latent.divergence):,} numbers"
    texts = result.metrics[result.model].get("text_accuracy", math.nan)
    said = []
    if math.isfinite(texts):
        without = result.metrics.get(NO_INFORMATION, {}).get("text_accuracy", math.nan)
        beside = f" (saying the most frequent one: {_share(without)})" if math.isfinite(without) else ""
        said.append(f"restores {_share(texts)} of the words at their places{beside}")
    explained = [(row.r_squared, row.part) for row in result.reconstruction if math.isfinite(row.r_squared)]
    if explained:
        parts = [f"{_share(value)} of {part_name(part).lower()}" for value, part in explained]
        parts[0] = parts[0].replace(" of ", " of the variance of ", 1)
        said.append(f"explains {_listed(parts)}")
    if not said:
        return f"{result.model} describes a post by{size or ' numbers'}."
    source = f", from{size} a post" if size else ""
    return f"Of posts that it has not seen, {result.model} {' and '.join(said)}{source}."


def badge(result: RepresentationEvaluation) -> tuple[str, str, str]:
    """Whether the baselines are beaten: (tone, a few words, one sentence); tone is good, fair or bad."""
    worse = [row.part for row in result.reconstruction if _lead(row, row.no_information) < 0]
    if worse:
        sentence = (
            f"For {_listed([part_name(part).lower() for part in worse])} the mean of the training posts does better."
        )
        return "bad", "Worse than knowing nothing", sentence
    rivals = [row for row in result.reconstruction if row.pca is not None]
    if not rivals:
        return "fair", "Not compared", "No principal components were computed to compare with."
    behind = [row.part for row in rivals if row.pca is not None and _lead(row, row.pca) < -SIMILAR]
    count = plural(len(rivals), "part")
    if behind:
        named = _listed([part_name(part).lower() for part in behind])
        return "fair", "Behind PCA in places", f"Of {count}, as many principal components restore {named} better."
    return "good", "Not behind PCA", f"As many principal components restore none of {count} better."


def _lead(row: Reconstruction, other: float) -> float:
    """How much better the model is than another method, in accuracy or R²."""
    if row.measure == "accuracy":
        return row.model - other
    return (other - row.model) / row.no_information if row.no_information else 0.0


def _share(value: float) -> str:
    return percent(value, 0 if abs(value) >= 0.1 else 1).replace("-", "−")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
