"""Corpora that fetch themselves, from records, archives and Git LFS, on a server on this machine."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas.data import acquire, corpora
from fas.errors import ConfError, FetchError
from tests.conftest import ROOT
from tests.data.servers import REG, Server, left, tarred, zipped


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
