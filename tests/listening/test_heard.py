"""What listeners hear: the stretch and the channel of an utterance, filtered where that was asked for."""

import io
import sys
from pathlib import Path

import numpy as np
import soundfile

from fas.data import datadir
from fas.data.segments import Segment
from fas.listening import server
from tests.conftest import free_port, run
from tests.listening.pages import EMOTIONS, ENV, ask, conflict_data, numbers, served


def test_the_filter_hides_words_and_keeps_the_melody() -> None:
    seconds = np.arange(16000) / 16000
    low, high = (0.2 * np.sin(2 * np.pi * f * seconds) for f in (200, 1500))
    heard, rate = soundfile.read(io.BytesIO(server.flac((low + high).astype(np.float32), 400)))
    spectrum = np.abs(np.fft.rfft(heard[800:16800])) / 8000
    assert rate == 16000 and abs(spectrum[200] - 0.2) < 0.01 and spectrum[1500] < 0.0002
    plain, _ = soundfile.read(io.BytesIO(server.flac((3 * low).astype(np.float32), 0)))
    assert abs(np.abs(plain).max() - 0.6) < 0.01


def test_a_listener_hears_the_utterance_and_not_its_recording(tmp_path: Path) -> None:
    """Stretches of one stereo recording, a channel each: 0.5 s of 200 Hz, 1 s of 1500 Hz."""
    seconds = np.arange(8 * 16000) / 16000
    low, high = (0.2 * np.sin(2 * np.pi * f * seconds) for f in (200, 1500))
    soundfile.write(tmp_path / "call.wav", np.stack([low, high], axis=1), 16000)
    data = datadir.DataDir("toy", {}, {}, {}, {}, EMOTIONS)
    for utt, start, end, channel in (("a", 1.0, 1.5, 1), ("b", 6.0, 7.0, 2)):
        data.wav[utt], data.segments[utt] = str(tmp_path / "call.wav"), Segment("call", start, end)
        data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt], data.channel[utt] = utt, "sad", end - start, channel
    data.write(tmp_path / "toy")
    port = free_port()
    with served("annotate", tmp_path / "toy", "--out", tmp_path / "answers", port=port):
        names = {utt: number for number, utt in numbers(tmp_path / "answers", data).items()}
        for utt, length, hertz in (("a", 0.5, 200), ("b", 1.0, 1500)):
            status, content = ask(port, "GET", f"/sound/voice/{names[utt]}")
            heard, rate = soundfile.read(io.BytesIO(content))
            assert status == 200 and len(heard) == length * rate
            assert np.abs(np.fft.rfft(heard)).argmax() / length == hertz


def test_what_listeners_could_not_judge_is_named(tmp_path: Path) -> None:
    data = conflict_data(tmp_path, 4)
    data.text[data.utts[1]] = ""
    data.write(tmp_path / "toy")
    command = (sys.executable, "-m", "fas", "annotate", tmp_path / "toy", "--out", tmp_path / "answers", "--tasks")
    done = run(*command, "words", env=ENV)
    assert done.returncode == 1 and f"utterance {data.utts[1]!r} has no text" in done.stderr
    for name in ("wav.scp", "utt2dur", ".done.json"):
        (tmp_path / "toy" / name).unlink()
    done = run(*command, "voice", env=ENV)
    assert done.returncode == 1 and "texts and no audio to hear" in done.stderr
