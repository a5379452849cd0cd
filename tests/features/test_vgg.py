"""VGG-19 against its definition, and network files of all kinds."""

import contextlib
import hashlib
import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from micromega.errors import ConfigError
from micromega.features import inference
from micromega.features.backbones import ModelFile, Preprocessing, Sentiment, Vgg19
from micromega.features.network import in_batches, open_network
from micromega.features.vgg import PREPROCESSING, load_vgg19
from micromega.features.vgg import Vgg19 as Network

# torchvision's vgg19: number in `features` -> (channels out, channels in), as its published file has them.
CONVOLUTIONS = {
    0: (64, 3),
    2: (64, 64),
    5: (128, 64),
    7: (128, 128),
    10: (256, 128),
    12: (256, 256),
    14: (256, 256),
    16: (256, 256),
    19: (512, 256),
    21: (512, 512),
    23: (512, 512),
    25: (512, 512),
    28: (512, 512),
    30: (512, 512),
    32: (512, 512),
    34: (512, 512),
}
LINEARS = {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}


def expected_shapes():
    shapes = {}
    for number, (out, into) in CONVOLUTIONS.items():
        shapes |= {f"features.{number}.weight": (out, into, 3, 3), f"features.{number}.bias": (out,)}
    for number, (out, into) in LINEARS.items():
        shapes |= {f"classifier.{number}.weight": (out, into), f"classifier.{number}.bias": (out,)}
    return shapes


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dictionary of vgg19's names and shapes, of random numbers that keep the signal's size."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in expected_shapes().items():
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        state[name] = torch.randn(shape, generator=generator) * scale
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def network(weights):
    return load_vgg19(weights)


def test_parameters_have_the_names_shapes_and_order_of_torchvision():
    with torch.device("meta"):
        state = Network().state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == expected_shapes()
    assert list(state) == list(expected_shapes())
    assert sum(value.numel() for value in state.values()) == 143_667_240  # as published


def test_one_pixel_through_the_first_convolutions_by_hand(network, weights):
    state = torch.load(weights, weights_only=True)
    picture = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))

    def convolve(maps, layer, row, column):  # one output pixel, all channels, with loops over the window
        weight, bias = state[f"features.{layer}.weight"], state[f"features.{layer}.bias"]
        total = bias.clone()
        for i, j in itertools.product(range(3), range(3)):
            total += weight[:, :, i, j] @ maps[:, row + i - 1, column + j - 1]
        return total.clamp(min=0)

    first = torch.zeros(64, 224, 224)
    for row, column in itertools.product(range(99, 104), range(99, 104)):
        first[:, row, column] = convolve(picture[0], 0, row, column)
    second = torch.stack([convolve(first, 2, row, column) for row in (100, 101) for column in (100, 101)])
    pooled = network.features[:5](picture)
    torch.testing.assert_close(pooled[0, :, 50, 50], second.amax(dim=0), rtol=1e-4, atol=1e-4)


def test_the_whole_network_is_the_chain_of_functions(network, weights):
    state = torch.load(weights, weights_only=True)
    f = torch.nn.functional
    pictures = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    maps = pictures
    for before, number in zip([-1, *CONVOLUTIONS], CONVOLUTIONS, strict=False):
        if number - before == 3:  # a convolution, its ReLU, and a maximum stand between
            maps = f.max_pool2d(maps, 2)
        maps = f.relu(f.conv2d(maps, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1))
    flat = f.max_pool2d(maps, 2).flatten(1)
    fc6 = f.relu(f.linear(flat, state["classifier.0.weight"], state["classifier.0.bias"]))
    fc7 = f.relu(f.linear(fc6, state["classifier.3.weight"], state["classifier.3.bias"]))
    logits = f.linear(fc7, state["classifier.6.weight"], state["classifier.6.bias"])
    found_fc7, found_logits = network(pictures)
    torch.testing.assert_close(found_fc7, fc7, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found_logits, logits, rtol=1e-3, atol=1e-3)


def test_frames_become_4096_features_and_1000_probabilities_batch_or_not(weights, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (3, 240, 300, 3), dtype=np.uint8)
    settings = Vgg19(weights=str(weights))
    run = settings.open("cpu")
    features, probabilities = run(frames)
    assert features.shape == (3, settings.features)
    assert probabilities.shape == (3, settings.classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (features >= 0).all()
    monkeypatch.setattr(inference, "_AT_ONCE", 2)
    again, _ = run(frames)
    np.testing.assert_allclose(again, features, rtol=1e-3, atol=1e-4)


def test_preprocessing_is_that_of_pillow_as_in_the_published_preset():
    image = pytest.importorskip("PIL.Image")
    for (height, width), kind in itertools.product([(300, 400), (512, 333), (100, 180)], ["bilinear", "bicubic"]):
        coarse = np.random.default_rng(height).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
        pixels = np.asarray(image.fromarray(coarse).resize((width, height), image.Resampling.BICUBIC))
        shorter = min(height, width)
        size = (256 * width // shorter, 256 * height // shorter)
        resized = np.asarray(image.fromarray(pixels).resize(size, image.Resampling[kind.upper()]))
        top, left = round((resized.shape[0] - 224) / 2), round((resized.shape[1] - 224) / 2)
        want = resized[top : top + 224, left : left + 224] / 255
        want = (want - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        how = Preprocessing(interpolation=kind)
        assert how.mean == PREPROCESSING.mean
        found = inference.prepare(pixels[None], how)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, want, atol=2.5 / 255 / 0.224)
        assert np.abs(found - want).mean() < 0.5 / 255 / 0.224


def test_channels_can_be_turned_and_values_up_to_255_be_asked_for():
    frames = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    frames[..., 0] = 200
    how = Preprocessing(resize=8, crop=8, mean=(0, 0, 0), std=(1 / 255,) * 3, channels="bgr")
    found = inference.prepare(frames, how)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 200.0]))


