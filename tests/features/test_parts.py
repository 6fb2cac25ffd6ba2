"""Outputs that survive a kill: cut anywhere, a job started again ends with the same bytes."""

import random
from pathlib import Path

import pytest

from fas import stamp
from fas.features.parts import Parts

BATCHES = 12
NAMES = ["feats.1.ark", "block/feats.1.ark", "text.1"]


class KilledError(Exception):
    pass


def work(folder: Path, kill_at: int | None = None, torn: int = 0) -> None:
    """Write BATCHES batches; at batch kill_at write `torn` bytes of it and die."""
    parts = Parts(folder, 1, NAMES, {"conf": "x"})
    if parts.is_whole:
        return
    with parts:
        for i in range(parts.committed, BATCHES):
            content = bytes([i]) * (i + 5)
            for n, name in enumerate(NAMES):
                if i == kill_at and n == 1:
                    parts.files[name].write(content[:torn])
                    raise KilledError
                parts.files[name].write(content)
            parts.commit()
    parts.finish()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_killed_many_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    work(tmp_path / "calm")
    chance = random.Random(0)
    for round_ in range(20):
        folder = tmp_path / f"killed{round_}"
        for _ in range(4):
            try:
                work(folder, chance.randrange(BATCHES), chance.randrange(5))
            except KilledError:
                journal = folder / ".journal.1"
                if journal.exists() and chance.random() < 0.5:  # the journal's own last line is torn
                    journal.write_bytes(journal.read_bytes() + b'{"feats')
        work(folder)
        assert contents(folder) == contents(tmp_path / "calm")


def test_other_inputs_start_over(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        work(tmp_path, kill_at=5)
    parts = Parts(tmp_path, 1, NAMES, {"conf": "y"})
    with parts:
        assert parts.committed == 0


def test_a_changed_output_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work(tmp_path)
    assert stamp.is_whole(tmp_path, {"conf": "x"}, ".done.1.json")
    assert not stamp.is_whole(tmp_path, {"conf": "z"}, ".done.1.json")
    assert "changed conf" in capsys.readouterr().err
    (tmp_path / "text.1").write_bytes(b"short")
    assert not stamp.is_whole(tmp_path, {"conf": "x"}, ".done.1.json")
    assert "text.1: not as it was written" in capsys.readouterr().err
