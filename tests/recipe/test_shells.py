"""Shells and paths as people have them: spaces, other folders, CDPATH, no flock, bash 3.2, bare interpreters."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import pytest

from fas import stamp
from fas.data import audio, datadir
from fas.data.check import check_audio
from fas.data.datadir import DataDir
from tests.conftest import ENV, ROOT, run

SCRIPTS = sorted(p for g in ("*.sh", "steps/*.sh", "utils/*.sh", "local/*.sh", "egs/*/*.sh") for p in ROOT.glob(g))
NEWER = {  # than bash 3.2, which macOS has
    r"declare -[A-Za-z]*A|local -[A-Za-z]*[An]\b": "associative arrays, name references",
    r"\b(mapfile|readarray|coproc)\b|shopt -s globstar": "4.0",
    r"\$\{[^}]*(,,|\^\^)[^}]*\}|\$\{\w+@": "letters changed, transformations",
    r"&>>|\|&": "4.0",
    r"%\([^)]*\)T": "dates by printf",
    r"\[\[ -v |wait -n": "4.2, 4.3",
    r"\[-1\]": "negative index",
    r"\bflock\b(?!\()": "the program flock, which macOS lacks",
}


def test_scripts_need_no_newer_bash_and_no_flock() -> None:
    assert len(SCRIPTS) > 15
    for path in SCRIPTS:
        code = re.sub(r"<<'PYTHON'.*?\nPYTHON\n", "\n", path.read_text(), flags=re.DOTALL)
        for number, line in enumerate(code.splitlines(), 1):
            for form, what in NEWER.items():
                assert line.lstrip().startswith("#") or not re.search(form, line), f"{path}:{number}: {what}: {line}"


RECIPE = r"""
set -euo pipefail
options=()
# Options
corpora=c  # own path
n=1  # own number
# End of options
. "$1/utils/parse_options.sh" "${@:2}"
printf '%s\n' "$corpora" "$n" "${options[@]}"
"""


def test_paths_are_relative_to_where_the_user_stands(tmp_path: Path) -> None:
    here = tmp_path / "my work"
    here.mkdir()
    (tmp_path / "recipe.sh").write_text(RECIPE)
    given = ["--corpora", "rel", "--n", "3", "--fas-conf", r"a.yaml b\ c.yaml /d.yaml", "--expdir=exp/one", "--seeds",
             "1 2", "--external", "X=y.txt Z=/q", "--published", "", "--ssl-conf", "../s.yaml"]  # fmt: skip
    done = run("bash", tmp_path / "recipe.sh", ROOT, *given, cwd=here)
    escaped = str(here).replace(" ", r"\ ")
    assert done.stdout.splitlines() == [
        f"{here}/rel", "3", "--fas-conf", rf"{escaped}/a.yaml {escaped}/b\ c.yaml /d.yaml", f"--expdir={here}/exp/one",
        "--seeds", "1 2", "--external", f"X={escaped}/y.txt Z=/q", "--published", "", "--ssl-conf", f"{here}/../s.yaml",
    ], done.stderr  # fmt: skip


def test_a_recipe_looks_for_corpora_where_its_user_stands(tmp_path: Path) -> None:
    """From a checkout in a folder with a space, and with a CDPATH that leads elsewhere."""
    (tmp_path / "my work").mkdir()
    (tmp_path / "my work/fas").symlink_to(ROOT)
    options = ["--corpora", "mine", "--datadir", "data", "--expdir", "exp", "--stop-stage", "0"]
    done = run("bash", "my work/fas/egs/ravdess/run.sh", *options, cwd=tmp_path, env=ENV | {"CDPATH": ".:/:.."})
    assert done.returncode == 1 and f"{tmp_path}/mine/ravdess: no such folder" in done.stderr, done.stderr
    assert (tmp_path / "exp/.run.lock").exists()


def test_launchers_and_lists_know_spaces(tmp_path: Path) -> None:
    """The words of a launcher, of confs and of sets, in a checkout and in folders with spaces."""
    (tmp_path / "my work").mkdir()
    (tmp_path / "my work/fas").symlink_to(ROOT)
    script = r"""
