"""Two jobs of one thread on two cores against one job of one thread: whole steps of stages 1 and 2, loading included.

benchmarks/jobs.py --work FOLDER --utts N --rounds R --rows FILE
What the machine itself allows is measured beside it: two processes that do nothing but matrix products that stay in
their cache, against one. Two cores that a machine calls its own can be two threads of one.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml
from side_by_side import add_row, options, ratios, spread
from ssl_stage import checkpoints
from whisper_stage import sample

from fas.data import check, datadir
from fas.data.datadir import DataDir

ROOT = Path(__file__).resolve().parents[1]
PRODUCTS = """
import time, torch
torch.set_num_threads(1)
x, done = torch.randn(256, 256), 0
print("ready", flush=True)
input()
until = time.perf_counter() + 3
while time.perf_counter() < until:
    x @ x
    done += 1
print(done)
"""


def products(jobs: int) -> int:
    """Matrix products that so many processes of one thread make in 3 s, together."""
    command, pipe = [sys.executable, "-c", PRODUCTS], subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(jobs)]
    for process in running:
        process.stdout.readline()  # it has loaded torch
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(process.communicate()[0]) for process in running)


def compare(args: argparse.Namespace, name: str, step: str, conf: Path, data: DataDir) -> None:
    """Add the row of one step on these utterances, whose audio has been checked before."""
    chosen, out = args.work / "jobs/data", args.work / "jobs/out"
    shutil.rmtree(chosen, ignore_errors=True)
    data.write(chosen)
    check.check_audio(datadir.read(chosen))
    launcher = f"{os.environ['FAS_PYTHON']} {ROOT}/utils/run.py --num-threads 1"
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(args.rounds):
        for jobs in seconds:
            shutil.rmtree(out, ignore_errors=True)
            command = [ROOT / f"steps/{step}.sh", "--nj", str(jobs), "--cmd", launcher, "--conf", conf, chosen, out]
            started = time.perf_counter()
            subprocess.run(["bash", *map(str, command)], check=True)
            seconds[jobs].append(time.perf_counter() - started)
            print(f"{step}, {jobs} jobs: {seconds[jobs][-1]:.1f} s", flush=True)
    note = f"steps/{step}.sh on {len(data)} utterances, one job {min(seconds[1]):.0f} s"
    work = f"two jobs on two cores, {name}"
    add_row(args.rows, work, "one job of one thread", "1.9 x", ratios(seconds[1], seconds[2]), note)


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--utts", type=int, required=True, help="utterances a round")
    args = parser.parse_args()
    data = datadir.combine(datadir.read(args.work / "data" / name) for name in ("ravdess", "emodb"))
    upstream = checkpoints(args.work / "ckpt")["hf_hubert_custom"]
    hubert = args.work / "jobs/hubert_base.yaml"
    hubert.parent.mkdir(exist_ok=True)
    hubert.write_text(yaml.safe_dump({"kind": "s3prl", "upstream": "hf_hubert_custom", "ckpt": str(upstream)}))
    whisper = ROOT / "conf/whisper/base.yaml"
    compare(args, "stage 2, Whisper base", "transcribe", whisper, sample(data, args.utts, 1)[0])
    compare(args, "stage 1, hubert_base size", "extract_ssl", hubert, sample(data, args.utts // 2, 1)[0])
    bound = [products(2) / products(1) for _ in range(args.rounds)]
    add_row(
        args.rows, "two processes of plain matrix products", "one of them", "", spread(bound), "the machine's own bound"
    )


if __name__ == "__main__":
    run()
