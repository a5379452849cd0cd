import csv

import numpy as np
import pyarrow.compute as pc
import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import MirFeatures2019
from micromega.market.importers.mir_features_2019 import import_folder

A, B, C, D, E = (digit * 12 for digit in "abcde")
TEXTS = {
    "brands.csv": f"brand_id,handle,split\n{A},acme,train\n{B},bolt,test\n",
    "creators.csv": f"creator_id,in_train,in_test\n{C},1,0\n{D},1,1\n{E},0,1\n{B},1,0\n",  # bolt is a creator too
    "positives.csv": f"brand_id,creator_id\n{A},{C}\n{A},{D}\n{B},{E}\n",
}


def arrays(**changed):
    rng = np.random.default_rng(0)
    found = {
        "brand_id": np.array([A, B]),
        "creator_id_train": np.array([C, D, B]),
        "creator_id_test": np.array([D, E]),
        "brand_images": rng.random((2, 5)).astype(np.float16),
    }
    for name, width in (("topics", 3), ("hashtags", 4)):
        for part, rows in (("brand_{}", 2), ("creator_{}_train", 3), ("creator_{}_test", 2)):
            found[part.format(name)] = rng.random((rows, width)).astype(np.float32)
    found["creator_hashtags_test"][0] = found["creator_hashtags_train"][1]  # equal in both lists; topics are not
    return found | changed


def source(folder, texts=(), **changed):
    folder.mkdir()
    for name, text in (TEXTS | dict(texts)).items():
        (folder / name).write_text(text)
    np.savez(folder / "features.npz", **arrays(**changed))
    return folder


def test_small_source_by_hand(tmp_path):
    market = import_folder(source(tmp_path / "source"), tmp_path / "market")
    accounts = market.table("accounts").to_pylist()
    assert [(row["account_id"], row["kind"], row["name"]) for row in accounts] == [
        (A, "brand", "acme"),
        (f"{B}-brand", "brand", "bolt"),
        *((creator, "creator", None) for creator in (C, D, E, B)),
    ]
    mentions = market.table("mentions").to_pylist()
    assert [(row["brand_id"], row["creator_id"], row["posts"]) for row in mentions] == [
        (A, C, 1), (A, D, 1), (f"{B}-brand", E, 1)
    ]  # fmt: skip
    splits = {(row["account_id"], row["split"]) for row in market.table("splits").to_pylist()}
    assert splits == {
        (A, "train"), (f"{B}-brand", "test"), (C, "train"), (D, "train"), (D, "test"), (E, "test"), (B, "train")
    }  # fmt: skip
    given = arrays()
    assert market.feature_names == ("brand_images", "hashtags", "topics", "topics_test")
    topics, later = market.features("topics"), market.features("topics_test")
    rows = topics.rows_of([A, f"{B}-brand", C, D, B, E])
    expected = [*given["brand_topics"], *given["creator_topics_train"], given["creator_topics_test"][1]]
    np.testing.assert_array_equal(topics.take(rows), expected)
    np.testing.assert_array_equal(later.take(later.rows_of([D, E])), given["creator_topics_test"])
    assert any("1 have different topics" in note for note in market.notes)
    assert any("0 have different hashtags" in note for note in market.notes)
    assert market.features("brand_images").ids.to_pylist() == [A, f"{B}-brand"]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("brands.csv", "test", "dev", 'brands.csv: column "split" holds 1 unknown value (line 3: dev)'),
        ("creators.csv", f"{C},1", f"{C},2", 'creators.csv: column "in_train" holds 1 unknown value (line 2: 2)'),
        ("creators.csv", f"{C},1", "c1,1", 'creators.csv: column "creator_id" holds 1 malformed id (line 2: c1)'),
        ("positives.csv", E, "f" * 12, 'positives.csv: column "creator_id" holds 1 id that is not known (line 4'),
        ("positives.csv", "brand_id", "brand", 'positives.csv: column "brand_id" is missing'),
        ("positives.csv", f"{A},{D}", f"{A},{C}", "repeated key"),
    ],
)
def test_bad_lines_are_named(tmp_path, file, old, new, words):
    folder = source(tmp_path / "source", {file: TEXTS[file].replace(old, new)})
    with pytest.raises(DataError) as caught:
        import_folder(folder, tmp_path / "market")
    assert words in str(caught.value)
    assert not (tmp_path / "market").exists()


