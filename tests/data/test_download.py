"""Downloads against a server on this machine that cuts, lies about sizes, sends another file, redirects, and archives
that try to leave their folder."""

import hashlib
import http.server
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas.data import acquire, archives, corpora, download
from fas.data.download import Remote
from fas.errors import ConfError, FetchError

ROOT = Path(__file__).parents[2]
BODY = bytes(range(256)) * 4000  # 1,024,000 bytes
MD5 = hashlib.md5(BODY).hexdigest()


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


def whole(server: Server, path: str = "/x.bin", **changed: object) -> Remote:
    server.files[path] = BODY
    return Remote(server.url + path, **{"size": len(BODY), "digest": f"md5:{MD5}"} | changed)


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


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


# Archives


def zipped(**files: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def link_in_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("wav/a.wav")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
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


REG = tarfile.REGTYPE


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.zip", zipped(**{"wav/a.wav": "x", "../b.wav": "y"}), r"'../b.wav' lies outside"),
        ("a.zip", zipped(**{"/etc/b.wav": "y"}), r"'/etc/b.wav' lies outside"),
        ("a.zip", zipped(**{"wav\\..\\..\\b.wav": "y"}), "lies outside"),
        ("a.zip", zipped(**{"C:/b.wav": "y"}), "lies outside"),
        ("a.zip", link_in_zip(), "'wav/a.wav' is a link"),
        ("a.tar", tarred(("../b.wav", b"y", REG)), "lies outside"),
        ("a.tar", tarred(("a", None, tarfile.SYMTYPE)), "is a link"),
        ("a.tar.gz", tarred(("a", None, tarfile.LNKTYPE), mode="w:gz"), "is a link"),
        ("a.tar", tarred(("a", None, tarfile.CHRTYPE)), "is a device"),
        ("a.tar", tarred(("a", None, tarfile.FIFOTYPE)), "is a device"),
        ("a.tar", tarred(("a", b"x", REG), ("a", b"y", REG)), "stands in it twice"),
        ("a.tar", tarred(("a", b"x", REG), ("a/b", b"y", REG)), "twice"),
        ("a.tgz", tarred(("a", BODY, REG), mode="w:gz")[:-200], "not a whole archive"),
        ("a.zip", zipped(a="x")[:-10], "not a whole archive"),
        ("a.zip", b"<html>log in first</html>", "not a whole archive"),
    ],
)
def test_archives_that_would_leave_are_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "out/deeper").mkdir(parents=True)
    with pytest.raises(FetchError, match=says) as error:
        archives.unpack(tmp_path / name, tmp_path / "out/deeper")
    assert name in str(error.value)
    assert not (tmp_path / "out/b.wav").exists() and not (tmp_path / "b.wav").exists()
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LEAST", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.wav", bytes(1 << 19))
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError, match="unpacks to 2097152 bytes, more than 1048576"):
        archives.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_outer_folders_patterns_and_archives_inside(tmp_path: Path) -> None:
    inner = tarred(("train_splits/dia0_utt0.mp4", b"clip", REG), mode="w:gz")
    entries = [("X-main/a.csv", b"table", REG), ("X-main/video/b.avi", b"b", REG), ("X-main/wav/in.tar.gz", inner, REG)]
    (tmp_path / "a.tar.gz").write_bytes(tarred(*entries, mode="w:gz"))
    (tmp_path / "out").mkdir()
    archives.unpack(tmp_path / "a.tar.gz", tmp_path / "out", strip=1, only=["*.csv", "wav/*"], nested=True)
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert found == ["a.csv", "wav/train_splits/dia0_utt0.mp4"]


# Corpora


def items(*entries: dict[str, object]) -> list[acquire.Download]:
    return acquire.read(list(entries), "x.yaml")


def test_a_corpus_of_zenodo_comes_by_its_record(server: Server, tmp_path: Path) -> None:
    archive = zipped(**{"wav/a.wav": "sound"})
    server.files |= {"/files/x.zip": archive, "/files/read.me": b"text"}
    record = [
        {"key": name, "size": len(body), "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
         "links": {"self": f"{server.url}/files/{name}"}}
        for name, body in (("x.zip", archive), ("read.me", b"text"))
    ]  # fmt: skip
    server.files["/api/records/1"] = json.dumps({"files": record}).encode()
    acquire.acquire("x", items({"zenodo": f"{server.url}/api/records/1", "files": ["*.zip"]}), tmp_path)
    assert (tmp_path / "x/wav/a.wav").read_text() == "sound"
    assert left(tmp_path) == ["x"] and not any(path == "/files/read.me" for path, _ in server.asked)
    with pytest.raises(FetchError, match=r"has no file y\.zip; it has read\.me, x\.zip"):
        acquire.acquire("y", items({"zenodo": f"{server.url}/api/records/1", "files": ["y.zip"]}), tmp_path)


