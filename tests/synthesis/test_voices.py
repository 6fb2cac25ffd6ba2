"""The voices of case_mini: none of the dev or test sets resembles one of training, nor a test voice one of dev."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fas.data import espeak
from fas.synthesis import plan

CONF = Path(__file__).resolve().parents[2] / "local/case_mini/set.yaml"
LINE = "Turn left at the corner and follow the road north."
FRAME, HOP, BANDS = 1024, 441, 30
LEAST = 4.0  # dB and semitones; of training voices many are nearer to each other, and f4 is 1.3 from aunty


def sound(voice: str, rate: int, pitch: float) -> tuple[np.ndarray, float]:
    """Long-term spectrum in dB, less its mean, on 30 bands of equal width in log frequency; median F0 in semitones."""
    samples = espeak.synthesise(LINE, espeak.Settings(voice, rate, pitch=round(50 + 50 * pitch / 12))) / 32768
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * np.hanning(FRAME)
    frames = frames[np.mean(frames**2, 1) > 0.1 * np.mean(frames**2)]
    power = np.abs(np.fft.rfft(frames, 4 * FRAME)) ** 2
    edges = np.geomspace(100, 8000, BANDS + 1) / espeak.SAMPLE_RATE * 4 * FRAME
    bands = np.array([power[:, round(a) : round(b) + 1].mean() for a, b in pairwise(edges)])
    decibels = 10 * np.log10(bands)
    lags = np.arange(espeak.SAMPLE_RATE // 500, espeak.SAMPLE_RATE // 50)
    correlation = np.fft.irfft(power)[:, lags] / (1 - lags / FRAME)
    near = correlation > 0.88 * correlation.max(1, keepdims=True)  # the shortest period, not one of its multiples
    first = np.argmax(near, 1)
    period = [lags[i + np.argmax(row[i : i + 20])] for i, row in zip(first, correlation, strict=True)]
    return decibels - decibels.mean(), float(12 * np.log2(espeak.SAMPLE_RATE / np.median(period)))


def apart(a: tuple[np.ndarray, float], b: tuple[np.ndarray, float]) -> float:
    """Root mean square of the spectra's difference in dB, and the difference in semitones, as one distance."""
    return float(np.hypot(np.sqrt(np.mean((a[0] - b[0]) ** 2)), a[1] - b[1]))


@pytest.fixture(scope="module")
def voices() -> dict[str, dict[str, tuple[np.ndarray, float]]]:
    groups = plan.read_conf(CONF).speakers
    return {g: {name: sound(**entry) for name, entry in group.items()} for g, group in groups.items()}


@pytest.mark.parametrize(("group", "others"), [("test", "train"), ("dev", "train"), ("test", "dev")])
def test_no_voice_resembles_one_of_another_group(voices: dict, group: str, others: str) -> None:
    near = {(a, b): apart(x, y) for a, x in voices[group].items() for b, y in voices[others].items()}
    assert min(near.values()) >= LEAST, min(near, key=near.get)


def test_there_are_enough_of_them(voices: dict) -> None:
    assert [len(voices[g]) for g in ("train", "dev", "test")] == [16, 6, 24]


def test_the_measure_tells_voices_that_resemble_each_other() -> None:
    twins = [("f4", "aunty"), ("steph2", "steph3"), ("klatt6", "adam"), ("m4", "m5")]
    for one, other in twins:
        assert apart(sound(f"en-us+{one}", 165, 0), sound(f"en-us+{other}", 165, 0)) < LEAST
