"""Time and peak memory of extracting media features: 200 generated clips through the pipeline, bundled weights.

The clips are portrait videos of 3 to 8 seconds (drifting textures with hard cuts, chords) that the script encodes
itself. Wall time includes decoding, networks, hashing, the cache and writing the arrays; starting the workers (imports,
weights) is part of each run. A second run shows what an unchanged market costs. The peak is the sum over this process
and its workers, sampled ten times a second, pages that they share counted each time. There is no peer that makes these
arrays.

    python scripts/bench_extract.py [--quick] [--clips 200] [--workers 2] [--yamnet FILE --scores logits]
"""

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

HEIGHT, WIDTH, RATE, SAMPLING = 640, 360, 24, 44_100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few clips, within 50 seconds")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--yamnet", help="a YAMNet file; without it there are no sound events")
    parser.add_argument("--scores", default="probabilities", choices=("probabilities", "logits"))
    options = parser.parse_args()
    clips = 8 if options.quick else options.clips
    with tempfile.TemporaryDirectory() as folder:
        market = write_clips(Path(folder) / "market", clips)
        bench(market, clips, options)


def bench(market, clips, options) -> None:  # noqa: ANN001
    """Extract twice and print figures."""
    from micromega.features.audio import AudioExtractor  # noqa: PLC0415
    from micromega.features.backbones import EfficientNetLite0  # noqa: PLC0415
    from micromega.features.image import ImageExtractor  # noqa: PLC0415
    from micromega.features.pipeline import extract  # noqa: PLC0415

    extractors = [
        ImageExtractor(backbone=EfficientNetLite0()),
        AudioExtractor(weights=options.yamnet, scores=options.scores),
    ]
    seconds = sum(market.table("posts").column("duration_s").to_pylist())
    print(f"{'run':>10} {'clips':>6} {'wall s':>8} {'cpu s':>8} {'clips/s':>8} {'peak GiB':>9}")
    for run in ("cold", "unchanged"):
        before, memory = cpu_seconds(), Peak()
        with memory:
            started = time.perf_counter()
            done = extract(market, extractors, cache=market.path.parent / "cache", workers=options.workers)
            wall = time.perf_counter() - started
        cpu = cpu_seconds() - before
        print(f"{run:>10} {clips:6} {wall:8.1f} {cpu:8.1f} {clips / wall:8.2f} {memory.bytes / 2**30:9.2f}", flush=True)
        if done.problems.num_rows:
            print(done.problems.to_pylist()[:3])
        if run == "cold":
            figures = (wall, cpu, memory.bytes)
    for name in market_arrays(market):
        print(name)
    wall, cpu, peak = figures
    what = f"for {clips} clips of {seconds / clips:.1f} s on average, {options.workers} workers"
    print(f"figure: extract_seconds = {wall:.1f} s {what}")
    print(f"figure: extract_cpu_per_clip = {cpu / clips:.3f} s")
    print(f"figure: extract_peak_memory = {peak / 2**30:.2f} GiB {what}")


def market_arrays(market) -> list[str]:  # noqa: ANN001
    """One line per array."""
    from micromega.market.arrays import FOLDER, array_names, open_array  # noqa: PLC0415

    folder = market.path / FOLDER
    found = {name: open_array(folder, name) for name in array_names(folder)}
    return [f"  {name}: {len(array.ids)} posts, values {array.values.shape}" for name, array in found.items()]


def write_clips(path: Path, clips: int):  # noqa: ANN201
    """Encode clips and write a market of one post each."""
    from micromega.market.write import write_market  # noqa: PLC0415

    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        rows = [
            write_clip(Path(temporary) / f"{number:03}.mp4", np.random.default_rng(number)) for number in range(clips)
        ]
        posts = pa.table(
            {
                "post_id": [f"p{number:03}" for number in range(clips)],
                "account_id": ["ann"] * clips,
                "media_path": [f"media/{number:03}.mp4" for number in range(clips)],
                "duration_s": rows,
                "hashtag": [f"tag{number % 5}" for number in range(clips)],
                "music_id": [f"song{number % 17}" for number in range(clips)],
                "sticker_text": ["today only\nhalf price" if number % 2 else None for number in range(clips)],
            }
        )
        accounts = pa.table({"account_id": ["ann"], "kind": ["creator"]})
        market = write_market(path, {"accounts": accounts, "posts": posts}, name="clips", currency="USD")
        Path(temporary).rename(path / "media")
        Path(temporary).mkdir()  # the context removes it
    size = sum(file.stat().st_size for file in (path / "media").iterdir()) / 2**20
    print(
        f"{clips} clips, {sum(rows):.0f} s of video, {size:.0f} MiB, encoded in {time.perf_counter() - started:.0f} s"
    )
    return market


def write_clip(path: Path, rng: np.random.Generator) -> float:
    """Encode one clip with one to four scenes and a chord; its length in seconds."""
    import av  # noqa: PLC0415

    lengths = rng.integers(RATE, 2 * RATE + 1, rng.integers(3, 5))
    with av.open(str(path), "w") as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=RATE, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        voice = container.add_stream("aac", rate=SAMPLING, layout="mono")
        moment = 0
        for length in lengths:
            coarse = rng.normal(size=(HEIGHT // 20, WIDTH // 20 + 4, 3))
            wide = np.clip(rng.integers(50, 200) + 35 * coarse.repeat(20, axis=0).repeat(20, axis=1), 0, 255)
            grain = rng.normal(0, 4, wide.shape)
            wide = np.clip(wide + grain, 0, 255).astype(np.uint8)
            for step in range(length):
                pixels = np.ascontiguousarray(wide[:, step : step + WIDTH])
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = moment, Fraction(1, RATE)
                container.mux(stream.encode(frame))
                moment += 1
        container.mux(stream.encode(None))
        seconds = moment / RATE
        time_axis = np.arange(round(seconds * SAMPLING)) / SAMPLING
        sound = sum(np.sin(2 * np.pi * hertz * time_axis) for hertz in rng.uniform(100, 600, 3)) / 6
        sound = (sound * (0.6 + 0.4 * np.sign(np.sin(4 * np.pi * time_axis)))).astype(np.float32)
        for start in range(0, len(sound), 1024):
            part = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = SAMPLING, start, Fraction(1, SAMPLING)
            container.mux(voice.encode(part))
        container.mux(voice.encode(None))
    return seconds


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


class Peak:
    """Samples the memory of this process and its descendants (Linux; elsewhere this process's own peak)."""

    def __enter__(self) -> "Peak":
        self.bytes, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if not self.bytes:
            unit = 1 if sys.platform == "darwin" else 1024
            self.bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            self.bytes = max(self.bytes, self._now())

    @staticmethod
    def _now() -> int:
        pages: dict[int, tuple[int, int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):  # processes end while they are read
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                pages[int(folder.name)] = (parent, int((folder / "statm").read_text().split()[1]))
        family = {os.getpid()}
        while more := {pid for pid, (parent, _) in pages.items() if parent in family} - family:
            family |= more
        return sum(pages[pid][1] for pid in family if pid in pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
