"""Kaldi's segments: cut as if the utterances had been files, checked, carried through every change of a directory."""

import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from fas.data import audio, check, clips, datadir, mix
from fas.data.datadir import DataDir
from fas.data.decoders import open_sound
from fas.data.mix import Clip
from fas.data.segments import Segment, places, read
from fas.data.tables import read_table
from fas.errors import AudioError, DataError
from tests.conftest import run

RATE = 44_100
CUTS = {"spk0_a": (0.5, 2.123457), "spk0_b": (3.01, 4.0), "spk1_c": (2.5, 3.7), "spk1_d": (4.25, -1)}


def speechlike(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness changes, (samples,) float32."""
    t = np.arange(round(seconds * rate)) / rate
    return (np.random.default_rng(seed).normal(0, 0.1, len(t)) * (1.2 + np.sin(7 * t))).astype(np.float32)


@pytest.fixture
def recorded(tmp_path: Path) -> DataDir:
    """Four utterances in a recording of 5 s at 44.1 kHz."""
    wav = tmp_path / "call.wav"
    soundfile.write(wav, speechlike(5, RATE), RATE, "PCM_16")
    return directory(wav, tmp_path / "data")


def directory(wav: Path | str, out: Path, cuts: dict[str, tuple[float, float]] = CUTS) -> DataDir:
    """A data directory of stretches of a recording, written to `out`."""
    data = DataDir("toy", {}, {}, {}, {}, ["angry", "sad"])
    for utt, (start, end) in cuts.items():
        data.wav[utt], data.segments[utt] = str(wav), Segment("call", start, end)
        data.utt2spk[utt], data.utt2emo[utt] = utt.partition("_")[0], "sad"
        data.utt2dur[utt] = (5 if end < 0 else end) - start
    data.spk2gender = {"spk0": "f", "spk1": "m"}
    data.write(out)
    return data


def as_opus(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples, 48_000, format="OGG", subtype="OPUS")


def as_aac(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "wav": lambda p, x: soundfile.write(p, x, RATE, "PCM_16"),
    "flac": lambda p, x: soundfile.write(p, x, RATE, "PCM_24"),
    "au": lambda p, x: soundfile.write(p, x, 8_000, "ULAW", format="AU"),
    "ogg": as_opus,
    "mp3": lambda p, x: soundfile.write(p, x, RATE),
    "m4a": as_aac,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_stretch_is_what_a_file_of_it_would_be(kind: str, tmp_path: Path) -> None:
    """To the bit, whichever way the recording has to be read, and in any order."""
    path = tmp_path / f"call.{kind}"
    WRITERS[kind](path, speechlike(5, RATE))
    with open_sound(path) as sound:
        whole, rate = np.concatenate(list(mix.mono_blocks(path, sound, None))), sound.rate
    for start, end in [*reversed(CUTS.values()), *CUTS.values()]:
        alone = tmp_path / "alone.wav"
        last = len(whole) if end < 0 else round(end * rate)
        soundfile.write(alone, whole[round(start * rate) : last], rate, "FLOAT")
        assert np.array_equal(audio.read(Clip(str(path), start, end)), audio.read(alone))


def test_a_recording_is_decoded_once_where_no_seeking_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_aac(tmp_path / "call.m4a", speechlike(5, RATE))
    spool, decoded = clips.Spool(), []
    decode = spool._decode
    monkeypatch.setattr(spool, "_decode", lambda *a: decoded.append(a) or decode(*a))
    monkeypatch.setattr(clips, "SPOOL", spool)
    for start, end in CUTS.values():
        audio.read(Clip(str(tmp_path / "call.m4a"), start, end))
    assert len(decoded) == 1
    (tmp_path / "broken.m4a").write_bytes(b"no sound")
    for _ in range(2):
        with pytest.raises(AudioError, match=r"broken\.m4a: not readable"):
            audio.read(Clip(str(tmp_path / "broken.m4a"), 0, 1))
    assert len(decoded) == 2


def test_a_pipe_is_run_once_for_all_its_stretches(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", speechlike(5, RATE), RATE, "PCM_16")
    pipe = f"echo x >>{tmp_path}/runs; cat {tmp_path}/call.wav |"
    for start, end in CUTS.values():
        through = audio.read(Clip(pipe, start, end), allow_pipes=True)
        assert np.array_equal(through, audio.read(Clip(str(tmp_path / "call.wav"), start, end)))
    assert (tmp_path / "runs").read_text() == "x\n"
    with pytest.raises(AudioError, match="allow-pipes"):
        audio.read(Clip(f"cat {tmp_path}/other.wav |", 0, 1))


def test_the_tables(recorded: DataDir, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert (folder / "wav.scp").read_text() == f"call {tmp_path}/call.wav\n"
    assert (folder / "segments").read_text().splitlines()[0] == "spk0_a call 0.5 2.123457"
    assert (folder / "segments").read_text().splitlines()[3] == "spk1_d call 4.25 -1"
    assert (folder / "spk2gender").read_text() == "spk0 f\nspk1 m\n"
    back = datadir.read(folder)
    assert (back.segments, back.wav, back.spk2gender) == (recorded.segments, recorded.wav, recorded.spk2gender)
    assert back.place("spk0_b") == Clip(f"{tmp_path}/call.wav", 3.01, 4.0)
    assert places(folder) == {u: back.place(u) for u in back.utts}


def test_subsets_parts_and_mixtures_keep_them(recorded: DataDir, small: DataDir, tmp_path: Path) -> None:
    recorded.write(tmp_path / "data")  # over that of `small`
    recorded.subset(lambda u: u.startswith("spk1")).write(tmp_path / "sub")
    assert set(datadir.read(tmp_path / "sub").segments) == {"spk1_c", "spk1_d"}
    assert (tmp_path / "sub/spk2gender").read_text() == "spk1 m\n"
    datadir.write_split(tmp_path / "data", 2)
    parts = [datadir.read(tmp_path / f"data/split2/{n}") for n in (1, 2)]
    assert sorted(u for p in parts for u in p.segments) == sorted(CUTS)
    small.wav = {f"x{u}": w for u, w in small.wav.items()}  # names that are not those of `recorded`
    for name in ("utt2spk", "utt2emo", "utt2dur", "text"):
        setattr(small, name, {f"x{u}": v for u, v in getattr(small, name).items()})
    recorded.text = dict.fromkeys(recorded.wav, "words")
    datadir.combine([recorded, small]).write(tmp_path / "both")
    both = datadir.read(tmp_path / "both")
    assert len(both) == 10 and both.segments["xspk0_0"] == Segment("xspk0_0", 0.0, -1.0)
    for utt in both.utts:
        before = recorded.place(utt) if utt in recorded.wav else small.wav[utt]
        assert np.array_equal(audio.read(both.place(utt)), audio.read(before))


def test_a_changed_time_is_a_changed_set(recorded: DataDir, tmp_path: Path) -> None:
    before = recorded.fingerprint(), recorded.digest()
    recorded.segments["spk0_a"] = Segment("call", 0.5, 2.2)
    assert recorded.fingerprint() != before[0] and recorded.digest() != before[1]


def validate(folder: Path, *options: str) -> list[str]:
    done = run(sys.executable, "-m", "fas", "data", "validate", *options, folder)
    return done.stderr.splitlines() if done.returncode else []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("spk0_a call 2 1", "spk0_a' ends at 1 s, but starts at 2 s"),
        ("spk0_a call -3 1", "starts at -3 s, before its recording"),
        ("spk0_a call 1 nan", "has a time that is no number of seconds"),
        ("spk0_a call one two", "is not: recording, start, end in seconds"),
        ("spk0_a call 1", "is not: recording, start, end in seconds"),
        ("spk0_a tape 1 2", "segments: recording 'tape' is not in wav.scp"),
    ],
)
def test_wrong_lines_are_named(line: str, says: str, recorded: DataDir, tmp_path: Path, python_path: None) -> None:
    table = tmp_path / "data/segments"
    table.write_text(f"{line}\n" + "".join(table.read_text().splitlines(True)[1:]))
    problems = validate(tmp_path / "data")
    assert any(says in problem for problem in problems) and "segments" in problems[0], problems


def test_times_beyond_the_recording(tmp_path: Path, python_path: None, capfd: pytest.CaptureFixture[str]) -> None:
    """A fraction of a second is cut, aloud; more is an error, or left out with --skip-bad."""
    wav = tmp_path / "call.wav"
    soundfile.write(wav, speechlike(5, 16_000), 16_000)
    cuts = {"a_in": (1.0, 2.0), "a_over": (4.0, 5.4), "b_beyond": (4.0, 5.6), "b_behind": (6.0, 7.0)}
    data = directory(wav, tmp_path / "data", cuts)
    assert len(audio.read(data.place("a_over"))) == 16_000
    problems = validate(tmp_path / "data", "--audio")
    assert any("'b_beyond': " in p and "ends at 5.6 s, but the recording lasts 5 s; mend" in p for p in problems)
    assert any("'b_behind': " in p and "starts at 6 s, but the recording lasts 5 s" in p for p in problems)
    assert not any("'a_" in p for p in problems)
    check.check_audio(datadir.read(tmp_path / "data"), skip_bad=True)
    said = capfd.readouterr().err
    assert "1 utterances end up to 0.40 s behind their recordings and are cut there: a_over" in said
    assert datadir.read(tmp_path / "data").utts == ["a_in", "a_over"]
    assert set(read_table(tmp_path / "data/skipped")) == {"b_beyond", "b_behind"}


def test_rttm_textgrid_and_segments_of_other_tools(tmp_path: Path) -> None:
    from praatio import textgrid

    turns = ["SPEAKER call 1 1.50 2.25 <NA> <NA> anna <NA> <NA>", "SPEAKER call 1 0.5 1.0 <NA> <NA> ben <NA> <NA>"]
    (tmp_path / "a.rttm").write_text("\n".join([";; made by hand", *turns, ""]))
    found = read(tmp_path / "a.rttm", "x")
    assert found == [Segment("call", 0.5, 1.5, "ben"), Segment("call", 1.5, 3.75, "anna")]
    grid = textgrid.Textgrid(0, 5)
    grid.addTier(textgrid.IntervalTier("anna", [(0.5, 1.5, "yes"), (2, 3, "no")], 0, 5))
    grid.addTier(textgrid.IntervalTier("ben", [(1, 2, "well")], 0, 5))
    for form in ("long_textgrid", "short_textgrid"):
        grid.save(str(tmp_path / "a.TextGrid"), form, includeBlankSpaces=True)
        assert [(s.start, s.end, s.speaker) for s in read(tmp_path / "a.TextGrid", "x")] == [
            (0.5, 1.5, "anna"), (1, 2, "ben"), (2, 3, "anna"),
        ]  # fmt: skip
    (tmp_path / "segments").write_text("u1 tape 0 1\nu2 call 2 3\n")
    assert read(tmp_path / "segments", "call") == [Segment("call", 2, 3)]
    for text, says in {
        "u1 tape 0 1\nu2 tape2 2 3\n": "names tape, tape2, and none of them is 'call'",
        "SPEAKER call 1 x 2\n": "a:1: is not: SPEAKER file",
        "hello\n": "a:1: is not: utterance, recording, start, end",
        "": "no stretch of speech in it",
    }.items():
        (tmp_path / "a").write_text(text)
        with pytest.raises(DataError, match=says):
            read(tmp_path / "a", "call")
    (tmp_path / "a.TextGrid").write_text("no grid")
    with pytest.raises(DataError, match="not readable as a TextGrid"):
        read(tmp_path / "a.TextGrid", "call")


def test_lhotse_reads_what_is_written_and_writes_what_is_read(recorded: DataDir, tmp_path: Path) -> None:
    from lhotse import kaldi

    recorded.text = dict.fromkeys(recorded.utts, "some words")
    recorded.write(tmp_path / "data")
    recordings, supervisions, _ = kaldi.load_kaldi_data_dir(tmp_path / "data", RATE)
    for s in supervisions:
        segment, speaker = recorded.segments[s.id], recorded.utt2spk[s.id]
        end = 5.0 if segment.end < 0 else segment.end
        assert (s.start, s.end) == pytest.approx((segment.start, end), abs=1 / RATE)
        assert (s.recording_id, s.speaker, s.gender) == ("call", speaker, recorded.spk2gender[speaker])
    kaldi.export_to_kaldi(recordings, supervisions, tmp_path / "lhotse")
    for name in ("corpus", "emotions", "utt2emo"):  # what Kaldi does not know
        (tmp_path / "lhotse" / name).write_bytes((tmp_path / "data" / name).read_bytes())
    back = datadir.read(tmp_path / "lhotse")
    for utt in recorded.utts:
        assert np.array_equal(audio.read(back.place(utt)), audio.read(recorded.place(utt)))
