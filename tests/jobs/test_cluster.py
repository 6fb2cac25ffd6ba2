"""utils/slurm.py and utils/sge.py on a real Slurm and a real Grid Engine of one node."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import WAIT, outputs, recipe, run, until
from tests.jobs.conftest import Cluster

FIRST = "import os,sys,time; p=sys.argv[1]; new=not os.path.exists(p); open(p,'a').write('x'); "


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
    code = FIRST + "new and time.sleep(3600)"
    launcher = slurm.start("JOB=1:1", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "began")
    until((tmp_path / "began").exists)
    number = slurm.number()
    assert run("scontrol", "requeue", number, env=slurm.env).returncode == 0
    # Slurm holds a requeued job back for two minutes; its begin time may be moved
    until(lambda: " PD " in "".join(slurm.queue()))
    now = ("scontrol", "update", f"JobId={number}", "StartTime=now")
    until(lambda: run(*now, env=slurm.env).returncode == 0)
    _, said = launcher.communicate(timeout=WAIT)
    assert launcher.returncode == 0, said
    assert (tmp_path / "began").read_text() == "xx"


def test_a_rescheduled_task_of_grid_engine_is_waited_for(sge: Cluster, tmp_path: Path) -> None:
    """What happens to the tasks of a host that is lost or a queue that is suspended: they are started again."""
    code = FIRST + "new and p.endswith('1') and time.sleep(3600)"
    launcher = sge.start("JOB=1:2", tmp_path / "x.JOB.log", sys.executable, "-c", code, tmp_path / "JOB")
    until((tmp_path / "1").exists)
    assert run("qmod", "-rj", f"{sge.number()}.1", env=sge.env).returncode == 0
    _, said = launcher.communicate(timeout=WAIT)
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
    launcher = cluster.start("JOB=1:3", tmp_path / "log/x.JOB.log", "sleep", "3600")
    until((tmp_path / "log/x.1.log").exists)
    launcher.send_signal(number)
    assert launcher.wait(WAIT) == 128 + number
    until(lambda: not cluster.queue())
    assert [p.name for p in (tmp_path / "log").iterdir() if "log." in p.name and "-" in p.name] == []


def test_a_killed_launchers_array_is_cancelled_by_the_next_one(cluster: Cluster, tmp_path: Path) -> None:
    launcher = cluster.start("JOB=1:1", tmp_path / "x.JOB.log", "sleep", "3600")
    until((tmp_path / "x.1.log").exists)
    launcher.kill()
    launcher.wait(WAIT)
    assert cluster.number()
    done = cluster("JOB=1:1", tmp_path / "x.JOB.log", "true")
    assert done.returncode == 0 and "which an earlier launcher left behind" in done.stderr
    until(lambda: not cluster.queue())


def test_stages_1_to_3_as_slurm_arrays_equal_the_local_result(slurm: Cluster, whole: Path, tmp_path: Path) -> None:
    """Byte for byte, after the arrays were cancelled in the middle and the stages were run again."""
    command = recipe(whole, "--stage", 1, "--stop-stage", 3, "--dumpdir", tmp_path / "dump")
    env = slurm.env | {"FAS_ENGINE": "slurm"}
    with (tmp_path / "said").open("w") as said:
        first = subprocess.Popen(command, env=env, stderr=said)

    def is_ended() -> bool:
        """Cancels whatever runs while a job is in the middle of its work, until no run is left."""
        if list((tmp_path / "dump").rglob(".journal.1")):
            run("scancel", "--user", "root", env=env)
        return first.poll() is not None

    until(is_ended)
    said = (tmp_path / "said").read_text()
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
