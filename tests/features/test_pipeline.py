"""The extraction: equal bytes however often it is killed and however many workers it has; bad files are named."""

import ast
import hashlib
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the module byte_extractor, which worker processes import as well

from byte_extractor import ByteExtractor
from media_markets import contents, digest, make_market

from micromega.errors import ConfigError, DataError, MicromegaError, MissingExtraError
from micromega.features import audio, image, pipeline
from micromega.features import extractor as extractors
from micromega.features.cache import FeatureCache, pack, unpack
from micromega.features.extractor import signature_of
from micromega.features.media import universality
from micromega.features.pipeline import extract
from micromega.features.request import Features
from micromega.features.worker import Worker

FEATURES = Path(audio.__file__).parent


@pytest.fixture
def extractor(tmp_path):
    return ByteExtractor(log=str(tmp_path / "log"))


def computed(extractor):
    path = Path(extractor.log)
    return [line.split()[1] for line in path.read_text().splitlines()] if path.exists() else []


def test_values_are_those_of_the_files_and_the_table(tmp_path, extractor):
    files = [b"ab", None, b"MUTE", b"abc", b"ab"]
    market = make_market(tmp_path, files, sticker_text=["SALE now", "x", "y", None, "z"])
    done = extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    assert (done.posts, done.computed, done.problems.num_rows) == (4, 3, 0)  # p4 has the content of p0
    assert done.arrays == {"bytes": 3, "total": 3}
    total, sequence = market.features("total"), market.features("bytes")
    assert total.ids.to_pylist() == ["p0", "p3", "p4"]  # p1 has no media, p2's file has no such modality
    assert total.take(np.arange(3)).tolist() == [[195, 2], [294, 0], [195, 1]]
    assert sequence.lengths.tolist() == [2, 3, 2]
    assert sequence.take(np.array([1]))[:, 0].tolist() == [97, 98, 99]
    assert sorted(computed(extractor)) == ["m0", "m2", "m3"]


