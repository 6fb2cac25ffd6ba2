"""utils/run.py: called as Kaldi's launchers are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, WAIT, run, until

LAUNCHER = (sys.executable, ROOT / "utils" / "run.py")
pytestmark = pytest.mark.usefixtures("python_path")


def test_job_number_stands_in_log_and_arguments(tmp_path: Path) -> None:
    code = "import os,sys; print(sys.argv[1], os.environ['OMP_NUM_THREADS'])"
    done = run(*LAUNCHER, "JOB=1:3", tmp_path / "log/x.JOB.log", sys.executable, "-c", code, "got-JOB")
    assert done.returncode == 0
    threads = max(1, len(os.sched_getaffinity(0)) // 3)
    for job in (1, 2, 3):
        assert f"got-{job} {threads}\n" in (tmp_path / f"log/x.{job}.log").read_text()


def test_failing_jobs_log_is_shown_and_the_others_finish(tmp_path: Path) -> None:
    code = "import sys,pathlib; n=sys.argv[1]; print(['fi'+'ne','bo'+'om'][n=='2']); sys.exit(3*(n=='2'))"
    done = run(*LAUNCHER, "JOB=1:3", tmp_path / "x.JOB.log", sys.executable, "-c", code, "JOB")
    assert done.returncode == 1
    assert "job 2 failed with status 3" in done.stderr and "boom" in done.stderr and "fine" not in done.stderr
    assert "fine" in (tmp_path / "x.3.log").read_text()


def test_no_shell_sees_the_command(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/ran); `touch {tmp_path}/ran` | touch {tmp_path}/ran"
    assert run(*LAUNCHER, "JOB=1:1", tmp_path / "l", "echo", hostile).returncode == 0
    assert hostile in (tmp_path / "l").read_text()
    assert not (tmp_path / "ran").exists()


def test_children_end_with_the_launcher(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        code = "import os,sys,time; open(sys.argv[1],'w').write(str(os.getpid())); time.sleep(3600)"
        pids = [tmp_path / f"pid{number}.{j}" for j in (1, 2)]
        command = [*LAUNCHER, "JOB=1:2", tmp_path / "l.JOB", sys.executable, "-c", code, tmp_path / f"pid{number}.JOB"]
        launcher = subprocess.Popen([str(c) for c in command])
        until(lambda pids=pids: all(p.exists() and p.read_text() for p in pids))
        launcher.send_signal(number)
        assert launcher.wait(WAIT) != 0
        for pid in (int(p.read_text()) for p in pids):
            until(lambda pid=pid: not alive(pid))  # else a job outlives its launcher


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_jobs_share_the_gpus_in_turn(tmp_path: Path) -> None:
    """Jobs 1 and 2, then 3 and 4, which wait for each other: so two run at any time."""
    code = (
        "import os,sys,time\nfrom pathlib import Path\nfolder, job = Path(sys.argv[1]), int(sys.argv[2])\n"
        "(folder / f'began{job}').touch()\n"
        "while not (folder / f'began{(job - 1 ^ 1) + 1}').exists(): time.sleep(0.05)\n"
        "print('sees', os.environ.get('CUDA_VISIBLE_DEVICES'))"
    )
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "4,5,6,7"}
    job = (sys.executable, "-c", code, tmp_path, "JOB")
    assert run(*LAUNCHER, "--max-jobs-run", 2, "--gpu", 2, "JOB=1:4", tmp_path / "JOB", *job, env=env).returncode == 0
    seen = [(tmp_path / str(job)).read_text().split()[-1] for job in (1, 2, 3, 4)]
    assert sorted(seen[:2]) == sorted(seen[2:]) == ["4,5", "6,7"]


def test_wrong_calls_are_named(tmp_path: Path) -> None:
    for arguments, says in (
        (("JOB=2:1", tmp_path / "l", "true"), "usage:"),
        (("--num-threads", 0, tmp_path / "l", "true"), "--num-threads is a number from 1"),
        (("--gpu", "two", tmp_path / "l", "true"), "invalid int"),
    ):
        done = run(*LAUNCHER, *arguments)
        assert done.returncode == 2 and says in done.stderr
    done = run("bash", ROOT / "run.sh", "--stop-stage", 0, env=os.environ | {"FAS_ENGINE": "pbs"}, cwd=tmp_path)
    assert done.returncode == 2 and "FAS_ENGINE is local, slurm or sge, not pbs" in done.stderr
