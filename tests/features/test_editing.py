"""Length, scenes, complexity, looks, stickers; key frames and cuts of videos made here."""

import struct
import subprocess
import sys
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from micromega.features import editing, video
from micromega.features.audio import read_audio
from micromega.features.extractor import MediaError
from micromega.features.scenes import SceneSettings
from micromega.features.video import read_clip

PROBABILITIES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(PROBABILITIES)
def test_complexities_are_the_appendix_formulas_written_out(probability):
    frames, classes = probability.shape
    spatial = temporal = 0.0
    for t in range(frames):
        mean = sum(probability[t, j] for j in range(classes)) / classes
        spatial += sum((probability[t, j] - mean) ** 2 for j in range(classes)) / classes / frames
    for j in range(classes):
        mean = sum(probability[t, j] for t in range(frames)) / frames
        temporal += sum((probability[t, j] - mean) ** 2 for t in range(frames)) / frames / classes
    assert editing.spatial_complexity(probability) == pytest.approx(spatial, abs=1e-12)
    assert editing.temporal_complexity(probability) == pytest.approx(temporal, abs=1e-12)


def test_a_still_video_has_no_temporal_and_an_undecided_one_no_spatial_complexity():
    assert editing.temporal_complexity(np.tile([[0.7, 0.2, 0.1]], (5, 1))) == pytest.approx(0, abs=1e-18)
    assert editing.spatial_complexity(np.full((4, 10), 0.1)) == pytest.approx(0, abs=1e-18)


@pytest.mark.parametrize(
    ("colour", "expected"),  # L* of the sRGB primaries, from the CIE tables
    [
        ((0, 0, 0), 0),
        ((255, 255, 255), 100),
        ((255, 0, 0), 53.24),
        ((0, 255, 0), 87.74),
        ((0, 0, 255), 32.30),
        ((119, 119, 119), 50.03),
    ],
)
def test_lightness_is_cie_lightness(colour, expected):
    found = editing.lightness(np.full((1, 2, 3, 3), colour, dtype=np.uint8))
    np.testing.assert_allclose(found, expected / 100, atol=2e-4)


def test_symmetry_of_mirrored_pictures_is_one_and_of_black_against_white_zero():
    half = np.random.default_rng(0).random((1, 6, 4)).astype(np.float32)
    left_right, top_bottom = editing.symmetry(np.concatenate([half, half[:, :, ::-1]], axis=2))
    assert left_right == pytest.approx(1)
    assert top_bottom < 0.9
    split = np.concatenate([np.zeros((1, 3, 6)), np.ones((1, 3, 6))], axis=1).astype(np.float32)
    assert editing.symmetry(split) == (1.0, 0.0)


def test_looks_come_in_the_order_of_their_names():
    frames = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    frames[:, :, :2] = 255
    found = dict(zip(editing.LOOKS, editing.looks(frames), strict=True))
    assert found == pytest.approx(
        {"lightness": 0.5, "lightness_contrast": 0.5, "symmetry_left_right": 0, "symmetry_top_bottom": 1}
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [0, 0, 0, 0]),
        ("  \n ", [0, 0, 0, 0]),
        ("buy now", [1, 1, 2, 2]),
        ("buy now\n\nfifty per cent off", [1, 2, 6, 3]),
    ],
)
def test_stickers_are_lines_and_words(text, expected):
    np.testing.assert_array_equal(editing.stickers(text), expected)


def test_timing_counts_the_ends_as_transitions():
    np.testing.assert_allclose(editing.timing(9.0, np.array([2.0, 5.0])), [9, 3, 3])
    np.testing.assert_allclose(editing.timing(9.0, np.zeros(0)), [9, 1, 9])
    assert len(editing.names()) == 11
    assert editing.names("object", "sentiment")[-4:] == (
        "spatial_object",
        "temporal_object",
        "spatial_sentiment",
        "temporal_sentiment",
    )


