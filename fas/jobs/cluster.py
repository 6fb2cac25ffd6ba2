"""Jobs as arrays of a cluster's scheduler: what utils/slurm.py and utils/sge.py share.

A launcher makes a folder beside the logs, which every node must see. It holds the command as JSON, which the tasks
read and run without a shell, and one status file a task, written by the task itself when its command has ended: exit
statuses are known whatever the scheduler's accounting says. The scheduler is asked seldom, and only for tasks that have
written none. A task that it has lost (node failure, preemption, time limit) is submitted again, RETRIES times at the
most; one whose command failed is not.
"""

import dataclasses
import glob
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from fas import stamp
from fas.errors import ClusterError
from fas.jobs import launcher
from fas.jobs.launcher import Call

CONF = Path(__file__).parents[2] / "conf"
RETRIES = 3  # times that a lost task is submitted again
LOOK = (0.5, 10.0)  # seconds between two looks at the status files, growing from the first to the second
ASK = (5.0, 60.0)  # seconds between two questions to the scheduler, likewise
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclasses.dataclass(frozen=True)
class Array:
    """What a scheduler is to run: tasks 1 to `tasks` of a script, `at_once` at a time, in the working directory."""

    name: str
    tasks: int
    at_once: int | None
    script: Path
    outputs: Path  # folder for what the scheduler itself says
    options: list[str]  # the site's


@dataclasses.dataclass(frozen=True)
class Answer:
    """Tasks that wait or run, and those that were ended for good, with the reason."""

    alive: set[int]
    ended: dict[int, str]


class Engine(Protocol):
    """A scheduler. All methods raise ClusterError when it does not answer."""

    name: str

    def submit(self, array: Array) -> str:
        """The scheduler's number of the array."""

    def ask(self, number: str) -> Answer: ...

    def cancel(self, number: str) -> None: ...


