"""One stage of one size of benchmarks/growth.py, in a process of its own.

growth_stage.py STAGE WORK HOURS: prints its seconds and its peak memory as JSON.
"""

import importlib
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import yaml

from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.features import extract
from fas.frontend import Encoded, Frontend, WhisperBlockConf
from fas.frontend import build as encoders

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 64
FRAMES = 150  # 3 s
PER_HOUR = 1200  # utterances
WORDS = 8  # of an utterance
PARTS = 4
SCORED = 10  # one of so many utterances
ENCODED = {"ssl": 0.2, "whisper": 1.0, "text": 5.0}  # hours, of one job
CONF = WhisperBlockConf("synthetic", 1)
TRAIN = {
    "streams": {"acoustic": {"feats": "ssl", "patch": 5, "tokens": 8}},
    "width": 128, "heads": 4, "batch": 256, "epochs": 1,
}  # fmt: skip
IMPORTS = {  # of each stage, before its time counts
    "patches": ["fas.training.dataset"],
    "train": ["fas.training.train", "torch.utils.tensorboard", "matplotlib.pyplot"],
    "score": ["fas.scoring.score", "matplotlib.pyplot"],
    "report": ["fas.report.results", "matplotlib.pyplot"],
    "learn": ["fas.frontend.spm_text", "sklearn.decomposition"],
    "spm": ["fas.frontend.spm_text"],
}


class Peak:
    """The most anonymous memory of this process, looked at 50 times a second."""

    def __init__(self):
        self.most, self.going = 0, True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while self.going:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    self.most = max(self.most, int(line.split()[1]) / 1024)
            time.sleep(0.02)

    def stop(self) -> float:
        """In MB."""
        self.going = False
        self.thread.join()
        return self.most


class Synthetic:
    """Frames that a random generator makes, 64 utterances at a time."""

    def batches(self, data: DataDir) -> list[list[str]]:
        utts = data.utts
        return [utts[i : i + 64] for i in range(0, len(utts), 64)]

    def encode(self, batch: list[str]) -> list[Encoded]:
        random = np.random.default_rng(0)
        frames = random.standard_normal((FRAMES, WIDTH), np.float32).astype(np.float16)
        return [{".": frames} for _ in batch]


class Sample:
    """A frontend that encodes every n-th of its batches."""

    def __init__(self, frontend: Frontend, every: int):
        self.frontend, self.every = frontend, every
        self.encode = frontend.encode

    def batches(self, data: DataDir) -> list[list[str]]:
        batches = self.frontend.batches(data)
        chosen = batches[(len(batches) - 1) % self.every :: self.every]
        self.share = sum(map(len, chosen)) / len(data)
        self.planned = time.process_time()
        return chosen


