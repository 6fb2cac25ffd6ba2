"""utils/slurm.py and utils/sge.py on a real Slurm and a real Grid Engine of one node, brought up here and taken down.

Bringing one up needs root; without, the tests are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, outputs, recipe, run

SLURM = """ClusterName=toy
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

CORES = len(os.sched_getaffinity(0))
BOOTSTRAP = """admin_user none
default_domain none
ignore_fqdn false
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params {spool}/db
binary_path /usr/sbin
qmaster_spool_dir {spool}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
HOST = """hostname localhost
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""
FIRST = "import os,sys,time; p=sys.argv[1]; new=not os.path.exists(p); open(p,'a').write('x'); "
REPORTING = "accounting=false reporting=false flush_time=00:00:15 joblog=false sharelog=00:00:00"


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def install(*packages: str) -> None:
    """Debian packages; skips the tests where that can't be done."""
    if os.getuid():
        pytest.skip("bringing up a cluster needs root")
    if all((Path("/var/lib/dpkg/info") / f"{p}.list").exists() for p in packages):
        return
    if not shutil.which("apt-get"):
        pytest.skip(f"no {' and '.join(packages)} on this machine and no apt-get to install them")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = run("apt-get", "-qq", *command, env=quiet)
    if done.returncode:
        pytest.skip(f"{' and '.join(packages)} could not be installed: {done.stderr.strip()[-200:]}")


class Daemons:
    """Programs that stay in the foreground, ended in the reverse order."""

    def __init__(self, folder: Path, env: dict[str, str]):
        self.folder, self.env, self.every = folder, env, []

    def start(self, *command: object) -> None:
        with (self.folder / f"{Path(str(command[0])).name}.out").open("w") as out:
            words = [str(c) for c in command]
            self.every.append(subprocess.Popen(words, env=self.env, stdout=out, stderr=out, start_new_session=True))

    def stop(self) -> None:
        for daemon in reversed(self.every):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


