"""What the benchmarks share: contenders that take turns, and the rows of the results table.

Every figure is a ratio of two times taken one after the other in the same run: A B A B on the same utterances, so that
what else the machine does hits both. benchmarks/rows keeps the rows, as JSON lines, and `table.py` sets the table.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fas.data import datadir
from fas.data.datadir import DataDir
from fas.frontend import Encoded, Frontend
from fas.frontend.build import build

PACKAGES = ("torch", "openai-whisper", "faster-whisper", "ctranslate2", "s3prl", "transformers", "numpy")


def options(doc: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, with data/ in it")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="file that gets the rows of the table")
    return parser


class Stage:
    """An encoder in one job of one thread a core, as recipes run it; all have loaded it before anything is timed."""

    def __init__(self, settings: Any):
        context = multiprocessing.get_context("spawn")
        self.jobs = [
            ProcessPoolExecutor(1, context, _load, (settings,)) for _ in range(len(os.sched_getaffinity(0)))
        ]
        for loading in [job.submit(os.getpid) for job in self.jobs]:
            loading.result()

    def __call__(self, data: DataDir) -> dict[str, Encoded]:
        """Utterance -> what the encoder makes of it."""
        parts = datadir.split(data, len(self.jobs))
        made: dict[str, Encoded] = {}
        for running in [job.submit(_encode, part) for job, part in zip(self.jobs, parts, strict=True)]:
            made |= running.result()
        return made

    def close(self) -> None:
        for job in self.jobs:
            job.shutdown()


loaded: list[Frontend] = []  # in a job, its encoder


def _load(settings: Any) -> None:
    torch.set_num_threads(1)
    loaded.append(build(settings, None, "cpu"))


def _encode(data: DataDir) -> dict[str, Encoded]:
    return {u: e for b in loaded[0].batches(data) for u, e in zip(b, loaded[0].encode(b), strict=True)}


def cpu_seconds() -> float:
    """Processor time of this process, of those that it has ended, and of the jobs of a Stage."""
    total = sum(os.times()[:4])
    for job in multiprocessing.active_children():
        user, system = Path(f"/proc/{job.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        total += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return total


@dataclass
class Turns:
    """By contender, for each block: seconds, seconds of processor time, and what the contender returned."""

    seconds: dict[str, list[float]]
    cpu: dict[str, list[float]]
    made: dict[str, list[Any]]

    def ratios(self, slow: str, fast: str, share: int = 1) -> tuple[dict[str, float], str]:
        """Spread of slow / fast, block by block, and the ratio of their processor times as a note.

        share: so many times the work of the slow one was done by the fast one.
        """
        spent = share * sum(self.cpu[slow]) / sum(self.cpu[fast])
        return ratios([share * s for s in self.seconds[slow]], self.seconds[fast]), f"processor time {spent:.2f} x"


def take_turns(contenders: dict[str, Callable[[Any], Any]], blocks: list[Any]) -> Turns:
    """Each contender on each block in turn."""
    turns = Turns(*({name: [] for name in contenders} for _ in range(3)))
    for block in blocks:
        for name, run in contenders.items():
            started, spent = time.perf_counter(), cpu_seconds()
            turns.made[name].append(run(block))
            turns.seconds[name].append(time.perf_counter() - started)
            turns.cpu[name].append(cpu_seconds() - spent)
            print(f"{name}: {turns.seconds[name][-1]:.2f} s, processor {turns.cpu[name][-1]:.2f} s", flush=True)
    return turns


def spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Spread of slow / fast, block by block."""
    return spread([s / f for s, f in zip(slow, fast, strict=True)])


def machine() -> str:
    """What a row was measured on, and with."""
    names = [x.partition(":")[2].strip() for x in Path("/proc/cpuinfo").read_text().split("\n") if "model name" in x]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = f"{len(os.sched_getaffinity(0))} cores of {(names or [platform.machine()])[0]}"
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)
    return f"{cores}, {memory:.0f} GB, Python {platform.python_version()}, {versions}"


def add_row(
    rows: Path, work: str, against: str, target: str, found: dict[str, float], note: str = "", unit: str = "x"
) -> None:
    """Append one row of the table; `found` is a spread, of ratios (x) or of seconds (s)."""
    row = {"work": work, "against": against, "target": target, "found": found, "note": note, "unit": unit}
    row |= {"date": time.strftime("%F"), "machine": machine()}
    with rows.open("a") as f:
        f.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
