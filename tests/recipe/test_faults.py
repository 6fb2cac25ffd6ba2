"""What happens to disks, clocks and neighbours: noticed, named, and mended by running again.

Kills at random moments: test_recipe.py, tests/features/test_parts.py; memory: tests/features/test_memory.py; nodes and
schedulers: tests/jobs/test_cluster.py.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fas import stamp
from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.errors import ArkError, ConfError
from fas.features import ark, extract
from fas.frontend import SPMTextConf
from fas.frontend.spm_text import SPMTextFrontend
from fas.frontend.spm_text import train as train_spm
from fas.training import checkpoint, train
from fas.training.dataset import Store
from tests.conftest import ENV, JOBS, ROOT, outputs, recipe, run

INPUTS = {"conf": "x"}
SETTINGS = SPMTextConf(vocab_size=30, dim=8)
root = pytest.mark.skipif(os.getuid() != 0, reason="mounting a file system needs root")


@pytest.fixture
def features(small: DataDir, tmp_path: Path) -> Callable[[], Path]:
    """Token vectors of six transcripts by two jobs: a function that makes what is not whole, and the folder."""
    train_spm(SETTINGS, list(small.text.values()), tmp_path / "model")
    (tmp_path / "conf.yaml").write_text("kind: spm\n")
    out = tmp_path / "out"

    def make() -> Path:
        frontend = SPMTextFrontend(SETTINGS, tmp_path / "model")
        for job, piece in enumerate(datadir.split(small, 2), 1):
            extract.run_job(frontend, SETTINGS, piece, out, job, INPUTS)
        extract.merge(SETTINGS, small, out, 2, INPUTS, tmp_path / "conf.yaml")
        return out

    return make


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def test_a_flipped_byte_of_an_ark_is_found_and_only_its_job_made_again(
    features: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = features()
    whole = {p.name: p.read_bytes() for p in out.glob("feats.*")}
    chance = random.Random(0)
    for number in range(40):
        job = 1 + number % 2
        path = out / f"feats.{job}.ark"
        flip(path, chance.randrange(path.stat().st_size))
        with pytest.raises(ArkError, match=rf"feats\.{job}\.ark: not the bytes that were written; run"):
            Store(out, 5)
        assert not stamp.is_whole(out, INPUTS)
        capsys.readouterr()
        features()
        assert f"job {3 - job} is whole already" in capsys.readouterr().err
        assert {p.name: p.read_bytes() for p in out.glob("feats.*")} == whole
    assert Store(out, 5).dim == 8


def test_a_truncated_ark_is_found_and_only_its_job_made_again(
    features: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = features()
    whole = (out / "feats.2.ark").read_bytes()
    (out / "feats.2.ark").write_bytes(whole[:-3])
    with pytest.raises(ArkError, match=r"feats\.2\.ark: not the bytes"):
        Store(out, 5)
    features()
    (out / "feats.2.ark").write_bytes(whole[:-3])
    assert not stamp.is_whole(out, INPUTS)
    assert "feats.2.ark: not as it was written" in capsys.readouterr().err
    features()
    assert (out / "feats.2.ark").read_bytes() == whole
    assert "job 1 is whole already" in capsys.readouterr().err


def test_any_flipped_byte_of_a_checkpoint_is_found_or_harmless(in_memory: Path) -> None:
    path = in_memory / "best.pt"
    torch.manual_seed(0)
    saved = {"state": {"weight": torch.randn(7, 5), "bias": torch.randn(7)}, "epoch": 3}
    checkpoint.save(path, saved)
    whole = path.read_bytes()
    found = 0
    for place in range(len(whole)):
        stamp.mark_whole(in_memory, INPUTS, ["best.pt"])
        flip(path, place)
        try:
            loaded = checkpoint.load(path)
        except ConfError as e:
            found += 1
            assert "best.pt: not a readable checkpoint" in str(e)
            assert not (in_memory / stamp.DONE).exists(), "the next run trains again"
        else:
            assert loaded["epoch"] == 3
            assert all(torch.equal(loaded["state"][k], v) for k, v in saved["state"].items())
        path.write_bytes(whole)
    assert found > 200


def test_a_torn_checkpoint_to_go_on_from_starts_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "last.pt").write_bytes(b"PK torn")
    state = object.__new__(train.State)
    state.resume(tmp_path / "last.pt", INPUTS)
    assert "last.pt: not a readable checkpoint" in capsys.readouterr().err


def test_a_clock_that_jumps(features: Callable[[], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Files of 2001 and of 2040 beside those of today: no order of times is ever looked at."""
    out = features()
    Store(out, 5)
    for i, path in enumerate(sorted(out.rglob("*"))):
        os.utime(path, (1e9, 1e9) if i % 2 else (2.2e9, 2.2e9))
    whole = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    capsys.readouterr()
    features()
    assert capsys.readouterr().err.count("is whole already") == 2
    Store(out, 5)
    changed = {p.name for p, content in whole.items() if p.read_bytes() != content}
    assert changed <= {stamp.DONE}, "patches name the times of the arks that they are of"


