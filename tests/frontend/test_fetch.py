"""Models from elsewhere: the official address first, a mirror only where that can't be reached."""

import hashlib
import io
import zipfile
from pathlib import Path

import huggingface_hub
import pytest
import whisper
from huggingface_hub.utils import filter_repo_objects

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


def test_of_a_model_on_the_hub_comes_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub = [
        "config.json", "processor_config.json", "preprocessor_config.json", "model.safetensors.index.json",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "adapter.deu.safetensors", "adapter.eng.bin", "onnx/config.json", "vae/deep/model.safetensors", "README.md",
    ]  # fmt: skip

    def snapshot(_: str, *, allow_patterns: list[str], ignore_patterns: list[str], **__: object) -> str:
        wanted = {"allow_patterns": allow_patterns, "ignore_patterns": ignore_patterns}
        for name in filter_repo_objects(on_hub, **wanted):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    fetch.model_folder("someone/mms", None)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == sorted(on_hub[:6])
