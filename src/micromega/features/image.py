"""The picture side of a post: image networks over key frames, and how it is edited (Tian et al. 2022, Web Appendix E).

One extractor does both, because both read the same pass over the frames and content complexity reads the networks'
probabilities.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from micromega.features import editing, network, video
from micromega.features.backbones import Backbone, EfficientNetLite0, Sentiment
from micromega.features.extractor import Arrays, ArraySpec, Media, signature_of
from micromega.features.scenes import SceneSettings

Floats = NDArray[np.float32]
_CODE = (
    *("image", "backbones", "editing", "efficientnet", "inference", "network", "onnx"),
    *("scenes", "tflite", "torch_files", "vgg", "video"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Identity:
    """What of the settings decides the result: weights count by content, so their paths are left out."""

    settings: str


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ImageExtractor:
    """Key frames through image networks; editing features beside them.

    Fills `image_frames` (ragged, one vector a key frame), `image_objects` and `image_sentiment` (class probabilities,
    the maximum over key frames) and `editing`.

    Attributes:
        backbone: the image network; None: none, and then no `image_frames`, `image_objects` and complexity of objects.
        sentiment: the visual-sentiment network; None: none.
        scenes: how cuts are found; None: no `editing`.
        interval_s: time between key frames, seconds.
        longest_s: longer videos are refused, seconds.
        device: where the networks run; no part of the result's identity.
    """

    backbone: Backbone | None = None
    sentiment: Sentiment | None = None
    scenes: SceneSettings | None = Field(default_factory=SceneSettings)
    interval_s: Annotated[float, Field(gt=0)] = 5.0
    longest_s: Annotated[float, Field(gt=0)] = 600.0
    device: str = "cpu"

    @property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """The arrays it fills, by what is switched on."""
        specs = []
        if self.backbone is not None:
            if self.backbone.features:
                specs.append(ArraySpec(name="image_frames", shape=(self.backbone.features,), ragged=True))
            if self.backbone.classes:
                specs.append(ArraySpec(name="image_objects", shape=(self.backbone.classes,)))
        if self.sentiment is not None:
            specs.append(ArraySpec(name="image_sentiment", shape=(self.sentiment.classes,)))
        if self.scenes is not None:
            specs.append(ArraySpec(name="editing", shape=(len(self.editing_names),)))
        return tuple(specs)

    @property
    def editing_names(self) -> tuple[str, ...]:
        """What each dimension of `editing` is."""
        kinds = (("object", self.backbone), ("sentiment", self.sentiment))
        return editing.names(*(kind for kind, model in kinds if model is not None and model.classes))

    def signature(self) -> str:
        """Hash of settings, weights, code and libraries.

        Raises:
            ConfigError: a weight file is missing.
        """
        models = [model for model in (self.backbone, self.sentiment) if model is not None]
        settings: dict[str, Any] = dataclasses.asdict(self) | {"device": None}
        for name, model in (("backbone", self.backbone), ("sentiment", self.sentiment)):
            if model is not None:
                settings[name] = {"class": type(model).__name__, **settings[name], "weights": None}
        scenes = ("scenedetect-headless", "opencv-python-headless") if self.scenes else ()
        return signature_of(
            _Identity(settings=json.dumps(settings, sort_keys=True)),
            code=(Path(__file__).with_name(f"{name}.py") for name in _CODE),
            weights=[file for model in models for file in network.weight_files(model.path())],
            packages=sorted({"av", "numpy", *scenes, *(name for model in models for name in _libraries(model))}),
        )

    def open(self) -> Callable[[Path], Arrays]:
        """Load the networks and give the function from a file to its arrays; no pictures: no arrays."""
        objects = self.backbone.open(self.device) if self.backbone is not None else None
        sentiment = self.sentiment.open(self.device) if self.sentiment is not None else None

        def extract(path: Path) -> Arrays:
            clip = video.read_clip(path, interval_s=self.interval_s, scenes=self.scenes, longest_s=self.longest_s)
            if clip is None:
                return {}
            values: Arrays = {}
            probabilities: list[Floats] = []
            if objects is not None:
                vectors, found = objects(clip.frames)
                if vectors.shape[1]:
                    values["image_frames"] = vectors
                if found.shape[1]:
                    probabilities.append(found)
                    values["image_objects"] = found.max(axis=0)
            if sentiment is not None:
                found = sentiment(clip.frames)
                probabilities.append(found)
                values["image_sentiment"] = found.max(axis=0)
            if self.scenes is not None:
                values["editing"] = _editing(clip, probabilities)
            return values

        return extract

    def complete(self, values: Arrays, media: Media) -> Arrays:
        """Put in the stickers."""
        if "editing" not in values:
            return values
        edited = values["editing"].copy()
        edited[: len(editing.STICKERS)] = editing.stickers(media.sticker_text)
        return {**values, "editing": edited}


def _libraries(model: Backbone | Sentiment) -> tuple[str, ...]:
    """Distributions whose version may change what a network gives; pictures are resized by torch for all of them."""
    bundled = ("efficientnet-lite-pytorch",) if isinstance(model, EfficientNetLite0) else ()
    return ("torch", "scipy", *bundled, *network.libraries(model.path()))


def _editing(clip: video.Clip, probabilities: list[Floats]) -> Floats:
    """Put the editing features together in the order of `editing.names`, stickers still 0."""
    complexity = [
        measure(found)
        for found in probabilities
        for measure in (editing.spatial_complexity, editing.temporal_complexity)
    ]
    parts = (np.zeros(len(editing.STICKERS)), editing.timing(clip.duration_s, clip.cuts_s), editing.looks(clip.frames))
    return np.concatenate([*parts, complexity]).astype(np.float32)