def test_a_corpus_of_a_dataverse_comes_file_by_file(server: Server, tmp_path: Path) -> None:
    server.files["/api/access/datafile/7"] = b"sound"
    file = {"id": 7, "filename": "OAF_back_angry.wav", "filesize": 5, "md5": hashlib.md5(b"sound").hexdigest()}
    answer = {"data": {"latestVersion": {"files": [{"dataFile": file}]}}}
    server.files["/api/datasets/:persistentId/"] = json.dumps(answer).encode()
    where = f"{server.url}/api/datasets/:persistentId/?persistentId=doi:10.5683/SP2/X"
    acquire.acquire("tess", items({"dataverse": where}), tmp_path)
    assert (tmp_path / "tess/OAF_back_angry.wav").read_bytes() == b"sound"


def pointer(body: bytes) -> bytes:
    oid = hashlib.sha256(body).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(body)}\n".encode()


def lfs(server: Server, *bodies: bytes) -> dict[str, object]:
    """A repository's archive that holds pointers, and the batch interface beside it."""
    objects = []
    for number, body in enumerate(bodies):
        oid = hashlib.sha256(body).hexdigest()
        server.files[f"/objects/{number}"] = body
        action = {"download": {"href": f"{server.url}/objects/{number}"}}
        objects.append({"oid": oid, "size": len(body), "actions": action})
    entries = [(f"R-1/AudioWAV/{n}.wav", pointer(b), REG) for n, b in enumerate(bodies)]
    entries += [("R-1/AudioWAV/same.wav", pointer(bodies[0]), REG), ("R-1/AudioWAV/real.wav", b"real", REG)]
    server.files["/R.tar.gz"] = tarred(*entries, mode="w:gz")
    server.files["/R.git/info/lfs/objects/batch"] = json.dumps({"objects": objects}).encode()
    return {"url": f"{server.url}/R.tar.gz", "strip": 1, "lfs": f"{server.url}/R.git"}


def test_lfs_pointers_become_their_files(server: Server, tmp_path: Path) -> None:
    acquire.acquire("r", items(lfs(server, b"first sound", b"second sound")), tmp_path)
    found = {p.name: p.read_bytes() for p in (tmp_path / "r/AudioWAV").iterdir()}
    wanted = {"0.wav": b"first sound", "1.wav": b"second sound", "same.wav": b"first sound", "real.wav": b"real"}
    assert found == wanted
    asked = json.loads(server.files["asked"])
    assert asked["operation"] == "download" and len(asked["objects"]) == 2


def test_another_file_in_a_pointers_place_is_refused(server: Server, tmp_path: Path) -> None:
    bodies = sorted((b"first sound", b"second sound"), key=lambda b: hashlib.sha256(b).digest())  # as asked for
    entry = lfs(server, *bodies)
    server.files["/objects/1"] = bodies[1].upper()
    with pytest.raises(FetchError, match="objects/1: what came has the SHA256"):
        acquire.acquire("r", items(entry), tmp_path)
    assert not (tmp_path / "r").exists()
    server.files["/objects/1"] = bodies[1]
    before = len(server.asked)
    acquire.acquire("r", items(entry), tmp_path)
    assert [p for p, _ in server.asked[before:]] == ["/R.git/info/lfs/objects/batch", "/objects/1"]  # the rest was kept


