"""run.sh and the steps: options, their errors, and --help."""

import os
import sys

import pytest

from tests.conftest import ROOT, run

ENV = os.environ | {"FAS_PYTHON": sys.executable}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stag", "1"], "unknown option --stag"),
        (["--PATH", "x"], "unknown option --PATH"),
        (["--stage"], "--stage needs a value"),
        (["--stage", "--nj", "2"], "--stage needs a value"),
        (["--stage", "7"], "--stage is a number from 0 to 6"),
        (["--stage", "-1"], "--stage is a number from 0 to 6"),
        (["--stage", "3", "--stop-stage", "2"], "is behind --stop-stage"),
        (["--nj", "none"], "--nj is a number"),
        (["--seeds", "1 x"], "--seeds are whole numbers"),
        (["--ssl-conf", "conf/ssl/nothing.yaml"], "no such conf: conf/ssl/nothing.yaml"),
        (["stray"], "unexpected argument stray"),
    ],
)
def test_wrong_options_are_errors(arguments: list[str], says: str) -> None:
    done = run("bash", ROOT / "run.sh", *arguments, env=ENV)
    assert done.returncode == 2 and says in done.stderr


def test_values_are_never_evaluated(tmp_path: os.PathLike) -> None:
    hostile = f"$(touch {tmp_path}/ran)`touch {tmp_path}/ran`"
    done = run("bash", ROOT / "run.sh", "--ssl-conf", hostile, env=ENV)
    assert done.returncode == 2 and not os.listdir(tmp_path)


@pytest.mark.parametrize("script", ["run.sh", *(f"steps/{p.name}" for p in sorted((ROOT / "steps").glob("*.sh")))])
def test_help_shows_each_option_with_its_default(script: str) -> None:
    done = run("bash", ROOT / script, "--help", env=ENV)
    assert done.returncode == 0
    inside = (ROOT / script).read_text().split("# Options\n")[1].split("# End of options")[0]
    for line in inside.splitlines():
        name = line.split("=")[0].replace("_", "-")
        assert f"--{name} " in done.stdout
    if script == "run.sh":
        assert "--nj                 parallel jobs (2)" in done.stdout


@pytest.mark.parametrize("recipe", sorted(p.parent.name for p in (ROOT / "egs").glob("*/run.sh")))
def test_help_of_a_recipe_lists_its_own_options_too(recipe: str, tmp_path: os.PathLike) -> None:
    script = ROOT / "egs" / recipe / "run.sh"
    done = run("bash", script, "--corpora", tmp_path, "--help", env=ENV, cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "" and not os.listdir(tmp_path)
    own, others = done.stdout.split("The FAS pipeline.")
    inside = script.read_text().split("# Options\n")[1].split("# End of options")[0]
    for line in inside.splitlines():
        assert f"--{line.split('=')[0].replace('_', '-')} " in own
    assert "--export-dir" in others and ".yaml)" in others


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--utts"], "--utts needs a value"),
        (["--stag", "1"], "unknown option --stag"),
        (["--nj", "--utts", "5"], "--nj needs a value"),
        (["--utts", "5", "--nj=none"], "--nj is a number"),
        (["stray"], "unexpected argument stray"),
    ],
)
def test_a_recipe_hands_on_what_is_not_its_own(arguments: list[str], says: str) -> None:
    done = run("bash", ROOT / "egs/case/run.sh", *arguments, env=ENV)
    assert done.returncode == 2 and says in done.stderr
