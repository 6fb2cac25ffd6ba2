"""Processor time per hour of audio and peak memory of every stage, over simulated corpora of growing size; a plot.

benchmarks/growth.py --data DATADIR --work FOLDER --hours "1 10 100" [--stages data] OUT.png
Whisper's stage runs on real audio, repeated; all else on synthetic frames of width WIDTH (150 of them for each
utterance of 3 s) from the extraction job's own code on. Each stage of each size is a process of its own with one
thread; its memory is what it allocates, not the pages of files that it has mapped, which the system takes back when it
needs them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from fas import datadir, extract, stamp
from fas.datadir import DataDir
from fas.frontend import Encoded, WhisperBlockConf, WhisperConf

WIDTH = 64
FRAMES = 150  # 3 s
PER_HOUR = 1200  # utterances
PARTS = 4
WHISPER_HOURS = (0.1, 0.3, 1.0)
CONF = WhisperBlockConf("synthetic", 1)


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


def make(folder: Path, hours: float) -> None:
    """A data directory of hours of utterances of 3 s, 500 a speaker; every hundredth is in the dev set."""
    utts = [f"spk{i // 500:06}-{i:09}" for i in range(round(hours * PER_HOUR))]
    labels = datadir.EMOTIONS
    data = DataDir(
        "synthetic",
        {u: f"/corpora/synthetic/{u[:9]}/{u}.wav" for u in utts},
        {u: u[:9] for u in utts},
        {u: labels[i % 7] for i, u in enumerate(utts)},
        dict.fromkeys(utts, 3.0),
    )
    data.write(folder)
    data.take([u for i, u in enumerate(utts) if i % 100]).write(folder / "train")
    data.take(utts[::100]).write(folder / "dev")


def datasets(work: Path) -> tuple:
    from fas.dataset import Dataset, Source

    sources = {"acoustic": Source(work / "dump", ".", 5)}
    return tuple(Dataset([work / "synthetic" / p], sources, list(datadir.EMOTIONS)) for p in ("train", "dev"))


def train(work: Path) -> float:
    """Seconds of one epoch and its dev set; the sets' tables and statistics are read before."""
    import torch

    from fas import train

    torch.set_num_threads(1)
    train_set, dev_set = datasets(work)
    streams = {"acoustic": {"feats": "ssl", "patch": 5, "tokens": 8}}
    settings = train.TrainConf(streams, width=128, heads=4, batch=256, epochs=1)
    state = train.State(settings, train_set, "cpu")
    started = time.process_time()
    train.train_epoch(settings, state, train_set, 1, 0, "cpu")
    train.posteriors(state.model, dev_set, "cpu")
    return time.process_time() - started


def whisper_stage(work: Path, data: DataDir) -> float:
    """Seconds of one extraction job on real audio, the model loaded before."""
    import torch

    from fas.frontend.whisper import WhisperFrontend

    torch.set_num_threads(1)
    settings = WhisperConf("tiny.en", {"last": -1}, trim_db=35, rms_dbfs=-25)
    frontend = WhisperFrontend(settings, "cpu")
    shutil.rmtree(work / "whisper", ignore_errors=True)
    started = time.process_time()
    extract.run_job(frontend, settings, data, work / "whisper", 1, {})
    return time.process_time() - started


def repeated(data: DataDir, hours: float) -> DataDir:
    """`hours` of a real data directory, utterances repeated under new names."""
    made = DataDir(data.corpus, {}, {}, {}, {}, data.emotions)
    total, number, utts = 0.0, 0, data.utts
    while total < hours * 3600:
        utt = utts[number % len(utts)]
        name = f"{utt}_{number // len(utts):04}"
        for field in ("wav", "utt2spk", "utt2emo", "utt2dur", "utt2lang"):
            getattr(made, field)[name] = getattr(data, field)[utt]
        total, number = total + data.utt2dur[utt], number + 1
    return made


def worker(stage: str, work: Path, source: Path, hours: float) -> None:
    """Run one stage and print its seconds and peak memory."""
    peak, started = Peak(), time.process_time()
    folder, seconds = work / "synthetic", None
    if stage == "data":
        datadir.write_split(folder, PARTS)
    elif stage == "extract":  # one job of PARTS, without the encoder
        data = datadir.read(folder / f"split{PARTS}" / "1")
        extract.run_job(Synthetic(), CONF, data, work / "dump/synthetic", 1, {})
    elif stage == "merge":
        conf_file = work / "conf.yaml"
        conf_file.write_text("kind: synthetic\n")
        extract.merge(CONF, datadir.read(folder), work / "dump/synthetic", PARTS, {}, conf_file)
    elif stage == "patches":
        datasets(work)
    elif stage == "train":
        seconds = train(work)
    else:
        seconds = whisper_stage(work, repeated(datadir.read(source), hours))
    print(json.dumps({"seconds": seconds or time.process_time() - started, "memory": peak.stop()}))


def measure(stage: str, work: Path, source: Path, hours: float) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", stage, "--work", str(work), "--data", str(source)]
    done = subprocess.run(
        [*command, "--hours", str(hours)],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    found = json.loads(done.stdout.splitlines()[-1]) | {"hours": hours, "stage": stage}
    print(json.dumps(found), flush=True)
    return found


def grow(work: Path, source: Path, hours: list[float], stages: list[str]) -> list[dict]:
    found = [measure("whisper", work, source, h) for h in WHISPER_HOURS if "whisper" in stages]
    for size in hours:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        make(work / "synthetic", size)
        for stage in [s for s in stages if s != "whisper"]:
            row = measure(stage, work, source, size)
            if stage == "extract":  # the other jobs, so that there is something to merge
                for job in range(2, PARTS + 1):
                    part = datadir.read(work / "synthetic" / f"split{PARTS}" / str(job))
                    extract.run_job(Synthetic(), CONF, part, work / "dump/synthetic", job, {})
                row["seconds"] *= PARTS  # jobs, one after the other
            found.append(row)
    shutil.rmtree(work, ignore_errors=True)
    return found


def plot(found: list[dict], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for stage in dict.fromkeys(r["stage"] for r in found):
        rows = [r for r in found if r["stage"] == stage]
        hours = [r["hours"] for r in rows]
        left.loglog(hours, [r["seconds"] / r["hours"] for r in rows], marker="o", label=stage)
        right.loglog(hours, [r["memory"] for r in rows], marker="o", label=stage)
    left.set(xlabel="hours of audio", ylabel="CPU seconds an hour of audio")
    right.set(xlabel="hours of audio", ylabel="peak memory of a job (MB)")
    left.legend(fontsize=8)
    with stamp.write_aside(out, "wb") as f:
        figure.savefig(f, format="png", dpi=120)


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data directory with real audio")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, removed at the end")
    parser.add_argument("--hours", default="1 10 100")
    parser.add_argument("--stages", default="whisper data extract merge patches train", help="a list")
    parser.add_argument("--worker")
    parser.add_argument("out", type=Path, nargs="?")
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.work, args.data, float(args.hours))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    found = grow(args.work, args.data, [float(h) for h in args.hours.split()], args.stages.split())
    with stamp.write_aside(args.out.with_suffix(".jsonl")) as f:
        f.writelines(json.dumps(r) + "\n" for r in found)
    plot(found, args.out)


if __name__ == "__main__":
    run()
