"""The embedded recipe, cut small, through all stages: its table, its second run, kills, and wrong input."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import datadir
from fas.data.segments import Segment
from tests.conftest import ENV, outputs, processor_time, recipe, run

ROUNDS = int(os.environ.get("FAS_KILL_ROUNDS", 7))


def test_the_table(whole: Path) -> None:
    table = (whole / "exp/RESULTS.md").read_text()
    sections = {part.split(" (")[0].strip(): part for part in table.split("## ")[1:]}
    for name in ("case_mini-test_congruent", "case_mini-test_conflict"):
        rows = [line.split("|")[1].strip() for line in sections[name].splitlines() if line.startswith("|")]
        assert rows[2:] == ["words", "voice", "fas", "oracle", "*chance*"]
    conflict = table.split("## case_mini: tone against words")[1]
    assert "semantic capture" in conflict and "Attention of fas, congruent: acoustic" in conflict
    assert "Tokens that fas attends to most" in conflict
    assert "| words + voice |" in table.split("## case_mini: P(conflict)")[1]
    pictures = {"capture-case_mini.png", "attention-case_mini.png", "roc-case_mini.png"}
    assert pictures <= {p.name for p in (whole / "exp").iterdir()}
    assert len(list(whole.rglob("confusion.png"))) == 3 * 2 * 2
    assert (whole / "exp/results.png").stat().st_size > 5000
    page = (whole / "exp/report.html").read_text()
    assert "alone wrong</h3>" in page or "alone right</h3>" in page
    assert "Macro" not in page  # a macro's name in the place of a variable


def test_a_second_run_finds_everything_whole(whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.suffix in (".ark", ".pt", ".wav")}
    started = processor_time()
    done = run(*recipe(whole), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    assert processor_time() - started < 0.5 * float((whole / "seconds").read_text())
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert done.stderr.count("nothing to do") >= 6


def test_utterances_of_recordings_end_the_same(whole: Path, tmp_path: Path) -> None:
    """Each speaker's files joined to one recording, with `segments`: stages 1 to 6, byte for byte."""
    folder, cuts = tmp_path / "run", {}
    tapes: dict[str, list[np.ndarray]] = {}
    everything = datadir.read(whole / "data/case_mini")
    for utt, wav in everything.wav.items():
        samples, rate = soundfile.read(wav, dtype="int16")
        tape = tapes.setdefault(everything.utt2spk[utt], [])
        tape.append(np.full(rate // 3, 99, np.int16))
        start = sum(map(len, tape))
        tape.append(samples)
        cuts[utt] = Segment(f"tape-{everything.utt2spk[utt]}", start / rate, (start + len(samples)) / rate)
    for speaker, parts in tapes.items():
        soundfile.write(tmp_path / f"tape-{speaker}.flac", np.concatenate(parts), rate)
    for made in (whole / "data").rglob("wav.scp"):
        data = datadir.read(made.parent)
        data.segments = {utt: cuts[utt] for utt in data.utts}
        data.wav = {utt: str(tmp_path / f"{cuts[utt].recording}.flac") for utt in data.utts}
        data.write(folder / made.parent.relative_to(whole))
    done = run(*recipe(folder, "--stage", 1, "--seeds", 1, "--fas-conf", tmp_path / "fas.yaml"), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    expected, found = outputs(whole), outputs(folder)
    for name in (name for name in expected if name.startswith(("dump/", "exp/fas-")) and "/seed2/" not in name):
        assert found[name] == expected[name], name
    assert sum(name.endswith(".ark") for name in found) >= 4


@pytest.mark.timeout(600 * ROUNDS)
def test_killed_at_random_moments_ends_the_same(whole: Path, tmp_path: Path) -> None:
    """A round: a stage, each in turn, is killed with all its processes and run again. FAS_KILL_ROUNDS: their number."""
    systems = str(tmp_path / "fas.yaml")
    took = dict(re.findall(r"stage (\d) done in (\d+) s", (whole / "log").read_text()))
    chance = random.Random(int(os.environ.get("FAS_KILL_SEED", 0)))
    killed = 0
    for number in range(ROUNDS):
        stage, folder = number % 7, tmp_path / f"run{number // 7}"
        command = recipe(folder, "--seeds", 1, "--fas-conf", systems, "--stage", stage, "--stop-stage", stage)
        process = subprocess.Popen(
            command, env=ENV, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(0.2, max(2, float(took[str(stage)]))))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        started = time.monotonic()
        done = run(*command, env=ENV)
        took[str(stage)] = str(time.monotonic() - started)
        assert done.returncode == 0, f"round {number}, stage {stage}: {done.stderr[-3000:]}"
        if stage == 6 or number == ROUNDS - 1:
            made, expected = outputs(folder), outputs(whole)
            assert made.keys() <= expected.keys()
            assert stage < 6 or {k for k in expected if k.startswith("exp/fas-") and "/seed1/" in k} <= made.keys()
            assert [k for k in made if made[k] != expected[k]] == []
            assert [p for p in folder.rglob(".*") if p.name.endswith((".part", ".aside")) or "journal" in p.name] == []
            print(f"rounds {number + 1}, killed {killed}, {len(made)} files equal", flush=True)
            if stage == 6:
                shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("stage", "says"), [(1, "stage 0"), (2, "stage 0"), (3, "stage 2"), (4, "stage 0"), (5, "stage 4"), (6, "stages 4")]
)
def test_a_stage_says_what_is_missing(tmp_path: Path, stage: int, says: str) -> None:
    done = run(*recipe(tmp_path / "run", "--stage", stage, "--stop-stage", stage), env=ENV)
    assert done.returncode != 0 and says in done.stderr, done.stderr


def test_wrong_audio_stops_stage_0_with_every_name(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run(*recipe(folder, "--stop-stage", 0), env=ENV).returncode == 0
    wavs = sorted((folder / "corpora/case_mini/wav").glob("*.wav"))
    wavs[0].unlink()
    wavs[1].write_bytes(b"")
    wavs[2].write_bytes(b"not audio")
    before = (folder / "data/case_mini/wav.scp").read_bytes()
    done = run(*recipe(folder), env=ENV)
    assert done.returncode != 0
    for wav, says in zip(wavs, ("no such file", "empty file", "not readable"), strict=False):
        assert wav.name in done.stderr and says in done.stderr
    assert (folder / "data/case_mini/wav.scp").read_bytes() == before
    assert not (folder / "dump").exists()
    assert run(*recipe(folder, "--stop-stage", 0, "--skip-bad", "true"), env=ENV).returncode == 0
    dropped = (folder / "data/case_mini/dropped").read_text().splitlines()
    assert [line.split()[0] for line in dropped] == [wav.stem for wav in wavs[:3]]
    assert len((folder / "data/case_mini/wav.scp").read_bytes().splitlines()) == len(wavs) - 3