@pytest.mark.parametrize("method", ["histogram", "content"])
def test_cuts_of_a_textured_video_are_found_where_they_are(make_media, method):
    pytest.importorskip("scenedetect")
    path = make_media.video(scenes=((2.0, 50), (3.0, 120), (1.0, 60), (4.0, 210)))
    clip = read_clip(path, scenes=SceneSettings(method=method))
    np.testing.assert_allclose(clip.cuts_s, [2.0, 5.0, 6.0], atol=1e-3)
    assert clip.duration_s == pytest.approx(10.0, abs=1e-3)


def test_key_frames_come_every_five_seconds_and_show_their_moment(make_media):
    path = make_media.video(scenes=((4.0, 50), (5.0, 120), (3.0, 210)))
    clip = read_clip(path)
    np.testing.assert_allclose(clip.times_s, [0, 5, 10], atol=0.07)
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2, 3)), [50, 120, 210], atol=12)
    assert clip.frames.shape == (3, 96, 160, 3)
    assert len(read_clip(path, interval_s=1.0).frames) == 12


def test_a_turned_video_is_set_upright(make_media):
    pixels = np.zeros((96, 160, 3), dtype=np.uint8)
    pixels[:, :80] = 255  # white on the left
    clip = read_clip(make_media.video(frames=[pixels] * 5, rotation=90))
    assert clip.frames.shape == (1, 160, 96, 3)
    assert clip.frames[0, 120:].mean() > 230  # a quarter turn counter-clockwise takes the left to the bottom
    assert clip.frames[0, :40].mean() < 25


def test_large_frames_are_shrunk_to_512_on_their_shorter_side(make_media, make_texture):
    pixels = make_texture(np.random.default_rng(0), 720, 1280, 128)
    clip = read_clip(make_media.video(frames=[pixels] * 2, size=(720, 1280)))
    assert clip.frames.shape == (1, 512, 910, 3)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_picture_is_one_frame_without_length(make_media, make_texture, ending):
    pixels = make_texture(np.random.default_rng(3), 90, 120, 100)
    clip = read_clip(make_media.picture(f"a.{ending}", pixels), scenes=SceneSettings())
    assert clip.frames.shape == (1, 90, 120, 3)
    assert np.abs(clip.frames[0].astype(int) - pixels).mean() < (1.2 if ending == "png" else 6)
    assert (clip.duration_s, len(clip.cuts_s)) == (0.0, 0)


def test_sound_alone_has_no_clip(make_media, make_tone):
    assert read_clip(make_media.sound("a.wav", make_tone(440, 1))) is None


def test_bad_files_are_named_with_the_reason(make_media, tmp_path):
    pytest.importorskip("av")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty.mp4").write_bytes(b"")
    good = make_media.video().read_bytes()
    (tmp_path / "headless.mp4").write_bytes(good[: len(good) // 2])  # the index of an mp4 is at its end
    for name in ("noise.mp4", "empty.mp4", "headless.mp4"):
        with pytest.raises(MediaError, match=f"{name}: cannot be decoded"):
            read_clip(tmp_path / name)
    with pytest.raises(MediaError, match="there is no such media file"):
        read_clip(tmp_path / "absent.mp4")


def test_a_video_that_breaks_off_is_refused_not_taken_for_a_short_one(make_media, tmp_path):
    path = make_media.video("whole.mkv", scenes=((10.0, 80),))
    data = path.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) // 3])
    with pytest.raises(MediaError, match=r"broken.mkv: breaks off after [\d.]+ of 10.0 s|cannot be decoded"):
        read_clip(broken)


def test_videos_beyond_the_limit_are_refused(make_media):
    with pytest.raises(MediaError, match=r"longer than 3 s. Raise longest_s"):
        read_clip(make_media.video(scenes=((4.0, 80),)), longest_s=3.0)


# Files that want more than to be read


def png(width, height):
    """A black picture of any size in a few bytes."""
    row = bytes(1 + 3 * width)
    pack = zlib.compressobj(9)
    data = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile clip.mp4\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile clip.mp4\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclip.ts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_files_that_refer_to_other_files_and_addresses_are_refused(make_media, name, content):
    make_media.video("clip.mp4")
    make_media.video("clip.ts")
    (make_media.folder / name).write_text(content)
    for read in (read_clip, read_audio):
        with pytest.raises(MediaError, match="cannot be decoded"):
            read(make_media.folder / name)


def test_a_name_decides_nothing(make_media):
    """A pattern in a name would stand for many pictures, and what looks like an address would be one."""
    clip = make_media.video("clip.mp4").read_bytes()
    for name in ("p%d.png", "http:x", "concat:clip.mp4|clip.mp4", "pipe:0", "clip.m3u8"):
        (make_media.folder / name).write_bytes(clip)
        assert len(read_clip(make_media.folder / name).frames) == 1


def test_pictures_that_take_gigabytes_are_refused_before_they_do(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(12_000, 12_000))
    code = (
        "import sys; from pathlib import Path; from micromega.features.extractor import MediaError\n"
        "from micromega.features.video import read_clip\n"
        "try: read_clip(Path(sys.argv[1]))\n"
        "except MediaError as error: print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0], error)"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "bomb.png")]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    kilobytes, message = done.stdout.split(" ", 1)
    assert "more than 120,000,000 pixels are refused" in message
    assert int(kilobytes) < 300_000  # the picture takes 432 MB


