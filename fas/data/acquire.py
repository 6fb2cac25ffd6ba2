"""Corpora that fetch themselves: what `download:` of a corpus's conf names, into CORPORA/<name>, whole or not at all.

An entry of `download:` is one of
  url: address of a file; size (bytes), md5 or sha256 where the publisher gives them
  zenodo: address of a record in Zenodo's API, which gives size and MD5 of each file
  dataverse: address of a data set in a Dataverse's API, which does as well
with
  files: patterns of the record's files to take (all)
  into: folder below CORPORA/<name> (.)
  name: the file's name, where the address does not end with one
  strip, only, nested: of an archive (fas.data.archives.unpack); other files are kept as they are
  lfs: address of the repository, where the archive holds Git LFS pointers in the files' place
"""

import fnmatch
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml
from tqdm import tqdm

from fas import conf, stamp
from fas.data import archives, download
from fas.data.download import Remote
from fas.errors import ConfError, FetchError

POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:\S+ .*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
POINTER_SIZE = 1024  # bytes; a pointer has no more
LFS_AT_ONCE = 100  # objects asked for in one request, as git-lfs does
TYPED = ("size", "strip", "nested")  # entries that are no text
JSON = "application/vnd.git-lfs+json"


@dataclass
class Download:
    """One entry of `download:`."""

    url: str = ""
    zenodo: str = ""
    dataverse: str = ""
    size: int = 0
    md5: str = ""
    sha256: str = ""
    name: str = ""
    files: list[str] = field(default_factory=list)
    into: str = "."
    strip: int = 0
    only: list[str] = field(default_factory=list)
    nested: bool = False
    lfs: str = ""


def read(entries: list[dict[str, object]], where: str) -> list[Download]:
    """The entries of `download:`, of a corpus's conf, whose values are text as it is written. Raises ConfError."""
    made = []
    for number, entry in enumerate(entries, 1):
        typed = {k: yaml.safe_load(v) if k in TYPED and isinstance(v, str) else v for k, v in entry.items()}
        item = conf.build(Download, typed, f"{where}: download {number}")
        if sum(map(bool, (item.url, item.zenodo, item.dataverse))) != 1:
            raise ConfError(f"{where}: download {number}: give one of url, zenodo and dataverse")
        if Path(item.into).is_absolute() or ".." in Path(item.into).parts:
            raise ConfError(f"{where}: download {number}: into lies outside of the corpus's folder")
        made.append(item)
    return made


def acquire(name: str, items: list[Download], corpora: Path) -> None:
    """Fetch and unpack a corpus to corpora/<name>, moved into place whole.

    What came stays in corpora/.<name>.download until then, so that a run that was killed goes on where it was.
    Raises FetchError.
    """
    target, aside = corpora / name, corpora / f".{name}.download"
    aside.mkdir(parents=True, exist_ok=True)
    with stamp.locked(corpora / f".{name}.lock"), requests.Session() as session:
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if target.exists():
            raise FetchError(
                f"{target}: is there and is not the whole corpus; nothing is fetched over it, move it away first"
            )
        whole = aside / "whole"
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        for number, item in enumerate(items, 1):
            kept = aside / str(number)
            for remote in remotes(item, session):
                place(item, remote, kept, whole / item.into, session)
            if item.lfs:
                fetch_pointers(item, whole / item.into, kept / "lfs", session)
        os.rename(whole, target)
        shutil.rmtree(aside)


def place(item: Download, remote: Remote, kept: Path, out: Path, session: requests.Session) -> None:
    """One file into `out`, unpacked if it is an archive."""
    out.mkdir(parents=True, exist_ok=True)
    file = kept / remote.filename
    download.fetch(remote, file, session)
    if archives.is_archive(file.name):
        archives.unpack(file, out, item.strip, item.only, item.nested)
    else:
        shutil.copy2(file, out / file.name)


