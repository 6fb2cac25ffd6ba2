"""Models from elsewhere: the official address first, a mirror only where that can't be reached."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
import whisper

from fas.errors import FetchError
from fas.frontend import fetch


def test_without_a_network_a_mirror_is_tried_and_without_one_the_cure_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAS_CACHE", str(tmp_path))
    monkeypatch.setitem(whisper._MODELS, "medium", f"https://127.0.0.1:9/{'0' * 64}/medium.pt")  # nobody listens there
    with pytest.raises(FetchError, match=r"whisper/medium: could not be fetched \(https://127.0.0.1:9/.*its path in"):
        fetch.whisper_model("medium")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith(".lock")]


def test_an_address_that_is_not_safe_is_an_error_and_no_reason_for_a_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAS_CACHE", str(tmp_path))
    monkeypatch.setitem(whisper._MODELS, "base", f"http://example.org/{'0' * 64}/base.pt")
    with pytest.raises(FetchError, match="is not https"):
        fetch.whisper_model("base")


def test_an_archive_in_pieces_is_joined_checked_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAS_CACHE", str(tmp_path / "cache"))
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("encoder/config.json", "{}")
    pieces = {"one/m.zip.1": held.getvalue()[:50], "two/m.zip.2": held.getvalue()[50:]}

    def install(_: tuple[str, ...], target: Path) -> None:  # what pip lays there
        for name, content in pieces.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)

    def mirror(sha256: str) -> Path:
        monkeypatch.setitem(fetch.MIRRORS, "text/a/b", fetch.Mirror(("p==1",), {"m.zip": (tuple(pieces), sha256)}))
        return fetch._mirror("text/a/b", fetch.cache() / "text/a/b", "no network")

    monkeypatch.setattr(fetch, "_install", install)
    with pytest.raises(FetchError, match=r"m\.zip of the mirror has SHA-256"):
        mirror("0" * 64)
    folder = mirror(hashlib.sha256(held.getvalue()).hexdigest())
    assert [p.name for p in folder.iterdir()] == ["config.json"]
