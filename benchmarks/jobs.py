"""Two jobs of one thread on two cores against one job of one thread: a whole steps/transcribe.sh, loading included.

benchmarks/jobs.py --data DATADIR --work FOLDER --utts N --rounds R --rows FILE
"""

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path

from side_by_side import add_row, ratios
from whisper_stage import sample

from fas import datadir

ROOT = Path(__file__).resolve().parents[1]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--utts", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    args = parser.parse_args()
    data = datadir.combine(datadir.read(args.data / name) for name in ("ravdess", "emodb"))
    chosen = args.work / "data"
    sample(data, args.utts, 1)[0].write(chosen)
    launcher = f"{os.environ['FAS_PYTHON']} {ROOT}/utils/run.py --num-threads 1"
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(args.rounds):
        for jobs in seconds:
            shutil.rmtree(args.work / "out", ignore_errors=True)
            command = [ROOT / "steps/transcribe.sh", "--nj", str(jobs), "--cmd", launcher]
            command += ["--conf", ROOT / "conf/whisper/base.yaml", chosen, args.work / "out"]
            started = time.perf_counter()
            subprocess.run(["bash", *map(str, command)], check=True)
            seconds[jobs].append(time.perf_counter() - started)
            print(f"{jobs} jobs: {seconds[jobs][-1]:.1f} s", flush=True)
    note = f"steps/transcribe.sh on {args.utts} utterances, one job {min(seconds[1]):.0f} s"
    add_row(args.rows, "two jobs on two cores", "one job of one thread", "1.9 x", ratios(seconds[1], seconds[2]), note)


if __name__ == "__main__":
    run()
