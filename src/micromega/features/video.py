"""Key frames, length and scene cuts of a picture or video file, in one pass over its frames (PyAV)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from micromega.errors import MissingExtraError
from micromega.features.extractor import MediaError
from micromega.features.scenes import WIDTH, SceneDetection, SceneSettings

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SHORTER_SIDE = 512
"""Key frames are kept at this shorter side at most, pixels: twice what networks read, and a minute of 4K fits."""
MOST_PIXELS = 120_000_000
"""Larger pictures are refused, before they are decoded: a megabyte can hold a picture that takes gigabytes."""
NARROWEST = 32
"""Longer to shorter side of a picture; narrower ones are refused, since networks see the shorter side enlarged."""
MOST_BYTES = 1 << 30
"""Of the key frames of one file."""
_FORMATS = (
    *("mov", "matroska", "avi", "flv", "asf", "mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "mjpeg", "ivf"),
    *("obu", "nut", "mxf", "dv", "rm", "ogg", "wav", "w64", "aiff", "au", "caf", "mp3", "aac", "flac", "ac3", "eac3"),
    *("amr", "ape", "wv", "tta", "gif", "apng", "jpegxl_anim"),
    *(f"{name}_pipe" for name in ("png", "jpeg", "webp", "bmp", "tiff", "gif", "jpegxl", "j2k", "ppm", "pgm", "qoi")),
)
"""What is read. Playlists, lists of files and stream descriptions are not: they make the decoder open other files and
addresses."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What the picture side of a media file is reduced to.

    Attributes:
        frames: (F, H, W, 3) uint8 key frames, red, green, blue, upright; F ≥ 1.
        times_s: (F,) their times from the first frame on, seconds.
        duration_s: length of the video, seconds; 0 for a picture.
        cuts_s: (K,) times of scene cuts, seconds; empty where none were looked for.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    duration_s: float
    cuts_s: NDArray[np.float64]


@contextmanager
def opened(path: Path) -> Iterator["InputContainer"]:
    """Open a media file; what the decoder complains of becomes a `MediaError` that names the file."""
    try:
        import av  # noqa: PLC0415  (heavy, and optional)
    except ImportError:
        msg = "Reading media needs PyAV. Install it: pip install 'micromega[features]'."
        raise MissingExtraError(msg) from None
    if not path.is_file():
        msg = f"{path}: there is no such media file. Correct media_path in the posts table, or drop it there."
        raise MediaError(msg)
    options = {"format_whitelist": ",".join(_FORMATS), "max_pixels": str(MOST_PIXELS)}
    try:
        with (
            path.open("rb") as file,
            av.open(_Nameless(file), "r", options=options, metadata_errors="replace") as container,
        ):
            yield container
    except (av.FFmpegError, av.error.EOFError) as error:
        refused = f"; playlists and pictures of more than {MOST_PIXELS:,} pixels are refused"
        reason = f"{error.strerror}{refused if isinstance(error, av.error.ArgumentError) else ''}"
        msg = f"{path}: cannot be decoded ({reason}). Get the file again, or drop its media_path."
        raise MediaError(msg) from None