def remotes(item: Download, session: requests.Session) -> Iterator[Remote]:
    """The files of an entry. Raises FetchError for a record that can't be read, or has none of the wanted files."""
    if item.url:
        digest = f"sha256:{item.sha256}" if item.sha256 else f"md5:{item.md5}" if item.md5 else ""
        yield Remote(item.url, item.name, item.size or None, digest)
        return
    url = item.zenodo or item.dataverse
    found = listing(url, session)
    try:
        listed = list(_of_zenodo(found) if item.zenodo else _of_dataverse(found, url))
    except (KeyError, TypeError, AttributeError) as e:
        raise FetchError(f"{url}: its list of files is not understood ({type(e).__name__}: {e})") from None
    patterns = item.files or ["*"]
    wanted = [r for r in listed if any(fnmatch.fnmatchcase(r.name, p) for p in patterns)]
    if lost := [p for p in patterns if not any(fnmatch.fnmatchcase(r.name, p) for r in listed)]:
        raise FetchError(f"{url}: has no file {', '.join(lost)}; it has {', '.join(sorted(r.name for r in listed))}")
    yield from wanted


def listing(url: str, session: requests.Session) -> dict:
    """A record's JSON. Raises FetchError."""
    try:
        with download.opened(session, url, {"Accept": "application/json"}) as response:
            response.raise_for_status()
            return response.json()
    except requests.HTTPError as e:
        raise FetchError(f"{url}: {e}") from None
    except ValueError:
        raise FetchError(f"{url}: answers with something else than JSON") from None
    except requests.RequestException as e:
        raise download.Unreachable(f"{url}: {download.reason(e)}") from None


def _of_zenodo(record: dict) -> Iterator[Remote]:
    for entry in record["files"]:
        yield Remote(entry["links"]["self"], entry["key"], int(entry["size"]), entry["checksum"])


def _of_dataverse(record: dict, url: str) -> Iterator[Remote]:
    base = url.partition("/api/")[0]
    for entry in record["data"]["latestVersion"]["files"]:
        file = entry["dataFile"]
        address = f"{base}/api/access/datafile/{int(file['id'])}"
        yield Remote(address, file["filename"], int(file["filesize"]), f"md5:{file['md5']}")


def fetch_pointers(item: Download, out: Path, kept: Path, session: requests.Session) -> None:
    """Replace every Git LFS pointer below `out` by its file, by the repository's batch interface.

    Raises FetchError for a file that the server does not have or sends another in the place of.
    """
    pointers = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.stat().st_size <= POINTER_SIZE):
        if found := POINTER.fullmatch(path.read_bytes()):
            pointers[path] = (found[1].decode(), int(found[2]))
    missing = sorted({oid: size for oid, size in pointers.values() if not (kept / oid).exists()}.items())
    with tqdm(total=len(missing), unit="file", desc="Git LFS", mininterval=1) as bar:
        for first in range(0, len(missing), LFS_AT_ONCE):
            for remote in ask_lfs(item.lfs, missing[first : first + LFS_AT_ONCE], session):
                download.fetch(remote, kept / remote.name, session, quiet=True)
                bar.update()
    for path, (oid, _) in pointers.items():
        path.unlink()
        shutil.copy2(kept / oid, path)


def ask_lfs(repository: str, objects: list[tuple[str, int]], session: requests.Session) -> Iterator[Remote]:
    """Where the objects (SHA-256, bytes) lie (git-lfs's batch interface). Raises FetchError."""
    url = f"{repository.removesuffix('/')}/info/lfs/objects/batch"
    download.refuse_unsafe(url, url)
    asked = {"operation": "download", "transfers": ["basic"]}
    asked["objects"] = [{"oid": oid, "size": size} for oid, size in objects]
    try:
        response = session.post(
            url, json=asked, headers={"Accept": JSON, "Content-Type": JSON}, timeout=download.TIMEOUT,
            allow_redirects=False,
        )
        response.raise_for_status()
        answered = {o["oid"]: o for o in response.json()["objects"]}
        for oid, size in objects:
            if "actions" not in answered[oid]:
                raise FetchError(f"{url}: has no file {oid} ({answered[oid].get('error', 'no reason given')})")
            yield Remote(answered[oid]["actions"]["download"]["href"], oid, size, f"sha256:{oid}")
    except (ValueError, KeyError, TypeError) as e:
        raise FetchError(f"{url}: its answer is not understood ({type(e).__name__}: {e})") from None
    except requests.HTTPError as e:
        raise FetchError(f"{url}: {e}") from None
    except requests.RequestException as e:
        raise download.Unreachable(f"{url}: {download.reason(e)}") from None
