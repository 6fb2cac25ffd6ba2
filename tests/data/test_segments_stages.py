"""Data directories with segments through stage 0, utils/fix_data_dir.sh and the encoders."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import datadir, espeak, mend
from fas.data.datadir import DataDir
from fas.data.segments import Segment
from fas.data.tables import read_table
from fas.features import extract
from fas.frontend import WhisperConf
from fas.frontend.whisper import WhisperFrontend
from tests.conftest import ROOT, run

SENTENCES = ("I am so glad that you came.", "Leave me alone!", "Nobody told me about it.")


def directory(out: Path, wavs: dict[str, Path], cuts: dict[str, Segment], seconds: dict[str, float]) -> DataDir:
    data = DataDir("toy", {}, {}, {}, {}, ["sad"])
    for utt, wav in wavs.items():
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt] = str(wav), "s", "sad", seconds[utt]
    data.segments = cuts
    data.write(out)
    return datadir.read(out)


def test_arks_are_those_of_the_same_utterances_cut_to_files(tmp_path: Path, tiny_en: Path) -> None:
    """At 22,050 Hz, so that cutting before and after resampling would not be the same; words too."""
    rate, at, parts = espeak.SAMPLE_RATE, 0, []
    cuts, whole, files, seconds = {}, {}, {}, {}
    for n, sentence in enumerate(SENTENCES):
        speech = espeak.synthesise(sentence, espeak.Settings("en-us+f2"))
        utt = f"s_{n}"
        start, end = round(at / rate + 0.1, 4), round((at + len(speech)) / rate, 4)
        cuts[utt], seconds[utt] = Segment("tape", start, end), end - start
        whole[utt], files[utt] = tmp_path / "tape.flac", tmp_path / f"{utt}.wav"
        parts += [speech, np.zeros(rate // 2, np.int16)]
        at += len(speech) + rate // 2
    tape = np.concatenate(parts)
    soundfile.write(tmp_path / "tape.flac", tape, rate)
    for utt, cut in cuts.items():
        soundfile.write(files[utt], tape[round(cut.start * rate) : round(cut.end * rate)], rate)
    settings = WhisperConf(str(tiny_en), {"last": -1, "early": 2}, language="en")
    frontend = WhisperFrontend(settings, "cpu")
    for name, wavs, segments in (("cut", whole, cuts), ("files", files, {})):
        data = directory(tmp_path / name, wavs, segments, seconds)
        extract.run_job(frontend, settings, data, tmp_path / f"dump-{name}", 1, {})
    made = {p.relative_to(tmp_path / "dump-files") for p in (tmp_path / "dump-files").rglob("*.ark")}
    assert len(made) == 2
    for path in [*made, "text.1"]:
        assert (tmp_path / "dump-cut" / path).read_bytes() == (tmp_path / "dump-files" / path).read_bytes()
    assert "alone" in (tmp_path / "dump-cut/text.1").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of two recordings, three utterances, no utt2dur."""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.ones(48_000) / 9, 16_000)
    wavs = {"u1": tmp_path / "a.wav", "u2": tmp_path / "a.wav", "u3": tmp_path / "b.wav"}
    cuts = {"u1": Segment("a", 0, 1), "u2": Segment("a", 1.5, 2.25), "u3": Segment("b", 1, -1)}
    data = directory(tmp_path / "data", wavs, cuts, {"u1": 1, "u2": 0.75, "u3": 2})
    data.spk2gender = {"s": "f"}
    data.write(tmp_path / "data")
    (tmp_path / "data/utt2dur").unlink()
    return tmp_path / "data"


def test_durations_are_made_from_segments(folder: Path) -> None:
    assert datadir.read(folder).utt2dur == {"u1": 1.0, "u2": 0.75, "u3": 2.0}
    assert (folder / "utt2dur").read_text() == "u1 1\nu2 0.75\nu3 2\n"


def test_fix_keeps_the_recordings_of_what_it_keeps(folder: Path) -> None:
    (folder / "utt2emo").write_text("u2 sad\nu1 sad\n")
    (folder / "wav.scp").write_text("c nowhere.wav\n" + (folder / "wav.scp").read_text())
    mend.fix(folder)
    assert set(read_table(folder / "wav.scp")) == {"a"}
    assert datadir.read(folder).utts == ["u1", "u2"] and (folder / "spk2gender").read_text() == "s f\n"
    assert (folder / "unfixed").read_text() == "u3 is not in utt2emo\n"


def test_whole_dialogues_of_iemocap(tmp_path: Path, python_path: None) -> None:
    """A session without sentences is cut out of its dialogues, by the label files' times."""
    for n in range(1, 6):
        session = tmp_path / f"corpora/iemocap/Session{n}"
        for below in ("dialog/EmoEvaluation", "dialog/transcriptions", "dialog/wav"):
            (session / below).mkdir(parents=True)
        name = f"Ses0{n}F_impro01"
        lines = [f"[{a} - {b}]\t{name}_{u}\t{e}\t[2.5, 2.5, 2.5]\n" for a, b, u, e in (
            ("0.2901", "1.2357", "F000", "neu"), ("1.5000", "2.3925", "M000", "exc"), ("2.4", "2.9", "M001", "xxx"),
        )]  # fmt: skip
        (session / f"dialog/EmoEvaluation/{name}.txt").write_text("".join(lines))
        (session / f"dialog/transcriptions/{name}.txt").write_text(f"{name}_F000 [000.2901-001.2357]: Excuse me.\n")
        soundfile.write(session / f"dialog/wav/{name}.wav", np.ones((48_000, 2)) / 9, 16_000)
    done = run(sys.executable, ROOT / "local/iemocap.py", tmp_path / "corpora", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    data = datadir.read(tmp_path / "data/iemocap")
    assert len(data) == 10 and len(read_table(tmp_path / "data/iemocap/wav.scp")) == 5
    assert data.segments["iemocapSes01M-Ses01F_impro01_M000"] == Segment("iemocap-Ses01F_impro01", 1.5, 2.3925)
    assert data.spk2gender["iemocapSes01M"] == "m"
    assert len(datadir.read(tmp_path / "data/iemocap/fold1/test").segments) == 2