class _Nameless:
    """A file without its name, which would decide the format and could stand for many files ("p%d.png")."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def on_one_thread(path: Path, stream: "VideoStream | AudioStream") -> None:
    """Decode a stream on one thread, since work is shared out by file, and nothing larger than `MOST_PIXELS`.

    Raises:
        MediaError: its codec is unknown.
    """
    codec = getattr(stream, "codec_context", None)  # None where the codec is unknown, whatever the stubs say
    if codec is None:
        msg = f"{path}: cannot be decoded (unknown {stream.type} codec). Convert the file, or drop its media_path."
        raise MediaError(msg)
    codec.thread_count = 1
    if stream.type == "video":
        codec.options = {"max_pixels": str(MOST_PIXELS)}


def read_clip(
    path: Path, *, interval_s: float = 5.0, scenes: SceneSettings | None = None, longest_s: float = 600.0
) -> Clip | None:
    """Decode a picture or video: one key frame every few seconds, its length and its cuts.

    Args:
        path: the file.
        interval_s: time between key frames, seconds (Tian et al. 2022, Web Appendix E: five); the first frame is one.
        scenes: how cuts are looked for; None: not at all.
        longest_s: longer videos are refused, seconds.

    Returns:
        The clip; None if the file has no pictures (sound alone, or with the cover of its album).

    Raises:
        MediaError: the file cannot be decoded, breaks off, or is too long.
    """
    with opened(path) as container:
        from av.stream import Disposition  # noqa: PLC0415  (`opened` has seen to it)

        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams:
            return None
        stream = streams[0]
        on_one_thread(path, stream)
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        detection = SceneDetection(scenes, rate) if scenes is not None else None
        large, small = _Scaler("rgb24"), _Scaler("bgr24")
        thumb: tuple[int, int] | None = None  # of all frames, also in a stream that changes its size midway
        kept: list[NDArray[np.uint8]] = []
        times: list[float] = []
        end = due = 0.0
        for frame, pts, base in _timed(container, stream, rate):
            time = float(pts * base)
            end = max(end, time + float(frame.duration * base if frame.duration else 1 / rate))
            if end > longest_s:
                msg = f"{path}: the video is longer than {longest_s:g} s. Raise longest_s to take it in."
                raise MediaError(msg)
            if time >= due - 1e-6:
                kept.append(_upright(path, large, frame, kept[0].shape if kept else None))
                times.append(time)
                due = (floor((time + 1e-6) / interval_s) + 1) * interval_s  # one frame after a gap, not one for each
                if len(kept) * kept[0].nbytes > MOST_BYTES:
                    msg = f"{path}: its key frames take more than {MOST_BYTES:,} bytes. Raise interval_s to take it in."
                    raise MediaError(msg)
            if detection is not None:
                thumb = thumb or _small_size(frame)
                detection.see(small(frame, *thumb), pts, base)
        picture = _is_picture(container)
        _require_whole(path, kept, end, stream)
    return Clip(
        frames=np.stack(kept),
        times_s=np.array(times),
        duration_s=0.0 if picture else end,
        cuts_s=detection.cuts() if detection is not None and not picture else np.zeros(0),
    )


def _timed(
    container: "InputContainer", stream: "VideoStream", rate: Fraction
) -> Iterator[tuple["VideoFrame", int, Fraction]]:
    """Decode frames with their times from the first frame on; frames without a time follow at the frame rate."""
    first: int | None = None
    for number, frame in enumerate(container.decode(stream)):
        if frame.pts is None or frame.time_base is None:
            yield frame, number, 1 / rate
            continue
        first = frame.pts if first is None else first
        yield frame, max(frame.pts - first, 0), frame.time_base


class _Scaler:
    """Converts frames to arrays. One for each kind of array: a scaler keeps its tables while sizes stay the same."""

    def __init__(self, layout: str) -> None:
        from av.video.reformatter import VideoReformatter  # noqa: PLC0415  (`opened` has seen to it)

        self._reformatter, self._layout = VideoReformatter(), layout

    def __call__(self, frame: "VideoFrame", height: int, width: int) -> NDArray[np.uint8]:
        """Scale a frame to (height, width, 3)."""
        scaled = self._reformatter.reformat(frame, width, height, self._layout, interpolation="AREA", threads=1)
        pixels: NDArray[Any] = scaled.to_ndarray()
        return pixels


def _upright(path: Path, scale: _Scaler, frame: "VideoFrame", shape: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Shrink a frame if it is large, and turn it as its metadata say; `shape` is that of the frames before it."""
    if max(frame.width, frame.height) > NARROWEST * min(frame.width, frame.height):
        msg = (
            f"{path}: a picture of {frame.width} x {frame.height} is narrower than 1 to {NARROWEST}. Cut it, or drop "
            "its media_path."
        )
        raise MediaError(msg)
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    shrink = min(1.0, SHORTER_SIDE / min(frame.width, frame.height))
    height, width = max(1, round(frame.height * shrink)), max(1, round(frame.width * shrink))
    if shape is not None:  # a stream that changes its size midway
        height, width = (shape[1], shape[0]) if turns % 2 else (shape[0], shape[1])
    return np.ascontiguousarray(np.rot90(scale(frame, height, width), turns))


def _small_size(frame: "VideoFrame") -> tuple[int, int]:
    """Height and width of frames for scene detection."""
    width = min(WIDTH, frame.width)
    return max(1, round(frame.height * width / frame.width)), width


def _is_picture(container: "InputContainer") -> bool:
    """Tell a still picture from a video of one frame: by the container, which for pictures is called after a codec."""
    return any(name == "image2" or name.endswith("_pipe") for name in container.format.name.split(","))


def _require_whole(path: Path, kept: list[NDArray[np.uint8]], end: float, stream: "VideoStream") -> None:
    """Refuse a video that ends before its own header says (a broken download), or that never begins."""
    if not kept:
        msg = f"{path}: holds no frame that can be decoded. Get the file again, or drop its media_path."
        raise MediaError(msg)
    announced = _announced(stream)
    if end < 0.9 * announced - 1:
        msg = f"{path}: breaks off after {end:.1f} of {announced:.1f} s. Get the file again, or drop its media_path."
        raise MediaError(msg)


def _announced(stream: "VideoStream") -> float:
    """Length that the file's header states, seconds; 0 if it states none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    parts = stream.metadata.get("DURATION", "").split(":")  # Matroska and WebM: 00:00:10.000000000
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds
