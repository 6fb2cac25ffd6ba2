"""Seconds that each stage takes to find that it has nothing to do: a second run of egs/case, cut small.

benchmarks/starting.py --work FOLDER --rounds R --rows FILE
"""

import argparse
import subprocess
import time
from pathlib import Path

from side_by_side import add_row, spread

ROOT = Path(__file__).resolve().parents[1]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    args = parser.parse_args()
    work = args.work.resolve()
    command = ["bash", str(ROOT / "egs/case/run.sh"), "--utts", "56", "--seeds", "1"]
    command += [f"--{name}={work / name}" for name in ("corpora", "datadir", "dumpdir", "expdir")]
    with (args.work / "log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
        for stage in range(7):
            seconds = []
            for _ in range(args.rounds):
                started = time.perf_counter()
                just = [*command, "--stage", str(stage), "--stop-stage", str(stage)]
                subprocess.run(just, check=True, stdout=log, stderr=log)
                seconds.append(time.perf_counter() - started)
            add_row(args.rows, f"stage {stage} with nothing to do", "seconds", "under 2 s", spread(seconds))


if __name__ == "__main__":
    run()
