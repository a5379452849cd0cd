"""What a post is made of."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS = ("caption", "sticker", "speech")
"""Sequences of words."""
SEQUENCES = (*TEXTS, "frames")
"""Parts of which a post has several items in order; of the others it has one vector."""
MODALITIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"text": TEXTS, "image": ("frames", "objects", "sentiment"), "audio": ("audio",), "editing": ("editing",)}
)
"""Modality -> its parts."""


def modalities_of(parts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Group parts by modality, both in the order above; modalities without a part are left out."""
    grouped = {name: tuple(part for part in of if part in parts) for name, of in MODALITIES.items()}
    return {name: of for name, of in grouped.items() if of}