. "my work/fas/path.sh"; . "$FAS_ROOT/cmd.sh"
read -a launcher <<<"$gpu_cmd"
"${launcher[@]}" JOB=1:2 "my log/x.JOB.log" "$FAS_PYTHON" -c 'import sys; print(sys.argv[1:])' "a b" JOB
read -a words <<<"$(as_word "/a b/c") $(as_word "d")"
printf '<%s>\n' "${words[@]}"
"""
    done = run("bash", "-c", script, cwd=tmp_path, env={**ENV, "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 0 and done.stdout.splitlines() == ["</a b/c>", "<d>"], done.stderr
    assert "['a b', '2']" in (tmp_path / "my log/x.2.log").read_text()


def test_two_confs_of_one_name_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fas.yaml").write_text("x: 1\n")
    done = run("bash", ROOT / "run.sh", "--fas-conf", "a/fas.yaml b/fas.yaml", "--stage", "4", cwd=tmp_path, env=ENV)
    assert done.returncode == 2 and "two confs of the name fas.yaml" in done.stderr


def test_two_encoders_of_one_name_are_refused_and_one_by_two_paths_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "enc.yaml").write_text(f"kind: s3prl\nupstream: {name}\n")
    command = ["bash", ROOT / "run.sh", "--stage", "1", "--stop-stage", "1", "--ssl-conf", "a/enc.yaml"]
    done = run(*command, "--semantic-conf", "b/enc.yaml", cwd=tmp_path, env=ENV)
    assert done.returncode == 2 and "two confs of the name enc.yaml" in done.stderr
    done = run(*command, "--semantic-conf", "./b/../a/enc.yaml", cwd=tmp_path, env=ENV)
    assert done.returncode == 0 and done.stderr.count("stage 1: ssl (enc)") == 1, done.stderr


def test_a_lock_is_held_without_the_program_flock(tmp_path: Path) -> None:
    script = '. "$1/path.sh"; exec 9>"$2"; lock "$FAS_PYTHON" 9 $3 && { echo mine; [[ -n $3 ]] || sleep 60; }'
    command = ["bash", "-c", script, "x", str(ROOT), str(tmp_path / "lock")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV, start_new_session=True)
    assert first.stdout.readline() == "mine\n"
    assert run(*command, "--try", env=ENV).stdout == ""
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert run(*command, "--try", env=ENV).stdout == "mine\n"


def test_an_interpreter_without_the_packages_is_named(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    environment = ENV | {"FAS_PYTHON": str(tmp_path / "bare/bin/python")}
    environment.pop("FAS_PYTHON_WHOLE", None)
    done = run("bash", ROOT / "utils/validate_data_dir.sh", tmp_path, env=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"bare/bin/python lacks torch .*; install .*requirements.txt into it, or unset", done.stderr)


@pytest.mark.parametrize("home", [None, "/", "/nonexistent"])
def test_homes_that_are_none(tmp_path: Path, home: str | None) -> None:
    environment = {k: v for k, v in ENV.items() if k not in ("HOME", "FAS_CACHE")} | {"PYTHONPATH": str(ROOT)}
    environment |= {"HOME": home} if home else {}
    done = run(sys.executable, "-m", "fas.bin.data", "validate", tmp_path / "none", env=environment)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "no such data directory" in done.stderr


def test_what_others_own_is_read_without_a_lock(small: DataDir, tmp_path: Path) -> None:
    """A colleague's data directory, a shared cache: neither can be written to."""
    theirs = tmp_path / "data"
    for folder in (tmp_path, *tmp_path.parents):
        if os.getuid() == 0 and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    theirs.chmod(0o555)
    before = sorted(theirs.iterdir())
    audio.read(next(iter(small.wav.values())))  # libraries are loaded while they can be read
    datadir.read(theirs)
    if (child := os.fork()) == 0:
        status = 1
        try:
            if os.getuid() == 0:  # whom no mode stops
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with stamp.locked(theirs / "sub/.lock") as first, stamp.locked(theirs / ".lock", wait=False) as second:
                assert first and second
            data = datadir.read(theirs)
            check_audio(data)
            datadir.write_split(theirs, 2, Path(tempfile.mkdtemp()) / "split2")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(theirs.iterdir()) == before
