"""VGG-19 in plain torch, with the layout and the parameter names of torchvision's `vgg19` state dictionary.

Torchvision itself stays out: its compiled operators must match torch's build to the day, so that it would pin
torch. One network of 16 convolutions is shorter than that trouble.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from micromega.features.backbones import VGG19_SOURCE, Preprocessing
from micromega.features.torch_files import load_state

# Simonyan and Zisserman 2014, table 1, column E: channels of the convolutions, "M" a 2 × 2 maximum.
_LAYERS = (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M")
FEATURES = 4096
CLASSES = 1000
PREPROCESSING = Preprocessing(
    resize=256, crop=224, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


class Vgg19(nn.Module):
    """VGG-19 for 224 × 224 pictures (Simonyan and Zisserman 2014), without dropout: it only ever predicts."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _LAYERS:
            if isinstance(width, int):
                layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            else:
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        # The identities stand where torchvision has dropout: the numbers are part of the parameters' names.
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, FEATURES),
            nn.ReLU(inplace=True),
            nn.Identity(),
            nn.Linear(FEATURES, FEATURES),
            nn.ReLU(inplace=True),
            nn.Identity(),
            nn.Linear(FEATURES, CLASSES),
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the second-to-last fully connected layer and the class scores.

        Args:
            pictures: (F, 3, 224, 224), prepared by `PREPROCESSING`.

        Returns:
            (F, 4096) activations of the second-to-last layer (fc7, after its ReLU: what the last layer reads) and
            (F, 1000) logits of the ImageNet classes.
        """
        flat = self.features(pictures).flatten(1)
        fc7 = self.classifier[:6](flat)
        return fc7, self.classifier[6](fc7)


def load_vgg19(path: Path) -> Vgg19:
    """Load VGG-19 from a state dictionary of torchvision's `vgg19`.

    Args:
        path: the file; read under `weights_only`, so it cannot run code.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        ConfigError: the file is missing, not a state dictionary, or of another network.
    """
    with torch.device("meta"):  # the parameters come from the file; none are drawn for nothing
        network = Vgg19()
    load_state(network, path, "VGG-19", VGG19_SOURCE)
    return network
