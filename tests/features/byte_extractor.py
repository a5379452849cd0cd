"""An extractor for tests of the pipeline: reads the bytes of a file; worker processes import it from here."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from micromega.features.extractor import ArraySpec, MediaError, signature_of


@dataclass(frozen=True, kw_only=True)
class ByteExtractor:
    """A file's bytes (ragged) and their sum with the post's sticker words (fixed), with faults on demand."""

    log: str
    """Each computation adds a line: process and file."""
    scale: float = 1.0
    seconds: float = 0.0
    prefix: str = ""

    @property
    def outputs(self):
        return (
            ArraySpec(name=f"{self.prefix}bytes", shape=(2,), dtype="float32", ragged=True),
            ArraySpec(name=f"{self.prefix}total", shape=(2,), dtype="float32"),
        )

    def signature(self):
        return signature_of(Settings(scale=self.scale), code=(__file__,))

    def open(self):
        scale = self.scale

        def extract(path: Path):
            with Path(self.log).open("a") as log:
                log.write(f"{os.getpid()} {path.name}\n")
            time.sleep(self.seconds)
            data = path.read_bytes()
            if data.startswith(b"BAD"):
                raise MediaError(f"{path}: is bad.")
            if data.startswith(b"BUG"):
                raise ZeroDivisionError("a defect")
            if data.startswith(b"DIE"):
                os._exit(9)
            if data.startswith(b"MUTE"):
                return {}
            values = np.frombuffer(data, np.uint8).astype(np.float32)
            if data.startswith(b"SHAPE"):
                return {f"{self.prefix}total": values}
            total = np.array([scale * values.sum(), 0], np.float32)
            return {f"{self.prefix}bytes": np.stack([values, scale * values], axis=1), f"{self.prefix}total": total}

        return extract

    def complete(self, values, media):
        name = f"{self.prefix}total"
        if name not in values:
            return values
        total = values[name].copy()
        total[1] = len((media.sticker_text or "").split())
        return {**values, name: total}


@dataclass(frozen=True)
class Settings:
    scale: float
