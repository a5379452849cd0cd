"""EfficientNet-Lite0: an image network whose weights a Python package ships, so that real clips run offline."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from micromega.errors import MissingExtraError
from micromega.features.backbones import LITE0_SOURCE, Preprocessing
from micromega.features.torch_files import load_state

PREPROCESSING = Preprocessing(
    resize=256, crop=224, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
)


class _WithFeatures(nn.Module):
    """The package's network, giving its pooled features beside the logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = F.adaptive_avg_pool2d(self.network.extract_features(pictures), 1).flatten(1)
        return features, self.network._fc(features)  # its own forward gives the logits alone


def load_efficientnet(path: Path) -> nn.Module:
    """Load EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation).

    Args:
        path: state dictionary of the package efficientnet-lite-pytorch.

    Returns:
        From pictures (F, 3, 224, 224), prepared by `PREPROCESSING`, to (F, 1280) features, the mean of the last map,
        and (F, 1000) logits of the ImageNet classes.

    Raises:
        ConfigError: the file is missing or of another network.
        MissingExtraError: the package of the architecture is not installed.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415  (optional)
    except ImportError:
        msg = f"EfficientNet-Lite0 needs the package of its architecture. {LITE0_SOURCE}."
        raise MissingExtraError(msg) from None
    network = EfficientNet.from_name("efficientnet-lite0")
    load_state(network, path, "EfficientNet-Lite0", LITE0_SOURCE)
    return _WithFeatures(network).eval()
