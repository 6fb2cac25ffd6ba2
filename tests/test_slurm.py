"""utils/slurm.py on a real Slurm of one node, brought up here and taken down; needs root, skips without."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, outputs, recipe, run

PACKAGES = ("slurm-wlm", "munge")
CONF = """ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={slurmd_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerParameters=sched_interval=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's tools speak to a cluster of this machine alone."""
    if os.getuid():
        pytest.skip("bringing up a Slurm needs root")
    if not all(map(shutil.which, ("munged", "slurmctld", "slurmd", "sbatch"))):
        if not shutil.which("apt-get"):
            pytest.skip("no Slurm on this machine and no apt-get to install one")
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            done = run("apt-get", "-qq", *command, env=quiet)
        if done.returncode:
            pytest.skip(f"Slurm could not be installed: {done.stderr.strip()[-200:]}")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    host = os.uname().nodename.split(".")[0]
    conf = CONF.format(
        host=host, folder=folder, port=free_port(), slurmd_port=free_port(), cpus=len(os.sched_getaffinity(0))
    )
    (folder / "slurm.conf").write_text(conf)
    env = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PYTHONPATH": str(ROOT), "FAS_PYTHON": sys.executable}
    env |= {"FAS_ENGINE_CONF": str(folder / "engine.conf")}
    (folder / "engine.conf").write_text("num_threads --cpus-per-task={}\ngpu --comment=gpu{}\nmem --mem={}\n")
    munge = ["--force", "--foreground", "--socket", "munge.socket", "--key-file", "munge.key", "--log-file", "m.log"]
    munge += ["--pid-file", "m.pid", "--seed-file", "m.seed"]
    munge = [str(folder / a) if not a.startswith("--") else a for a in munge]
    daemons = []
    try:
        for command in (["munged", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / f"{command[0]}.out").open("w") as out:
                daemons.append(subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True))
            if command[0] == "munged":
                until(lambda: (folder / "munge.socket").exists())
        until(lambda: "idle" in run("sinfo", "-h", "-o", "%t", env=env).stdout)
        yield env
    finally:
        run("scancel", "--user", "root", env=env)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def queue(env: dict[str, str]) -> list[str]:
    return run("squeue", "-h", "--array", env=env).stdout.splitlines()


LAUNCHER = (sys.executable, ROOT / "utils/slurm.py")


def test_job_number_threads_and_hostile_words(slurm: dict[str, str], tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/ran); `touch {tmp_path}/ran` | touch {tmp_path}/ran\nline\n#SBATCH --hold 'x\""
    code = "import os,sys; print(sys.argv[1:], os.environ['OMP_NUM_THREADS'])"
    folder = tmp_path / "a b;$(x)"
    done = run(
        *LAUNCHER, "--num-threads", 1, "--max-jobs-run", 2, "JOB=2:4", folder / "x.JOB.log",
        sys.executable, "-c", code, "got-JOB", hostile, env=slurm,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for job in (2, 3, 4):
        assert f"{[f'got-{job}', hostile]} 1\n" in (folder / f"x.{job}.log").read_text()
    assert sorted(p.name for p in folder.iterdir()) == [".x.JOB.log.lock", "x.2.log", "x.3.log", "x.4.log"]
    assert not (tmp_path / "ran").exists()


def test_a_failing_task_is_reported_with_its_log_and_not_repeated(slurm: dict[str, str], tmp_path: Path) -> None:
    code = "import sys; j=sys.argv[1]; open(sys.argv[2],'a').write(j); print('bo'+'om'); sys.exit(3*(j=='2'))"
    done = run(*LAUNCHER, "JOB=1:3", tmp_path / "x.JOB.log", sys.executable, "-c", code, "JOB", tmp_path / "runs", env=slurm)
    assert done.returncode == 1
    assert "job 2 failed with status 3" in done.stderr and done.stderr.count("boom") == 1
    assert "1 of 3 jobs failed: 2" in done.stderr
    assert sorted((tmp_path / "runs").read_text()) == ["1", "2", "3"]


def test_an_option_without_a_line_and_a_wrong_one_are_named(slurm: dict[str, str], tmp_path: Path) -> None:
    done = run(*LAUNCHER, "--time", "1:00", "JOB=1:1", tmp_path / "l", "true", env=slurm)
    assert done.returncode == 1 and "says nothing of --time 1:00" in done.stderr
    done = run(*LAUNCHER, "--mem", "900G", "JOB=1:1", tmp_path / "l", "true", env=slurm)
    assert done.returncode == 1 and "sbatch: error" in done.stderr and "memory" in done.stderr.lower(), done.stderr
    done = run(*LAUNCHER, "JOB=1:1", tmp_path / "l", "true", env=slurm | {"PATH": "/nowhere"})
    assert done.returncode == 1 and "may submit jobs" in done.stderr


# A job that ends the wrapper on its first run, as a dying node would, and does its work on the second
LOST = "import os,sys; p=sys.argv[1]; new=not os.path.exists(p); open(p,'a').write('x'); new and os.kill(os.getppid(),9)"


def test_a_lost_task_is_submitted_again(slurm: dict[str, str], tmp_path: Path) -> None:
    done = run(*LAUNCHER, "JOB=1:2", tmp_path / "x.JOB.log", sys.executable, "-c", LOST, tmp_path / "JOB", env=slurm)
    assert done.returncode == 0, done.stderr
    assert "without a status; submitted again" in done.stderr
    assert [(tmp_path / j).read_text() for j in "12"] == ["xx", "xx"]


def test_a_requeued_task_is_waited_for(slurm: dict[str, str], tmp_path: Path) -> None:
    """What preemption and node failure do: Slurm puts a running task back into its queue."""
    code = "import os,sys,time; open(sys.argv[1],'a').write('x'); 'SLURM_RESTART_COUNT' in os.environ or time.sleep(60)"
    command = [*LAUNCHER, "JOB=1:1", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "began"]
    launcher = subprocess.Popen([str(c) for c in command], env=slurm, stderr=subprocess.PIPE, text=True)
    until((tmp_path / "began").exists)
    (number,) = [line.split()[0].split("_")[0] for line in queue(slurm)]
    assert run("scontrol", "requeue", number, env=slurm).returncode == 0
    # Slurm holds a requeued job back for two minutes; its begin time may be moved
    until(lambda: " PD " in "".join(queue(slurm)))
    until(lambda: run("scontrol", "update", f"JobId={number}", "StartTime=now", env=slurm).returncode == 0)
    _, said = launcher.communicate(timeout=200)
    assert launcher.returncode == 0, said
    assert (tmp_path / "began").read_text() == "xx"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_launcher_cancels_the_array(slurm: dict[str, str], tmp_path: Path, number: int) -> None:
    command = [*LAUNCHER, "JOB=1:3", tmp_path / "log/x.JOB.log", "sleep", "100"]
    launcher = subprocess.Popen([str(c) for c in command], env=slurm)
    until((tmp_path / "log/x.1.log").exists)
    launcher.send_signal(number)
    assert launcher.wait(20) == 128 + number
    until(lambda: not queue(slurm))
    assert [p.name for p in (tmp_path / "log").iterdir() if "slurm-" in p.name] == []


def test_a_killed_launchers_array_is_cancelled_by_the_next_one(slurm: dict[str, str], tmp_path: Path) -> None:
    command = [str(c) for c in (*LAUNCHER, "JOB=1:1", tmp_path / "x.JOB.log", "sleep", "100")]
    launcher = subprocess.Popen(command, env=slurm)
    until((tmp_path / "x.1.log").exists)
    launcher.kill()
    launcher.wait()
    assert len(queue(slurm)) == 1
    done = run(*LAUNCHER, "JOB=1:1", tmp_path / "x.JOB.log", "true", env=slurm)
    assert done.returncode == 0 and "which an earlier launcher left behind" in done.stderr
    until(lambda: not queue(slurm))


def test_stages_1_to_3_as_arrays_equal_the_local_result(slurm: dict[str, str], whole: Path, tmp_path: Path) -> None:
    """Byte for byte, after the arrays were cancelled in the middle and the stages were run again."""
    command = recipe(whole, "--stage", 1, "--stop-stage", 3, "--dumpdir", tmp_path / "dump")
    env = slurm | {"FAS_ENGINE": "slurm"}
    first = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    until(lambda: list((tmp_path / "dump").rglob(".journal.1")), 120)
    run("scancel", "--user", "root", env=slurm)
    _, said = first.communicate(timeout=200)
    assert first.returncode != 0 and "was ended by slurm (cancelled)" in said, said
    again = run(*command, env=env)
    assert again.returncode == 0, again.stderr[-3000:]
    assert queue(slurm) == []
    made, expected = outputs(tmp_path / "dump"), outputs(whole / "dump")
    assert made.keys() == expected.keys() and any(k.endswith(".ark") for k in made)
    assert [k for k in made if made[k] != expected[k]] == []
