#!/usr/bin/env python3
"""Run jobs on this machine, called as Kaldi's launchers are.

utils/run.py [options] JOB=1:N LOG COMMAND [ARG ...]

JOB in LOG and in the arguments becomes the job's number. All jobs run at once, or --max-jobs-run of them, each with
cores / jobs threads. A job that fails has the end of its log shown; the others are waited for. When this program is
interrupted or dies, so do its jobs. Options of other launchers (--mem, --gpu, --time) are taken and have no meaning
here. No shell sees the command.
"""

import argparse
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
TAIL = 30  # lines of a failed job's log
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """In the child: be ended by the kernel when the launcher dies, however it dies."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def progress(log: Path) -> str:
    """The last thing that a job wrote, tqdm's bars included."""
    try:
        with log.open("rb") as f:
            f.seek(max(0, log.stat().st_size - 400))
            return re.split(r"[\r\n]", f.read().decode(errors="replace").strip())[-1].strip()
    except OSError:
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mem")
    parser.add_argument("--gpu")
    parser.add_argument("--time")
    parser.add_argument("--num-threads", type=int, help="threads of each job (cores / jobs)")
    parser.add_argument("--max-jobs-run", type=int, help="jobs at once (all)")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    rest = args.rest
    first, last, name = 1, 1, None
    if rest and (match := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", rest[0])):
        name, first, last = match[1], int(match[2]), int(match[3] or match[2])
        rest = rest[1:]
    if len(rest) < 2 or first > last:
        parser.error("usage: utils/run.py [options] JOB=1:N LOG COMMAND [ARG ...]")
    jobs = list(range(first, last + 1))
    at_once = min(len(jobs), args.max_jobs_run or len(jobs))
    threads = args.num_threads or max(1, len(os.sched_getaffinity(0)) // at_once)
    environment = os.environ | {v: str(threads) for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "FAS_THREADS")}

    def of(job: int, text: str) -> str:
        return text.replace(name, str(job)) if name else text

    running: dict[int, subprocess.Popen] = {}
    failed: list[int] = []

    def stop(number: int, _frame: object) -> None:
        for process in running.values():
            os.killpg(process.pid, signal.SIGTERM)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    die_with_parent()

    waiting, shown, started = jobs[::-1], 0.0, time.time()
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop()
            log = Path(of(job, rest[0]))
            log.parent.mkdir(parents=True, exist_ok=True)
            command = [of(job, a) for a in rest[1:]]
            with log.open("w") as out:
                out.write(f"# {' '.join(command)}\n# {time.strftime('%F %T')} on {os.uname().nodename}\n")
                out.flush()
                running[job] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
        time.sleep(0.05)
        for job, process in list(running.items()):
            if (status := process.poll()) is not None:
                del running[job]
                if status:
                    failed.append(job)
                    log = Path(of(job, rest[0]))
                    lines = re.split(r"[\r\n]+", log.read_text(errors="replace").strip())[-TAIL:]
                    said = f"job {job} failed with status {status}; the end of {log}:"
                    print(said, *lines, sep="\n  ", file=sys.stderr)
        if running and time.time() - max(shown, started) > (2 if sys.stderr.isatty() else 30):
            shown = time.time()
            states = "; ".join(f"{job}: {progress(Path(of(job, rest[0])))}" for job in sorted(running))
            print(f"\r{states[:150]}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    if shown and sys.stderr.isatty():
        print(file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(jobs)} jobs failed: {' '.join(map(str, failed))}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
