"""Where speech is found, how it is cut, and what a recording gives of what is broken in it."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fas.data import audio, espeak, speech, stream
from fas.data.mix import Clip
from fas.data.stream import Recording
from fas.errors import AudioError

RATE = espeak.SAMPLE_RATE
SENTENCES = ("I am so glad that you came to see me.", "Leave me alone, I told you!", "Nobody told me about it.")


@pytest.fixture(scope="module")
def talk() -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Six sentences with pauses of 0.6 to 2 s over faint noise, (samples,) at 22,050 Hz, and when each is said."""
    parts, times, at = [np.zeros(RATE)], [], RATE
    for n, pause in enumerate((0.6, 0.8, 1.0, 1.5, 2.0, 1.0)):
        said = espeak.synthesise(SENTENCES[n % 3], espeak.Settings(("en-us+f2", "en-us+m3")[n % 2])) / 32768
        loud = np.flatnonzero(np.abs(said) > 0.01)
        said = said[loud[0] : loud[-1]]
        times.append((at / RATE, (at + len(said)) / RATE))
        parts += [said, np.zeros(round(pause * RATE))]
        at += len(said) + round(pause * RATE)
    samples = np.concatenate(parts)
    return samples + np.random.default_rng(0).normal(0, 0.002, len(samples)), times


def found(path: Path, channel: int | None = None) -> list[stream.Piece]:
    return list(stream.by_voice(Recording(path, channel)))


def matches(pieces: list[stream.Piece], times: list[tuple[float, float]]) -> bool:
    """Whether each sentence is a piece of its own, with the same times to 0.3 s."""
    return len(pieces) == len(times) and all(
        abs(p.start - a) < 0.3 and abs(p.end - b) < 0.3 for p, (a, b) in zip(pieces, times, strict=True)
    )


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_sentences_are_found_and_are_what_a_clip_of_them_is(
    name: str, talk: tuple[np.ndarray, list[tuple[float, float]]], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / name, talk[0], RATE)
    pieces = found(tmp_path / name)
    assert matches(pieces, talk[1])
    for piece in pieces:
        assert np.array_equal(audio.read(piece.sound), audio.read(Clip(str(tmp_path / name), piece.start, piece.end)))


def test_telephone_and_one_speaker_a_channel(talk: tuple[np.ndarray, list], tmp_path: Path) -> None:
    samples, times = talk
    narrow = samples[: len(samples) // 2 * 2].reshape(-1, 2).mean(1)  # 11,025 Hz
    soundfile.write(tmp_path / "phone.wav", narrow, RATE // 2, "ULAW")
    assert matches(found(tmp_path / "phone.wav"), times)
    sides = np.zeros((len(samples), 2))
    for n, (a, b) in enumerate(times):
        part = slice(round((a - 0.1) * RATE), round((b + 0.1) * RATE))
        sides[part, n % 2] = samples[part]
    soundfile.write(tmp_path / "sides.wav", sides, RATE)
    for channel in (1, 2):
        assert matches(found(tmp_path / "sides.wav", channel), times[channel - 1 :: 2])
    with pytest.raises(AudioError, match="has no channel 3"):
        found(tmp_path / "sides.wav", 3)


def tune(seconds: float) -> np.ndarray:
    """Chords of decaying harmonics, a beat, (samples,) at 22,050 Hz."""
    t = np.arange(RATE // 2) / RATE
    chords = [(262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)]
    beat = np.random.default_rng(1).normal(0, 0.2, len(t)) * np.exp(-40 * t)
    notes = [
        sum(np.sin(2 * np.pi * f * k * t) / k for f in chord for k in (1, 2, 3, 4)) / 20 * np.exp(-2 * t) + beat
        for chord in chords
    ]
    return np.resize(np.concatenate(notes), round(seconds * RATE))


def test_no_speech_where_nobody_speaks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * RATE)
    for name, samples in {"silent": np.zeros(20 * RATE), "noise": noise, "music": tune(60)}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
        assert found(tmp_path / f"{name}.wav") == [], name


def test_speech_without_a_pause_is_divided(talk: tuple[np.ndarray, list[tuple[float, float]]], tmp_path: Path) -> None:
    said = np.concatenate([talk[0][round(a * RATE) : round(b * RATE)] for a, b in talk[1]])
    soundfile.write(tmp_path / "a.wav", np.resize(said, 120 * RATE), RATE)
    pieces = found(tmp_path / "a.wav")
    assert len(pieces) >= 8 and all(1 <= p.end - p.start <= 15 for p in pieces)
    assert sum(p.end - p.start for p in pieces) > 115


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 700), st.integers(1, 90)), max_size=12), st.integers(1, 400))
def test_pieces_are_in_order_and_of_lengths_that_are_promised(runs: list[tuple[int, int]], block: int) -> None:
    """Whatever is spoken, and however the frames come."""
    probabilities = np.concatenate([np.zeros(1), *(np.repeat([0.9, 0.05], run) for run in runs)])
    levels = np.random.default_rng(0).random(len(probabilities))
    cutter, made = speech.Cutter(), []
    for i in range(0, len(probabilities), block):
        oldest = cutter.oldest
        fresh = list(cutter.feed(probabilities[i : i + block], levels[i : i + block]))
        assert all(first >= oldest for first, _ in fresh)
        made += fresh
    made += cutter.finish()
    assert all(a < b <= c < d for (a, b), (c, d) in itertools.pairwise(made))
    assert all(a >= 0 and b <= len(probabilities) and b - a <= speech.LONGEST for a, b in made)
    at = 1
    for spoken, silent in runs:  # no speech is lost but clicks
        if spoken >= speech.BLIP:
            assert any(a <= at and at + min(spoken, speech.BLIP) <= b for a, b in made) or len(made) > 1
        at += spoken + silent


