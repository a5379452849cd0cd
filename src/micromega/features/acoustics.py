"""Ten acoustic descriptors of a sound track: intensity, pitch, timbre, pace (Tian et al. 2022, Web Appendix E).

The paper speaks of ten standard features and names two (intensity and pitch); these are the ten.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from micromega.errors import MissingExtraError

Floats = NDArray[np.float32]

RATE = 16_000
"""Sampling rate, hertz; sound above 8 kHz is not looked at."""
DESCRIPTORS = (
    "level_db",
    "level_sd_db",
    "pitch_hz",
    "pitch_sd_semitones",
    "voiced_share",
    "centroid_hz",
    "bandwidth_hz",
    "flatness",
    "zero_crossing_rate",
    "tempo_bpm",
)
_FFT, _HOP = 1024, 512
_FLOOR_DB = -80.0
_SILENT_DB = -60.0
_LOWEST_HZ, _HIGHEST_HZ = 60, 1000
_APERIODIC = 0.15
_AT_ONCE = 2048


def descriptors(waveform: Floats) -> Floats:
    """Describe a sound track by ten numbers.

    Args:
        waveform: (N,) mono at 16 kHz in [−1, 1].

    Returns:
        (10,) in the order of `DESCRIPTORS`: level of the whole and its standard deviation over time (dB below full
        scale, −80 at least); median pitch (Hz) and its standard deviation (semitones) where there is one, and the share
        of the sounding time that has one; means over the sounding time of spectral centroid and bandwidth (Hz),
        spectral flatness and zero-crossing rate (per sample), all in librosa's definition; tempo (beats a minute).
        Silence has level −80 and zeros; what has no pitch has pitch 0.
    """
    try:
        import librosa  # noqa: PLC0415  (heavy, and optional)
    except ImportError:
        msg = "Acoustic descriptors need librosa. Install it: pip install 'micromega[features]'."
        raise MissingExtraError(msg) from None
    sound = np.pad(waveform, (0, max(0, 2 * _FFT - len(waveform))))
    levels = _db(librosa.feature.rms(y=sound, frame_length=_FFT, hop_length=_HOP)[0])
    sounding = levels > _SILENT_DB
    if not sounding.any():
        return np.array([_FLOOR_DB, *[0.0] * 9], dtype=np.float32)
    spectrum = np.abs(librosa.stft(sound, n_fft=_FFT, hop_length=_HOP))
    shape = {"S": spectrum, "sr": RATE, "n_fft": _FFT, "hop_length": _HOP}
    centroid = librosa.feature.spectral_centroid(**shape)
    timbre = (
        centroid,
        librosa.feature.spectral_bandwidth(centroid=centroid, **shape),
        librosa.feature.spectral_flatness(S=spectrum),
        librosa.feature.zero_crossing_rate(sound, frame_length=_FFT, hop_length=_HOP),
    )
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=RATE, n_fft=_FFT, hop_length=_HOP)
    strength = librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=RATE)
    tempo = librosa.feature.tempo(onset_envelope=strength, sr=RATE, hop_length=_HOP)[0] if strength.any() else 0.0
    return np.array(
        [
            _db(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))),
            levels.std(),
            *_pitch(sound),
            *(values[0][sounding].mean() for values in timbre),
            tempo,
        ],
        dtype=np.float32,
    )


def pitches(waveform: Floats) -> NDArray[np.float64]:
    """Find the pitch of each moment (YIN; de Cheveigné and Kawahara 2002), from 60 to 1,000 Hz.

    librosa's own YIN says nothing about whether there is a pitch at all, and compiles for half a minute on first use.

    Args:
        waveform: (N,) mono at 16 kHz, N ≥ 1,024.

    Returns:
        (T,) hertz, one every 32 ms; NaN where the sound is silent or has no pitch.
    """
    longest, shortest = RATE // _LOWEST_HZ, RATE // _HIGHEST_HZ
    width = _FFT - longest - 1
    frames = sliding_window_view(waveform, _FFT)[::_HOP]
    pieces = [
        _yin(frames[k : k + _AT_ONCE].astype(np.float64), width, shortest) for k in range(0, len(frames), _AT_ONCE)
    ]
    return np.concatenate(pieces)


def _yin(frames: NDArray[np.float64], width: int, shortest: int) -> NDArray[np.float64]:
    """YIN on frames (T, _FFT): `width` samples are compared with themselves up to _FFT − width later."""
    lags = _FFT - width
    size = 2 * _FFT  # no wrap-around
    spectrum = np.fft.rfft(frames, size) * np.conj(np.fft.rfft(frames[:, :width], size))
    products = np.fft.irfft(spectrum, size)[:, :lags]
    energy = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    energies = energy[:, width : width + lags] - energy[:, :lags]
    difference = np.maximum(energies[:, :1] + energies - 2 * products, 0)
    lag = np.arange(1, lags)
    normal = difference[:, 1:] * lag / np.maximum(np.cumsum(difference[:, 1:], axis=1), 1e-12)
    inner = normal[:, 1:-1]
    dips = (inner < _APERIODIC) & (inner <= normal[:, :-2]) & (inner < normal[:, 2:]) & (lag[1:-1] >= shortest)
    best = dips.argmax(axis=1) + 1
    rows = np.arange(len(frames))
    before, at, after = (difference[:, 1:][rows, best + step] for step in (-1, 0, 1))
    curve = np.maximum(before - 2 * at + after, 1e-12)
    found = RATE / (lag[best] + np.clip((before - after) / (2 * curve), -1, 1))
    loud = _db(np.sqrt(energy[:, -1] / _FFT)) > _SILENT_DB
    return np.where(dips.any(axis=1) & loud, found, np.nan)


def _pitch(sound: Floats) -> tuple[float, float, float]:
    """Median pitch (Hz), its spread (semitones), and the share of the sounding moments that have a pitch."""
    found = pitches(sound)
    voiced = found[~np.isnan(found)]
    if not len(voiced):
        return 0.0, 0.0, 0.0
    loud = _db(np.sqrt(np.mean(np.square(sliding_window_view(sound, _FFT)[::_HOP], dtype=np.float64), axis=1)))
    share = len(voiced) / max(int((loud > _SILENT_DB).sum()), 1)
    return float(np.median(voiced)), float(np.std(12 * np.log2(voiced))), share


def _db(amplitude: ArrayLike) -> NDArray[np.float64]:
    """Level of an amplitude, decibels below full scale, −80 at least."""
    return np.asarray(np.maximum(20 * np.log10(np.maximum(amplitude, 1e-10)), _FLOOR_DB))