def test_a_corpus_is_there_whole_or_not_at_all(server: Server, tmp_path: Path) -> None:
    server.files["/x.zip"] = zipped(**{"a.wav": "x", "../b.wav": "y"})
    server.files["/t.csv"] = b"file,emotion\n"
    entries = items({"url": f"{server.url}/t.csv"}, {"url": f"{server.url}/x.zip", "into": "audio"})
    with pytest.raises(FetchError, match="lies outside"):
        acquire.acquire("x", entries, tmp_path)
    assert not (tmp_path / "x").exists()
    server.files["/x.zip"] = zipped(**{"a.wav": "x"})
    (tmp_path / ".x.download/2/x.zip").unlink()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").touch()
    with pytest.raises(FetchError, match="is there and is not the whole corpus"):
        acquire.acquire("x", entries, tmp_path)
    (tmp_path / "x/mine").unlink()
    acquire.acquire("x", entries, tmp_path)
    found = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "x").rglob("*"))
    assert found == ["x/audio", "x/audio/a.wav", "x/t.csv"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({}, "give one of url, zenodo and dataverse"),
        ({"url": "https://x.org/a", "zenodo": "https://zenodo.org/api/records/1"}, "give one of"),
        ({"url": "https://x.org/a", "into": "../b"}, "lies outside"),
        ({"url": "https://x.org/a", "md5sum": "b"}, "unknown key md5sum"),
    ],
)
def test_what_a_conf_says_wrongly_is_named(entry: dict[str, object], says: str) -> None:
    with pytest.raises(ConfError, match=says):
        items(entry)
    assert os.path.exists(ROOT / "conf/corpora")


def small(tmp_path: Path, server: Server, **changed: object) -> list[str]:
    """local/table.py for a corpus that is not there but can be fetched; its command line."""
    sound = io.BytesIO()
    soundfile.write(sound, np.full(1600, 0.1), 16000, format="WAV")
    table = "id,wav,who,label\na,wav/a.wav,s1,joy\n"
    server.files["/x.zip"] = zipped(**{"X/wav/a.wav": sound.getvalue(), "X/t.csv": table})
    values = {k: f"its {k}" for k in ("title", "paper", "get", "licence", "layout")}
    values |= {"table": "x/t.csv", "labels": {"joy": {"native": "joy", "seven": "happy"}}, "splits": "none"}
    values["columns"] = {"utt": "id", "wav": "wav", "speaker": "who", "emotion": "label"}
    values["download"] = [{"url": f"{server.url}/x.zip", "strip": 1}]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(values | changed))
    command = [sys.executable, str(ROOT / "local/table.py"), "--conf", str(tmp_path / "x.yaml"), "--download", "true"]
    return [*command, str(tmp_path / "corpora"), str(tmp_path / "data")]


def call(command: list[str], *more: str) -> tuple[int, str]:
    done = subprocess.run([*command, *more], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
                          capture_output=True, text=True)  # fmt: skip
    return done.returncode, done.stderr


def test_a_missing_corpus_is_fetched_and_prepared(server: Server, tmp_path: Path) -> None:
    status, said = call(small(tmp_path, server))
    assert status == 0, said
    assert "its title: licence its licence; from its get" in said
    assert (tmp_path / "data/x/utt2emo").read_text() == "xs1-a happy\n"


def test_a_licence_that_forbids_some_use_is_asked_for(server: Server, tmp_path: Path) -> None:
    command = small(tmp_path, server, forbids="commercial use")
    status, said = call(command)
    assert status == 1 and "its licence, its licence, forbids commercial use; if you accept that" in said
    assert "--accept-licence x" in said and not server.asked
    assert call(command, "--skip-missing", "true")[0] == 0
    assert call(command, "--accept-licence", "y,x")[0] == 0


def test_without_a_network_the_error_is_that_of_a_missing_corpus(server: Server, tmp_path: Path) -> None:
    gone = [{"url": "http://127.0.0.1:9/x.zip"}]  # nobody listens there
    status, said = call(small(tmp_path, server, download=gone))
    assert status == 1
    assert "x/t.csv: no such file, and it could not be fetched (http://127.0.0.1:9/x.zip" in said
    assert "its layout" in said and "its get" in said
    status, said = call(small(tmp_path, server, download=[]))
    assert status == 1 and "a form, a login or by hand, so --download can't fetch it. It needs its title" in said


def test_the_downloads_of_every_conf_are_well_formed() -> None:
    named = []
    for path in sorted((ROOT / "conf/corpora").glob("*.yaml")):
        corpus = corpora.read_conf(path)
        made = acquire.read(corpus.download, str(path))
        named += [path.stem] if made else []
        assert all((d.url or d.zenodo or d.dataverse).startswith("https://") for d in made)
        forbids = any(part in corpus.licence for part in ("NC", "ND"))
        assert bool(corpus.forbids) == forbids, f"{path}: forbids, or does it?"
    assert {"ravdess", "emodb", "nemo", "crema_d", "tess", "meld", "cafe", "emis"} <= set(named)
