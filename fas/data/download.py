"""Files over HTTP that are whole or not there: resumed after a cut, checked by size and checksum, moved into place.

Only https is fetched, and http from this machine itself; redirects are followed hop by hop under the same rule.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from tqdm import tqdm

from fas import stamp
from fas.errors import FetchError

TIMEOUT = (10, 60)  # seconds to connect, and without a byte
HOPS = 10  # redirects in a row
TRIES = 5  # in a row that brought nothing new
LARGEST = 200 << 30  # bytes of a file whose size nobody says
BLOCK = 1 << 20
HERE = ("127.0.0.1", "localhost", "::1")
NETWORK = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class Remote:
    """A file elsewhere: its address, and its name, size in bytes and digest ("md5:..." or "sha256:...") where known."""

    url: str
    name: str = ""
    size: int | None = None
    digest: str = ""

    @property
    def filename(self) -> str:
        """Its name on this machine: the one given, or the address's last part. Raises FetchError for none."""
        made = self.name or unquote(urlsplit(self.url).path).rpartition("/")[2]
        if not made or made in (".", "..") or "/" in made or not made.isprintable():
            raise FetchError(f"{self.url}: {made!r} can't be a file's name; give it one in the conf")
        return made


class Busy(requests.ConnectionError):
    """The server is there and can't answer now, or broke off."""


class Unreachable(FetchError):
    """The server could not be reached, or broke off too often: nothing is known against the file itself."""


@contextmanager
def opened(session: requests.Session, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """The answer behind all redirects, its body not yet read. Raises FetchError for an address that is not safe."""
    first = url
    for _ in range(HOPS):
        refuse_unsafe(url, first)
        with session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUT) as response:
            if not response.is_redirect:
                yield response
                return
            url = urljoin(url, response.headers["Location"])
    raise FetchError(f"{first}: redirected more than {HOPS} times; see whether the address is still the publisher's")


def refuse_unsafe(url: str, first: str) -> None:
    """Raises FetchError for what is neither https nor, when it was asked for so, http on this machine."""
    parts, asked = urlsplit(url), urlsplit(first)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE and asked.hostname in HERE):
        return
    via = "" if url == first else f" (redirected from {first})"
    raise FetchError(f"{url}{via}: is not https, so that nobody knows who answers; it is not fetched")


def fetch(remote: Remote, target: Path, session: requests.Session | None = None, quiet: bool = False) -> None:
    """Bring the file to `target`, or the rest of it where an earlier call was cut off.

    Raises FetchError for an answer that is not the file that was published (its size or digest is another), and
    Unreachable, a kind of it, where the server can't be reached or goes on breaking off.
    """
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    session = session or requests.Session()
    with stamp.locked(target.with_name(f".{target.name}.lock")):
        if target.exists() and (remote.size is None or target.stat().st_size == remote.size):
            return
        failed, begun = 0, False
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _transfer(remote, part, session, quiet)
                break
            except NETWORK as e:
                grown = part.exists() and part.stat().st_size > before
                begun = begun or grown or isinstance(e, Busy)
                failed = 0 if grown else failed + 1
                if failed >= TRIES or not begun:
                    kept = f"; {before} bytes are kept, and the next try goes on behind them" if before else ""
                    raise Unreachable(f"{remote.url}: {reason(e)}{kept}") from None
                time.sleep(0 if not failed else 2 ** (failed - 1) * 0.25)
        _check(remote, part)
        os.replace(part, target)
        _validator(part).unlink(missing_ok=True)


def _transfer(remote: Remote, part: Path, session: requests.Session, quiet: bool) -> None:
    """Append to `part` what it lacks. Raises a network error where the answer ends too soon."""
    have = part.stat().st_size if part.exists() else 0
    validator = _validator(part).read_text(encoding="utf-8") if _validator(part).exists() else ""
    if (remote.size is not None and have > remote.size) or (have and not (validator or remote.digest)):
        have = 0  # nobody could tell whether the rest belongs to the same file
    if remote.size is not None and have == remote.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with opened(session, remote.url, headers) as response:
        if response.status_code == 416:  # there is nothing behind: another file, or whole already
            part.unlink()
            raise Busy("the server has no rest of the file; from its start again")
        if response.status_code == 429 or response.status_code >= 500:  # busy, or broken for now
            raise Busy(f"the server answers {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise FetchError(f"{remote.url}: the server answers {response.status_code} {response.reason}")
        if response.status_code == 200:
            have = 0
        whole = _whole_size(remote, response, have)
        if remote.size is not None and whole is not None and whole != remote.size:
            raise FetchError(
                f"{remote.url}: the server says {whole} bytes, the publisher {remote.size}: it is another file"
            )
        limit = remote.size if remote.size is not None else whole if whole is not None else LARGEST
        known = response.headers.get("ETag", "")
        known = "" if known.startswith("W/") else known or response.headers.get("Last-Modified", "")
        with part.open("r+b" if have else "wb") as out:
            out.truncate(have)
            out.seek(have)
            with stamp.write_aside(_validator(part)) as f:
                f.write(known)
            _copy(remote, response, out, limit, whole, quiet)


def _copy(
    remote: Remote, response: requests.Response, out: BinaryIO, limit: int, whole: int | None, quiet: bool
) -> None:
    """The body behind what `out` has, with its progress. Raises FetchError where more comes than `limit` bytes."""
    name = remote.filename
    bar = tqdm(total=whole, initial=out.tell(), unit="B", unit_scale=True, desc=name, mininterval=1, disable=quiet)
    with bar:
        while block := response.raw.read1(BLOCK):  # what is there already, so that a cut loses nothing of it
            if out.tell() + len(block) > limit:
                out.truncate(0)
                raise FetchError(f"{remote.url}: more came than the {limit} bytes that it has; nothing was kept")
            out.write(block)
            bar.update(len(block))
        if whole is not None and out.tell() < whole:
            raise Busy(f"broke off after {out.tell()} of {whole} bytes")


def _whole_size(remote: Remote, response: requests.Response, have: int) -> int | None:
    """Bytes of the whole file by the answer's head. Raises FetchError for a rest that was not asked for."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise FetchError(f"{remote.url}: asked for what follows byte {have}, the server sent another piece")
        return None if found[3] == "*" else int(found[3])
    length = response.headers.get("Content-Length")
    return int(length) if length and length.isdigit() else None


def _check(remote: Remote, part: Path) -> None:
    """Raises FetchError, and keeps nothing, when what came is not the published file."""
    size = part.stat().st_size
    problem = ""
    if remote.size is not None and size != remote.size:
        problem = f"has {size} bytes, the published file {remote.size}"
    elif remote.digest:
        kind, _, wanted = remote.digest.partition(":")
        with part.open("rb") as f:
            found = hashlib.file_digest(f, kind).hexdigest()
        if found != wanted.lower():
            problem = f"has the {kind.upper()} {found}, the published file {wanted}"
    if problem:
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise FetchError(f"{remote.url}: what came {problem}: it is another file; nothing was kept")


def _validator(part: Path) -> Path:
    """Holds what the server calls this version of the file (ETag, or the time of its last change)."""
    return part.with_name(f"{part.name}.version")


def reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
