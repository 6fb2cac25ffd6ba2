"""Audio of any rate, width and channel count."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import audio
from fas.errors import AudioError
from tests.data.sounds import video


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24414, 44100, 48000, 192000])
@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")]
)
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_a_tone_stays_a_tone(tmp_path: Path, rate: int, suffix: str, subtype: str, channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.repeat(tone[:, None], channels, 1), rate, subtype=subtype)
    samples = audio.read(path)
    assert samples.dtype == np.float32 and abs(len(samples) - 16000) <= 1
    spectrum = np.abs(np.fft.rfft(samples[:16000] * np.hanning(len(samples[:16000]))))
    assert spectrum.argmax() in (439, 440, 441)
    assert abs(np.sqrt(np.mean(samples**2)) - 0.5 / np.sqrt(2)) < 0.01


def test_truncated_and_unsound_audio_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "a.flac"
    soundfile.write(whole, np.random.default_rng(0).normal(0, 0.1, 32000), 16000)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[:20000])
    with pytest.raises(AudioError, match=r"cut\.flac"):
        audio.read(cut)
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.0, np.nan, 0.1]), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        audio.read(nan)
    none = tmp_path / "none.wav"
    soundfile.write(none, np.zeros(0), 16000)
    with pytest.raises(AudioError, match="no samples"):
        audio.read(none)


def test_trim_cuts_silence_and_keeps_speech() -> None:
    speech = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    padded = np.concatenate([np.zeros(16000, np.float32), speech, np.zeros(8000, np.float32)])
    trimmed = audio.trim(padded, 35)
    assert 16000 + 2 * 1600 - 640 <= len(trimmed) <= 16000 + 2 * 1600 + 640
    assert np.isin(speech[:100], trimmed).all()
    assert len(audio.trim(np.zeros(5000, np.float32), 35)) == 5000
    assert len(audio.trim(np.zeros(10, np.float32), 35)) == 10


def test_level() -> None:
    levelled = audio.level(np.full(100, 0.001, np.float32), -20)
    assert np.allclose(levelled, 0.1, atol=1e-4)
    assert not audio.level(np.zeros(5, np.float32), -20).any()


def test_video_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video(tmp_path / "a.mp4", 1.0)
    samples = audio.read(tmp_path / "a.mp4")
    assert abs(audio.check(tmp_path / "a.mp4") - 1) < 0.05 and abs(len(samples) - 16000) < 800
    assert np.abs(np.fft.rfft(samples[:16000])).argmax() in (439, 440, 441)
    # dialogue of a film is in the front centre, channel 2 of 5.1; averaging would bury it
    video(tmp_path / "film.mp4", 1.0, layout="5.1", loud=2)
    assert audio.read(tmp_path / "film.mp4").std() > 0.8 * samples.std()
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("cut", "text"):
        with pytest.raises(AudioError, match=rf"{name}\.mp4: not readable"):
            audio.check(tmp_path / f"{name}.mp4")
    monkeypatch.setattr(audio, "LONGEST", 0.5)
    with pytest.raises(AudioError, match=r"a\.mp4: lasts 1.* s; cut it"):
        audio.read(tmp_path / "a.mp4")