def call_tool(*command: str) -> str:
    """What a scheduler's tool prints. Raises ClusterError with what it complains of."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as e:
        raise ClusterError(f"{command[0]}: {e.strerror}; is this a machine that may submit jobs?") from None
    if done.returncode:
        raise ClusterError(f"{command[0]}: {(done.stderr or done.stdout).strip() or f'status {done.returncode}'}")
    return done.stdout


def site_options(path: Path, options: dict[str, str]) -> list[str]:
    """The scheduler's options for a launcher's options by a conf of lines `option words`, `option=value words`.

    {} in the words is the value; `always` holds for every call. Raises ClusterError for an option without a line.
    """
    lines: dict[str, list[str]] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if words := shlex.split(line, comments=True):
                if words[0].partition("=")[0] not in ("always", *launcher.OPTIONS):
                    known = ", ".join(("always", *launcher.OPTIONS))
                    raise ClusterError(f"{path}:{number}: unknown option {words[0]!r}; known are {known}")
                lines[words[0]] = words[1:]
    except (OSError, ValueError) as e:
        raise ClusterError(f"{path}: can't be used ({e})") from None
    made = list(lines.get("always", []))
    for option, value in options.items():
        words = lines.get(f"{option}={value}", lines.get(option))
        if words is None:
            said = f"--{option.replace('_', '-')} {value}"
            raise ClusterError(f"{path}: says nothing of {said}; add a line `{option} ...`")
        made += [w.replace("{}", value) for w in words]
    return made


@contextmanager
def signals_held() -> Iterator[None]:
    """Keep signals back while an array is submitted, so that there is none whose number is not known."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Run:
    """One call of a launcher: its arrays, followed to their end."""

    def __init__(self, engine: Engine, call: Call, folder: Path, options: list[str]):
        self.engine, self.call, self.folder, self.options = engine, call, folder, options
        self.arrays: dict[str, list[int]] = {}  # number -> jobs, in the order of its tasks
        self.tries: Counter[int] = Counter()
        self.missed: Counter[int] = Counter()
        self.left, self.failed = set(call.jobs), list[int]()
        with stamp.write_aside(folder / "call.json") as f:
            json.dump(dataclasses.asdict(call), f)

    def submit(self, jobs: list[int]) -> None:
        """One array of these jobs."""
        attempt = len(self.arrays) + 1
        with stamp.write_aside(self.folder / f"jobs.{attempt}.json") as f:
            json.dump(jobs, f)
        script = self.folder / f"task.{attempt}.sh"
        command = [sys.executable, "-m", "fas.jobs.cluster", str(self.folder), str(attempt)]
        with stamp.write_aside(script) as f:
            f.write(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        name = "fas-" + re.sub(r"[^\w.-]", "_", Path(self.call.log).name)
        at_once = self.call.options.get("max_jobs_run")
        array = Array(name, len(jobs), int(at_once) if at_once else None, script, self.folder, self.options)
        with signals_held():
            number = self.engine.submit(array)
            self.arrays[number] = jobs
            with (self.folder / "arrays").open("a") as f:
                f.write(f"{number}\n")
        self.tries.update(jobs)

    def follow(self) -> int:
        """Until every job has ended; the launcher's exit status."""
        progress = launcher.Progress()
        look, ask, asked = LOOK[0], ASK[0], time.monotonic()
        while self.left:
            time.sleep(look)
            look = min(LOOK[1], look * 1.2)
            self.collect()
            if self.left and time.monotonic() - asked > ask:
                self.ask()
                asked, ask = time.monotonic(), min(ASK[1], ask * 1.5)
            progress.show(self.call, sorted(self.left))
        return launcher.end(self.call, self.failed, progress)

    def collect(self) -> None:
        """Read the status files of jobs that have ended."""
        ended = {int(p.name.partition(".")[2]) for p in self.folder.glob("status.*")} & self.left
        for job in sorted(ended):
            if status := int((self.folder / f"status.{job}").read_text()):
                self.fail(job, f"failed with status {status}")
            self.left.discard(job)

    def ask(self) -> None:
        """Find the jobs that the scheduler ended or lost. Twice missed is lost: a status file may be slow to appear."""
        lost = []
        for number, jobs in self.arrays.items():
            mine = {task: job for task, job in enumerate(jobs, 1) if job in self.left and self.newest(job) == number}
            if not mine:
                continue
            try:
                answer = self.engine.ask(number)
            except ClusterError as e:
                stamp.log(f"{e}; asking again later")
                continue
            self.collect()
            for task, job in mine.items():
                self.missed[job] = 0 if task in answer.alive else self.missed[job] + 1
                if job not in self.left or self.missed[job] < 2:
                    continue
                self.missed[job] = 0
                if task in answer.ended:
                    self.fail(job, f"was ended by {self.engine.name} ({answer.ended[task]})")
                elif self.tries[job] > RETRIES:
                    self.fail(job, f"was lost {self.tries[job]} times by {self.engine.name} and is given up")
                else:
                    lost.append(job)
        if lost:
            stamp.log(f"{self.engine.name} lost jobs {' '.join(map(str, lost))} without a status; submitted again")
            self.submit(lost)

    def newest(self, job: int) -> str:
        """The array that a job was last submitted with."""
        return next(number for number, jobs in reversed(self.arrays.items()) if job in jobs)

    def fail(self, job: int, what: str) -> None:
        self.left.discard(job)
        self.failed.append(job)
        log = self.call.log_of(job)
        jobs = self.arrays[self.newest(job)]
        if not log.exists():  # the task never began: the scheduler may have said why
            log = self.folder / f"out.{jobs.index(job) + 1}"
        launcher.show_failure(f"job {job} {what}", log)

    def cancel(self) -> None:
        """End what still waits or runs."""
        for number, jobs in self.arrays.items():
            if self.left & set(jobs):
                self.engine.cancel(number)


def remove(folder: Path) -> None:
    """Remove a launcher's folder, into which the scheduler may yet write that tasks were cancelled."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def main(engine: Engine, doc: str | None) -> int:
    """The program of a launcher."""
    call = launcher.parse(doc)
    conf = Path(os.environ.get("FAS_ENGINE_CONF") or CONF / f"{engine.name}.conf")
    said = {k: v for k, v in call.options.items() if k != "max_jobs_run"}
    logs = call.log_of(call.jobs[0]).resolve().parent
    prefix = f".{Path(call.log).name}.{engine.name}-"

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        options = site_options(conf, said)
        with stamp.locked(logs / f".{Path(call.log).name}.lock"):
            for stale in logs.glob(glob.escape(prefix) + "*"):  # of a launcher that was killed
                for left in (stale / "arrays").read_text().split() if (stale / "arrays").exists() else []:
                    stamp.log(f"cancelling array {left}, which an earlier launcher left behind")
                    engine.cancel(left)
                shutil.rmtree(stale, ignore_errors=True)
            for job in call.jobs:
                call.log_of(job).parent.mkdir(parents=True, exist_ok=True)
                call.log_of(job).unlink(missing_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=logs))
            run = Run(engine, call, folder, options)
            try:
                run.submit(call.jobs)
                return run.follow()
            finally:
                run.cancel()
                remove(folder)
    except ClusterError as e:
        sys.exit(f"error: {e}")


def run_task(folder: Path, attempt: str) -> int:
    """On the node: run this task's job and write its status; ended by the scheduler, write none.

    A scheduler may start a task again whose first run has come to its end meanwhile. Then nothing is left to do, nor
    when its launcher has ended too and taken the folder away.
    """
    if not folder.exists():
        return 0
    call = Call(**json.loads((folder / "call.json").read_text()))
    task = os.environ.get("SLURM_ARRAY_TASK_ID") or os.environ["SGE_TASK_ID"]
    job = json.loads((folder / f"jobs.{attempt}.json").read_text())[int(task) - 1]
    if (folder / f"status.{job}").exists():
        return 0
    process = launcher.start(call, job, int(call.options.get("num_threads", 1)))

    def stop(number: int, _frame: object) -> None:
        os.killpg(process.pid, signal.SIGTERM)
        sys.exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, stop)
    status = process.wait()
    # A launcher that is interrupted takes the folder away while its tasks end: they do not make it again
    with suppress(FileNotFoundError), stamp.write_aside(folder / f"status.{job}", parents=False) as f:
        f.write(f"{status}\n")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(run_task(Path(sys.argv[1]), sys.argv[2]))
