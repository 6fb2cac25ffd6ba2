"""Marks of whole outputs: what a result was made from, so that it is reused, resumed or made again, never mixed.

A mark is a small JSON file beside the outputs, written last. It names the digests of all inputs and the sizes of all
outputs; a result counts as whole only while both still hold. Large outputs have checksums too, which are looked at when
they are read from end to end anyway.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

DONE = ".done.json"
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)  # what writing to a folder of others ends with


def digest(*texts: str) -> str:
    """SHA-256 over the texts, each closed by a zero byte."""
    return digest_all(texts)


def digest_all(texts: Iterable[str]) -> str:
    """The same over any number of texts, none of which is kept."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def stat_line(path: str | Path) -> str:
    """Name, size in bytes and modification time of a file (of each file within, for a folder): a cheap identity."""
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return "\n".join(f"{p} {(s := p.stat()).st_size} {s.st_mtime_ns}" for p in files)


def log(message: str) -> None:
    """One line for the reader, on standard error, so that standard output stays free for results."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def write_aside(path: Path, mode: str = "w", parents: bool = True) -> Iterator:
    """Open a file aside and move it into place when the block ends well; on an error nothing is left behind.

    Folders are made, or with parents=False FileNotFoundError is raised where there is none.
    """
    aside = path.with_name(f".{path.name}.aside")
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    options = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with aside.open(mode, **options) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path`. A second process waits, saying so, or with wait=False is told False at once.

    Where no lock can be written, nothing else can be either: what is there is read without one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as e:
        if e.errno not in READ_ONLY:
            raise
        yield True
        return
    with lock as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            log(f"{path.parent}: another process is writing here; waiting for it (lock {path})")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield True


def is_whole(directory: Path, inputs: dict[str, str], name: str = DONE) -> bool:
    """Whether the outputs in `directory` are all there and were made from just these inputs.

    Says on standard error which input or output changed when they were made from others.
    """
    try:
        mark = json.loads((directory / name).read_text())
    except (OSError, ValueError):
        return False
    changed = [k for k in sorted(inputs | mark["inputs"]) if inputs.get(k) != mark["inputs"].get(k)]
    if changed:
        log(f"{directory}: made again, because of a changed {', '.join(changed)}")
        return False
    for output, size in mark["outputs"].items():
        path = directory / output
        if not path.is_file() or path.stat().st_size != size:
            log(f"{path}: not as it was written ({size} bytes); made again")
            return False
    return True


def mark_whole(
    directory: Path, inputs: dict[str, str], outputs: Iterable[str], name: str = DONE, checksums: bool = False
) -> None:
    """Write the mark; `outputs` are paths below `directory`."""
    sizes = {o: (directory / o).stat().st_size for o in outputs}
    mark = {"inputs": inputs, "outputs": sizes}
    if checksums:
        mark["sha256"] = {o: digest_file(directory / o) for o in sizes}
    with write_aside(directory / name) as f:
        json.dump(mark, f, indent=1)


def damaged(folder: Path, directory: Path, name: str) -> list[Path]:
    """Files right in `folder` that are not what the checksums of a mark in `directory` say; none without a mark."""
    try:
        checksums = json.loads((directory / name).read_text()).get("sha256", {})
    except (OSError, ValueError):
        return []
    mine = {directory / o: sha256 for o, sha256 in checksums.items() if (directory / o).parent == folder}
    return [path for path, sha256 in mine.items() if digest_file(path) != sha256]


def unmark(directory: Path, name: str = DONE) -> None:
    """Take the mark away before outputs change."""
    (directory / name).unlink(missing_ok=True)
