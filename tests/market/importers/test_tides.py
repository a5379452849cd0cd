import collections

import numpy as np
import pytest
from small_sources import TIDES, TIDES_YOUTUBE, A, B, Y, rows_of

from micromega.errors import DataError
from micromega.market import Market, open_market
from micromega.market.config import Tides
from micromega.market.importers.tides import feature_columns


def test_small_source_by_hand(tmp_path):
    TIDES.read(TIDES.write(tmp_path / "source"), tmp_path / "market")
    market = Market.load(tmp_path / "market")
    one, two = market.table("accounts").to_pylist()
    names = ("account_id", "platform", "category", "location", "followers", "verified", "hearts", "videos")
    assert [one[name] for name in names] == [A, "tiktok", None, "ZA", 1590, False, 57900, 158]
    assert [two[name] for name in names] == [B, "tiktok", "Sports, Fitness & Outdoors", "MA", 5221, True, 34500, 67]
    assert market.feature_names == ("audio_adv", "audio_emotion", "caption", "faces")
    audio = market.features("audio_adv")  # the file lists B's author id first
    assert (audio.key, audio.ids.to_pylist(), audio.shape) == ("account_id", [B, A], (48,))
    np.testing.assert_array_equal(audio.take(audio.rows_of([A]))[0], 100 + np.arange(48))
    deviations = [place for place, name in enumerate(feature_columns("tiktok")["audio_adv"]) if name.endswith("_std")]
    expected = np.arange(48.0)
    expected[deviations] = 0
    np.testing.assert_array_equal(audio.take(audio.rows_of([B]))[0], expected)
    emotion = market.features("audio_emotion")
    assert (len(emotion), emotion.rows_of([A, B]).tolist()) == (1, [-1, 0])
    assert any(
        'tiktok_audio_adv.csv.gz: column "audio_valence_std" is empty in 1 row (line 2).' in n for n in market.notes
    )


def test_youtube_by_hand(tmp_path):
    market = TIDES_YOUTUBE.read(TIDES_YOUTUBE.write(tmp_path / "source"), tmp_path / "market")
    one, _ = market.table("accounts").to_pylist()
    assert [one[name] for name in ("platform", "location", "followers", "videos")] == [
        "youtube",
        "Africa",
        637000,
        1516,
    ]
    assert market.feature_names == ("audio_adv", "audio_emotion", "caption")
    assert [market.features(name).shape for name in market.feature_names] == [(48,), (4,), (112,)]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("tiktok_influencers", ",1590,", ",-1,", '"followers" holds 1 value that is no count (line 2: -1)'),
        ("tiktok_influencers", ",57900,", ",57.9K,", '"total_likes" holds 1 value that is no count (line 2: 57.9K)'),
        ("tiktok_influencers", "English,False", "English,0", '"verified" holds 1 unknown value (line 2: 0)'),
        ("tiktok_faces", ",100,", ",nan,", '"video_surprise" holds 1 value that is no number (line 3: nan)'),
        ("tiktok_faces", ",100,", ",,", '"video_surprise" holds 1 value that is no number (line 3: )'),
        ("tiktok_audio_emotion", Y, "9" * 12, '"author_id" holds 1 id that is not known (line 2: 999999999999)'),
        (
            "tiktok_caption",
            ",101,",
            ",inf,",
            '"text_CaptionLength_bin_1" holds 1 value that is no number (line 3: inf)',
        ),
    ],
)
def test_bad_cells_are_named(tmp_path, file, old, new, words):
    text = TIDES.files[f"{file}.csv.gz"]
    assert old in text
    folder = TIDES.write(tmp_path / "source", **{file: text.replace(old, new, 1)})
    with pytest.raises(DataError) as caught:
        TIDES.read(folder, tmp_path / "market")
    assert words in str(caught.value)
    assert not (tmp_path / "market").exists()
    if "emotion" not in file:  # whose only row is the bad one
        market = TIDES.read(folder, tmp_path / "market", on_bad_rows="drop")
        assert any(words in note for note in market.notes)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("platform", "accounts", "rows", "empty"),
    [
        ("tiktok", 5_000, {"audio_adv": 4_966, "audio_emotion": 4_966, "caption": 4_700, "faces": 4_951}, (87, 656)),
        ("youtube", 2_554, {"audio_adv": 2_457, "audio_emotion": 2_457, "caption": 771}, (879, 473)),
    ],
)
def test_the_real_source(public_data, tmp_path, platform, accounts, rows, empty):
    folder = public_data / "tides-influencers"
    market = open_market(Tides(path=str(folder), platform=platform), tmp_path)
    # The numbers of the source's README.
    assert market.table("accounts").num_rows == accounts
    assert {name: len(market.features(name)) for name in market.feature_names} == rows
    widths = {"audio_adv": 48, "audio_emotion": 4, "caption": 96 if platform == "tiktok" else 112, "faces": 14}
    people = rows_of(folder / f"{platform}_influencers.csv.gz")
    if platform == "tiktok":
        verified = collections.Counter(market.table("accounts")["verified"].to_pylist())
        assert verified[True] == sum(row["verified"] == "True" for row in people) == 744
        assert accounts - market.table("accounts")["category"].null_count == 612
    # Value by value.
    key = "author_id" if platform == "tiktok" else "creator_id"
    account = {row[key]: row["creator_id"] for row in people}
    missing = []
    for name in rows:
        source = rows_of(folder / f"{platform}_{name}.csv.gz")
        feature, columns = market.features(name), feature_columns(platform)[name]
        assert feature.shape == (widths[name],)
        assert set(columns) | {key} == set(source[0])  # nothing is left out
        assert feature.ids.to_pylist() == [account[row[key]] for row in source]
        cells = [[row[column] for column in columns] for row in source]
        missing.append(sum(cell == "" for row in cells for cell in row))
        expected = np.array([[float(cell or 0) for cell in row] for row in cells], dtype=np.float32)
        np.testing.assert_array_equal(np.asarray(feature.values), expected)
    assert tuple(number for number in missing if number) == empty
