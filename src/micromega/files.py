"""Files that are either the old one or the new one, never half of either."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

from micromega.errors import MicromegaError

_CHUNK = 1 << 20
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")


class WriteError(MicromegaError, OSError):
    """A file cannot be written; the one of that name, if any, is as it was."""

    def __init__(self, path: Path, cause: OSError) -> None:
        room = ""
        if cause.errno == errno.ENOSPC:
            room = f", {shutil.disk_usage(path.parent).free:,} bytes are free"
        reason = cause.strerror or str(cause)
        super().__init__(f"{path}: cannot be written ({reason}{room}). What was there before is untouched.")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader, a crash or a full disk never sees a part of it.

    The bytes go to a temporary name in the same folder (a rename across file systems is a copy), are forced to disk,
    and the file is then renamed over the old one, which stays intact until that moment.

    Args:
        path: final name; its folder must exist.
        write: called with the open temporary file.

    Raises:
        WriteError: the disk is full or the folder not writable; the temporary file is removed, the old file untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, Exception) and (cause := _cause(error)) is not None:
            raise WriteError(path, cause) from error
        raise
    sync_folder(path.parent)


def _cause(error: BaseException | None) -> OSError | None:
    """Find the system's error behind one that a writer made of it (torch hides a full disk behind a RuntimeError)."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()))


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left: temporary files and folders in a folder and the folders inside it.

    Args:
        folder: nobody else may be writing there.
    """
    for path in list(folder.rglob(".*.tmp")):
        if _TEMPORARY.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


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