def test_one_worker_two_workers_and_none_give_equal_bytes(tmp_path, extractor):
    found = []
    for workers in (0, 1, 2):
        market = make_market(tmp_path / f"w{workers}", contents(40))
        done = extract(market, [extractor], cache=tmp_path / f"cache{workers}", workers=workers)
        assert done.computed == 40
        found.append(digest(market))
    assert found[0] == found[1] == found[2]
    assert all(os.environ.get(name) == "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))  # as before


def test_nothing_is_computed_twice_and_another_setting_is(tmp_path, extractor):
    market, cache = make_market(tmp_path, contents(5)), tmp_path / "cache"
    extract(market, [extractor], cache=cache, workers=0)
    first = digest(market)
    assert extract(market, [extractor], cache=cache, workers=0).computed == 0
    assert digest(market) == first
    (market.path / "m0").rename(market.path / "m0 renamed")  # found again by its content
    (market.path / "m0 renamed").rename(market.path / "m0")
    (market.path / "m3").write_bytes(b"changed")
    assert extract(market, [extractor], cache=cache, workers=0).computed == 1
    other = ByteExtractor(log=extractor.log, scale=2.0)
    assert extract(market, [other], cache=cache, workers=0).computed == 5
    assert market.features("total").take(np.array([3]))[0, 0] == 2 * sum(b"changed")


def test_files_that_cannot_be_read_are_named_counted_and_tried_again(tmp_path, extractor):
    market = make_market(tmp_path, [b"ab", b"BAD", b"GONE", b"", b"abc"])
    second = ByteExtractor(log=extractor.log, prefix="again_", scale=3.0)
    for workers in (0, 2):
        done = extract(market, [extractor, second], cache=tmp_path / "cache", workers=workers)
        rows = done.problems.to_pylist()
        assert [row["post_id"] for row in rows] == ["p1", "p1", "p2", "p2"]
        assert {row["extractor"] for row in rows} == {"ByteExtractor"}
        assert "is bad" in rows[0]["reason"]
        assert "No such file" in rows[2]["reason"]
        assert market.features("total").ids.to_pylist() == ["p0", "p3", "p4"]
    assert computed(extractor).count("m1") == 4
    (market.path / "m1").write_bytes(b"good")
    assert extract(market, [extractor], cache=tmp_path / "cache", workers=0).problems.num_rows == 1


def test_an_extraction_without_a_single_readable_file_is_an_error(tmp_path, extractor):
    market = make_market(tmp_path, [b"BAD", b"GONE"])
    with pytest.raises(DataError, match=r"None of 2 media files can be read.*is bad"):
        extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    none = make_market(tmp_path / "none", [None, None])
    with pytest.raises(DataError, match=r"media_path.*features=text"):
        extract(none, [extractor], cache=tmp_path / "cache", workers=0)
    assert not (market.path / "features").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_defect_is_raised_with_the_files_name_and_leaves_the_old_arrays(tmp_path, extractor, workers):
    market = make_market(tmp_path, contents(4))
    extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    before = digest(market)
    (market.path / "m2").write_bytes(b"BUG")
    with pytest.raises(ZeroDivisionError) as error:
        extract(market, [extractor], cache=tmp_path / "cache", workers=workers)
    assert "m2" in "".join(error.value.__notes__)
    (market.path / "m2").write_bytes(b"SHAPE of nothing")
    with pytest.raises(TypeError, match=r"total with shape \(16,\)"):
        extract(market, [extractor], cache=tmp_path / "cache", workers=workers)
    assert digest(market) == before


def test_a_worker_that_dies_is_an_error_that_names_the_files(tmp_path, extractor):
    market = make_market(tmp_path, [*contents(3), b"DIE", *contents(3, seed=1)])
    with pytest.raises(MicromegaError, match=r"process died.*m\d.*resumes"):
        extract(market, [extractor], cache=tmp_path / "cache", workers=1)
    (market.path / "m3").write_bytes(b"mended")
    done = extract(market, [extractor], cache=tmp_path / "cache", workers=1)
    assert done.arrays["total"] == 7
    assert computed(extractor).count("m0") == 1


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(hashlib.sha256(b"junk").digest() + b"junk"),
        Path.unlink,
    ],
)
def test_damaged_cache_entries_are_computed_again(tmp_path, extractor, damage, caplog):
    market, cache = make_market(tmp_path, contents(3)), tmp_path / "cache"
    extract(market, [extractor], cache=cache, workers=0)
    before = digest(market)
    entries = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(entries) == 3
    damage(entries[1])
    assert extract(market, [extractor], cache=cache, workers=0).computed == 1
    assert digest(market) == before
    assert ("damaged cache entry" in caplog.text) == (damage is not Path.unlink)


def test_a_bit_anywhere_in_an_entry_is_noticed():
    data = pack({"total": np.arange(3.0), "ragged": np.zeros((0, 2), np.float32)})
    found = unpack(data)
    assert found["ragged"].shape == (0, 2)
    for place in range(len(data)):
        assert unpack(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) is None


SLOW = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from byte_extractor import ByteExtractor
from micromega.features.pipeline import extract
from micromega.features.worker import Worker
from micromega.market import Market
if __name__ == "__main__":
    extractor = ByteExtractor(log={log!r}, seconds=0.05)
    extract(Market.load({market!r}), [extractor], cache=Path({cache!r}), workers=2)
