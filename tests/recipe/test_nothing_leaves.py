"""Nothing leaves the machine unasked, and nothing is written but to the folders named and the cache, by strace."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from fas.__main__ import PROGRAMS
from fas.data import datadir
from fas.frontend import fetch
from tests.conftest import ENV, ROOT, free_port
from tests.listening.test_agree import judged

WRITES = re.compile(r'(?:openat|open|creat|mkdir|mkdirat|rename\w*|link\w*|symlink\w*)\((?:AT_FDCWD, )?"([^"]+)"(.*)')


@pytest.fixture(scope="module")
def strace() -> str:
    """The program, by apt where it is not there."""
    if not shutil.which("strace") and shutil.which("apt-get") and os.getuid() == 0:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "strace"]):
            subprocess.run(["apt-get", "-qq", *command], env=quiet, capture_output=True, check=False)
    found = shutil.which("strace")
    if not found or subprocess.run([found, "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace can't be had here")
    return found


def traced(
    strace: str, command: list[object], folder: Path, named: Path | None = None, seconds: float | None = None
) -> list[str]:
    """Run it with a fresh home -> calls to other machines, and to write outside of `folder`, `named` and the cache."""
    log = folder / "strace.log"
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    cache = fetch.cache()
    environment = {k: v for k, v in ENV.items() if not k.startswith(("ORT_", "HF_", "MPL", "XDG_", "DO_NOT"))} | {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "FAS_CACHE": str(cache), "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    calls = "connect,sendto,sendmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,symlink"
    whole = [strace, "-f", "-qq", "-s", "300", "-e", f"trace={calls}", "-o", log, *command]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    running = subprocess.Popen(
        [str(c) for c in whole], env=environment, cwd=folder, text=True, start_new_session=True, **pipes
    )
    if seconds:  # a server
        time.sleep(seconds)
        os.killpg(running.pid, signal.SIGTERM)
    said = running.communicate(timeout=600)[0]
    assert seconds or running.returncode in (0, 3), said[-2000:]
    lines = log.read_text(errors="replace").splitlines()
    found = [line for line in lines if "AF_INET" in line]  # attempts, whatever became of them
    for line in lines:
        match = WRITES.search(line)
        if not match or " = -1 " in line:
            continue
        wants = "open" not in line.split("(")[0] or re.search(r"O_WRONLY|O_RDWR|O_CREAT", match[2])
        path = os.path.normpath(folder / match[1])
        fine = (str(folder), str(named or folder), str(cache), "/dev/", "/proc/")
        if wants and (not path.startswith(fine) or path.startswith(f"{folder}/home")):
            found.append(line)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str, strace: str, exported: tuple[Path, Path], tmp_path: Path) -> None:
    whole, model = exported
    data, encoders = whole / "data/case_mini", "whisper_tiny.en_block2-tiny.en-minilm"
    feats = [f"--feats={k}={whole}/dump/{k}/{f}" for k, f in (
        ("ssl", "whisper_tiny.en_block2"), ("whisper", "tiny.en"), ("text", "minilm-tiny.en"))]  # fmt: skip
    wav = next(iter(datadir.read(data).wav.values()))
    shutil.copytree(whole / f"exp/voice-{encoders}", tmp_path / "trained")
    seed, (conf,) = tmp_path / "trained/seed1", [whole.parent / "voice.yaml"]
    arguments = {
        "predict": ["--model", model, wav],
        "demo": ["--model", model, "--port", free_port()],
        "export": ["--model", seed, "--out", tmp_path / "out"],
        "data": ["validate", data],
        "extract": ["whisper", "check", "--conf", ROOT / "conf/whisper/tiny.en.yaml", "--data", data, "--out", "out"],
        "train": ["--conf", conf, *feats, "--train", data / "train", "--dev", data / "dev", "--seeds", "7", "--out",
                  "exp", "--job", "1"],
        "score": [*feats, "--seeds", "1", "--model", tmp_path / "trained", "--job", "1", data / "test_conflict"],
        "report": ["--out", "out", "--datadir", whole / "data", "--model", tmp_path / "trained", "--systems", "voice",
                   "--seeds", "1", *feats],
        "grid": ["--base", conf, "--out", "out", "q:queries=1,2"],
        "adapt": ["--model", model, "--out", "adapted", data],
    } | listeners(tmp_path)  # fmt: skip
    shutil.rmtree(seed / "score/case_mini-test_conflict") if name == "score" else None
    command = [sys.executable, "-m", "fas", name, *arguments[name]]
    seconds = 25 if name in ("demo", "annotate", "record") else None
    assert traced(strace, command, tmp_path, whole.parent, seconds) == []
    made = {"adapt": "adapted/model.safetensors", "agree": "answers/AGREEMENT.md", "annotate": "new/answers.sqlite"}
    assert name not in made or (tmp_path / made[name]).exists()


def listeners(folder: Path) -> dict[str, list[object]]:
    """The programs of making a conflict set: a set to judge, its answers, lines to record."""
    _, answers = judged(folder)
    (folder / "lines.tsv").write_text("sem\ttext\tscenario\nsad\tI lost it all.\tAt the door.\n")
    (folder / "set.yaml").write_text(yaml.safe_dump({
        "name": "ours", "title": "our voices", "who": "Two of us.", "terms": "Ours.", "language": "en",
        "lines": "lines.tsv", "emotions": {"angry": {}, "sad": {}}, "speakers": {"all": {"anna": {}}},
        "plan": {"test": {"voices": "all", "conflict": 1}}, "synthesiser": "people",
    }))  # fmt: skip
    return {
        "annotate": [folder / "toy", "--out", "new", "--tasks", "both", "--port", free_port()],
        "agree": [answers],
        "record": ["--conf", "set.yaml", "corpora", "--port", free_port()],
    }


def test_the_end_of_a_recipe(strace: str, whole: Path, tmp_path: Path) -> None:
    """The encoders and the export from a recipe's shell scripts, which look after the environment too."""
    data = datadir.read(whole / "data/case_mini")
    data.take(data.utts[:2]).write(tmp_path / "two")
    step = ["bash", ROOT / "steps/transcribe.sh", "--nj", "1", "--conf", ROOT / "conf/whisper/tiny.en.yaml"]
    assert traced(strace, [*step, tmp_path / "two", tmp_path / "dump"], tmp_path) == []
    assert (tmp_path / "dump/text").exists()


def test_the_trace_sees_what_leaves(strace: str, tmp_path: Path) -> None:
    code = "import socket, os; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    code += "; open(os.path.expanduser('~/left'), 'w')"
    found = traced(strace, [sys.executable, "-c", code], tmp_path)
    assert any("AF_INET" in line for line in found) and any("home/left" in line for line in found)
