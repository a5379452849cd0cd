"""What an extractor is: settings in, a function from a media file to arrays out."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.files import sha256_of

Arrays = dict[str, NDArray[Any]]
"""Array name -> one post's values: `shape` if fixed, `(n, *shape)` if ragged. A name left out: modality missing."""


class MediaError(DataError):
    """A media file cannot be decoded; the run goes on, and names and counts such files at its end."""


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """One array that an extractor fills."""

    name: str
    """Name in the market's `features/` folder, for instance image_frames."""
    shape: tuple[int, ...]
    """Shape per post; for a ragged array, of one element of the sequence."""
    dtype: str = "float32"
    ragged: bool = False


@dataclass(frozen=True, kw_only=True)
class Media:
    """One post's media file and what the posts table says about the post (None: unknown)."""

    post_id: str
    path: Path
    """Picture or video file, absolute."""
    caption: str | None = None
    sticker_text: str | None = None
    speech_text: str | None = None
    hashtag: str | None = None
    music_id: str | None = None
    duration_s: float | None = None
    universality: float | None = None
    """Share of the other posts under the hashtag that use the same audio, in [0, 1]."""


class Extractor(Protocol):
    """An extractor: a frozen, keyword-only dataclass of plain settings with these members.

    Its module imports nothing heavy at the top (decoders and networks are imported in `open`): the main process only
    asks for outputs and signature. An instance is pickled to every worker, so it holds no weights.
    """

    @property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """The arrays it fills."""
        ...

    def signature(self) -> str:
        """Hash of everything but the file that decides the result: settings, weights, code, decoding libraries.

        Raises:
            ConfigError: a weight file is missing; says where to get it and where to put it.
        """
        ...

    def open(self) -> Callable[[Path], Arrays]:
        """Load weights (once per worker) and give the function from a media file to arrays.

        The function sees nothing but the file, since its result is cached by the file's content. It raises
        `MediaError` for a file that it cannot read; any other error is a defect and stops the run.
        """
        ...

    def complete(self, values: Arrays, media: Media) -> Arrays:
        """Put in what comes from the posts table (stickers, universality); cheap, never cached.

        Args:
            values: what the function of `open` gave for this post's file; not to be changed in place.
            media: the post.

        Returns:
            Values with the names, shapes and dtypes of `outputs` (`return values` where the table adds nothing).
        """
        ...


def signature_of(
    settings: Any, *, code: Iterable[Path | str], weights: Iterable[Path | str] = (), packages: Iterable[str] = ()
) -> str:
    """Hash of settings, source files, weight files and versions of installed packages.

    Args:
        settings: the extractor (a dataclass instance); paths of weights among its fields count by content alone.
        code: source files that compute the values, usually `(__file__,)`.
        weights: weight files.
        packages: distributions of the extras `features` and `bundled` whose version changes the values.

    Returns:
        64 hexadecimal digits.

    Raises:
        ConfigError: a weight file is missing.
        MissingExtraError: a package is not installed.
    """
    files = [Path(path) for path in weights]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise ConfigError(f"{missing[0]}: there is no such weight file. Nothing is downloaded: put the file there.")
    places = {str(path) for path in files}
    fields: Mapping[str, Any] = {key: value for key, value in asdict(settings).items() if str(value) not in places}
    parts = {
        "class": type(settings).__qualname__,
        "settings": fields,
        "weights": [sha256_of(path) for path in files],
        "code": [sha256_of(Path(path)) for path in code],
        "packages": {name: _version(name) for name in packages},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        msg = f"Extraction needs {package}. Install it: pip install 'micromega[features,bundled]' {package}"
        raise MissingExtraError(msg) from None


def check_values(values: Arrays, specs: Iterable[ArraySpec], media: Media) -> None:
    """Refuse values that are not what the specs say.

    Raises:
        TypeError: a name, shape or dtype differs, or a value is not finite: a defect of the extractor.
    """
    known = {spec.name: spec for spec in specs}
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"extractor gave an array {name}, its outputs are: {', '.join(known)} ({media.path}).")
        spec = known[name]
        shape = value.shape[1:] if spec.ragged else value.shape
        if shape != spec.shape or value.dtype != np.dtype(spec.dtype):
            raise TypeError(
                f"extractor gave {name} with shape {value.shape} and dtype {value.dtype}, its outputs say "
                f"{'(n, *)' if spec.ragged else ''}{spec.shape} {spec.dtype} ({media.path})."
            )
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise TypeError(f"extractor gave {name} with values that are not finite ({media.path}).")
