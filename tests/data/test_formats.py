"""Audio of every format, length and kind of damage, each file made here for real: used, or named and refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import audio
from fas.errors import AudioError
from tests.data.sounds import RATE, SUBTYPES, TONE, encode, is_the_tone


@pytest.mark.parametrize(("suffix", "subtype"), [(f, s) for f, every in SUBTYPES.items() for s in every])
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_and_widths(tmp_path: Path, suffix: str, subtype: str, channels: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.repeat(TONE[:, None], channels, 1), RATE, subtype=subtype)
    assert abs(audio.check(path) - 1) < 0.1
    assert is_the_tone(audio.read(path))


@pytest.mark.parametrize("rate", [8000, 24414, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mp4", "aac"), ("mkv", "flac"), ("webm", "libopus")])
def test_containers(tmp_path: Path, suffix: str, codec: str, rate: int, channels: int) -> None:
    if (rate == 24414 and codec != "flac") or (rate, codec) == (8000, "aac"):
        rate = 44100 if codec == "aac" else 24000  # what these coders know
    path = tmp_path / f"a.{suffix}"
    encode(path, codec, rate, channels)
    assert is_the_tone(audio.read(path), 0.03)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    for i, kind in enumerate(("AIFF", "FLAC", "OGG", "WAV", "MP3")):
        path = tmp_path / f"{i}.{'flac' if kind == 'WAV' else 'wav'}"
        soundfile.write(path, TONE, RATE, format=kind)
        assert is_the_tone(audio.read(path)), kind
    encode(tmp_path / "a.m4a", "aac", RATE, 1)
    (tmp_path / "a.m4a").rename(tmp_path / "b.wav")
    assert is_the_tone(audio.read(tmp_path / "b.wav"), 0.03)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        ([], RATE, "no samples in it; drop"),
        ([0.1], RATE, None),
        ([0.1], 192000, "no sample is left"),
        (TONE[:320], RATE, None),  # 20 ms
        (np.zeros(RATE), RATE, None),
        (np.clip(TONE * 10, -1, 1), RATE, None),
        ([0.1, np.nan, 0.1], RATE, "NaN or infinite"),
        ([0.1, np.inf], RATE, "NaN or infinite"),
        ([0.1, -np.inf], RATE, "NaN or infinite"),
    ],
)
def test_odd_samples(tmp_path: Path, samples: np.ndarray, rate: int, says: str | None) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.asarray(samples, np.float64), rate, subtype="FLOAT")
    if says is None:
        assert len(audio.read(path)) == len(samples)
    else:
        with pytest.raises(AudioError, match=rf"odd\.wav: .*{says}"):
            audio.read(path)


def test_doubles_beyond_float32_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.1, 1e300]), RATE, subtype="DOUBLE")
    with pytest.raises(AudioError, match="infinite"):
        audio.read(tmp_path / "a.wav")


def test_three_hours_are_no_utterance(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as f:
        for _ in range(3 * 60):
            f.write(np.zeros(60 * 8000, np.int16))
    with pytest.raises(AudioError, match=r"long\.flac: lasts 10800 s; cut it"):
        audio.read(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3", "ogg", "w64", "au"])
def test_cut_files_are_refused(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for size in (len(whole) // 2, len(whole) // 10, 50, 1):
        path = tmp_path / f"cut{size}.{suffix}"
        path.write_bytes(whole[:size])
        with pytest.raises(AudioError, match=path.name):
            audio.read(path)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0xFFFFFFFF, None),  # written to a pipe: all that is there is taken
        (0x7FFFFFFF, None),
        (RATE * 2 + 2, "its header says 32002 bytes of sound where 32000 are left"),
        (10**6, "its header says 1000000 bytes of sound where 32000 are left"),
        (0, "no samples in it"),
    ],
)
def test_headers_that_lie(tmp_path: Path, size: int, says: str | None) -> None:
    path = tmp_path / "lie.wav"
    soundfile.write(path, TONE, RATE)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    if says is None:
        assert is_the_tone(audio.read(path))
    else:
        with pytest.raises(AudioError, match=says):
            audio.read(path)
