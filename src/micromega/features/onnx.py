"""ONNX files, also those whose input and output are quantised (onnxruntime)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError, MissingExtraError
from micromega.features.network import Floats, Network, damaged, require_one_input

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_TYPES |= {"tensor(int8)": np.int8, "tensor(uint16)": np.uint16, "tensor(int16)": np.int16}
Step = tuple[float, int]
"""Scale and zero point of a quantised tensor: value = scale · (stored − zero point)."""


def open_onnx(path: Path) -> Network:
    """Load an ONNX file for one thread of the CPU; files are shared out among processes.

    Args:
        path: the file; weights beside it (external data) are found.

    Returns:
        The network.

    Raises:
        ConfigError: damaged, several inputs, or an input that is no tensor of numbers.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415  (heavy, and optional)
    except ImportError:
        msg = f"{path}: reading ONNX needs onnxruntime. Install it: pip install 'micromega[features]'."
        raise MissingExtraError(msg) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class for each reason, none of them public
        raise damaged(path, error) from None
    require_one_input(path, len(session.get_inputs()))
    source = session.get_inputs()[0]
    if source.type not in _TYPES:
        msg = f"{path}: the input is a {source.type}; an extractor gives numbers. Export it with a float input."
        raise ConfigError(msg)
    kind = np.dtype(_TYPES[source.type])
    quantised = [output.type not in ("tensor(float)", "tensor(float16)") for output in session.get_outputs()]
    steps = _steps(path, source.name, [o.name for o in session.get_outputs()]) if kind.kind in "ui" else {}
    names = [output.name for output in session.get_outputs()]

    def run(values: Floats) -> list[Floats]:
        fed = quantise(values, kind, steps[source.name]) if steps else values.astype(kind)
        outputs = session.run(None, {source.name: fed})
        return [
            dequantise(output, steps[name]) if whole and name in steps else np.asarray(output, dtype=np.float32)
            for name, whole, output in zip(names, quantised, outputs, strict=True)
        ]

    shape = tuple(side if isinstance(side, int) else None for side in source.shape)
    return Network(path=path, shape=shape, run=run)


def quantise(values: Floats, kind: np.dtype[Any], step: Step) -> NDArray[Any]:
    """Round to the whole numbers that a quantised network reads."""
    limits = np.iinfo(kind)
    return np.asarray(np.clip(np.rint(values / step[0]) + step[1], limits.min, limits.max), dtype=kind)


def dequantise(values: NDArray[Any], step: Step) -> Floats:
    """Turn the whole numbers that a quantised network gives into values."""
    return np.asarray((values.astype(np.float32) - step[1]) * step[0], dtype=np.float32)


def external_files(path: Path) -> list[Path]:
    """List the files beside an ONNX file in which its weights lie (external data).

    Args:
        path: the file.

    Returns:
        Existing and missing files, sorted, each once.

    Raises:
        ConfigError: damaged.
    """
    try:
        graphs = [value for number, value in _fields(path.read_bytes()) if number == 7]
        names = {name for graph in graphs for name in _external(graph)}
    except (IndexError, TypeError, ValueError) as error:
        raise damaged(path, error) from None
    return sorted(path.parent / name for name in names)


def _external(graph: memoryview) -> Iterator[str]:
    """Find the locations that a GraphProto's tensors name, also those in its nodes' attributes.

    GraphProto.node = 1, .initializer = 5; NodeProto.attribute = 5; AttributeProto.t = 5, .g = 6, .tensors = 10,
    .graphs = 11; TensorProto.external_data = 13, entries of key = 1 and value = 2.
    """
    tensors = [value for number, value in _fields(graph) if number == 5]
    for node in (value for number, value in _fields(graph) if number == 1):
        for attribute in (value for number, value in _fields(node) if number == 5):
            for number, value in _fields(attribute):
                if number in (5, 10):
                    tensors.append(value)
                elif number in (6, 11):
                    yield from _external(value)
    for tensor in tensors:
        for entry in (dict(_fields(value)) for number, value in _fields(tensor) if number == 13):
            if bytes(entry[1]) == b"location":
                yield bytes(entry[2]).decode()


def _steps(path: Path, source: str, outputs: list[str]) -> dict[str, Step]:
    """Find how input and outputs are quantised: in the nodes next to them, which onnxruntime does not tell.

    Reads the protocol buffer itself (ModelProto.graph = 7; GraphProto.node = 1, .initializer = 5): a dependency on onnx
    for two pairs of numbers would be out of proportion.
    """
    graph = dict(_fields(path.read_bytes()))[7]
    nodes: list[tuple[str, list[str], list[str]]] = []
    constants: dict[str, float] = {}
    for number, value in _fields(graph):
        if number == 1:
            fields = list(_fields(value))
            texts = {n: [bytes(v).decode() for m, v in fields if m == n] for n in (1, 2, 4)}
            nodes.append((texts[4][0], texts[1], texts[2]))
        elif number == 5:
            tensor = dict(_fields(value))
            if (constant := _scalar(tensor)) is not None:
                constants[bytes(tensor[8]).decode()] = constant
    steps = {}
    for kind, reads, writes in nodes:
        name = {"DequantizeLinear": reads[0], "QuantizeLinear": writes[0]}.get(kind) if reads else None
        if name in (source, *outputs) and reads[1] in constants:
            steps[str(name)] = (constants[reads[1]], int(constants.get(reads[2], 0)) if len(reads) > 2 else 0)
    if source not in steps:
        msg = f"{path}: the input holds whole numbers, and no scale for them was found. Export it with a float input."
        raise ConfigError(msg)
    return steps


def _scalar(tensor: dict[int, Any]) -> float | None:
    """Read a TensorProto of one number (data_type = 2, float_data = 4, int32_data = 5, raw_data = 9)."""
    codes = {1: "<f", 2: "<B", 3: "<b", 4: "<H", 5: "<h", 6: "<i"}
    code = codes.get(tensor.get(2, 0))
    if code is None:
        return None
    if 9 in tensor:
        raw = bytes(tensor[9])
        return float(struct.unpack(code, raw)[0]) if len(raw) == struct.calcsize(code) else None
    if 4 in tensor and isinstance(tensor[4], memoryview) and len(tensor[4]) == 4:
        return float(struct.unpack("<f", tensor[4])[0])
    if 5 in tensor:
        packed = tensor[5]
        value = packed if isinstance(packed, int) else _varint(packed, 0)[0]
        return float(value - (1 << 64) if value >> 63 else value)
    return None


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, Any]]:
    """Walk the fields of a protocol-buffer message: number and value (int or bytes)."""
    data = memoryview(message)
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire = key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            size, place = _varint(data, place)
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
