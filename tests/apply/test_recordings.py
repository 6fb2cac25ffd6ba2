"""fas predict on recordings: pieces as they come, every format opened by its own reader, the page in a browser."""

import csv
import dataclasses
import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas import FAS
from fas.apply import formats, recording
from fas.apply.prediction import Emotion, Prediction
from fas.data import audio, espeak
from tests.conftest import run

RATE = espeak.SAMPLE_RATE
SENTENCES = ("I am so glad that you came to see me.", "Leave me alone, I told you!", "Nobody told me about it.")
LABELS = ["angry", "happy", "sad"]


def said(
    start: float, end: float, voice: str, words: str, heard: str, speaker: str = "", p: float | None = None
) -> Prediction:
    sides = {"words": Emotion(words, {}), "voice": Emotion(voice, {})}
    where = {"seconds": end - start, "start": start, "part": True, "speaker": speaker, "conflict_probability": p}
    return Prediction("a b.wav", "a b.wav", voice, dict.fromkeys(LABELS, 1 / 3), heard, **sides, **where)


PIECES = [
    said(0.5, 2.25, "happy", "happy", "so < glad & well", "anna"),
    said(2.75, 5.5, "sad", "happy", 'a "great" day\tindeed', p=0.826),
    said(6, 7, "angry", "angry", ""),
]


def written(name: str) -> str:
    out = io.StringIO()
    lines = formats.FORMATS[name](out, LABELS)
    for piece in PIECES:
        lines.write(piece)
    lines.finish(9.0)
    return out.getvalue()


def test_textgrid_is_read_by_praatio(tmp_path: Path) -> None:
    from praatio import textgrid

    (tmp_path / "a.TextGrid").write_text(written("textgrid"))
    grid = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    assert grid.maxTimestamp == 9
    assert [tuple(e) for e in grid.getTier("emotion").entries] == [
        (0.5, 2.25, "happy"), (2.75, 5.5, "sad"), (6, 7, "angry"),
    ]  # fmt: skip
    assert [tuple(e) for e in grid.getTier("conflict").entries] == [(2.75, 5.5, "conflict")]
    assert [tuple(e) for e in grid.getTier("P(conflict)").entries] == [(2.75, 5.5, "0.83")]
    assert grid.getTier("heard").entries[1].label.split() == ["a", '"great"', "day", "indeed"]


def test_vtt_is_read_by_webvtt(tmp_path: Path) -> None:
    import webvtt

    (tmp_path / "a.vtt").write_text(written("vtt"))
    made = webvtt.read(str(tmp_path / "a.vtt"))
    assert [(c.start, c.end) for c in made] == [
        ("00:00:00.500", "00:00:02.250"), ("00:00:02.750", "00:00:05.500"), ("00:00:06.000", "00:00:07.000"),
    ]  # fmt: skip
    assert "⚡ voice sad, words happy, P 0.83" in made[1].text and "⚡" not in made[0].text
    assert "<c.happy>so &lt; glad &amp; well</c>" in made[0].raw_text and made[0].voice == "anna"
    assert any("::cue(.sad)" in style.text for style in made.styles)


def test_rttm_is_read_by_lhotse_and_audacity_by_mir_eval(tmp_path: Path) -> None:
    import mir_eval
    from lhotse import SupervisionSet

    (tmp_path / "a.rttm").write_text(written("rttm"))
    turns = list(SupervisionSet.from_rttm(tmp_path / "a.rttm"))
    assert [(t.recording_id, t.start, t.duration, t.speaker) for t in turns] == [
        ("a_b", 0.5, 1.75, "happy"), ("a_b", 2.75, 2.75, "sad"), ("a_b", 6, 1, "angry"),
    ]  # fmt: skip
    (tmp_path / "a.txt").write_text(written("audacity"))
    times, labels = mir_eval.io.load_labeled_intervals(str(tmp_path / "a.txt"), delimiter="\t")
    assert times.tolist() == [[0.5, 2.25], [2.75, 5.5], [6, 7]]
    assert labels[1] == 'sad: a "great" day indeed [voice sad, words happy, P 0.83]' and labels[2] == "angry"


def test_lines_have_times() -> None:
    line = written("text").splitlines()[1]
    assert "0:02.8 to 0:05.5: sad 0.33; voice sad, words happy: in conflict (P 0.83), the voice won" in line
    alone = dataclasses.replace(PIECES[1], words=None, voice=None)  # a mixture exported without companions
    assert "sad 0.33; P(conflict) 0.83; heard" in formats.FORMATS["text"](io.StringIO(), LABELS).line(alone)
    rows = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [r["conflict_probability"] for r in rows] == ["", "0.826000", ""]
    assert next((r["start"], r["end"], r["speaker"]) for r in rows) == ("0.500", "2.250", "anna")
    told = [json.loads(line) for line in written("json").splitlines()]
    assert (told[1]["start"], told[1]["end"], told[1]["conflict"], told[1]["winner"]) == (2.75, 5.5, True, "voice")
    assert [t["conflict_probability"] for t in told] == [None, 0.826, None]


