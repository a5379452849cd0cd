"""`python -m micromega.features`: a market's texts and media in, feature arrays in its folder out."""

import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pyarrow import csv

from micromega.config.validate import build, typed
from micromega.errors import ConfigError
from micromega.features.extractor import Extractor
from micromega.features.pipeline import Extraction, extract
from micromega.features.request import ExtractConfig, Features, Text
from micromega.features.sentences import find_weights, write_sentences
from micromega.features.sequences import TEXTS, count_words, vocabulary, write_texts
from micromega.features.topics import write_topics
from micromega.features.word_vectors import load_word_vectors
from micromega.files import write_atomically
from micromega.market.arrays import FOLDER
from micromega.market.market import Market

log = logging.getLogger(__name__)
BAD_MEDIA = "bad_media.csv"


def validate(config: DictConfig, choices: Mapping[str, str] | None = None) -> ExtractConfig:
    """Turn a composed configuration into a typed request.

    Args:
        config: what Hydra composed, without its own section.
        choices: group -> chosen file, to say in which file a wrong value stands.

    Returns:
        The request.

    Raises:
        ConfigError: unknown key, wrong type, value out of range; names file, key, value, what is allowed.
    """
    try:
        raw = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}") from None
    assert isinstance(raw, dict)
    values = {str(key): value for key, value in raw.items()}
    for group in ("market", "features"):
        values[group] = typed(group, values.get(group), choices or {}, Features)
    request: ExtractConfig = build(ExtractConfig, values, "", "conf/extract.yaml")
    return request


def run(request: ExtractConfig, market: Market) -> None:
    """Make the arrays that the request names; what was made before is replaced, what is cached is not computed.

    Args:
        request: the validated configuration.
        market: the market of the request; nobody else may be writing its features.
    """
    for leftover in (market.path / FOLDER).glob(".*.tmp"):  # of a command that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)
    parts = request.features
    _refuse_missing_files(parts)
    extractors: list[Extractor] = [part for part in (parts.image, parts.audio) if part is not None]
    for extractor in extractors:
        extractor.signature()  # a missing weight file is said before any work
    if parts.sentences is not None:
        find_weights(parts.sentences)
    if parts.text is not None:
        _told(write_text_arrays(market, parts.text), "text")
    if parts.sentences is not None:
        _told(write_sentences(market, parts.sentences), "sentences")
    if parts.topics is not None:
        _told(write_topics(market, parts.topics), "hashtags")
    if extractors:
        media = Path(request.media) if request.media else None
        done = extract(
            market,
            extractors,
            cache=Path(request.cache),
            workers=request.workers,
            media=media,
            progress=sys.stderr.isatty(),
        )
        _report(done, market.path / FOLDER / BAD_MEDIA)


def _refuse_missing_files(parts: Features) -> None:
    """Name all missing files at once; where one is missing, its own reader says where to get it."""
    image = parts.image
    files = {
        "text.word_vectors": parts.text and parts.text.word_vectors,
        "topics.word_vectors": parts.topics and parts.topics.word_vectors,
        "image.backbone.weights": getattr(image and image.backbone, "weights", None),
        "image.sentiment.weights": getattr(image and image.sentiment, "weights", None),
        "audio.weights": parts.audio and parts.audio.weights,
    }
    missing = [f"  features.{key}: {path}" for key, path in files.items() if path and not Path(path).is_file()]
    if len(missing) > 1:
        raise ConfigError(
            f"{len(missing)} files are missing:\n" + "\n".join(missing) + "\nNothing is downloaded. The section "
            '"Weight files" of docs/features.md says where to get each; features=paper looks in $MICROMEGA_WEIGHTS.'
        )


def write_text_arrays(market: Market, config: Text) -> dict[str, int]:
    """Write text_caption, text_sticker, text_speech and vocabulary.

    Args:
        market: its posts hold the texts.
        config: vocabulary and vectors.

    Returns:
        Array -> rows.
    """
    posts = market.table("posts")
    words, counts = count_words([posts.column(column) for column in TEXTS.values()])
    frequent = words.filter(pa.array(counts >= config.min_count)).slice(0, config.max_words - 1)
    table = load_word_vectors(Path(config.word_vectors), only=frequent) if config.word_vectors else None
    vectors = Path(config.word_vectors).name if config.word_vectors else f"hashed {config.hashed_size}"
    source = f"words on {config.min_count} or more places, {vectors}"
    found = vocabulary(frequent, table, config.hashed_size)
    if table is not None:
        log.info("%d of %d words have a vector in %s", len(table.words), len(frequent), config.word_vectors)
    return write_texts(posts, found, market.path / FOLDER, longest=config.max_length, source=source)


def _told(rows: Mapping[str, int], what: str) -> None:
    log.info("%s: %s", what, ", ".join(f"{name} {count:,}" for name, count in rows.items()))


def _report(done: Extraction, path: Path) -> None:
    _told(
        done.arrays, f"media of {done.posts:,} posts in {done.seconds:.0f} s, {done.computed:,} results computed anew"
    )
    path.unlink(missing_ok=True)
    if done.problems.num_rows:
        write_atomically(path, lambda file: csv.write_csv(done.problems, file))
        log.warning(
            "%d of %d media files cannot be read; the first: %s All of them: %s",
            len(done.problems.column("post_id").unique()),
            done.posts,
            done.problems.column("reason")[0],
            path,
        )
