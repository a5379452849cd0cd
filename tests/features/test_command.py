"""The command `python -m micromega.features`, its page, and the same functions on many machines."""

import dataclasses
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parent))  # for the module byte_extractor, which worker processes import as well

from byte_extractor import ByteExtractor
from media_markets import contents, digest, make_market

from micromega.config import schema, signature
from micromega.errors import ConfigError
from micromega.features import command, pipeline
from micromega.features.backbones import Sentiment
from micromega.features.cache import FeatureCache, pack
from micromega.features.pipeline import extract
from micromega.features.request import Features
from micromega.features.worker import Worker
from micromega.market import Market

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def extractor(tmp_path):
    return ByteExtractor(log=str(tmp_path / "log"))


@pytest.fixture
def compose_request():
    schema.register(Features)
    signature.register_resolvers()

    def one(*overrides):
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            return command.validate(compose("extract", overrides=list(overrides)))

    return one


def test_every_choice_composes_and_validates(compose_request):
    for path in (REPOSITORY / "conf" / "features").glob("*.yaml"):
        assert compose_request(f"features={path.stem}").features is not None
    assert compose_request("features=text").features.image is None
    assert compose_request("features.text.max_length=7").features.text.max_length == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("workers=0", r"workers: .*greater than or equal to 1, got 0 \(conf/extract.yaml"),
        ("features.text.min_count=0", r"features\.text\.min_count: .*got 0"),
        ("features.image.interval_s=0", r"features\.image\.interval_s"),
        ("+features.sound=1", "features.sound: unknown key"),
        ("features._target_=builtins.open", "allowed: micromega.features"),
        ("market._target_=os.system", "market._target_"),
    ],
)
def test_wrong_settings_are_named(compose_request, override, message):
    with pytest.raises(ConfigError, match=message):
        compose_request(override)


def run_command(folder, *arguments):
    line = [sys.executable, "-m", "micromega.features", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_texts_and_says_what_is_wrong(tmp_path):
    market = make_market(tmp_path, [None, None], caption=["red bag", "red red"])
    leftover = market.path / "features" / f".audio.{'0' * 32}.tmp"
    leftover.mkdir(parents=True)
    done = run_command(tmp_path, "market.path=market", "features=text", "features.text.min_count=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "text_caption 2, vocabulary 3" in done.stdout
    assert Market.load(market.path).feature_names == ("text_caption", "vocabulary")
    assert not leftover.exists()
    failed = run_command(tmp_path, "market.path=market")
    assert failed.returncode == 2
    assert "media_path" in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr


def test_help_names_the_choices(tmp_path):
    found = run_command(tmp_path, "--help")
    assert found.returncode == 0
    assert "bundled, paper, sentences, text, topics" in found.stdout


def test_what_cannot_be_read_is_listed_in_a_file(tmp_path, extractor, caplog):
    caplog.set_level("INFO")
    market, path = make_market(tmp_path, [b"ab", b"BAD, \xff", b"GONE"]), tmp_path / "market" / "features" / "bad.csv"
    command._report(extract(market, [extractor], cache=tmp_path / "cache", workers=0), path)
    assert "2 of 3 media files cannot be read; the first: " in caplog.text
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith('"p1"')
    (market.path / "m1").write_bytes(b"x")
    (market.path / "m2").write_bytes(b"y")
    command._report(extract(market, [extractor], cache=tmp_path / "cache", workers=0), path)
    assert not path.exists()


def test_the_cache_keeps_signatures_apart(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.write("a" * 64, "f" * 64, pack({"x": np.ones(1)}))
    assert cache.read("b" * 64, "f" * 64) is None
    assert cache.read("a" * 64, "e" * 64) is None
    assert cache.read("a" * 64, "f" * 64)["x"].tolist() == [1]


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (REPOSITORY / "docs" / "features.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(block, names)  # the page's blocks build on one another
    printed = capsys.readouterr().out
    assert printed.startswith("['hot', 'soup', 'hot', 'bread']\n{'size': 1} ['lost.jpg: cannot be read")
    for choice in re.findall(r"^\| `features=(\w+)`", page, flags=re.MULTILINE):
        assert (REPOSITORY / "conf" / "features" / f"{choice}.yaml").is_file()
    for setting in re.findall(r"`features\.([\w.]+)[`=]", page):
        node = Features()
        for key in setting.split("."):
            assert key in {field.name for field in dataclasses.fields(node)}, setting
            node = getattr(node, key) or Sentiment(weights="w")


# The version for many machines


@pytest.fixture(scope="module")
def ray_script():
    spec = importlib.util.spec_from_file_location("extract_ray", REPOSITORY / "scripts" / "extract_ray.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["extract_ray"] = module
    spec.loader.exec_module(module)
    return module


def test_batches_in_any_order_give_the_bytes_of_the_plain_extraction(tmp_path, extractor, ray_script):
    files = [*contents(20), b"BAD", b"GONE"]
    whole = make_market(tmp_path / "whole", files)
    plain = extract(whole, [extractor], cache=tmp_path / "one", workers=0)
    market = make_market(tmp_path / "parts", files)
    work = Worker([extractor], [extractor.signature()], FeatureCache(tmp_path / "two"))
    paths, rows = pipeline.media_paths(market, market.path), []
    for numbers in np.array_split(np.random.default_rng(0).permutation(22), 5):
        batch = {"row": numbers, "path": np.array([str(paths[number]) for number in numbers])}
        given = ray_script.ExtractBatch(work)(batch)
        rows += [dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True)]
    done = pipeline.gather(market, work, ray_script.results(rows), media=market.path)
    assert digest(market) == digest(whole)
    assert (done.posts, done.computed, done.arrays) == (plain.posts, plain.computed, plain.arrays)
    assert done.problems.column("post_id").to_pylist() == ["p20", "p21"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_ray_itself_gives_the_bytes_of_the_plain_extraction(tmp_path, extractor, ray_script):
    ray = pytest.importorskip("ray", reason="ray is not installed")
    for name in ("extract_ray", "byte_extractor"):  # as a script's own classes are; actors cannot import these two
        ray.cloudpickle.register_pickle_by_value(sys.modules[name])
    whole, market = (make_market(tmp_path / name, contents(20)) for name in ("whole", "parts"))
    extract(whole, [extractor], cache=tmp_path / "one", workers=0)
    work = Worker([extractor], [extractor.signature()], FeatureCache(tmp_path / "two"))
    done = ray_script.extract_on_cluster(market, work, media=market.path, workers=2)
    assert done.computed == 20
    assert digest(market) == digest(whole)


def test_all_missing_files_are_named_at_once(tmp_path):
    parts = Features(
        text={"word_vectors": str(tmp_path / "words.bin")},
        topics=None,
        image={"backbone": {"model": "vgg19", "weights": str(tmp_path / "vgg.pth")}},
        audio={"weights": str(tmp_path / "yamnet.onnx")},
    )
    with pytest.raises(ConfigError) as told:
        command._refuse_missing_files(parts)
    for key in ("3 files", "features.text.word_vectors", "features.image.backbone.weights", "features.audio.weights"):
        assert key in str(told.value)
