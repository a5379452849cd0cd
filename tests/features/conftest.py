"""Media made by the tests themselves: textured videos with known cuts, tones of known pitch, pictures."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

LAYOUTS = {1: "mono", 2: "stereo"}


def texture(rng, height, width, light):
    """A smooth random pattern of a certain mean brightness: (height, width, 3) in 0…255."""
    coarse = rng.normal(size=(height // 16 + 2, width // 16 + 2, 3))
    rows = np.linspace(0, coarse.shape[0] - 1.001, height)
    columns = np.linspace(0, coarse.shape[1] - 1.001, width)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    corners = [coarse[top + a][:, left + b] for a in (0, 1) for b in (0, 1)]
    smooth = (corners[0] * (1 - right) + corners[1] * right) * (1 - down)
    smooth += (corners[2] * (1 - right) + corners[3] * right) * down
    return np.clip(light + 30 * smooth, 0, 255).astype(np.uint8)


def tone(hertz, seconds, rate=44_100, level=0.5, harmonics=1):
    """A tone with overtones, (seconds · rate,) float32."""
    time = np.arange(round(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, harmonics + 1))
    return (level * sound / np.abs(sound).max()).astype(np.float32)


@dataclass(frozen=True)
class MediaMaker:
    """Writes media files into a folder."""

    folder: Path

    def video(self, name="clip.mp4", *, scenes=((2.0, 60), (3.0, 200)), rate=15, size=(96, 160), sound=None, **options):
        """Write a video; each scene (seconds, brightness) is a texture that drifts slowly.

        `sound` is (samples,) or (samples, channels) at 44.1 kHz; `rotation` turns the display, `frames` gives the
        pictures instead of the textures.
        """
        av = pytest.importorskip("av")
        height, width = size
        path = self.folder / name
        pictures = options.get("frames")
        if pictures is None:
            pictures = list(self._drifting(scenes, rate, height, width))
        with av.open(str(path), "w") as container:
            stream = container.add_stream(options.get("codec", "mpeg4"), rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.bit_rate = 4_000_000
            if "rotation" in options:
                stream.set_display_rotation(options["rotation"])
            if sound is not None:
                sound = sound[:, None] if sound.ndim == 1 else sound
                voice = container.add_stream("aac", rate=44_100, layout=LAYOUTS[sound.shape[1]])
            for number, pixels in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound is not None:
                self._encode(av, container, voice, sound)
        return path

    def sound(self, name, samples, rate=44_100):
        """Write a sound file of 32-bit floats; samples (N,) or (N, channels)."""
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(self.folder / name, samples, rate, subtype="FLOAT")
        return self.folder / name

    def picture(self, name, pixels):
        """Write a picture by the ending of its name."""
        image = pytest.importorskip("PIL.Image")
        image.fromarray(pixels).save(self.folder / name)
        return self.folder / name

    @staticmethod
    def _drifting(scenes, rate, height, width):
        for number, (seconds, light) in enumerate(scenes):
            wide = texture(np.random.default_rng(number), height, width + 64, light)
            for moment in range(round(seconds * rate)):
                shift = moment % 64
                yield np.ascontiguousarray(wide[:, shift : shift + width])

    @staticmethod
    def _encode(av, container, voice, sound):
        for start in range(0, len(sound), 1024):
            part = np.ascontiguousarray(sound[start : start + 1024].T.astype(np.float32))
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=voice.layout)
            frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))


@pytest.fixture
def make_media(tmp_path):
    """Maker of media files in the test's own folder."""
    return MediaMaker(tmp_path)


@pytest.fixture(scope="session")
def make_tone():
    """`tone`, for tests that need samples."""
    return tone


@pytest.fixture(scope="session")
def make_texture():
    """`texture`, for tests that need pixels."""
    return texture