@dataclass
class Cluster:
    """A running scheduler: the environment in which its tools speak to it, the launcher, and its queue."""

    env: dict[str, str]
    name: str
    list_jobs: tuple[str, ...]

    @property
    def launcher(self) -> tuple[object, ...]:
        return sys.executable, ROOT / "utils" / f"{self.name}.py"

    def queue(self) -> list[str]:
        return run(*self.list_jobs, env=self.env).stdout.splitlines()

    def number(self) -> str:
        """That of the only array there is."""
        (number,) = {line.split()[0].split("_")[0] for line in self.queue() if line.strip()[:1].isdigit()}
        return number

    def __call__(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        return run(*self.launcher, *arguments, env=self.env | env)

    def start(self, *arguments: object) -> subprocess.Popen:
        command = [str(c) for c in (*self.launcher, *arguments)]
        return subprocess.Popen(command, env=self.env, stderr=subprocess.PIPE, text=True)


def environment(folder: Path, conf: str) -> dict[str, str]:
    (folder / "engine.conf").write_text(conf)
    own = {"PYTHONPATH": str(ROOT), "FAS_PYTHON": sys.executable, "FAS_ENGINE_CONF": str(folder / "engine.conf")}
    return os.environ | own


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    install("slurm-wlm", "munge")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    host = os.uname().nodename.split(".")[0]
    (folder / "slurm.conf").write_text(
        SLURM.format(host=host, folder=folder, port=free_port(), slurmd_port=free_port(), cpus=CORES)
    )
    env = environment(folder, "num_threads --cpus-per-task={}\ngpu --comment=gpu{}\nmem --mem={}\n")
    env |= {"SLURM_CONF": str(folder / "slurm.conf")}
    daemons = Daemons(folder, env)
    try:
        files = {f"--{k}": folder / f"munge.{k}" for k in ("socket", "key-file", "log-file", "pid-file", "seed-file")}
        files |= {"--key-file": folder / "munge.key"}
        daemons.start("munged", "--force", "--foreground", *(x for pair in files.items() for x in pair))
        until((folder / "munge.socket").exists)
        daemons.start("slurmctld", "-D")
        daemons.start("slurmd", "-D")
        until(lambda: "idle" in run("sinfo", "-h", "-o", "%t", env=env).stdout)
        yield Cluster(env, "slurm", ("squeue", "-h", "--array"))
    finally:
        run("scancel", "--user", "root", env=env)
        daemons.stop()


@pytest.fixture(scope="module")
def sge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Debian's Grid Engine as root on localhost, its root folder, cell and spool of its own."""
    install("gridengine-master", "gridengine-exec", "gridengine-client")
    folder = tmp_path_factory.mktemp("sge")
    common, spool = folder / "default/common", folder / "spool"
    for made in (common, spool / "qmaster/job_scripts", spool / "db", spool / "execd"):
        made.mkdir(parents=True)
    for name in ("bin", "lib", "util", "utilbin"):
        (folder / name).symlink_to(f"/var/lib/gridengine/{name}")
    (common / "act_qmaster").write_text("localhost\n")
    (common / "host_aliases").write_text(f"localhost {os.uname().nodename}\n")
    (common / "bootstrap").write_text(BOOTSTRAP.format(spool=spool))
    env = environment(folder, "num_threads\ngpu\nmem -l no_such={}\n")
    env |= {"SGE_ROOT": str(folder), "SGE_CELL": "default", "SGE_ND": "1"}  # SGE_ND: the daemons stay in the foreground
    env |= {"SGE_QMASTER_PORT": str(free_port()), "SGE_EXECD_PORT": str(free_port())}

    def tool(*command: object) -> str:
        done = run("timeout", "20", *command, env=env)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def change(option: str, name: str, text: str) -> None:
        (folder / name).write_text(text)
        tool("qconf", option, folder / name)

    tool("/usr/share/gridengine/scripts/init_cluster", folder, "default", spool / "db", "root")
    daemons = Daemons(folder, env)
    try:
        daemons.start("sge_qmaster")
        until(lambda: run("timeout", "5", "qconf", "-sh", env=env).returncode == 0)
        tool("qconf", "-as", "localhost")
        change("-Ae", "host", HOST)
        own = {"min_uid": "0", "min_gid": "0", "execd_spool_dir": str(spool / "execd"), "load_report_time": "0:0:2"}
        change("-Mconf", "global", changed(tool("qconf", "-sconf"), own | {"reporting_params": REPORTING}))
        fast = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        change("-Msconf", "sched", changed(tool("qconf", "-ssconf"), fast | {"job_load_adjustments": "NONE"}))
        daemons.start("sge_execd")
        queue = {"qname": "all.q", "hostlist": "localhost", "slots": str(CORES), "load_thresholds": "NONE"}
        change("-Aq", "all.q", changed(tool("qconf", "-sq"), queue | {"rerun": "TRUE", "pe_list": "NONE"}))
        until(lambda: "lx-" in run("timeout", "5", "qstat", "-f", env=env).stdout)
        yield Cluster(env, "sge", ("qstat", "-g", "d"))
    finally:
        run("timeout", "20", "qdel", "-u", "root", env=env)
        daemons.stop()


def changed(text: str, values: dict[str, str]) -> str:
    """A table of Grid Engine with other values; long lines are continued behind a backslash."""
    lines = [x for x in text.replace("\\\n", " ").splitlines() if x.strip() and not x.startswith("#")]
    return "".join(f"{line.split()[0]} {values.get(line.split()[0], ' '.join(line.split()[1:]))}\n" for line in lines)


@pytest.fixture(params=["slurm", "sge"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return request.getfixturevalue(request.param)


def test_job_number_threads_and_hostile_words(cluster: Cluster, tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/ran); `touch {tmp_path}/ran` | touch {tmp_path}/ran\nline\n#SBATCH --hold 'x\""
    code = "import os,sys; print(sys.argv[1:], os.environ['OMP_NUM_THREADS'])"
    folder = tmp_path / "a b;$(x)"
    done = cluster(
        "--num-threads", 1, "--max-jobs-run", 2, "JOB=2:4", folder / "x.JOB.log",
        sys.executable, "-c", code, "got-JOB", hostile,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for job in (2, 3, 4):
        assert f"{[f'got-{job}', hostile]} 1\n" in (folder / f"x.{job}.log").read_text()
    assert sorted(p.name for p in folder.iterdir()) == [".x.JOB.log.lock", "x.2.log", "x.3.log", "x.4.log"]
    assert not (tmp_path / "ran").exists()


def test_a_failing_task_is_reported_with_its_log_and_not_repeated(cluster: Cluster, tmp_path: Path) -> None:
    code = "import sys; j=sys.argv[1]; open(sys.argv[2],'a').write(j); print('bo'+'om'); sys.exit(3*(j=='2'))"
    done = cluster("JOB=1:3", tmp_path / "x.JOB.log", sys.executable, "-c", code, "JOB", tmp_path / "runs")
    assert done.returncode == 1, done.stderr
    assert "job 2 failed with status 3" in done.stderr and done.stderr.count("boom") == 1
    assert "1 of 3 jobs failed: 2" in done.stderr
    assert sorted((tmp_path / "runs").read_text()) == ["1", "2", "3"]


def test_an_option_without_a_line_and_a_wrong_one_are_named(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster("--time", "1:00", "JOB=1:1", tmp_path / "l", "true")
    assert done.returncode == 1 and "says nothing of --time 1:00" in done.stderr
    done = cluster("--mem", "900G", "JOB=1:1", tmp_path / "l", "true")
    refused = {"slurm": "sbatch: sbatch: error: Memory specification", "sge": 'unknown resource "no_such"'}
    assert done.returncode == 1 and refused[cluster.name] in done.stderr, done.stderr
    done = cluster("JOB=1:1", tmp_path / "l", "true", PATH="/nowhere")
    assert done.returncode == 1 and "may submit jobs" in done.stderr


def test_a_lost_task_is_submitted_again(cluster: Cluster, tmp_path: Path) -> None:
    """The first run of each job kills what watches it on the node, as a dying node would."""
    code = FIRST + "new and os.kill(os.getppid(), 9)"
    done = cluster("JOB=1:2", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "JOB")
    assert done.returncode == 0, done.stderr
    assert "without a status; submitted again" in done.stderr
    assert [(tmp_path / j).read_text() for j in "12"] == ["xx", "xx"]


def test_a_requeued_task_is_waited_for(slurm: Cluster, tmp_path: Path) -> None:
    """What preemption and node failure do: Slurm puts a running task back into its queue."""
    code = FIRST + "new and time.sleep(60)"
    launcher = slurm.start("JOB=1:1", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "began")
    until((tmp_path / "began").exists)
    number = slurm.number()
    assert run("scontrol", "requeue", number, env=slurm.env).returncode == 0
    # Slurm holds a requeued job back for two minutes; its begin time may be moved
    until(lambda: " PD " in "".join(slurm.queue()))
    now = ("scontrol", "update", f"JobId={number}", "StartTime=now")
    until(lambda: run(*now, env=slurm.env).returncode == 0)
    _, said = launcher.communicate(timeout=200)
    assert launcher.returncode == 0, said
    assert (tmp_path / "began").read_text() == "xx"


def test_a_rescheduled_task_of_grid_engine_is_waited_for(sge: Cluster, tmp_path: Path) -> None:
    """What happens to the tasks of a host that is lost or a queue that is suspended: they are started again."""
    code = FIRST + "new and p.endswith('1') and time.sleep(300)"
    launcher = sge.start("JOB=1:2", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "JOB")
    until((tmp_path / "1").exists)
    assert run("qmod", "-rj", f"{sge.number()}.1", env=sge.env).returncode == 0
    _, said = launcher.communicate(timeout=200)
    assert launcher.returncode == 0 and "submitted again" not in said, said
    assert [(tmp_path / j).read_text() for j in "12"] == ["xx", "x"]


def task_of(folder: Path, tmp_path: Path, *command: object) -> tuple[object, ...]:
    """A task as the scheduler starts it: job 3 of a launcher that has made `folder`."""
    words = [str(c) for c in command]
    call = {"jobs": [3], "name": "JOB", "log": str(tmp_path / "JOB.log"), "command": words, "options": {}}
    folder.mkdir()
    (folder / "call.json").write_text(json.dumps(call))
    (folder / "jobs.1.json").write_text("[3]")
    return sys.executable, "-m", "fas.jobs.cluster", folder, 1


def test_a_task_that_is_started_again_behind_its_end_does_nothing(tmp_path: Path, python_path: None) -> None:
    """As when Grid Engine reschedules a task and its host ends it later than the task itself does."""
    folder = tmp_path / "folder"
    task = task_of(folder, tmp_path, sys.executable, "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('x')")
    for _ in range(2):
        assert run(*task, env=os.environ | {"SGE_TASK_ID": "1"}).returncode == 0
        assert (folder / "status.3").read_text() == "0\n"
    shutil.rmtree(folder)
    done = run(*task, env=os.environ | {"SGE_TASK_ID": "1"})
    assert done.returncode == 0 and not done.stderr and not folder.exists()
    assert (tmp_path / "ran").read_text() == "x"


def test_a_task_that_ends_behind_its_launcher_leaves_nothing(tmp_path: Path, python_path: None) -> None:
    """As when an interrupted launcher has taken its folder away while the scheduler is ending its tasks."""
    folder = tmp_path / "folder"
    task = task_of(folder, tmp_path, "sh", "-c", 'rm -r "$0"; kill -TERM $$', folder)
    done = run(*task, env=os.environ | {"SLURM_ARRAY_TASK_ID": "1"})
    assert done.returncode == 1 and not done.stderr and not folder.exists()
    assert (tmp_path / "3.log").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_launcher_cancels_the_array(cluster: Cluster, tmp_path: Path, number: int) -> None:
    launcher = cluster.start("JOB=1:3", tmp_path / "log/x.JOB.log", "sleep", "100")
    until((tmp_path / "log/x.1.log").exists)
    launcher.send_signal(number)
    assert launcher.wait(20) == 128 + number
    until(lambda: not cluster.queue())
    assert [p.name for p in (tmp_path / "log").iterdir() if "log." in p.name and "-" in p.name] == []


def test_a_killed_launchers_array_is_cancelled_by_the_next_one(cluster: Cluster, tmp_path: Path) -> None:
    launcher = cluster.start("JOB=1:1", tmp_path / "x.JOB.log", "sleep", "100")
    until((tmp_path / "x.1.log").exists)
    launcher.kill()
    launcher.wait()
    assert cluster.number()
    done = cluster("JOB=1:1", tmp_path / "x.JOB.log", "true")
    assert done.returncode == 0 and "which an earlier launcher left behind" in done.stderr
    until(lambda: not cluster.queue())


def test_stages_1_to_3_as_slurm_arrays_equal_the_local_result(slurm: Cluster, whole: Path, tmp_path: Path) -> None:
    """Byte for byte, after the arrays were cancelled in the middle and the stages were run again."""
    command = recipe(whole, "--stage", 1, "--stop-stage", 3, "--dumpdir", tmp_path / "dump")
    env = slurm.env | {"FAS_ENGINE": "slurm"}
    first = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    until(lambda: list((tmp_path / "dump").rglob(".journal.1")), 120)
    run("scancel", "--user", "root", env=env)
    _, said = first.communicate(timeout=200)
    assert first.returncode != 0 and "was ended by slurm (cancelled)" in said, said
    again = run(*command, env=env)
    assert again.returncode == 0, again.stderr[-3000:]
    assert slurm.queue() == []
    made, expected = outputs(tmp_path / "dump"), outputs(whole / "dump")
    assert made.keys() == expected.keys() and any(k.endswith(".ark") for k in made)
    assert [k for k in made if made[k] != expected[k]] == []


def test_stage_1_as_a_grid_engine_array_equals_the_local_result(sge: Cluster, whole: Path, tmp_path: Path) -> None:
    command = recipe(whole, "--stage", 1, "--stop-stage", 1, "--dumpdir", tmp_path / "dump")
    done = run(*command, env=sge.env | {"FAS_ENGINE": "sge"})
    assert done.returncode == 0, done.stderr[-3000:]
    made, expected = outputs(tmp_path / "dump/ssl"), outputs(whole / "dump/ssl")
    assert made and made == expected
