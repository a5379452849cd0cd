"""The audio modality: universality, sound events, acoustic descriptors (Tian et al. 2022, Web Appendix E).

The paper counts 543 features; 1 + 521 + 10 are 532, and that is what it lists.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from micromega.features import acoustics, network, video, yamnet
from micromega.features.acoustics import DESCRIPTORS, RATE
from micromega.features.extractor import Arrays, ArraySpec, Media, MediaError, signature_of

Floats = NDArray[np.float32]
_CODE = ("audio", "acoustics", "network", "onnx", "tflite", "torch_files", "video", "yamnet")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class AudioExtractor:
    """Sound of the whole track: [universality, 521 sound events (if there is a YAMNet file), 10 descriptors].

    Attributes:
        weights: a YAMNet file (.onnx, .tflite or .pt2); None leaves sound events out.
        scores: what its output holds; the published files hold probabilities.
        longest_s: longer tracks are refused, seconds.
        device: where a .pt2 file runs; no part of the result's identity.
    """

    weights: str | None = None
    scores: Literal["probabilities", "logits"] = "probabilities"
    longest_s: Annotated[float, Field(gt=0)] = 600.0
    device: str = "cpu"

    @property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """One fixed array, `audio`."""
        return (ArraySpec(name="audio", shape=(len(self.names),)),)

    @property
    def names(self) -> tuple[str, ...]:
        """What each dimension is."""
        events = tuple(f"event_{number}" for number in range(yamnet.CLASSES if self.weights else 0))
        return ("universality", *events, *DESCRIPTORS)

    def signature(self) -> str:
        """Hash of settings, weights, code and libraries.

        Raises:
            ConfigError: the YAMNet file is missing.
        """
        path = network.require_weights(Path(self.weights), "YAMNet", yamnet.SOURCE) if self.weights else None
        return signature_of(
            replace(self, device="cpu"),
            code=(Path(__file__).with_name(f"{name}.py") for name in _CODE),
            weights=network.weight_files(path) if path else (),
            packages=("av", "librosa", "numpy", "scipy", *(network.libraries(path) if path else ())),
        )

    def open(self) -> Callable[[Path], Arrays]:
        """Load YAMNet and give the function from a file to its audio features; no sound: no array."""
        events = yamnet.open_yamnet(Path(self.weights), self.scores, self.device) if self.weights else None

        def extract(path: Path) -> Arrays:
            waveform = read_audio(path, longest_s=self.longest_s)
            if waveform is None:
                return {}
            means = [events(waveform).mean(axis=0)] if events is not None else []  # over the whole track
            parts = [np.zeros(1, np.float32), *means, acoustics.descriptors(waveform)]
            return {"audio": np.concatenate(parts).astype(np.float32)}

        return extract

    def complete(self, values: Arrays, media: Media) -> Arrays:
        """Put in the universality, a matter of the posts table (`media.universality`); 0 where it is unknown."""
        if "audio" not in values:
            return values
        audio = values["audio"].copy()
        audio[0] = media.universality or 0.0
        return {**values, "audio": audio}


def read_audio(path: Path, *, longest_s: float = 600.0) -> Floats | None:
    """Decode the first sound track of a file.

    Args:
        path: the file.
        longest_s: longer tracks are refused, seconds.

    Returns:
        (N,) at 16 kHz in [−1, 1], the mean of its channels; None if there is no sound track or nothing on it.

    Raises:
        MediaError: the sound cannot be decoded, is too long, or holds values that are not finite.
    """
    with video.opened(path) as container:
        if not container.streams.audio:
            return None
        from av import AudioResampler  # noqa: PLC0415  (`opened` has seen to it)

        stream = container.streams.audio[0]
        video.on_one_thread(path, stream)
        # Channels stay apart: the resampler's own mix to mono raises the level of what they share by 3 dB. Interleaved,
        # because PyAV crashes on the planes of more than eight channels.
        resampler = AudioResampler(format="flt", rate=RATE)
        pieces: list[Floats] = []
        seconds = 0.0
        for frame in chain(container.decode(stream), (None,)):  # None: what the resampler still holds
            if frame is not None:  # before it is resampled: a few bytes at one hertz are an hour
                seconds += frame.samples / max(frame.sample_rate, 1)
                if seconds > longest_s:
                    msg = f"{path}: the sound is longer than {longest_s:g} s. Raise longest_s to take it in."
                    raise MediaError(msg)
            try:
                parts = resampler.resample(frame)
            except ValueError as error:
                msg = (
                    f"{path}: the form of the sound changes midway ({error}). Convert the file, or drop its media_path."
                )
                raise MediaError(msg) from None
            pieces += [
                part.to_ndarray().reshape(-1, part.layout.nb_channels).mean(axis=1, dtype=np.float32) for part in parts
            ]
    waveform = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if not np.isfinite(waveform).all():
        msg = f"{path}: the sound holds samples that are not finite. Get the file again, or drop its media_path."
        raise MediaError(msg)
    return np.clip(waveform, -1, 1) if len(waveform) else None  # files of floats can hold anything
