"""Rows of the benchmarks -> benchmarks/results.md: benchmarks/table.py --rows FILE --command COMMAND OUT."""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

from fas import stamp

PACKAGES = ("torch", "openai-whisper", "faster-whisper", "ctranslate2", "s3prl", "transformers", "numpy", "jiwer")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.rows.read_text().splitlines()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)
    lines = [
        "# Benchmarks",
        "",
        f"{time.strftime('%F')}, {len(os.sched_getaffinity(0))} cores of {processor()}, {memory:.0f} GB, Python "
        f"{platform.python_version()}, {versions}.",
        "",
        f"`{args.command}`",
        "",
        "Ratios of times taken in turns in this run, over its rounds: above 1 ours is the faster, but for *within*, "
        "which is ours over the floor.",
        "",
        "| work | against | at least | min | median | max | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = " s" if row["against"] == "seconds" else " x"
        found = " | ".join(f"{row['found'][k]:.2f}{unit}" for k in ("min", "median", "max"))
        lines.append(f"| {row['work']} | {row['against']} | {row['target']} | {found} | {row['note']} |")
    with stamp.write_aside(args.out) as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    run()
