"""Files that are either the old one or the new one, never half of either."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

_CHUNK = 1 << 20


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader, a crash or a full disk never sees a part of it.

    The bytes go to a temporary name in the same folder (a rename across file systems is a copy), are forced to disk,
    and the file is then renamed over the old one, which stays intact until that moment.

    Args:
        path: final name; its folder must exist.
        write: called with the open temporary file.

    Raises:
        OSError: the disk is full or the folder not writable; the temporary file is removed, the old file untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()))


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk, so that a rename survives a power cut (a no-op where the system cannot)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
