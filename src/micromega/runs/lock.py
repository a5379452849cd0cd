"""One process at a time in a run folder."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from micromega.files import remove_leftovers

log = logging.getLogger(__name__)


def is_first_rank() -> bool:
    """Whether this process is the only or the first one of a distributed run."""
    return not (int(os.environ.get("LOCAL_RANK", "0")) or int(os.environ.get("SLURM_PROCID", "0")))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; a second process with the same request waits, then finds the work done.

    The lock is the operating system's (`flock`): it ends with the process, however that ends, so none is ever stale.
    Ranks of one distributed run other than the first take no lock, since the first holds it for all. Temporary files of
    killed processes are removed, since no living one can own them.

    Args:
        folder: the run folder; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not is_first_rank():
        yield
        return
    with (folder / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            log.info("Waiting: %s works on the same request in %s.", file.read().strip() or "another process", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        remove_leftovers(folder)
        yield
