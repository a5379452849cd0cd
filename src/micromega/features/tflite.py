"""TensorFlow Lite files, also quantised ones (LiteRT)."""

from pathlib import Path

import numpy as np

from micromega.errors import MissingExtraError
from micromega.features.network import Floats, Network, damaged, require_one_input
from micromega.features.onnx import dequantise, quantise


def open_tflite(path: Path) -> Network:
    """Load a TensorFlow Lite file for one thread of the CPU.

    Args:
        path: the file.

    Returns:
        The network; lengths that the file leaves open are resized to what they are given.

    Raises:
        ConfigError: damaged, or several inputs.
        MissingExtraError: the runtime is not installed.
    """
    try:
        from ai_edge_litert.interpreter import (  # noqa: PLC0415
            Interpreter,
        )
    except ImportError:
        msg = f"{path}: reading TensorFlow Lite needs LiteRT. Install it: pip install ai-edge-litert."
        raise MissingExtraError(msg) from None
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise damaged(path, error) from None
    require_one_input(path, len(interpreter.get_input_details()))
    source = interpreter.get_input_details()[0]
    kind, step = np.dtype(source["dtype"]), source["quantization"]

    def run(values: Floats) -> list[Floats]:
        if tuple(interpreter.get_input_details()[0]["shape"]) != values.shape:
            interpreter.resize_tensor_input(source["index"], values.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], quantise(values, kind, step) if step[0] else values.astype(kind))
        interpreter.invoke()
        outputs = [(interpreter.get_tensor(o["index"]), o["quantization"]) for o in interpreter.get_output_details()]
        return [dequantise(v, s) if s[0] else np.asarray(v, dtype=np.float32) for v, s in outputs]

    shape = tuple(int(side) if side > 0 else None for side in source["shape_signature"])
    return Network(path=path, shape=shape, run=run)
