"""Image networks at work: key frames in, vectors and class probabilities out."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional as F

from micromega.errors import ConfigError
from micromega.features.backbones import FILE_SOURCE, Floats, Frames, ModelFile, Preprocessing
from micromega.features.network import Network, in_batches, open_network

_AT_ONCE = 16
"""Frames in one batch; bounds memory for long videos."""


def prepare(frames: Frames, how: Preprocessing, device: str = "cpu") -> Tensor:
    """Resize the shorter side, crop the centre and normalise, as torchvision's presets do.

    Args:
        frames: (F, H, W, 3) red, green, blue.
        how: what the network wants.
        device: where to compute and leave the result.

    Returns:
        (F, 3, crop, crop) float32.
    """
    pictures = torch.tensor(frames, device=device).permute(0, 3, 1, 2).float()
    height, width = pictures.shape[2:]
    shorter = min(height, width)
    size = (how.resize * height // shorter, how.resize * width // shorter)
    if size != (height, width):
        pictures = F.interpolate(pictures, size=size, mode=how.interpolation, align_corners=False, antialias=True)
    top, left = (round((side - how.crop) / 2) for side in size)
    pictures = pictures[:, :, top : top + how.crop, left : left + how.crop]
    pictures = pictures.round().clamp(0, 255) / 255  # presets resize 8-bit pictures
    if how.channels == "bgr":
        pictures = pictures.flip(1)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (how.mean, how.std))
    return (pictures - mean) / std


def run_module(network: nn.Module, how: Preprocessing, device: str) -> Callable[[Frames], tuple[Floats, Floats]]:
    """Put a network on its device and let it read frames.

    Args:
        network: from pictures to features (F, d) and logits (F, C).
        how: what it wants to see.
        device: where it runs.

    Returns:
        From frames (F, H, W, 3) to features (F, d) and probabilities (F, C).
    """
    network = network.to(device)

    @torch.inference_mode()
    def run(frames: Frames) -> tuple[Floats, Floats]:
        pieces = [network(prepare(part, how, device)) for part in _parts(frames)]
        features, logits = (torch.cat(values) for values in zip(*pieces, strict=True))
        return features.cpu().numpy(), logits.softmax(dim=1).cpu().numpy()

    return run


def _parts(frames: Frames) -> list[Frames]:
    return [frames[start : start + _AT_ONCE] for start in range(0, len(frames), _AT_ONCE)]


def run_file(settings: ModelFile, device: str) -> Callable[[Frames], tuple[Floats, Floats]]:
    """Load a network file and let it read frames.

    Args:
        settings: which file, what it wants to see, and how wide its outputs are.
        device: where a .pt2 file runs.

    Returns:
        From frames (F, H, W, 3) to vectors (F, features) and probabilities (F, classes).

    Raises:
        ConfigError: the file cannot be loaded, or reads or gives something else.
    """
    path = settings.path()
    network = open_network(path, "image network", FILE_SOURCE, device)
    last = path.suffix == ".tflite"  # its convention: channels last
    _check_input(network, settings.preprocessing.crop, last=last)

    def run(frames: Frames) -> tuple[Floats, Floats]:
        pictures = np.concatenate([prepare(part, settings.preprocessing).numpy() for part in _parts(frames)])
        items = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)) if last else pictures
        outputs = [output.reshape(len(frames), -1) for output in in_batches(network, items, _AT_ONCE)]
        vectors = _take(network, outputs, settings.features, "features")
        scores = _take(network, outputs, settings.classes, "classes")
        return vectors, softmax(scores, axis=1) if settings.scores == "logits" and settings.classes else scores

    return run


def _take(network: Network, outputs: list[Floats], width: int, what: str) -> Floats:
    """Take the first output of this width out of those that are left."""
    if width == 0:
        return np.zeros((len(outputs[0]), 0), dtype=np.float32)
    for place, output in enumerate(outputs):
        if output.shape[1] == width:
            return outputs.pop(place) if len(outputs) > 1 else output
    widths = ", ".join(str(output.shape[1]) for output in outputs)
    msg = f"{network.path}: no output is {width} wide (widths: {widths}). Correct {what}."
    raise ConfigError(msg)


def _check_input(network: Network, crop: int, *, last: bool) -> None:
    """Refuse a network that reads pictures of another form."""
    want = (crop, crop, 3) if last else (3, crop, crop)
    have = network.shape[1:]
    if len(have) != 3 or any(side not in (None, length) for side, length in zip(have, want, strict=True)):
        msg = f"{network.path}: reads the shape {network.shape}, and pictures come as (n, {', '.join(map(str, want))})."
        raise ConfigError(f"{msg} Set preprocessing.crop, or export the network for pictures of this form.")
