"""Decoding sound, and the ten descriptors, on tones of known pitch."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from micromega.features import acoustics
from micromega.features.audio import AudioExtractor, read_audio
from micromega.features.extractor import MediaError


def described(waveform):
    return dict(zip(acoustics.DESCRIPTORS, acoustics.descriptors(waveform), strict=True))


# Decoding


@pytest.mark.parametrize("hertz", [82.4, 220.0, 440.0, 880.0])
def test_a_tone_keeps_its_pitch_and_level_through_video_and_resampling(make_media, make_tone, hertz):
    path = make_media.video(sound=make_tone(hertz, 3.0, level=0.5))
    waveform = read_audio(path)
    assert len(waveform) == pytest.approx(3.0 * 16_000, rel=0.03)  # AAC pads
    found = described(waveform)
    assert found["pitch_hz"] == pytest.approx(hertz, rel=0.005)
    assert found["level_db"] == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.5)
    assert found["voiced_share"] > 0.9


def test_channels_are_averaged_so_what_they_share_keeps_its_level(make_media, make_tone):
    left = make_tone(440, 1.0, level=0.4)
    same = read_audio(make_media.sound("same.wav", np.stack([left, left], axis=1)))
    opposite = read_audio(make_media.sound("opposite.wav", np.stack([left, -left], axis=1)))
    one = read_audio(make_media.sound("one.wav", left))
    np.testing.assert_allclose(same, one, atol=1e-6)
    assert np.abs(opposite).max() < 1e-6
    assert np.sqrt(np.mean(one**2)) == pytest.approx(0.4 / math.sqrt(2), rel=0.01)


def test_many_channels_and_absurd_levels_are_read(make_media, make_tone):
    """Planes of more than eight channels crash PyAV; damaged headers claim that many."""
    tone = make_tone(440, 0.5, level=0.5)
    many = read_audio(make_media.sound("many.wav", np.repeat(tone[:, None], 19, axis=1)))
    np.testing.assert_allclose(many, read_audio(make_media.sound("one.wav", tone)), atol=1e-6)
    loud = read_audio(make_media.sound("loud.wav", tone * np.float32(1e37)))
    assert np.abs(loud).max() == 1
    assert np.isfinite(acoustics.descriptors(loud)).all()


def test_a_video_without_sound_and_a_picture_have_no_audio(make_media):
    assert read_audio(make_media.video()) is None
    assert read_audio(make_media.picture("a.png", np.zeros((8, 8, 3), np.uint8))) is None
    assert AudioExtractor().open()(make_media.video()) == {}


def test_bad_sound_is_named(make_media, make_tone, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(MediaError, match=r"noise.wav: cannot be decoded"):
        read_audio(tmp_path / "noise.wav")
    sound = make_tone(440, 1.0)
    sound[1000:1100] = np.nan
    with pytest.raises(MediaError, match=r"nan.wav: the sound holds samples that are not finite"):
        read_audio(make_media.sound("nan.wav", sound))
    with pytest.raises(MediaError, match=r"longer than 0.5 s. Raise longest_s"):
        read_audio(make_media.sound("long.wav", make_tone(440, 1.0)), longest_s=0.5)


def test_a_few_bytes_at_one_hertz_are_an_hour_and_refused_before_they_take_its_memory(make_media, monkeypatch):
    path = make_media.folder / "slow.flac"
    pytest.importorskip("soundfile").write(path, np.zeros(9000), 1, subtype="PCM_16")
    monkeypatch.setattr("av.AudioResampler", lambda **_: SimpleNamespace(resample=lambda _: pytest.fail("resampled")))
    with pytest.raises(MediaError, match=r"longer than 600 s. Raise"):
        AudioExtractor().open()(path)


# Descriptors


@pytest.mark.parametrize("hertz", [65.0, 110.0, 261.6, 500.0, 987.8])
@pytest.mark.parametrize("harmonics", [1, 6])
def test_pitch_of_tones_with_and_without_overtones(make_tone, hertz, harmonics):
    found = acoustics.pitches(make_tone(hertz, 1.0, rate=16_000, harmonics=harmonics))
    np.testing.assert_allclose(found, hertz, rtol=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.2, 16_000).astype(np.float32)
    assert np.isnan(acoustics.pitches(noise)).mean() > 0.95
    assert np.isnan(acoustics.pitches(np.zeros(16_000, np.float32))).all()


def test_yin_is_its_definition_written_out(make_tone):
    rng = np.random.default_rng(1)
    sound = make_tone(180, 0.2, rate=16_000, harmonics=4) + rng.normal(0, 0.02, 3200).astype(np.float32)
    frame = sound[512 : 512 + 1024].astype(float)
    lags = 16_000 // 60 + 1
    width = 1024 - lags
    difference = [sum((frame[j] - frame[j + lag]) ** 2 for j in range(width)) for lag in range(lags)]
    normal = [1.0] + [difference[lag] * lag / sum(difference[1 : lag + 1]) for lag in range(1, lags)]
    lag = next(k for k in range(16, lags - 1) if normal[k] < 0.15 and normal[k - 1] >= normal[k] < normal[k + 1])
    a, b, c = difference[lag - 1 : lag + 2]
    assert acoustics.pitches(sound)[1] == pytest.approx(16_000 / (lag + (a - c) / (2 * (a - 2 * b + c))), rel=1e-9)


def test_a_glide_of_an_octave_spreads_as_a_uniform_in_semitones():
    time = np.arange(4 * 16_000) / 16_000
    hertz = 200 * 2 ** (time / 4)
    sound = (0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / 16_000)).astype(np.float32)
    assert described(sound)["pitch_sd_semitones"] == pytest.approx(12 / math.sqrt(12), rel=0.05)


def test_timbre_of_tone_and_noise(make_tone):
    tone = described(make_tone(1000, 2.0, rate=16_000))
    noise = described(np.random.default_rng(0).normal(0, 0.2, 32_000).astype(np.float32))
    assert tone["centroid_hz"] == pytest.approx(1000, rel=0.05)
    assert tone["zero_crossing_rate"] == pytest.approx(2 * 1000 / 16_000, rel=0.02)
    assert noise["centroid_hz"] == pytest.approx(4000, rel=0.05)
    assert noise["bandwidth_hz"] == pytest.approx(8000 / math.sqrt(12), rel=0.05)
    assert noise["zero_crossing_rate"] == pytest.approx(0.5, rel=0.03)
    assert noise["flatness"] > 0.3 > 0.01 > tone["flatness"]


@pytest.mark.parametrize("tempo", [90, 120, 150])
def test_tempo_of_a_click_track_up_to_the_octave(tempo):
    sound = np.zeros(12 * 16_000, np.float32)
    click = np.random.default_rng(0).normal(0, 0.5, 400) * np.exp(-np.arange(400) / 80)
    for start in range(0, len(sound) - 400, round(16_000 * 60 / tempo)):
        sound[start : start + 400] += click.astype(np.float32)
    found = described(sound)["tempo_bpm"]
    assert (
        min(abs(found * factor / tempo - 1) for factor in (0.5, 1, 2)) < 0.05
    )  # which beat is counted is a convention


@pytest.mark.parametrize("samples", [0, 1, 100, 1023, 1024, 2047, 5000])
def test_short_and_silent_tracks_have_finite_descriptors(make_tone, samples):
    assert np.isfinite(acoustics.descriptors(make_tone(440, 1, rate=16_000)[:samples])).all()
    silent = described(np.zeros(samples, np.float32))
    assert silent.pop("level_db") == -80
    assert not any(silent.values())