def test_a_summary() -> None:
    summary = recording.Summary()
    for piece in PIECES:
        summary.add(piece)
    head, told, longest = summary.lines("a", 9)
    assert head == "a: 0:05.5 in 3 pieces of its 0:09.0: sad 50 %, happy 32 %, angry 18 %"
    assert told == "1 conflicts of tone and words, 0:02.8 in all; the longest:"
    assert longest == "  0:02.8 to 0:05.5: voice sad, words happy, the voice won"
    assert "no speech found in its 1:00.0" in recording.Summary().lines("a", 60)[0]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sentences in some 40 s."""
    parts = [np.zeros(RATE // 2)]
    for n in range(12):
        speech = espeak.synthesise(SENTENCES[n % 3], espeak.Settings(("en-us+f2", "en-us+m3")[n % 2])) / 32768
        parts += [speech, np.zeros(RATE)]
    samples = np.concatenate(parts)
    path = tmp_path_factory.mktemp("call") / "the call.wav"
    soundfile.write(path, samples + np.random.default_rng(0).normal(0, 0.002, len(samples)), RATE)
    return path


def fas(*arguments: object) -> object:
    return run(sys.executable, "-m", "fas", *arguments)


def test_a_call_from_the_shell(exported: tuple[Path, Path], call: Path, tmp_path: Path, python_path: None) -> None:
    """Pieces of 1 to 15 s in order, a summary; its pieces as segments of a file have the same posteriors."""
    options = ["--model", exported[1], "--format", "csv"]
    done = fas("predict", *options, "--page", tmp_path / "call.html", call)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 12 and all(1 <= float(r["end"]) - float(r["start"]) <= 15 for r in rows)
    assert sum("glad" in r["heard"] for r in rows) >= 3
    assert "in 12 pieces of its" in done.stderr and "conflict" in done.stderr
    page = (tmp_path / "call.html").read_text()
    assert "the call.wav" in page and page.count("<li") >= 12 and "data:audio/mpeg;base64," in page
    lines = [f"u{n:02d} call {r['start']} {r['end']}\n" for n, r in enumerate(rows)]
    (tmp_path / "segments").write_text("".join(lines))
    done = fas("predict", *options, "--segments", tmp_path / "segments", call)
    again = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0 and [r["start"] for r in again] == [r["start"] for r in rows]
    assert [r["heard"] for r in again] == [r["heard"] for r in rows]
    for before, after in zip(rows, again, strict=True):
        for emotion in ("angry", "happy", "sad"):
            assert float(after[emotion]) == pytest.approx(float(before[emotion]), abs=2e-3)


def test_in_python(exported: tuple[Path, Path], call: Path) -> None:
    model = FAS.load(exported[1], "cpu")
    timeline = model.predict_recording(call, "fixed:10:10")
    first = next(iter(timeline))
    assert (first.start, first.end, first.part) == (0, 10, True) and len(audio.read(first.place)) == 160_000
    windows = math.ceil(soundfile.info(call).duration / 10)
    assert len(list(timeline)) == windows == timeline.summary.pieces
    assert timeline._repr_html_().startswith("<iframe title=") and "&lt;script" in timeline._repr_html_()


def test_what_can_not_be_done_is_said(
    exported: tuple[Path, Path], call: Path, tmp_path: Path, python_path: None
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(40 * 16_000), 16_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "cut.mp3", soundfile.read(call)[0], RATE)
    whole = (tmp_path / "cut.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    done = fas("predict", "--model", exported[1], tmp_path / "silent.wav", tmp_path / "empty.wav", tmp_path / "cut.mp3")
    assert done.returncode == 1 and "silent.wav: no speech found in its 0:40.0" in done.stderr
    assert "empty.wav: empty file (0 bytes)" in done.stderr
    assert "cut.mp3: broken from 0:" in done.stderr and "; the rest is judged" in done.stderr
    assert 4 <= len(done.stdout.splitlines()) <= 7
    for options, says in {
        ("--segments", "fixed:0:1"): "is not fixed:WINDOW:HOP",
        ("--segments", "nowhere"): "take vad, fixed:WINDOW:HOP, none, or a file that is there",
        ("--format", "vtt", str(tmp_path / "cut.mp3")): "--format vtt is of one recording; name one file",
    }.items():
        done = fas("predict", "--model", exported[1], *options, call)
        assert done.returncode and says in done.stderr
