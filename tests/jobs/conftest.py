"""A real Slurm and a real Grid Engine of one node, brought up for the tests and taken down.

Bringing one up needs root; without, the tests are skipped.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, install, run, until

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
REPORTING = "accounting=false reporting=false flush_time=00:00:15 joblog=false sharelog=00:00:00"


def as_root() -> None:
    if os.getuid():
        pytest.skip("bringing up a cluster needs root")


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
                daemon.wait(60)
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
    as_root()
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
    as_root()
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
        done = run("timeout", "300", *command, env=env)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def change(option: str, name: str, text: str) -> None:
        (folder / name).write_text(text)
        tool("qconf", option, folder / name)

    tool("/usr/share/gridengine/scripts/init_cluster", folder, "default", spool / "db", "root")
    daemons = Daemons(folder, env)
    try:
        daemons.start("sge_qmaster")
        until(lambda: run("timeout", "60", "qconf", "-sh", env=env).returncode == 0)
        tool("qconf", "-as", "localhost")
        change("-Ae", "host", HOST)
        own = {"min_uid": "0", "min_gid": "0", "execd_spool_dir": str(spool / "execd"), "load_report_time": "0:0:2"}
        change("-Mconf", "global", changed(tool("qconf", "-sconf"), own | {"reporting_params": REPORTING}))
        fast = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        change("-Msconf", "sched", changed(tool("qconf", "-ssconf"), fast | {"job_load_adjustments": "NONE"}))
        daemons.start("sge_execd")
        queue = {"qname": "all.q", "hostlist": "localhost", "slots": str(CORES), "load_thresholds": "NONE"}
        change("-Aq", "all.q", changed(tool("qconf", "-sq"), queue | {"rerun": "TRUE", "pe_list": "NONE"}))
        until(lambda: "lx-" in run("timeout", "60", "qstat", "-f", env=env).stdout)
        yield Cluster(env, "sge", ("qstat", "-g", "d"))
    finally:
        run("timeout", "60", "qdel", "-u", "root", env=env)
        daemons.stop()


def changed(text: str, values: dict[str, str]) -> str:
    """A table of Grid Engine with other values; long lines are continued behind a backslash."""
    lines = [x for x in text.replace("\\\n", " ").splitlines() if x.strip() and not x.startswith("#")]
    return "".join(f"{line.split()[0]} {values.get(line.split()[0], ' '.join(line.split()[1:]))}\n" for line in lines)


@pytest.fixture(params=["slurm", "sge"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return request.getfixturevalue(request.param)