def test_unknown_ids_can_be_dropped(tmp_path):
    folder = source(tmp_path / "source", {"positives.csv": TEXTS["positives.csv"] + f"{A},{'f' * 12}\n"})
    market = import_folder(folder, tmp_path / "market", on_bad_rows="drop")
    assert market.table("mentions").num_rows == 3
    assert any(note.startswith("Dropped: positives.csv") for note in market.notes)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"brand_id": np.array([A, E[:-1] + "0"])}, "brand_id holds 1 ids that are not in brands.csv"),
        ({"brand_id": np.array([A, A])}, 'array "brand_id" has repeated ids'),
        ({"brand_id": np.array([1, 2])}, 'array "brand_id" is int64 (2,)'),
        ({"brand_topics": np.zeros((3, 3), np.float32)}, 'array "brand_topics" is float32 (3, 3)'),
        ({"brand_topics": np.full((2, 3), np.nan, np.float32)}, "not finite"),
        ({"brand_images": np.array([[{}], [{}]], dtype=object)}, "features.npz: no NPZ file of plain arrays"),
    ],
)
def test_damaged_arrays_are_named(tmp_path, changed, words):
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", **changed), tmp_path / "market")
    assert words in str(caught.value)
    assert not (tmp_path / "market").exists()


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b"x", lambda content: b""])
def test_a_damaged_npz_file_is_named(tmp_path, damage):
    file = source(tmp_path / "source") / "features.npz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"features\.npz"):
        import_folder(tmp_path / "source", tmp_path / "market")


@pytest.mark.parametrize("name", [*TEXTS, "features.npz"])
def test_a_missing_file_is_named(tmp_path, name):
    (source(tmp_path / "source") / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: there is no such file"):
        open_market(MirFeatures2019(path=str(tmp_path / "source")), tmp_path / "cache")


@pytest.mark.realdata
def test_the_real_source(public_data, tmp_path):
    folder = public_data / "mir-instagram-2019-features"
    market = open_market(MirFeatures2019(path=str(folder)), tmp_path)
    accounts, mentions, splits = (market.table(name) for name in ("accounts", "mentions", "splits"))
    kinds = dict(zip(*(accounts["kind"].value_counts().field(i).to_pylist() for i in (0, 1)), strict=True))
    assert kinds == {"brand": 360, "creator": 3_748}  # README
    assert mentions.num_rows == 4_209
    brands = accounts.filter(pc.equal(accounts["kind"], "brand"))["account_id"].to_pylist()
    part = {
        split: set(splits.filter(pc.equal(splits["split"], split))["account_id"].to_pylist())
        for split in ("train", "test")
    }
    assert [len(part[split] & set(brands)) for split in part] == [286, 74]
    assert [len(part[split] - set(brands)) for split in part] == [3_075, 797]
    assert len(part["train"] & part["test"]) == 124
    pairs = list(zip(mentions["brand_id"].to_pylist(), mentions["creator_id"].to_pylist(), strict=True))
    assert sum(brand in part["test"] for brand, _ in pairs) == 824
    for split in ("train", "test"):  # partners are candidates of the brand's own part
        assert all(creator in part[split] for brand, creator in pairs if brand in part[split])

    with np.load(folder / "features.npz", allow_pickle=False) as given:
        test = given["creator_id_test"].tolist()
        np.testing.assert_array_equal(given["creator_topics_test"], market.features("topics_test").values)
        topics, hashtags = market.features("topics"), market.features("hashtags")
        np.testing.assert_array_equal(hashtags.take(hashtags.rows_of(test)), given["creator_hashtags_test"])
        differ = (topics.take(topics.rows_of(test)) != given["creator_topics_test"]).any(axis=1)
        assert differ.sum() == 124
        np.testing.assert_array_equal(market.features("brand_images").values, given["brand_images"])
        np.testing.assert_array_equal(topics.values[:360], given["brand_topics"])
    with (folder / "brands.csv").open(newline="") as file:
        handles = {row["brand_id"]: row["handle"] for row in csv.DictReader(file)}
    named = zip(brands, accounts["name"].drop_null().to_pylist(), strict=True)
    assert {brand.removesuffix("-brand"): name for brand, name in named} == handles
    assert sum(brand.endswith("-brand") for brand in brands) == 4