"""


def test_killed_halfway_it_resumes_with_equal_bytes_and_leaves_no_process(tmp_path, extractor):
    market, cache = make_market(tmp_path, contents(60)), tmp_path / "cache"
    script = tmp_path / "slow.py"
    places = {
        "tests": str(Path(__file__).parent),
        "log": extractor.log,
        "market": str(market.path),
        "cache": str(cache),
    }
    script.write_text(SLOW.format(**places))
    process = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 60
    while len(computed(extractor)) < 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workers = {int(line.split()[0]) for line in Path(extractor.log).read_text().splitlines()}
    assert len(workers) == 2
    while any(alive(number) for number in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(number) for number in workers)  # they end with their parent
    assert 25 <= len(computed(extractor)) < 60
    assert not (market.path / "features").exists()
    done = extract(market, [extractor], cache=cache, workers=2)
    assert done.computed < 35
    assert len(computed(extractor)) <= 60 + 2  # only what was in work is done twice
    whole = make_market(tmp_path / "whole", contents(60))
    extract(whole, [extractor], cache=tmp_path / "other cache", workers=0)
    assert digest(market) == digest(whole)


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "path", ["../m0", "a/../../m0", "/etc/passwd", "\\\\host\\m0", "..\\m0", "C:/m0", "a\0b", ".."]
)
def test_paths_that_lead_out_of_the_folder_are_refused(tmp_path, extractor, path):
    market = make_market(tmp_path, contents(2), media_path=pa.array(["m0", path]))
    with pytest.raises(DataError, match=r"1 values of .media_path. lead out of the folder.*post p1"):
        extract(market, [extractor], cache=tmp_path / "cache", workers=0)


def test_names_with_dots_and_links_in_the_folder_are_read(tmp_path, extractor):
    (tmp_path / "elsewhere").write_bytes(b"ab")
    market = make_market(tmp_path, contents(2), media_path=pa.array(["a..b", "...m/..x"]))
    (market.path / "...m").mkdir()
    (market.path / "a..b").symlink_to(tmp_path / "elsewhere")
    (market.path / "...m" / "..x").write_bytes(b"abc")
    done = extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    assert (done.computed, done.problems.num_rows) == (2, 0)


def test_pipes_folders_and_absurd_names_are_problems_and_nothing_waits_for_them(tmp_path, extractor):
    market = make_market(tmp_path, contents(4), media_path=pa.array(["m0", "pipe", "folder", "x" * 999]))
    (market.path / "m0").write_bytes(b"ab")
    os.mkfifo(market.path / "pipe")
    (market.path / "folder").mkdir()
    done = extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    assert done.problems.column("post_id").to_pylist() == ["p1", "p2", "p3"]
    assert ["no file" in reason for reason in done.problems.column("reason").to_pylist()] == [True, True, False]


@pytest.mark.parametrize("after", [b"another", None])
def test_a_file_that_changes_while_it_is_read_leaves_nothing_in_the_cache(tmp_path, extractor, after):
    path, cache = tmp_path / "m", FeatureCache(tmp_path / "cache")
    path.write_bytes(b"before")

    class Changing(ByteExtractor):
        def open(self):
            read = super().open()

            def extract(path):
                path.write_bytes(after) if after else path.unlink()
                return read(path) if after else {}

            return extract

    changing = Changing(log=extractor.log)
    done = Worker([changing], [changing.signature()], cache)(path)
    assert (done.content, done.computed) == ("", 0)
    assert ("changed while it was read" if after else "No such file") in done.problems[0]
    assert cache.read(changing.signature(), hashlib.sha256(b"before").hexdigest()) is None


def imported(name, seen):
    """Modules of micromega.features that a module imports, directly or not, wherever in it."""
    if name in seen:
        return seen
    seen.add(name)
    for node in ast.walk(ast.parse((FEATURES / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("micromega.features"):
            below = (node.module or "").split(".")[2:3] or [alias.name for alias in node.names]
            for each in below:
                imported(each, seen)
    return seen


@pytest.mark.parametrize("module", [audio, image])
def test_the_code_in_a_signature_is_all_that_an_extractor_imports(module):
    name = module.__name__.rsplit(".", 1)[1]
    hands_on = {"extractor"}  # says what an extractor is, and computes nothing
    decides_nothing = {"scenes"} if module is audio else set()  # comes along with `video`
    assert set(module._CODE) == imported(name, set()) - hands_on - decides_nothing


@pytest.mark.parametrize("package", ["av", "librosa", "scipy", "onnxruntime"])
def test_another_version_of_a_library_is_another_signature(tmp_path, package, monkeypatch):
    (tmp_path / "yamnet.onnx").write_bytes(b"")
    listener = audio.AudioExtractor(weights=str(tmp_path / "yamnet.onnx"))
    before = listener.signature()
    monkeypatch.setattr(
        extractors, "version", lambda name: "0" if name == package else importlib.metadata.version(name)
    )
    assert listener.signature() != before


def test_a_missing_library_is_said_with_its_remedy(monkeypatch):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extractors, "version", none)
    with pytest.raises(MissingExtraError, match="pip install"):
        audio.AudioExtractor().signature()


def test_two_extractors_of_one_array_are_refused(tmp_path, extractor):
    market = make_market(tmp_path, contents(1))
    with pytest.raises(ConfigError, match="array bytes"):
        extract(market, [extractor, extractor], cache=tmp_path / "cache", workers=0)


def test_values_are_written_many_at_a_time(tmp_path, extractor, monkeypatch):
    monkeypatch.setattr(pipeline, "_BLOCK", 100)
    market = make_market(tmp_path, contents(30))
    extract(market, [extractor], cache=tmp_path / "cache", workers=0)
    sequence = market.features("bytes")
    for row, data in enumerate(contents(30)):
        assert sequence.take(np.array([row]))[:, 0].astype(np.uint8).tobytes() == data


def test_signature_covers_settings_code_and_weights_but_not_their_place(tmp_path):
    weights, moved, code = tmp_path / "w.pth", tmp_path / "moved.pth", tmp_path / "code.py"
    for path in (weights, moved, code):
        path.write_bytes(b"1")

    def of(log, code=code, scale=1.0):
        return signature_of(ByteExtractor(log=str(log), scale=scale), code=(code,), weights=(log,))

    assert of(weights) == of(moved) != of(weights, scale=2.0)
    before = of(weights)
    code.write_bytes(b"2")
    assert of(weights) != before
    code.write_bytes(b"1")
    weights.write_bytes(b"2")
    assert of(weights) != before
    with pytest.raises(ConfigError, match=r"none\.pth.*Nothing is downloaded"):
        of(tmp_path / "none.pth")


def test_universality_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    tags = [None if rng.random() < 0.2 else f"t{rng.integers(4)}" for _ in range(60)] + ["alone"]
    sounds = [None if rng.random() < 0.2 else f"s{rng.integers(3)}" for _ in range(60)] + ["s0"]
    found = universality(*(pa.chunked_array([column], pa.string()) for column in (tags, sounds))).to_pylist()
    for post, (tag, sound) in enumerate(zip(tags, sounds, strict=True)):
        others = [other for other in range(61) if other != post and tags[other] == tag]
        same = sum(sounds[other] == sound for other in others)
        expected = None if tag is None or sound is None else same / len(others) if others else 0
        assert found[post] == (None if expected is None else pytest.approx(expected))


@pytest.mark.slow
def test_real_clips_give_equal_bytes_with_one_worker_and_two(tmp_path, make_media, make_tone):
    parts = Features(text=None, topics=None)
    clips = [make_media.video(f"{i}.mp4", sound=make_tone(200 + 50 * i, 5)).read_bytes() for i in range(6)]
    found = []
    for workers in (1, 2):
        market = make_market(tmp_path / f"w{workers}", [*clips, clips[0][:3000]], sticker_text=["SALE"] * 7)
        done = extract(market, [parts.image, parts.audio], cache=tmp_path / f"cache{workers}", workers=workers)
        assert done.arrays == dict.fromkeys(("image_frames", "image_objects", "editing", "audio"), 6)
        assert set(done.problems.column("post_id").to_pylist()) == {"p6"}
        found.append(digest(market))
    assert found[0] == found[1]