def test_a_missing_weight_file_says_where_to_get_it_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(ConfigError, match=r"vgg19-dcbb9e9d.pth \(https://.*put it there.*Nothing is downloaded"):
        Vgg19(weights=str(tmp_path / "vgg19.pth")).path()
    with pytest.raises(ConfigError, match=r"visual-sentiment network.*SentiBank.*Nothing is downloaded"):
        Sentiment(weights=str(tmp_path / "senti.onnx")).path()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("classifier.6.bias"), "it lacks 1 of them: classifier.6.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "it also has 1 of them: extra"),
        (
            lambda state: state.update({"classifier.6.weight": torch.zeros(10, 4096)}),
            r"of another shape are 1 of them: classifier.6.weight \(10, 4096\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused_by_name(tmp_path, change, message):
    state = {name: torch.zeros(1).expand(shape) for name, shape in expected_shapes().items()}
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=message):
        load_vgg19(tmp_path / "other.pth")


class _Dangerous:
    def __reduce__(self):
        return (hashlib.md5, ())


def test_weight_files_cannot_run_code_and_damaged_ones_are_named(tmp_path):
    torch.save({"features.0.weight": _Dangerous()}, tmp_path / "evil.pth")
    (tmp_path / "noise.pth").write_bytes(bytes(range(256)))
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    for name, message in (("evil.pth", "read safely"), ("noise.pth", "read safely"), ("list.pth", "no state dict")):
        with pytest.raises(ConfigError, match=f"{name}: .*{message}"):
            load_vgg19(tmp_path / name)


class _Tiny(torch.nn.Module):
    """Mean colour as features, and scores that favour red."""

    def forward(self, pictures):
        colour = pictures.mean(dim=(2, 3))
        return colour, torch.cat([colour, 1 - colour[:, :1]], dim=1)


@pytest.fixture(params=["any", "two"])
def exported(request, tmp_path):
    """A network saved by torch.export, for batches of any size or of two."""
    batch = {0: torch.export.Dim("batch", min=1, max=64)} if request.param == "any" else None
    program = torch.export.export(_Tiny(), (torch.zeros(2, 3, 16, 16),), dynamic_shapes=(batch,))
    path = tmp_path / "tiny.pt2"
    torch.export.save(program, path)
    return path


def test_an_exported_network_is_run_in_batches_it_can_take(exported):
    how = Preprocessing(resize=16, crop=16, mean=(0, 0, 0), std=(1, 1, 1))
    file = ModelFile(weights=str(exported), features=3, classes=4, scores="logits", preprocessing=how)
    frames = np.zeros((5, 20, 30, 3), dtype=np.uint8)
    frames[..., 0] = np.array([0, 51, 102, 153, 255])[:, None, None]
    features, probabilities = file.open("cpu")(frames)
    red = np.array([0, 0.2, 0.4, 0.6, 1.0])
    np.testing.assert_allclose(features[:, 0], red, atol=1e-6)
    logits = np.stack([red, red * 0, red * 0, 1 - red], axis=1)
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


def test_network_files_that_do_not_fit_are_refused(exported, tmp_path):
    frames = np.zeros((2, 20, 30, 3), dtype=np.uint8)
    how = Preprocessing(resize=16, crop=16)
    with pytest.raises(ConfigError, match=r"tiny.pt2: reads the shape .* Set preprocessing.crop"):
        ModelFile(weights=str(exported), classes=4).open("cpu")
    run = ModelFile(weights=str(exported), features=7, classes=4, preprocessing=how).open("cpu")
    with pytest.raises(ConfigError, match=r"no output is 7 wide \(widths: 3, 4\). Correct features"):
        run(frames)
    (tmp_path / "a.pt2").write_bytes(b"no archive")
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "a.h5").write_bytes(b"")
    for name, message in (("a.pt2", "cannot be loaded"), ("a.onnx", "cannot be loaded"), ("a.h5", "ends in .onnx")):
        if name == "a.onnx":
            pytest.importorskip("onnxruntime")
        with pytest.raises(ConfigError, match=f"{name}: .*{message}"):
            open_network(tmp_path / name, "image network", "Get one")


def test_batches_cover_every_item_once(exported):
    network = open_network(exported, "image network", "Get one")
    items = np.random.default_rng(0).random((7, 3, 16, 16)).astype(np.float32)
    colour, _ = in_batches(network, items, size=3)
    np.testing.assert_allclose(colour, items.mean(axis=(2, 3)), rtol=1e-5)


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("part", ["sample_inputs", "weight_0"])
def test_a_network_file_runs_no_code_when_it_is_loaded(tmp_path, part):
    batch = (torch.zeros(2, 3),)
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2), batch), tmp_path / "good.pt2")
    evil = io.BytesIO()
    torch.save(_Evil(tmp_path / "ran"), evil)
    with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(tmp_path / "evil.pt2", "w") as bad:
        assert any(part in name for name in good.namelist())
        for name in good.namelist():
            bad.writestr(name, evil.getvalue() if part in name and not name.endswith(".json") else good.read(name))
    assert open_network(tmp_path / "good.pt2", "x", "y").shape == (2, 3)
    with contextlib.suppress(ConfigError):  # raw weights are no pickle at all, and are read as numbers
        open_network(tmp_path / "evil.pt2", "x", "y")
    assert not (tmp_path / "ran").exists()
    torch.load(io.BytesIO(evil.getvalue()), weights_only=False)
    assert (tmp_path / "ran").exists(), "the test sees code that runs, and the setting is back where it was"