def make(folder: Path, hours: float) -> list[str]:
    """Stage 0 of a synthetic corpus: utterances of 3 s, 500 a speaker, with subsets train, dev and test."""
    utts = [f"spk{i // 500:06}-{i:09}" for i in range(round(hours * PER_HOUR))]
    labels = datadir.EMOTIONS
    data = DataDir(
        "synthetic",
        {u: f"/corpora/synthetic/{u[:9]}/{u}.wav" for u in utts},
        {u: u[:9] for u in utts},
        {u: labels[i % 7] for i, u in enumerate(utts)},
        dict.fromkeys(utts, 3.0),
        utt2sem={u: labels[i // 7 % 7] for i, u in enumerate(utts)},
    )
    home = folder / "data/synthetic"
    data.write(home)
    data.take([u for i, u in enumerate(utts) if i % SCORED != 1 and i % 100]).write(home / "train")
    data.take(utts[::100]).write(home / "dev")
    data.take(utts[1::SCORED]).write(home / "test")
    return utts


def transcribe(folder: Path, utts: list[str]) -> None:
    """Stage 2 of a synthetic corpus: WORDS words for each utterance, of those of case_mini."""
    lines = (ROOT / "local/case_mini/lines.tsv").read_text(encoding="utf-8").splitlines()[1:]
    words = sorted({w.strip(".,!?").lower() for line in lines for w in line.split("\t")[3].split()})
    drawn = np.random.default_rng(0).integers(len(words), size=(len(utts), WORDS))
    text = {u: " ".join(words[i] for i in row) for u, row in zip(utts, drawn, strict=True)}
    tables.write_table(folder / "dump/whisper/synthetic/text", text)


def repeat(data: DataDir, hours: float, out: Path) -> None:
    """`hours` of a real data directory, utterances repeated under new names, dealt out to PARTS jobs."""
    made = DataDir(data.corpus, {}, {}, {}, {}, data.emotions)
    total, number, utts = 0.0, 0, data.utts
    while total < hours * 3600:
        utt = utts[number % len(utts)]
        name = f"{utt}_{number // len(utts):04}"
        for field in ("wav", "utt2spk", "utt2emo", "utt2dur", "utt2lang"):
            getattr(made, field)[name] = getattr(data, field)[utt]
        total, number = total + data.utt2dur[utt], number + 1
    made.write(out)
    datadir.write_split(out, PARTS)


def call(module: str, *arguments: object) -> None:
    """Run a command of the package in this process."""
    sys.argv = [module, *map(str, arguments)]
    importlib.import_module(module).run()


def encoder(kind: str, conf: Path, work: Path, hours: float, *arguments: object) -> float:
    """One job of an encoder: seconds, reckoned from the batches that were encoded, its model loaded before."""
    import torch

    torch.set_num_threads(1)
    every = max(1, round(hours / PARTS / ENCODED[kind]))
    build, loading, made = encoders.build, [0.0], []

    def sampled(*arguments: object, **options: object) -> Sample:
        started = time.process_time()
        made.append(Sample(build(*arguments, **options), every))
        loading[0] = time.process_time() - started
        return made[0]

    encoders.build = sampled
    home = work / "data" / ("synthetic" if kind == "text" else "real")
    options = ["--conf", conf, "--data", home / f"split{PARTS}/1", "--out", work / "sample" / kind, "--job", 1]
    started = time.process_time()
    call("fas.bin.extract", kind, "job", *options, *arguments)
    planned = made[0].planned - started - loading[0]
    return planned + (time.process_time() - made[0].planned) / made[0].share


def worker(stage: str, work: Path, hours: float) -> None:
    """Run one stage and print its seconds and peak memory."""
    peak = Peak()
    for module in IMPORTS.get(stage, []):
        importlib.import_module(module)
    started, seconds = time.process_time(), None
    home, dump = work / "data/synthetic", work / "dump"
    text = ["--text", dump / "whisper/synthetic/text"]
    model, grid = work / "exp/fas", ["--feats", f"ssl={dump / 'ssl'}", "--seeds", 1]
    spm = ["--conf", ROOT / "conf/text/spm.yaml"]
    if stage == "data":
        datadir.write_split(home, PARTS)
    elif stage == "ssl":
        seconds = encoder("ssl", work.parent / "hubert_base.yaml", work, hours)
    elif stage == "extract":
        job(work, 1)
    elif stage == "merge":
        (work / "conf.yaml").write_text("kind: synthetic\n")
        extract.merge(CONF, datadir.read(home), dump / "ssl/synthetic", PARTS, {}, work / "conf.yaml")
    elif stage == "whisper":
        seconds = encoder("whisper", ROOT / "conf/whisper/tiny.en.yaml", work, hours)
    elif stage == "text":
        seconds = encoder("text", ROOT / "conf/text/minilm.yaml", work, hours, *text)
    elif stage == "learn":
        call(
            "fas.bin.extract", "text", "learn", *spm, "--text", dump / "whisper", "--out", work / "spm", home / "train"
        )
    elif stage == "spm":
        options = ["--data", home / f"split{PARTS}/1", "--out", work / "sample/spm", "--job", 1]
        call("fas.bin.extract", "text", "job", *spm, *options, "--model", work / "spm", *text)
    elif stage == "patches":
        from fas.training.dataset import Store

        Store(dump / "ssl/synthetic", 5)
    elif stage == "train":
        conf = work / "fas.yaml"
        conf.write_text(yaml.safe_dump(TRAIN))
        call("fas.bin.train", "--conf", conf, *grid, "--train", home / "train", "--dev", home / "dev", "--out", model)
    elif stage == "score":
        call("fas.bin.score", *grid, "--model", model, home / "test")
    elif stage == "report":
        options = ["--out", work / "exp", "--datadir", work / "data", "--systems", "fas"]
        call("fas.bin.report", *grid, *options, "--model", work / "exp/{system}")
    if seconds is None:
        seconds = time.process_time() - started
    seconds *= {"score": SCORED, "report": SCORED}.get(stage, PARTS if is_job(stage) else 1)
    print(json.dumps({"stage": stage, "hours": hours, "seconds": seconds, "memory": peak.stop()}))


def is_job(stage: str) -> bool:
    return stage in ENCODED or stage in ("extract", "spm")


def job(work: Path, number: int) -> None:
    """An extraction job without its encoder."""
    part = datadir.read(work / f"data/synthetic/split{PARTS}" / str(number))
    extract.run_job(Synthetic(), CONF, part, work / "dump/ssl/synthetic", number, {})


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
