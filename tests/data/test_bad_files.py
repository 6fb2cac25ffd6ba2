"""Data directories with many bad files among the good ones: all are named, or with --skip-bad listed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import datadir, tables
from fas.data.datadir import DataDir
from tests.conftest import ENV, ROOT, run
from tests.data.sounds import RATE, SUBTYPES, TONE, encode


def test_all_bad_files_are_named_or_skipped(small: DataDir, tmp_path: Path, python_path: None) -> None:
    """Sixty files, each third one bad in its own way; nothing stops at the first."""
    data = DataDir("many", {}, {}, {}, {}, ["sad"])
    bad = [
        ("not readable", lambda p: p.write_bytes(b"no audio")),
        ("empty file", lambda p: p.write_bytes(b"")),
        ("no such file", lambda p: p.unlink()),
        ("NaN", lambda p: soundfile.write(p, np.array([0, np.nan]), RATE, subtype="FLOAT")),
        ("bytes of sound", lambda p: p.write_bytes(p.read_bytes()[:1000])),
    ]
    for i in range(60):
        utt = f"s_{i:02d}"
        wav = tmp_path / f"{utt}.wav"
        soundfile.write(wav, TONE, RATE)
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt] = str(wav), "s", "sad", 1.0
        if i % 3 == 0:
            bad[i // 3 % len(bad)][1](wav)
    data.write(tmp_path / "many")
    data.subset(lambda u: int(u[2:]) < 30).write(tmp_path / "many/train")
    command = (sys.executable, "-m", "fas.bin.data", "validate", "--audio")
    done = run(*command, tmp_path / "many")
    assert done.returncode == 1 and all(says in done.stderr for says, _ in bad)
    assert sum(f"'s_{i:02d}'" in done.stderr for i in range(0, 60, 3)) == 20
    done = run(*command, "--skip-bad", tmp_path / "many")
    assert done.returncode == 0 and "20 utterances skipped" in done.stderr, done.stderr
    skipped = tables.read_table(tmp_path / "many/skipped")
    assert list(skipped) == [f"s_{i:02d}" for i in range(0, 60, 3)]
    assert all(bad[i % len(bad)][0] in why for i, why in enumerate(skipped.values()))
    assert len(datadir.read(tmp_path / "many")) == 40 and len(datadir.read(tmp_path / "many/train")) == 20
    assert run(*command, tmp_path / "many").returncode == 0


def good_files(folder: Path) -> list[Path]:
    """A file of each kind that is to be used."""
    made = []

    def tone(name: str, rate: int = RATE, channels: int = 1, gain: float = 1, seconds: float = 1, **how: str) -> None:
        samples = np.clip(gain * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate), -1, 1)
        soundfile.write(folder / name, np.repeat(samples[:, None], channels, 1), rate, **how)
        made.append(folder / name)

    for rate in (8000, 11025, 22050, 24414, 44100, 48000, 96000, 192000):
        tone(f"{rate}.wav", rate)
    for channels in (2, 3, 6, 8):
        tone(f"{channels}.flac", channels=channels)
    for suffix, every in SUBTYPES.items():
        for subtype in every:
            tone(f"{subtype}.{suffix}", subtype=subtype)
    for name, how in {"short": {"seconds": 0.02}, "silent": {"gain": 0}, "clipped": {"gain": 10}}.items():
        tone(f"{name}.wav", **how)
    tone("aiff.wav", format="AIFF")
    soundfile.write(folder / "one.wav", [0.1], RATE)
    for suffix, codec in {"m4a": "aac", "mp4": "aac", "mkv": "flac", "webm": "libopus"}.items():
        encode(folder / f"a.{suffix}", codec, 48000, 2)
    return [*made, folder / "one.wav", *folder.glob("a.*")]


def bad_files(folder: Path) -> dict[Path, str]:
    """A file of each kind that can't be used, beside the good ones, and the reason."""
    for name, source in {"cut.wav": "8000.wav", "cut.flac": "2.flac", "cut.m4a": "a.m4a"}.items():
        (folder / name).write_bytes((folder / source).read_bytes()[:1000])
    (folder / "empty.wav").touch()
    (folder / "words.wav").write_text("no audio")
    for name, samples in {"none": [], "nan": [0, np.nan], "infinite": [0, -np.inf]}.items():
        soundfile.write(folder / f"{name}.wav", np.array(samples), RATE, subtype="FLOAT")
    with soundfile.SoundFile(folder / "hours.flac", "w", 8000, 1) as f:
        for _ in range(3 * 60):
            f.write(np.zeros(60 * 8000, np.int16))
    (folder / "folder.wav").mkdir()
    reasons = {
        "cut.wav": "bytes of sound where", "cut.flac": "decoded", "cut.m4a": "not readable", "empty.wav": "empty",
        "words.wav": "not readable", "none.wav": "no samples", "nan.wav": "NaN",
        "infinite.wav": "infinite", "hours.flac": "lasts 10800 s", "folder.wav": "no such file", "gone.wav": "no such",
    }  # fmt: skip
    return {folder / name: why for name, why in reasons.items()}


@pytest.mark.skipif("FAS_LONG" not in os.environ, reason="ten thousand files take minutes: set FAS_LONG")
def test_extraction_over_ten_thousand_files(tmp_path: Path) -> None:
    """Nothing stops at the first bad one: all are counted, or with --skip-bad listed, and all good ones extracted."""
    (tmp_path / "kinds").mkdir()
    good, bad = good_files(tmp_path / "kinds"), bad_files(tmp_path / "kinds")
    kinds = [*good, *bad]
    data = DataDir("many", {}, {}, {}, {}, ["sad"])
    (tmp_path / "wav").mkdir()
    for i in range(10_000):
        kind, utt = kinds[i % len(kinds)], f"s_{i:05d}"
        wav = tmp_path / "wav" / f"{utt}{kind.suffix}"
        wav.symlink_to(kind)
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt] = str(wav), "s", "sad", 1.0
    wrong = {u: bad[kind] for u, p in data.wav.items() if (kind := Path(p).readlink()) in bad}
    data.write(tmp_path / "data/many")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    options = ("--stop-stage", 1, "--sets", "many", "--ssl-conf", tmp_path / "fbank.yaml")
    done = run("bash", ROOT / "run.sh", *options, cwd=tmp_path, env=ENV)
    assert done.returncode == 1 and f"and {len(wrong) - datadir.MOST_PROBLEMS} problems more" in done.stderr
    assert not (tmp_path / "dump").exists()
    done = run("bash", ROOT / "run.sh", *options, "--skip-bad", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    skipped = tables.read_table(tmp_path / "data/many/skipped")
    assert skipped.keys() == wrong.keys() and all(why in skipped[u] for u, why in wrong.items())
    frames = tables.read_table(tmp_path / "dump/ssl/fbank/many/utt2num_frames")
    assert frames.keys() == data.wav.keys() - wrong.keys() and all(int(n) > 0 for n in frames.values())
    print(f"10,000 files of {len(kinds)} kinds: {len(frames)} extracted, {len(skipped)} skipped")