def test_windows_and_listed_stretches(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 5 * RATE), RATE)
    windows = list(stream.by_windows(Recording(path), 2, 0.8))
    assert [round(w.start, 3) for w in windows] == [0, 0.8, 1.6, 2.4, 3.2]
    assert windows[-1].end == 5 and all(len(w.sound.mono) == 2 * RATE for w in windows[:4])
    listed = list(stream.by_times(Recording(path), [(0.5, 4.9, "a"), (1, 2, "b"), (3, 5.3, ""), (4, -1, "")]))
    assert [(p.start, p.end, p.speaker) for p in listed] == [(0.5, 4.9, "a"), (1, 2, "b"), (3, 5, ""), (4, 5, "")]
    for piece in [*windows, *listed]:
        assert np.array_equal(audio.read(piece.sound), audio.read(Clip(str(path), piece.start, piece.end)))
    with pytest.raises(AudioError, match="lasts 5 s, where a stretch from 6 to 7 s is asked for; mend its times"):
        list(stream.by_times(Recording(path), [(1, 2, ""), (6, 7, "")]))


def spoil(path: Path, share: float, size: int = 3000) -> None:
    """Put noise in place of some bytes."""
    content = bytearray(path.read_bytes())
    place = int(share * len(content))
    content[place : place + size] = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a"])
def test_a_broken_stretch_is_told_and_the_rest_goes_on(
    kind: str, talk: tuple[np.ndarray, list[tuple[float, float]]], tmp_path: Path
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "m4a":
        as_aac(path, talk[0].astype(np.float32))
    else:
        soundfile.write(path, talk[0], RATE)
    spoil(path, 0.45)
    recording = Recording(path)
    pieces = list(stream.by_voice(recording))
    assert recording.broken and all(4 < a <= b < 18 for a, b, _ in recording.broken), recording.broken
    assert abs(recording.done - len(talk[0]) / RATE) < 1.5
    near = [t for t in talk[1] if any(abs(p.start - t[0]) < 1 for p in pieces)]
    assert talk[1][0] in near and talk[1][-1] in near


def as_aac(path: Path, samples: np.ndarray) -> None:
    """M4A of a variable rate."""
    with av.open(str(path), "w") as container:
        out = container.add_stream("aac", rate=RATE, layout="mono", options={"global_quality": "2", "flags": "+qscale"})
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate = RATE
        for packet in [*out.encode(frame), *out.encode(None)]:
            container.mux(packet)


def test_variable_m4a_and_a_truncated_mp3(talk: tuple[np.ndarray, list[tuple[float, float]]], tmp_path: Path) -> None:
    as_aac(tmp_path / "a.m4a", talk[0].astype(np.float32))
    recording = Recording(tmp_path / "a.m4a")
    assert matches(list(stream.by_voice(recording)), talk[1]) and recording.broken == []
    soundfile.write(tmp_path / "a.mp3", talk[0], RATE)
    whole = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole[: len(whole) // 2])
    recording = Recording(tmp_path / "a.mp3")
    assert 2 <= len(list(stream.by_voice(recording))) <= 4
    [(start, end, why)] = recording.broken
    assert start == pytest.approx(len(talk[0]) / RATE / 2, abs=2) and end == pytest.approx(len(talk[0]) / RATE, abs=0.2)
    assert "ends after" in why


def test_nan_is_told(talk: tuple[np.ndarray, list[tuple[float, float]]], tmp_path: Path) -> None:
    samples = talk[0].copy()
    samples[3 * RATE : 4 * RATE] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    recording = Recording(tmp_path / "a.wav")
    assert len(list(stream.by_voice(recording))) >= 4
    assert recording.broken == [(3, 4, "NaN or infinite samples")]
