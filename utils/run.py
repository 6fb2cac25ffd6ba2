#!/usr/bin/env python3
"""Run jobs on this machine, called as Kaldi's launchers are.

utils/run.py [options] JOB=1:N LOG COMMAND [ARG ...]

JOB in LOG and in the arguments becomes the job's number. All jobs run at once, or --max-jobs-run of them, each with
cores / jobs threads. With --gpu N each job sees N of this machine's GPUs (those of CUDA_VISIBLE_DEVICES where it is
set), in turn. A job that fails has the end of its log shown; the others are waited for. When this program is
interrupted or dies, so do its jobs. --mem and --time have no meaning here. No shell sees the command.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from fas.jobs import launcher


def gpus() -> list[str]:
    """The GPUs that jobs may use, as CUDA_VISIBLE_DEVICES names them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [d for d in named.split(",") if d]
    return sorted((m[1] for p in Path("/dev").iterdir() if (m := re.fullmatch(r"nvidia(\d+)", p.name))), key=int)


def main() -> int:
    call = launcher.parse(__doc__)
    at_once = min(len(call.jobs), int(call.options.get("max_jobs_run", len(call.jobs))))
    threads = int(call.options.get("num_threads", max(1, len(os.sched_getaffinity(0)) // at_once)))
    wanted, devices = int(call.options.get("gpu", 0)), gpus()
    running: dict[int, subprocess.Popen] = {}
    failed: list[int] = []

    def stop(number: int, _frame: object) -> None:
        for process in running.values():
            os.killpg(process.pid, signal.SIGTERM)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    launcher.die_with_parent()

    waiting, progress = call.jobs[::-1], launcher.Progress()
    places = {i: 0 for i in range(at_once)}  # each place of a running job has its GPUs; 0: free
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop()
            place = next(p for p, taken in places.items() if not taken)
            places[place] = job
            chosen = [devices[(place * wanted + i) % len(devices)] for i in range(wanted)] if devices else None
            running[job] = launcher.start(call, job, threads, chosen if wanted else None)
        time.sleep(0.05)
        for job, process in list(running.items()):
            if (status := process.poll()) is not None:
                del running[job]
                places = {p: 0 if taken == job else taken for p, taken in places.items()}
                if status:
                    failed.append(job)
                    launcher.show_failure(f"job {job} failed with status {status}", call.log_of(job))
        progress.show(call, sorted(running))
    return launcher.end(call, failed, progress)


if __name__ == "__main__":
    sys.exit(main())
