"""Posts made of random numbers, some parts missing, for tests of the network."""

import torch

from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.config import VSVAEModelConfig

SIZES = {
    "caption": 11,
    "sticker": 11,
    "speech": 11,
    "frames": 5,
    "objects": 4,
    "sentiment": 3,
    "audio": 6,
    "editing": 2,
}
TEXTS = ("caption", "sticker", "speech")


def spec(sizes=None, seed=0):
    sizes = SIZES if sizes is None else sizes
    draw = torch.Generator().manual_seed(seed)
    numbers = [part for part in sizes if part not in TEXTS]
    return PostSpec(
        sizes=sizes,
        words=tuple(f"word{number}" for number in range(11)),
        word_vectors=torch.randn(11, 7, generator=draw),
        mean={part: torch.randn(sizes[part], generator=draw) for part in numbers},
        deviation={part: 0.5 + torch.rand(sizes[part], generator=draw) for part in numbers},
    )


def batch(posts=6, sizes=None, seed=0, longest=4, absent=0.4):
    """Draw posts; each lacks each part with a chance."""
    sizes = SIZES if sizes is None else sizes
    draw = torch.Generator().manual_seed(seed)
    values, lengths = {}, {}
    for part, size in sizes.items():
        has = torch.rand(posts, generator=draw) >= absent
        if part in {*TEXTS, "frames"}:
            lengths[part] = torch.randint(1, longest + 1, (posts,), generator=draw) * has
            items = torch.arange(longest) < lengths[part][:, None]
            if part == "frames":
                values[part] = torch.randn(posts, longest, size, generator=draw) * items[..., None]
            else:
                values[part] = torch.randint(0, size, (posts, longest), generator=draw) * items
        else:
            lengths[part] = has.long()
            values[part] = torch.randn(posts, size, generator=draw) * has[:, None]
    return PostBatch(post=torch.arange(posts), values=values, lengths=lengths)


def small(**changed):
    settings = {
        "latent_size": 3,
        "text_hidden": 4,
        "text_size": 5,
        "frames_hidden": 6,
        "image_sizes": (7, 5),
        "audio_size": 4,
        "editing_size": 3,
    }
    return VSVAEModelConfig(**{**settings, **changed})
