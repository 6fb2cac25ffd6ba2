"""The embedded recipe, cut small, through all stages: its table, its second run, kills, and wrong input."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, run

ENV = os.environ | {"FAS_PYTHON": sys.executable}
UTTS = "56"


def recipe(folder: Path, *arguments: object) -> list[str]:
    """The command of egs/case with all outputs below `folder`."""
    confs = []
    for system in ("words", "voice", "fas"):
        text = (ROOT / "egs/case/conf" / f"{system}.yaml").read_text()
        confs.append(folder.parent / f"{system}.yaml")
        lines = [line if not line.startswith("epochs:") else "epochs: 4" for line in text.splitlines()]
        confs[-1].write_text("\n".join(lines) + "\n")
    folders = {"corpora": "corpora", "datadir": "data", "dumpdir": "dump", "expdir": "exp"}
    options = [x for k, v in folders.items() for x in (f"--{k}", folder / v)]
    systems = " ".join(map(str, confs))
    command = ["bash", ROOT / "egs/case/run.sh", "--utts", UTTS, "--seeds", "1 2", "--fas-conf", systems, *options]
    return [str(c) for c in [*command, *arguments]]


def outputs(folder: Path) -> dict[str, bytes]:
    """What must not differ between runs: audio, arks, transcripts, weights, hypotheses."""
    wanted = ("*.ark", "text", "tokens", "hyp", "evidence.jsonl", "best.pt", "*.wav", "utt2num_frames")
    return {str(p.relative_to(folder)): p.read_bytes() for w in wanted for p in folder.rglob(w) if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("recipe") / "run"
    done = run(*recipe(folder), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_table(whole: Path) -> None:
    table = (whole / "exp/RESULTS.md").read_text()
    sections = {part.split(" (")[0].strip(): part for part in table.split("## ")[1:]}
    for name in ("case_mini-test_congruent", "case_mini-test_conflict"):
        rows = [line.split("|")[1].strip() for line in sections[name].splitlines() if line.startswith("|")]
        assert rows[2:] == ["words", "voice", "fas"]
    conflict = table.split("## case_mini: tone against words")[1]
    assert "semantic capture" in conflict and "Attention of fas, congruent: acoustic" in conflict
    assert "Tokens that fas attends to most" in conflict
    assert {"capture-case_mini.png", "attention-case_mini.png"} <= {p.name for p in (whole / "exp").iterdir()}
    assert len(list(whole.rglob("confusion.png"))) == 3 * 2 * 2
    assert (whole / "exp/results.png").stat().st_size > 5000


def test_a_second_run_finds_everything_whole(whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.suffix in (".ark", ".pt", ".wav")}
    started = time.time()
    done = run(*recipe(whole), env=ENV)
    assert done.returncode == 0 and time.time() - started < 60
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert done.stderr.count("nothing to do") >= 6


def test_killed_at_random_moments_ends_the_same(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    chance = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            recipe(folder), env=ENV, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(1, 25))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = run(*recipe(folder), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    made, expected = outputs(folder), outputs(whole)
    assert made.keys() == expected.keys()
    assert [k for k in made if made[k] != expected[k]] == []
    leftovers = [p for p in folder.rglob("*") if p.name.endswith((".part", ".aside")) or p.name.startswith(".journal")]
    assert leftovers == []


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
