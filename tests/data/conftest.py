"""What tests of data preparation share: local/*.py on a small tree of a release, and what they look at."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fas.data import datadir, tables
from tests.conftest import ROOT
from tests.data.servers import server  # noqa: F401  (a fixture)

Prepare = Callable[..., Path]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """local/<name>.py on tmp_path/corpora, in this process; the data directory. Errors are SystemExit."""

    def call(name: str, *options: object, corpus: str | None = None) -> Path:
        arguments = [*map(str, options), str(tmp_path / "corpora"), str(tmp_path / "data")]
        monkeypatch.setattr(sys, "argv", [f"local/{name}.py", *arguments])
        runpy.run_path(str(ROOT / "local" / f"{name}.py"), run_name="__main__")
        return tmp_path / "data" / (corpus or name)

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "corpora").mkdir()
    return tmp_path / "corpora"


def table(path: Path) -> dict[str, str]:
    return tables.read_table(path, empty_ok=True)


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but the marks, which hold digests of the same."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def check_kaldi(data: Path) -> None:
    """What Kaldi's validate_data_dir.sh demands of names: utterances start with the speaker and sort like speakers."""
    pairs = list(table(data / "utt2spk").items())
    assert all(u.startswith(s) for u, s in pairs)
    speakers = [s for _, s in pairs]
    assert speakers == sorted(speakers, key=str.encode)
    datadir.read(data)
