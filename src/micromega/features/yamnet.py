"""Sound events: YAMNet's front end in numpy, and a user's YAMNet file behind it (Tian et al. 2022, Web Appendix E)."""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import expit

from micromega.errors import ConfigError
from micromega.features.network import Network, in_batches, open_network

Floats = NDArray[np.float32]

RATE = 16_000
"""Sampling rate, hertz."""
CLASSES = 521
BANDS = 64
FRAMES = 96
"""Spectrogram frames in a patch: 0.96 s."""
_WINDOW, _HOP, _FFT = 400, 160, 512
_PATCH_HOP = 48
_PATCH_SAMPLES = (FRAMES - 1) * _HOP + _WINDOW  # 0.975 s
_HOP_SAMPLES = _PATCH_HOP * _HOP  # 0.48 s
_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_LOG_OFFSET = 1e-3
_AT_ONCE = 64

SOURCE = (
    "YAMNet is published as TensorFlow Lite at https://www.kaggle.com/models/google/yamnet (variation "
    "classification-tflite) and can be had as ONNX (for instance with tf2onnx from the same page). Put the file "
    "there, or set audio events to null to leave sound classes out"
)


def patches(waveform: Floats) -> Floats:
    """Turn sound into YAMNet's log-mel patches (Hershey et al. 2017; the published front end).

    Magnitudes of a 25 ms periodic Hann window every 10 ms, 64 triangular mel bands from 125 to 7,500 Hz, logarithm with
    offset 0.001, patches of 0.96 s every 0.48 s. The end is filled with silence so that no sound is left out.

    Args:
        waveform: (N,) mono at 16 kHz in [−1, 1].

    Returns:
        (P, 96, 64), P ≥ 1.
    """
    padded = _pad(waveform)
    count = (len(padded) - _PATCH_SAMPLES) // _HOP_SAMPLES + 1
    pieces = []
    for start in range(0, count, _AT_ONCE):  # bounds memory for long tracks
        stop = min(start + _AT_ONCE, count)
        part = padded[start * _HOP_SAMPLES : (stop - 1) * _HOP_SAMPLES + _PATCH_SAMPLES]
        windows = sliding_window_view(part, _WINDOW)[::_HOP] * _hann()
        spectrum = np.abs(np.fft.rfft(windows, _FFT)).astype(np.float32)
        log_mel = np.log(spectrum @ mel_weights() + _LOG_OFFSET)
        pieces.append(sliding_window_view(log_mel, FRAMES, axis=0)[::_PATCH_HOP].transpose(0, 2, 1))
    return np.ascontiguousarray(np.concatenate(pieces), dtype=np.float32)


@cache
def mel_weights() -> Floats:
    """Weights of the mel bands: triangles that are straight on the mel scale, as in TensorFlow (librosa's in hertz).

    Returns:
        (257, 64): frequency bins, bands; bin 0 weighs nothing.
    """
    bins = _mel(np.linspace(0, RATE / 2, _FFT // 2 + 1))[:, None]
    low, high = _mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(low, high, BANDS + 2)
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rise, fall))
    weights[0] = 0
    return np.asarray(weights, dtype=np.float32)


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127 * np.log1p(hertz / 700))


@cache
def _hann() -> Floats:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW), dtype=np.float32)


def _pad(waveform: Floats) -> Floats:
    """Fill with silence up to a whole number of patches, at least one."""
    hops = math.ceil(max(0, len(waveform) - _PATCH_SAMPLES) / _HOP_SAMPLES)
    return np.pad(waveform, (0, _PATCH_SAMPLES + hops * _HOP_SAMPLES - len(waveform)))


def open_yamnet(path: Path, scores: Literal["probabilities", "logits"], device: str) -> Callable[[Floats], Floats]:
    """Load a YAMNet file, whichever form of input it was published with.

    Args:
        path: .onnx, .tflite or .pt2; it reads the waveform (any length, or 0.975 s) or log-mel patches, and its output
            of 521 columns is used.
        scores: what that output holds.
        device: "cpu", "cuda", …; for .pt2 files.

    Returns:
        From a waveform (N,) at 16 kHz to probabilities (P, 521) per patch.

    Raises:
        ConfigError: the file is missing or no YAMNet.
    """
    network = open_network(path, "YAMNet", SOURCE, device)
    feed = _feed(network)

    def probabilities(waveform: Floats) -> Floats:
        items = feed(waveform)
        outputs = network.run(items) if items.ndim == 1 else in_batches(network, items)
        found = [output.reshape(-1, CLASSES) for output in outputs if output.ndim and output.shape[-1] == CLASSES]
        if not found:
            shapes = ", ".join(str(output.shape) for output in outputs)
            msg = f"{path}: no output has {CLASSES} columns (outputs: {shapes}), so this is no YAMNet. {SOURCE}."
            raise ConfigError(msg)
        if scores == "logits":
            return np.asarray(expit(found[0]), dtype=np.float32)
        if found[0].min() < 0 or found[0].max() > 1:
            msg = f"{path}: the outputs are not in [0, 1], so they are no probabilities. Set scores to logits."
            raise ConfigError(msg)
        return found[0]

    return probabilities


def _feed(network: Network) -> Callable[[Floats], Floats]:
    """Choose what the network is given by the shape of its input: a batch of items, or one waveform of any length."""
    shape = network.shape
    if len(shape) == 1 and shape[0] is None:
        return _pad
    if len(shape) in (1, 2) and shape[-1] in (None, _PATCH_SAMPLES):
        return lambda waveform: np.ascontiguousarray(
            sliding_window_view(_pad(waveform), _PATCH_SAMPLES)[::_HOP_SAMPLES]
        )
    per_item = {3: (FRAMES, BANDS), 4: (1, FRAMES, BANDS)}.get(len(shape), ())
    if len(shape) == 4 and shape[-1] == 1:
        per_item = (FRAMES, BANDS, 1)
    if not per_item or any(have not in (None, want) for have, want in zip(shape[1:], per_item, strict=True)):
        msg = (
            f"{network.path}: its input has the shape {shape}; a YAMNet reads a waveform (n,) or patches "
            f"(n, {FRAMES}, {BANDS}). {SOURCE}."
        )
        raise ConfigError(msg)
    return lambda waveform: patches(waveform).reshape(-1, *per_item)
