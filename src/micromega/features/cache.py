"""Extracted values by content of the media file: never computed twice, never trusted without a check."""

import hashlib
import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from micromega.features.extractor import Arrays
from micromega.files import write_atomically

log = logging.getLogger(__name__)
_DIGEST = 32


@dataclass(frozen=True)
class FeatureCache:
    """A folder of results: one small file per media file and extractor.

    A file's name is the extractor's signature and the SHA-256 of the media file, so another setting, weight file or
    version of the code never meets old values, and a file that is renamed or posted twice is found again. Several
    processes may write at once: each file appears whole, and what two write is equal.
    """

    folder: Path

    def path(self, signature: str, content: str) -> Path:
        """File of a result; it need not exist.

        Args:
            signature: the extractor's.
            content: SHA-256 of the media file.
        """
        return self.folder / signature[:32] / content[:2] / content

    def read(self, signature: str, content: str) -> Arrays | None:
        """Read a result.

        Args:
            signature: the extractor's.
            content: SHA-256 of the media file.

        Returns:
            The arrays; None where there are none, or the file is damaged (it is removed, with a warning).
        """
        path = self.path(signature, content)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        arrays = unpack(data)
        if arrays is None:
            log.warning("%s: a damaged cache entry; it is removed and computed again.", path)
            path.unlink(missing_ok=True)
        return arrays

    def write(self, signature: str, content: str, data: bytes) -> None:
        """Keep a result.

        Args:
            signature: the extractor's.
            content: SHA-256 of the media file.
            data: see `pack`.
        """
        path = self.path(signature, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(data))


def pack(arrays: Arrays) -> bytes:
    """Turn arrays into bytes that `unpack` can verify: SHA-256 of the rest, then a NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub mistakes the arrays for allow_pickle
    payload = buffer.getvalue()
    return hashlib.sha256(payload).digest() + payload


def unpack(data: bytes) -> Arrays | None:
    """Turn bytes of `pack` into arrays; None if a single bit of them has changed."""
    payload = data[_DIGEST:]
    if hashlib.sha256(payload).digest() != data[:_DIGEST]:
        return None
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile):  # whole, but written by something else
        return None
