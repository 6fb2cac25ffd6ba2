#!/usr/bin/env python3
"""Run jobs on a Slurm cluster, called as Kaldi's launchers are.

utils/slurm.py [options] JOB=1:N LOG COMMAND [ARG ...]

JOB in LOG and in the arguments becomes the job's number. All jobs are one array, --max-jobs-run of them at a time. What
--mem, --num-threads, --gpu and --time become for sbatch says conf/slurm.conf, or the file that FAS_ENGINE_CONF names.
A job that fails has the end of its log shown; one that Slurm loses is submitted again; when this program is
interrupted, the array is cancelled.
"""

import os
import sys

from fas.errors import ClusterError
from fas.jobs import cluster
from fas.jobs.cluster import Answer, Array, call_tool

# Job states (squeue's manual) that end a task for good, and those after which it may be submitted again
FINAL = {"CANCELLED": "cancelled", "OUT_OF_MEMORY": "out of memory: ask for more by --mem", "DEADLINE": "deadline"}
OVER = ("BOOT_FAIL", "COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT")


class Slurm:
    """sbatch, squeue, scancel; accounting is not needed."""

    name = "slurm"

    def submit(self, array: Array) -> str:
        tasks = f"1-{array.tasks}" + (f"%{array.at_once}" if array.at_once else "")
        return call_tool(
            "sbatch", "--parsable", "--job-name", array.name, "--array", tasks, "--requeue", "--export", "ALL",
            "--chdir", os.getcwd(), "--open-mode", "append", "--output", f"{array.outputs}/out.%a", *array.options,
            str(array.script),
        ).split(";")[0].strip()  # fmt: skip

    def ask(self, number: str) -> Answer:
        try:
            said = call_tool("squeue", "--noheader", "--array", "--states=all", "--jobs", number, "--format", "%K %T")
        except ClusterError as e:
            if "Invalid job id" in str(e):  # over for so long that Slurm has forgotten it
                return Answer(set(), {})
            raise
        states = dict(line.split() for line in said.splitlines())
        alive = {int(task) for task, state in states.items() if state not in FINAL and state not in OVER}
        return Answer(alive, {int(task): FINAL[state] for task, state in states.items() if state in FINAL})

    def cancel(self, number: str) -> None:
        call_tool("scancel", number)


if __name__ == "__main__":
    sys.exit(cluster.main(Slurm(), __doc__))
