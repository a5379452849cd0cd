"""Pooled features on disk: computed once, then read memory-mapped.

They lie in `pooled/` in the market's folder, one file per modality and way of pooling: a .npy file with a SHA-256 of it
behind the array. The file's name holds a hash of all that decides its content, so that nothing has to be compared and
no old file is ever taken for a new one. Old files stay until somebody deletes the folder.
"""

import errno
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromega.files import WriteError, write_atomically

log = logging.getLogger(__name__)

FOLDER = "pooled"
VERSION = 1
"""Raised whenever pooling gives other numbers for the same input."""
_DIGEST = hashlib.sha256().digest_size
_CHUNK = 1 << 22
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def stored(
    folder: Path, name: str, facts: Mapping[str, object], compute: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Read an array, or compute and store it.

    Args:
        folder: where arrays are stored; made if the folder above it is there, otherwise nothing is stored.
        name: what the array is, for the file's name and the log.
        facts: everything that decides its values, as JSON knows it.
        compute: gives the (V, d) array; called unless a whole file is there.

    Returns:
        (V, d) float32. Writing to it changes no file.
    """
    key = hashlib.sha256(json.dumps({"version": VERSION, **facts}, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}-{key[:24]}.npy"
    if (found := _read(path)) is not None:
        log.info("pooled %s: the stored ones are used (%s)", name, path)
        return found
    started = time.perf_counter()
    values = compute()
    log.info("pooled %s: %d views of %d numbers in %.1f s", name, *values.shape, time.perf_counter() - started)
    if not folder.parent.is_dir():
        return values
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(path, lambda file: file.writelines(_parts(values)))
    except (OSError, WriteError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        quiet = isinstance(cause, OSError) and cause.errno in _NOT_ALLOWED
        log.log(logging.DEBUG if quiet else logging.WARNING, "pooled %s: not stored (%s)", name, error)
        return values
    mapped = _read(path)  # the mapped one takes no memory of its own
    return values if mapped is None else mapped


def _parts(values: NDArray[np.float32]) -> tuple[bytes, memoryview, bytes]:
    """Bytes of the file: the header of a .npy file, the array, and the SHA-256 of both."""
    whole = np.ascontiguousarray(values, dtype="<f4")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(whole))
    content = whole.data.cast("B")
    digest = hashlib.sha256(header.getvalue())
    digest.update(content)
    return header.getvalue(), content, digest.digest()


def _read(path: Path) -> NDArray[np.float32] | None:
    """Map a stored array; None where there is none, or a damaged one."""
    try:
        if not _is_whole(path):
            log.warning("pooled: %s is damaged, and made again", path)
            return None
        # Mode c: what torch takes without a warning, and no file is changed by.
        return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("pooled: %s cannot be read, and is made again (%s)", path, error)
        return None


def _is_whole(path: Path) -> bool:
    digest, left = hashlib.sha256(), path.stat().st_size - _DIGEST
    with path.open("rb") as file:
        while chunk := file.read(max(0, min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
        return left == 0 and file.read() == digest.digest()
