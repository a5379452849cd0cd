"""A user's network file (ONNX, torch.export or TensorFlow Lite) behind one interface."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A loaded network of one input.

    Attributes:
        path: its file.
        shape: of the input; None where any length goes.
        run: from an input of exactly that shape to all outputs.
    """

    path: Path
    shape: tuple[int | None, ...]
    run: Callable[[Floats], list[Floats]]


def require_weights(path: Path, what: str, source: str) -> Path:
    """Refuse a missing weight file.

    Args:
        path: where it should be.
        what: what it holds.
        source: where to get it, a sentence without its full stop.

    Returns:
        The path.

    Raises:
        ConfigError: there is no such file.
    """
    if not path.is_file():
        msg = f"{path}: there is no {what} file. {source}. Nothing is downloaded."
        raise ConfigError(msg)
    return path


def weight_files(path: Path) -> list[Path]:
    """List the files that hold a network: its own, and of ONNX those that its weights lie in."""
    if path.suffix != ".onnx":
        return [path]
    from micromega.features.onnx import external_files  # noqa: PLC0415

    return [path, *external_files(path)]


def libraries(path: Path) -> tuple[str, ...]:
    """Name the distributions that run a network of this file; their versions may change the last digits."""
    return {".onnx": ("onnxruntime",), ".tflite": ("ai-edge-litert",)}.get(path.suffix, ("torch",))


def open_network(path: Path, what: str, source: str, device: str = "cpu") -> Network:
    """Load a network by the ending of its file's name. A network is a program: load only files you trust.

    Args:
        path: .onnx (onnxruntime), .pt2 (`torch.export.save`) or .tflite (LiteRT).
        what: what it is, for messages.
        source: where to get it, for messages.
        device: for .pt2 files; the others run on the CPU.

    Returns:
        The network; inputs and outputs are float32 even where the file quantises them.

    Raises:
        ConfigError: the file is missing, of another kind, damaged, or has several inputs.
        MissingExtraError: the library that runs it is not installed.
    """
    require_weights(path, what, source)
    if path.suffix == ".onnx":
        from micromega.features.onnx import open_onnx  # noqa: PLC0415  (each library only where it is needed)

        return open_onnx(path)
    if path.suffix == ".tflite":
        from micromega.features.tflite import open_tflite  # noqa: PLC0415

        return open_tflite(path)
    if path.suffix == ".pt2":
        from micromega.features.torch_files import open_exported  # noqa: PLC0415

        return open_exported(path, device)
    msg = f"{path}: a {what} file ends in .onnx, .pt2 or .tflite. Convert it, or correct the path."
    raise ConfigError(msg)


def require_one_input(path: Path, inputs: int) -> None:
    """Refuse networks that read more than one thing."""
    if inputs != 1:
        msg = f"{path}: the network has {inputs} inputs; an extractor gives it one. Export it with one input."
        raise ConfigError(msg)


def damaged(path: Path, error: Exception) -> ConfigError:
    """Say that a network file cannot be read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ConfigError(f"{path}: cannot be loaded ({lines[0][:200]}). Get or export the file again.")


def in_batches(network: Network, items: Floats, size: int = 16) -> list[Floats]:
    """Run a network on many items, in batches as large as its input allows.

    Args:
        network: its input is (batch, *item), or one item alone.
        items: (N, *item), N ≥ 1.
        size: batch where the network takes any; bounds memory.

    Returns:
        Each output for all items, (N, …).
    """
    alone = len(network.shape) == items.ndim - 1
    batch = 1 if alone else network.shape[0] or min(size, len(items))
    fixed = alone or network.shape[0] is not None
    pieces = []
    for start in range(0, len(items), batch):
        piece = items[start : start + batch]
        count = len(piece)
        if fixed and count < batch:  # a fixed batch is filled with copies of its last item
            piece = np.concatenate([piece, np.repeat(piece[-1:], batch - count, axis=0)])
        outputs = network.run(piece[0] if alone else piece)
        pieces.append([output[None] if alone else output[:count] for output in outputs])
    return [np.concatenate(output) for output in zip(*pieces, strict=True)]
