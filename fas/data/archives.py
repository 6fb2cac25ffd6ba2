"""Archives that others made, unpacked so that they can do no harm: zip and tar, files and folders alone.

No member may lie outside of the folder, be a link or a device, or stand there twice, nor may all together be larger
than a limit: each is an error that names the member, before anything is moved into place.
"""

import fnmatch
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm import tqdm

from fas.errors import FetchError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TIMES = 30  # an archive's content is at most so many times as large as the archive, or LEAST
LEAST = 1 << 30  # bytes
DEPTH = 3  # of archives in archives
MARGIN = 64 << 20  # bytes that unpacking leaves free on the disk


@dataclass(frozen=True)
class Member:
    """One entry: its name as the archive has it, its size in bytes, what it is (file, folder, or what else)."""

    name: str
    size: int
    kind: str
    entry: Any


def is_archive(name: str) -> bool:
    """Whether a file is one by its name."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, out: Path, strip: int = 0, only: list[str] | None = None, nested: bool = False) -> None:
    """Unpack below `out`, which is a folder of ours that nobody else uses.

    strip: outer folders to take off every name; only: patterns, of which a name (after strip) must match one; nested:
    archives inside are unpacked where they lie, and removed.
    Raises FetchError for an archive that is damaged or would leave the folder; what was written by then stays in `out`.
    """
    limit = max(LEAST, TIMES * archive.stat().st_size)
    free = shutil.disk_usage(out).free
    try:
        with _opened(archive) as (members, open_member):
            wanted = list(_checked(archive, members, strip, only or []))
            total = sum(member.size for _, member in wanted)
            if total > limit:
                raise FetchError(f"{archive}: unpacks to {total} bytes, more than {limit}; it is not unpacked")
            if total + MARGIN > free:
                raise FetchError(f"{archive}: unpacks to {total} bytes, and {out} has {free} free; make room")
            with tqdm(total=total, unit="B", unit_scale=True, desc=f"unpack {archive.name}", mininterval=1) as bar:
                for place, member in wanted:
                    target = out / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with open_member(member.entry) as source, target.open("xb") as f:
                        _copy(archive, member, source, f)
                    bar.update(member.size)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as e:
        raise FetchError(f"{archive}: not a whole archive ({e}); remove it and fetch it again") from None
    except (FileExistsError, NotADirectoryError) as e:
        raise FetchError(f"{archive}: {e.filename} stands in it twice; it is not unpacked") from None
    for _ in range(DEPTH if nested else 0):
        for inner in sorted(p for p in out.rglob("*") if p.is_file() and is_archive(p.name)):
            unpack(inner, inner.parent)
            inner.unlink()


def _copy(archive: Path, member: Member, source: IO[bytes], out: IO[bytes]) -> None:
    """A member's bytes, no more than it says. Raises FetchError."""
    left = member.size
    while block := source.read(1 << 20):
        left -= len(block)
        if left < 0:
            break
        out.write(block)
    if left:
        raise FetchError(f"{archive}: {member.name!r} has not the {member.size} bytes that it says")


def _checked(
    archive: Path, members: Iterator[Member], strip: int, only: list[str]
) -> Iterator[tuple[PurePosixPath, Member]]:
    """The files to unpack and where, below the folder. Raises FetchError for the first that is not harmless."""
    for member in members:
        path = PurePosixPath(member.name.replace("\\", "/"))
        bad = path.is_absolute() or ".." in path.parts or "\0" in member.name or ":" in path.parts[:1]
        if bad or (path.parts and path.parts[0][1:2] == ":"):
            raise FetchError(f"{archive}: {member.name!r} lies outside of the folder; it is not unpacked")
        if member.kind not in ("file", "folder"):
            raise FetchError(f"{archive}: {member.name!r} is a {member.kind}; it is not unpacked")
        place = PurePosixPath(*path.parts[strip:])
        if member.kind == "folder" or not place.parts:
            continue
        if not only or any(fnmatch.fnmatchcase(str(place), pattern) for pattern in only):
            yield place, member


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[Member], Any]]:
    """The members of an archive, and a function that opens one."""
    if zipfile.is_zipfile(archive) and not archive.name.lower().endswith(SUFFIXES[1:]):
        with zipfile.ZipFile(archive) as opened_zip:
            yield map(_of_zip, opened_zip.infolist()), opened_zip.open
        return
    with tarfile.open(archive) as opened_tar:
        yield map(_of_tar, opened_tar), opened_tar.extractfile


def _of_zip(entry: zipfile.ZipInfo) -> Member:
    mode = entry.external_attr >> 16
    kind = "folder" if entry.is_dir() else "file"
    if entry.create_system == 3 and mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "link" if stat.S_ISLNK(mode) else "device"
    return Member(entry.filename, entry.file_size, kind, entry)


def _of_tar(entry: tarfile.TarInfo) -> Member:
    kind = "link" if entry.issym() or entry.islnk() else "device"
    kind = "file" if entry.isreg() else "folder" if entry.isdir() else kind
    return Member(entry.name, entry.size, kind, entry)
