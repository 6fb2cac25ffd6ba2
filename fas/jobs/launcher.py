"""What the launchers in utils/ share: how they are called, how a job is started, what is shown of it."""

import argparse
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
TAIL = 30  # lines of a failed job's log
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
OPTIONS = {
    "mem": "memory of each job (8G)",
    "num_threads": "threads of each job",
    "gpu": "GPUs of each job",
    "time": "time limit of each job (4:00:00)",
    "max_jobs_run": "jobs at once (all)",
}


@dataclass(frozen=True)
class Call:
    """`[options] JOB=1:N LOG COMMAND ...`: numbers of the jobs, LOG and COMMAND with the name JOB in them, options."""

    jobs: list[int]
    name: str | None
    log: str
    command: list[str]
    options: dict[str, str]

    def _of(self, job: int, text: str) -> str:
        return text.replace(self.name, str(job)) if self.name else text

    def log_of(self, job: int) -> Path:
        return Path(self._of(job, self.log))

    def command_of(self, job: int) -> list[str]:
        return [self._of(job, a) for a in self.command]


def parse(doc: str | None) -> Call:
    """The launcher's own command line; wrong ones end the program."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, says in OPTIONS.items():
        whole = option in ("num_threads", "gpu", "max_jobs_run")
        parser.add_argument(f"--{option.replace('_', '-')}", type=int if whole else str, help=says)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    rest = args.rest
    first, last, name = 1, 1, None
    if rest and (match := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", rest[0])):
        name, first, last = match[1], int(match[2]), int(match[3] or match[2])
        rest = rest[1:]
    if len(rest) < 2 or first > last:
        parser.error(f"usage: {sys.argv[0]} [options] JOB=1:N LOG COMMAND [ARG ...]")
    options = {o: str(v) for o in OPTIONS if (v := getattr(args, o)) is not None}
    for option in ("num_threads", "max_jobs_run"):
        if int(options.get(option, 1)) < 1:
            parser.error(f"--{option.replace('_', '-')} is a number from 1, not {options[option]}")
    return Call(list(range(first, last + 1)), name, rest[0], rest[1:], options)


def die_with_parent() -> None:
    """In the child: be ended by the kernel when the launcher dies, however it dies."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(call: Call, job: int, threads: int, devices: list[str] | None = None) -> subprocess.Popen:
    """Start a job in a session of its own, its output in its log; `devices` are the GPUs that it may see."""
    log = call.log_of(job)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = call.command_of(job)
    environment = os.environ | {v: str(threads) for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "FAS_THREADS")}
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    with log.open("w") as out:
        out.write(f"# {' '.join(command)}\n# {time.strftime('%F %T')} on {os.uname().nodename}\n")
        out.flush()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def show_failure(what: str, log: Path) -> None:
    """Say what happened and show the end of the log."""
    try:
        lines = re.split(r"[\r\n]+", log.read_text(errors="replace").strip())[-TAIL:]
    except OSError as e:
        lines = [f"({e.strerror})"]
    print(f"{what}; the end of {log}:", *lines, sep="\n  ", file=sys.stderr, flush=True)


class Progress:
    """Now and then, the last line of each running job's log."""

    def __init__(self) -> None:
        self.tty = sys.stderr.isatty()
        self.shown = time.monotonic()
        self.line = False

    def show(self, call: Call, running: list[int]) -> None:
        if not running or time.monotonic() - self.shown < (2 if self.tty else 30):
            return
        self.shown, self.line = time.monotonic(), self.tty
        states = "; ".join(f"{job}: {self._last(call.log_of(job))}" for job in running[:10])
        print(f"\r{states[:150]}", end="" if self.tty else "\n", file=sys.stderr, flush=True)

    @staticmethod
    def _last(log: Path) -> str:
        """The last thing that a job wrote, tqdm's bars included."""
        try:
            with log.open("rb") as f:
                f.seek(max(0, log.stat().st_size - 400))
                return re.split(r"[\r\n]", f.read().decode(errors="replace").strip())[-1].strip()
        except OSError:
            return "waiting"


def end(call: Call, failed: list[int], progress: Progress) -> int:
    """The launcher's last words and its exit status."""
    if progress.line:
        print(file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(call.jobs)} jobs failed: {' '.join(map(str, sorted(failed)))}", file=sys.stderr)
    return 1 if failed else 0