def test_slivers_are_refused_since_a_network_would_see_them_enlarged(tmp_path):
    (tmp_path / "sliver.png").write_bytes(png(10, 5000))
    with pytest.raises(MediaError, match="picture of 10 x 5000 is narrower than 1 to 32"):
        read_clip(tmp_path / "sliver.png")
    (tmp_path / "tall.png").write_bytes(png(10, 320))
    assert read_clip(tmp_path / "tall.png").frames.shape == (1, 320, 10, 3)


def test_key_frames_beyond_the_memory_are_refused(make_media, monkeypatch):
    path = make_media.video(scenes=((2.0, 80),))
    assert len(read_clip(path, interval_s=0.2).frames) == 10
    monkeypatch.setattr(video, "MOST_BYTES", 5 * 96 * 160 * 3)
    with pytest.raises(MediaError, match=r"key frames take more than .* Raise interval_s"):
        read_clip(path, interval_s=0.2)


def test_after_a_gap_one_key_frame_is_taken_not_one_for_each_that_is_missing(make_media, make_texture):
    av = pytest.importorskip("av")
    path = make_media.folder / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for tenth in (*range(10), *range(231, 300)):
            pixels = make_texture(np.random.default_rng(0), 96, 160, 100)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tenth, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(read_clip(path).times_s, [0, 23.1, 25], atol=0.01)


@pytest.mark.parametrize("method", ["histogram", "content"])
def test_a_stream_that_changes_its_size_midway_is_read(make_media, make_texture, method):
    pytest.importorskip("scenedetect")
    path = make_media.folder / "sizes.mjpeg"
    parts = []
    for number, (height, width) in enumerate([(96, 160)] * 10 + [(160, 96)] * 10):
        pixels = make_texture(np.random.default_rng(height), height, width, 100)
        parts.append(make_media.picture(f"{number}.jpg", pixels).read_bytes())
    path.write_bytes(b"".join(parts))
    clip = read_clip(path, interval_s=0.5, scenes=SceneSettings(method=method))
    assert clip.frames.shape == (2, 96, 160, 3)


def test_the_cover_of_an_album_is_no_video(make_media, make_tone, make_texture):
    """An mp3 with an ID3 picture: its sound is read, and its cover is not taken for a broken video."""
    av = pytest.importorskip("av")
    path = make_media.folder / "song.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=44_100, layout="mono")
        make_media._encode(av, container, stream, make_tone(440, 5.0)[:, None])
    cover = make_media.picture("cover.png", make_texture(np.random.default_rng(0), 64, 64, 100)).read_bytes()
    picture = b"\0image/png\0\3\0" + cover
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    size = bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\3\0\0" + size + frame + path.read_bytes())
    assert read_clip(path) is None
    assert len(read_audio(path)) == pytest.approx(5 * 16_000, rel=0.03)
