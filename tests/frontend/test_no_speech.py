"""No words where there is no speech, as openai-whisper's transcribe has none with the same weights."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import whisper

from fas.data import audio, espeak
from fas.data.datadir import DataDir
from fas.frontend import WhisperConf
from fas.frontend.whisper import WhisperFrontend, looping_silence, words

RATE = 16000
LINE = "Please put the blue cup on the kitchen table."


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Silence, hiss, noise, chords and a spoken line, three seconds of each or so."""
    chance, t = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    made = {
        "zeros": np.zeros(3 * RATE),
        "hiss": 3e-4 * chance.normal(size=3 * RATE),
        "noise": 0.05 * chance.normal(size=3 * RATE),
        "hum": 0.1 * np.sign(np.sin(2 * np.pi * 50 * t)),
        "chords": sum(0.1 * np.sin(2 * np.pi * f * t) * np.exp(-3 * (t % 0.5)) for f in (261, 329, 392, 523)),
    }
    folder = tmp_path_factory.mktemp("sounds")
    for name, samples in made.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    spoken = espeak.synthesise(LINE, espeak.Settings(voice="en-us+f2", rate=150))
    soundfile.write(folder / "line.wav", spoken, espeak.SAMPLE_RATE)
    return {p.stem: p for p in folder.iterdir()}


def test_words_are_heard_where_there_is_speech_alone(tiny_en: Path, sounds: dict[str, Path]) -> None:
    frontend = WhisperFrontend(WhisperConf(str(tiny_en), language="en", trim_db=35, rms_dbfs=-25), "cpu")
    seconds = {n: audio.check(p) for n, p in sounds.items()}
    data = DataDir("x", {n: str(p) for n, p in sounds.items()}, dict.fromkeys(sounds, "s"), {}, seconds)
    heard = {}
    for batch in frontend.batches(data):
        heard |= {u: e["text"] for u, e in zip(batch, frontend.encode(batch), strict=True)}
    assert {n for n, text in heard.items() if text} == {"line"}
    assert "blue cup" in heard["line"].lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("zeros", "noise", "line"):
            samples = audio.load(sounds[name], 35, -25)
            peer = whisper.transcribe(frontend.model, samples, temperature=0.0, fp16=False)["text"].strip()
            assert bool(peer) == bool(heard[name]), (name, peer, heard[name])


@pytest.mark.parametrize("name", ["zeros", "line"])
def test_the_judgement_does_not_depend_on_the_batch(tiny_en: Path, sounds: dict[str, Path], name: str) -> None:
    frontend = WhisperFrontend(WhisperConf(str(tiny_en), language="en"), "cpu")
    samples = [audio.read(sounds[n]) for n in (name, "noise", "line")]
    together = frontend._silent(samples, "en")
    assert together == [name == "zeros", True, False]
    assert frontend._silent(samples[:1], "en") == together[:1]


def test_a_minute_of_music_has_no_words(tiny_en: Path, tmp_path: Path) -> None:
    """Beyond 30 s too, where openai-whisper's long form repeats itself at temperature 0, or says a full stop."""
    chance, t = np.random.default_rng(1), np.arange(RATE) / RATE
    tune = np.zeros(62 * RATE, np.float32)
    for half in range(120):
        tone = chance.choice([261.6, 293.7, 329.6, 392, 440, 523.3])
        partials = sum(np.sin(2 * np.pi * tone * h * t) / h for h in (1, 2, 3))
        tune[half * RATE // 2 :][:RATE] += 0.2 * np.exp(-3 * t) * partials
    soundfile.write(tmp_path / "tune.wav", tune[: 60 * RATE], RATE, "FLOAT")
    frontend = WhisperFrontend(WhisperConf(str(tiny_en), language="en"), "cpu")
    [batch] = frontend.batches(DataDir("", {"tune": str(tmp_path / "tune.wav")}, {}, {}, {"tune": 60.0}))
    assert frontend.encode(batch)[0]["text"] == "" and frontend.spoken == {"tune": "en"}
    segment = {"no_speech_prob": 0.77, "compression_ratio": 14.9}
    assert looping_silence(segment) and not looping_silence(segment | {"no_speech_prob": 0.5})
    assert words(" . .") == "" and words(" It  is 5.") == "It is 5."
