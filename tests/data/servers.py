"""A server on this machine that behaves as each test says, and archives of every kind."""

import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REG = tarfile.REGTYPE


class Server:
    """What it serves (path -> bytes), how each path behaves, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.how: dict[str, Callable[[http.server.BaseHTTPRequestHandler, bytes, int], None]] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def answer(self, handler: http.server.BaseHTTPRequestHandler, asked: str) -> None:
        path, wanted = handler.path.partition("?")[0], handler.headers.get("Range", "")
        self.asked.append((path, wanted))
        body, start = self.files.get(path, b""), int(wanted[6:-1]) if wanted else 0
        if path in self.how:
            self.how[path](handler, body, start)
        elif path in self.files:
            send(handler, body, start)
        else:
            handler.send_error(404)


def send(
    handler: http.server.BaseHTTPRequestHandler, body: bytes, start: int, etag: str = '"v1"', stop: int | None = None
) -> None:
    """A well-behaved answer from byte `start` on; `stop`: the connection breaks off there."""
    if start and handler.headers.get("If-Range") not in (None, etag):
        start = 0
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    handler.send_header("Content-Length", str(len(body) - start))
    handler.send_header("ETag", etag)
    handler.end_headers()
    handler.wfile.write(body[start:stop])
    if stop is not None:
        handler.wfile.flush()
        handler.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.answer(self, "GET")

        def do_POST(self) -> None:
            made.files["asked"] = self.rfile.read(int(self.headers["Content-Length"]))
            made.answer(self, "POST")

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    running.shutdown()
    running.server_close()


def zipped(**files: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(*entries: tuple[str, bytes | None, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return out.getvalue()


def left(folder: Path) -> list[str]:
    """What lies in a folder, but locks."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))
