"""Append-only outputs of one job that survive a kill at any moment.

A job works through batches in a fixed order and appends to its files. After each batch the sizes of all files are
added to a journal; a job started again cuts its files back to the last journalled sizes and goes on with the next
batch, so the final bytes are those of an undisturbed run.
"""

import json
import os
from pathlib import Path
from typing import BinaryIO

from fas import stamp


class Parts:
    """The files `names` (below `directory`) of job number `job`, made from `inputs`.

    Use: `with parts: for i in range(parts.committed, n): ...; parts.commit()`, then `parts.finish()`.
    """

    def __init__(self, directory: Path, job: int, names: list[str], inputs: dict[str, str]):
        self.directory, self.names, self.inputs = directory, names, inputs
        self.mark = f".done.{job}.json"
        self.journal_path = directory / f".journal.{job}"
        self.files: dict[str, BinaryIO] = {}
        self.committed = 0

    def _part(self, name: str) -> Path:
        path = self.directory / name
        return path.with_name(f".{path.name}.part")

    @property
    def is_whole(self) -> bool:
        return stamp.is_whole(self.directory, self.inputs, self.mark)

    def __enter__(self) -> "Parts":
        stamp.unmark(self.directory, self.mark)
        sizes = dict.fromkeys(self.names, 0)
        for line in self._read_journal():
            sizes, self.committed = line, self.committed + 1
        mode = "r+b" if self.committed else "wb"
        for name in self.names:
            self._part(name).parent.mkdir(parents=True, exist_ok=True)
            self.files[name] = self._part(name).open(mode)
            self.files[name].truncate(sizes[name])
            self.files[name].seek(sizes[name])
        if not self.committed:
            with stamp.write_aside(self.journal_path) as f:
                f.write(json.dumps(self.inputs) + "\n")
        self.journal = self.journal_path.open("r+b")
        self.journal.seek(0, os.SEEK_END)
        return self

    def _read_journal(self) -> list[dict[str, int]]:
        """Sizes after each committed batch; none when the journal is of other inputs or its files are gone."""
        try:
            lines = self.journal_path.read_bytes().split(b"\n")
            if json.loads(lines[0]) != self.inputs:
                return []
        except (OSError, ValueError):
            return []
        whole = lines[1:-1]  # what stands behind the last newline was being written when the job died
        with self.journal_path.open("r+b") as f:
            f.truncate(sum(len(x) + 1 for x in [lines[0], *whole]))
        commits = [json.loads(line) for line in whole]
        if commits and any(
            not self._part(n).exists() or self._part(n).stat().st_size < size for n, size in commits[-1].items()
        ):
            return []
        return commits

    def commit(self) -> None:
        """The batch is complete: what was written so far is kept whatever happens."""
        for file in self.files.values():
            file.flush()
        self.journal.write(json.dumps({n: f.tell() for n, f in self.files.items()}).encode() + b"\n")
        self.journal.flush()
        self.committed += 1

    def __exit__(self, *_: object) -> None:
        for file in [*self.files.values(), self.journal]:
            file.close()

    def finish(self) -> None:
        """Move all files into place and mark them whole."""
        for name in self.names:
            os.replace(self._part(name), self.directory / name)
        stamp.mark_whole(self.directory, self.inputs, self.names, self.mark, checksums=True)
        self.journal_path.unlink()
