#!/usr/bin/env python3
"""Run jobs on a Sun Grid Engine cluster or one of its heirs, called as Kaldi's launchers are.

utils/sge.py [options] JOB=1:N LOG COMMAND [ARG ...]

JOB in LOG and in the arguments becomes the job's number. All jobs are the tasks of one array job, --max-jobs-run of
them at a time. What --mem, --num-threads, --gpu and --time become for qsub says conf/sge.conf, or the file that
FAS_ENGINE_CONF names. A job that fails has the end of its log shown; one that vanishes is submitted again; when this
program is interrupted, the array is deleted.
"""

import getpass
import re
import sys
import xml.etree.ElementTree as ElementTree

from fas.errors import ClusterError
from fas.jobs import cluster
from fas.jobs.cluster import Answer, Array, call_tool


def expand(tasks: str) -> set[int]:
    """qstat's task numbers: "3", "1-4:1", "2,5-9:2"."""
    made: set[int] = set()
    for piece in filter(None, tasks.split(",")):
        first, last, step = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", piece.strip()).groups()
        made |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return made


class SGE:
    """qsub, qstat, qdel."""

    name = "sge"

    def submit(self, array: Array) -> str:
        at_once = ("-tc", str(array.at_once)) if array.at_once else ()
        said = call_tool(
            "qsub", "-terse", "-N", array.name, "-t", f"1-{array.tasks}", *at_once, "-cwd", "-V", "-r", "y", "-j", "y",
            "-S", "/bin/sh", "-o", f"{array.outputs}/out.$TASK_ID", *array.options, str(array.script),
        )  # fmt: skip
        return said.strip().splitlines()[-1].split(".")[0]

    def ask(self, number: str) -> Answer:
        said = call_tool("qstat", "-u", getpass.getuser(), "-g", "d", "-xml")
        try:
            entries = list(ElementTree.fromstring(said).iter("job_list"))
        except ElementTree.ParseError as e:
            raise ClusterError(f"qstat: its answer is no XML ({e})") from None
        alive, ended = set(), {}
        for entry in entries:
            if entry.findtext("JB_job_number") != number:
                continue
            tasks, state = expand(entry.findtext("tasks", "")), entry.findtext("state", "")
            if "E" in state:
                ended |= dict.fromkeys(tasks, f"in error state {state}; see qstat -j {number}")
            elif "d" in state:
                ended |= dict.fromkeys(tasks, "deleted")
            else:
                alive |= tasks
        return Answer(alive, ended)

    def cancel(self, number: str) -> None:
        call_tool("qdel", number)


if __name__ == "__main__":
    sys.exit(cluster.main(SGE(), __doc__))
