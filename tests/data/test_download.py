"""Files over HTTP from a server on this machine that cuts, lies about sizes, sends another file, and redirects."""

import hashlib
import http.server
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fas.data import download
from fas.data.download import Remote
from fas.errors import FetchError
from tests.conftest import ROOT
from tests.data.servers import Server, left, send

BODY = bytes(range(256)) * 4000  # 1,024,000 bytes
MD5 = hashlib.md5(BODY).hexdigest()


def whole(server: Server, path: str = "/x.bin", **changed: object) -> Remote:
    server.files[path] = BODY
    return Remote(server.url + path, **{"size": len(BODY), "digest": f"md5:{MD5}"} | changed)


def test_a_file_comes_whole_and_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    remote = whole(server)
    for _ in range(2):
        download.fetch(remote, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == BODY and len(server.asked) == 1 and left(tmp_path) == ["x.bin"]


def test_a_server_that_cuts_is_asked_for_the_rest(server: Server, tmp_path: Path) -> None:
    remote = whole(server)
    server.how["/x.bin"] = lambda h, body, start: send(h, body, start, stop=start + 300_000)
    download.fetch(remote, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert [wanted for _, wanted in server.asked] == ["", *(f"bytes={n}-" for n in (300_000, 600_000, 900_000))]


def test_a_server_that_brings_nothing_is_given_up_and_what_came_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    remote = whole(server)
    server.how["/x.bin"] = lambda h, body, start: send(h, body, start, stop=min(500_000, len(body)))
    with pytest.raises(download.Unreachable, match="500000 bytes are kept"):
        download.fetch(remote, tmp_path / "x.bin")
    assert len(server.asked) == 1 + download.TRIES
    del server.how["/x.bin"]
    download.fetch(remote, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == BODY and server.asked[-1][1] == "bytes=500000-"


def test_a_file_that_changed_between_two_pieces_is_fetched_from_its_start(server: Server, tmp_path: Path) -> None:
    """Without a checksum only the server's word tells the versions apart."""
    remote = whole(server, size=None, digest="")
    server.how["/x.bin"] = lambda h, body, start: send(h, body, start, '"v1"', 400_000)
    thread_body = BODY[::-1]

    def second(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
        send(h, thread_body, start, '"v2"')

    first = server.how["/x.bin"]
    server.how["/x.bin"] = lambda h, body, start: (first if len(server.asked) == 1 else second)(h, body, start)
    download.fetch(remote, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == thread_body


def lies_about_size(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    send(h, body + b"more", start)


def sends_another(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    send(h, body[::-1], start)


def sends_too_much(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    h.send_response(200)
    h.send_header("Connection", "close")
    h.end_headers()
    h.wfile.write(body + b"more")
    h.close_connection = True


def sends_a_page(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    send(h, b"<html>log in first</html>", 0)


def is_forbidden(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    h.send_error(403)


def redirects_for_ever(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
    h.send_response(302)
    h.send_header("Location", "/x.bin")
    h.send_header("Content-Length", "0")
    h.end_headers()


def redirects_to(place: str) -> Callable[[http.server.BaseHTTPRequestHandler, bytes, int], None]:
    def how(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
        h.send_response(302)
        h.send_header("Location", place)
        h.send_header("Content-Length", "0")
        h.end_headers()

    return how


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lies_about_size, "the server says 1024004 bytes, the publisher 1024000: it is another file"),
        (sends_another, "has the MD5 [0-9a-f]{32}, the published file"),
        (sends_too_much, "more came than the 1024000 bytes"),
        (sends_a_page, "the server says 25 bytes"),
        (is_forbidden, "answers 403"),
        (redirects_for_ever, "redirected more than 10 times"),
        (redirects_to("file:///etc/passwd"), r"file:///etc/passwd \(redirected from .*not https"),
        (redirects_to("http://example.org/x.bin"), r"http://example.org/x.bin \(redirected from .*not https"),
    ],
)
def test_servers_that_lie_are_refused_and_nothing_is_kept(
    server: Server, tmp_path: Path, how: Callable, says: str
) -> None:
    remote = whole(server)
    server.how["/x.bin"] = how
    with pytest.raises(FetchError, match=says) as error:
        download.fetch(remote, tmp_path / "x.bin")
    assert "x.bin" in str(error.value)
    assert not (tmp_path / "x.bin").exists()
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 100


def test_a_piece_that_was_not_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    remote = whole(server)

    def how(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
        if not start:
            send(h, body, 0, stop=200_000)
            return
        h.send_response(206)
        h.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    server.how["/x.bin"] = how
    with pytest.raises(FetchError, match="asked for what follows byte 200000, the server sent another piece"):
        download.fetch(remote, tmp_path / "x.bin")


def test_redirects_on_this_machine_are_followed(server: Server, tmp_path: Path) -> None:
    whole(server)
    server.how["/old.bin"] = redirects_to("/x.bin")
    download.fetch(Remote(server.url + "/old.bin", "y.bin", len(BODY), f"md5:{MD5}"), tmp_path / "y.bin")
    assert (tmp_path / "y.bin").read_bytes() == BODY


@pytest.mark.parametrize("url", ["http://example.org/x.zip", "ftp://example.org/x.zip", "file:///etc/passwd"])
def test_what_is_not_https_is_not_asked_for(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="is not https"):
        download.fetch(Remote(url), tmp_path / "x")


KILLED = """
import sys
from pathlib import Path
from fas.data import download
download.fetch(download.Remote(sys.argv[1], "x.bin", int(sys.argv[2]), sys.argv[3]), Path(sys.argv[4]))
"""


def test_a_download_that_is_killed_at_five_places_ends_whole(server: Server, tmp_path: Path) -> None:
    """The server stops sending at each place until the program has been killed there."""
    remote = whole(server)
    places = [1, 200_000, 450_000, 700_001, len(BODY) - 1]
    reached = threading.Event()

    def how(h: http.server.BaseHTTPRequestHandler, body: bytes, start: int) -> None:
        if not places:
            send(h, body, start)
            return
        send(h, body, start, stop=places[0])
        h.close_connection = False  # hangs, with the connection open
        reached.set()
        while places and not killed.wait(0.02):
            pass

    server.how["/x.bin"] = how
    command = [sys.executable, "-c", KILLED, remote.url, str(len(BODY)), remote.digest, str(tmp_path / "x.bin")]
    part = tmp_path / ".x.bin.part"
    for place in list(places):
        killed = threading.Event()
        reached.clear()
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        assert reached.wait(60)
        for _ in range(500):  # until it has written what came
            if part.exists() and part.stat().st_size == place:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        places.pop(0)
        killed.set()
        assert not (tmp_path / "x.bin").exists()
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0
    assert (tmp_path / "x.bin").read_bytes() == BODY