# Disks, mounts and neighbours, on stage 1 of the recipe


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = run("mount", "-t", "tmpfs", "-o", "size=600k", "none", folder)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    yield folder
    run("umount", "-l", folder)


def stage_1(whole: Path, folder: Path) -> list[str]:
    """Its command on the finished run's data, with all outputs below `folder`."""
    own = ("--dumpdir", folder / "dump", "--expdir", folder / "exp")
    return recipe(whole, "--stage", 1, "--stop-stage", 1, *own)


@root
def test_a_full_and_a_read_only_disk(whole: Path, disk: Path) -> None:
    done = run(*stage_1(whole, disk), env=ENV)
    assert done.returncode != 0 and "No space left on device" in done.stderr
    assert "make room and run again" in done.stderr, done.stderr[-2000:]
    assert run("mount", "-o", "remount,size=200m,ro", disk).returncode == 0
    done = run(*stage_1(whole, disk), env=ENV)
    assert done.returncode != 0 and "Read-only file system" in done.stderr
    assert run("mount", "-o", "remount,rw", disk).returncode == 0
    done = run(*stage_1(whole, disk), env=ENV)
    assert done.returncode == 0, done.stderr[-2000:]
    assert outputs(disk / "dump/ssl") == outputs(whole / "dump/ssl")


@root
def test_patches_on_a_full_disk_are_an_error_not_a_bus_error(disk: Path, small: DataDir) -> None:
    with (disk / "feats.1.ark").open("wb") as f:
        frames = np.ones((1000, 200), np.float16)
        lines = {"a": f"{disk / 'feats.1.ark'}:{ark.append(f, 'a', frames)}"}
    tables.write_table(disk / "feats.scp", lines)
    tables.write_table(disk / "utt2num_frames", {"a": "1000"})
    with pytest.raises(OSError, match="No space left"):
        Store(disk, 1)
    assert not [p for p in disk.rglob("*") if p.name.endswith(".aside")]
    run("mount", "-o", "remount,size=10m", disk)
    assert Store(disk, 1).patches.shape == (1000, 200)


LOSES_A_MOUNT = """#!/usr/bin/env bash
set -euo pipefail
run() {{ "{python}" "{root}/utils/run.py" --num-threads 1 "$@"; }}
run JOB=1:1 "${{@:2}}"
mount -t tmpfs none "{wavs}"
run JOB=2:{jobs} "${{@:2}}"
"""


@root
def test_a_lost_input_mount(whole: Path, tmp_path: Path) -> None:
    """In the middle of the stage, when the first job has ended, an empty mount point stands where the audio was."""
    wavs, launcher, out = tmp_path / "wav", tmp_path / "launcher", tmp_path / "out"
    shutil.copytree(whole / "corpora/case_mini/wav", wavs)
    data = datadir.read(whole / "data/case_mini")
    data.wav = {u: str(wavs / Path(p).name) for u, p in data.wav.items()}
    data.write(tmp_path / "data")
    if run("mount", "-t", "tmpfs", "none", wavs).returncode:
        pytest.skip("no tmpfs can be mounted")
    run("umount", wavs)
    launcher.write_text(LOSES_A_MOUNT.format(python=sys.executable, root=ROOT, wavs=wavs, jobs=JOBS))
    launcher.chmod(0o755)
    conf = ("--conf", ROOT / "conf/ssl/whisper_tiny.en_block2.yaml")
    step = (ROOT / "steps/extract_ssl.sh", "--nj", JOBS, *conf)
    try:
        done = run(*step, "--cmd", launcher, tmp_path / "data", out, env=ENV)
        assert done.returncode != 0 and "no such file; put it there" in done.stderr, done.stderr
    finally:
        run("umount", wavs)
    done = run(*step, tmp_path / "data", out, env=ENV)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "job 1 is whole already" in (out / "log/extract.1.log").read_text()
    assert outputs(out) == outputs(whole / "dump/ssl/whisper_tiny.en_block2/case_mini")


def test_two_runs_at_once_on_the_same_folders(whole: Path, tmp_path: Path) -> None:
    command = stage_1(whole, tmp_path)
    both = [subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("waiting for it" in s for s in said) == 1 and sum("nothing to do" in s for s in said) == 1
    assert outputs(tmp_path / "dump/ssl") == outputs(whole / "dump/ssl")


def test_two_steps_at_once_on_the_same_folders(features: Callable[[], Path], small: DataDir, tmp_path: Path) -> None:
    """Steps called by hand have no run's lock: their jobs and their merge wait for each other."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        folders = [f.result() for f in [pool.submit(features) for _ in range(4)]]
    assert stamp.is_whole(folders[0], INPUTS)
    assert len(tables.read_table(folders[0] / "feats.scp")) == len(small)
    assert [p for p in folders[0].rglob(".*") if p.name.endswith((".part", ".aside")) or "journal" in p.name] == []
