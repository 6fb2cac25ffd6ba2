"""Models from elsewhere: only by https, only up to a size, and only with the SHA-256 that is known."""

from pathlib import Path

import pytest

from fas.errors import FetchError
from fas.frontend import fetch


def test_downloads_are_https_small_enough_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="not https"):
        fetch.download("http://127.0.0.1/x", tmp_path / "x", "0" * 64)
    with pytest.raises(FetchError, match="not https"):
        fetch.download("file:///etc/passwd", tmp_path / "x", "0" * 64)

    class Answer:
        """An address that says one size and sends for ever."""

        headers = {"Content-Length": "10"}  # noqa: RUF012

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def geturl(self) -> str:
            return "https://x/y"

        def read(self, size: int) -> bytes:
            return b"x" * size

    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: Answer())
    monkeypatch.setattr(fetch, "LARGEST", 5 << 20)
    with pytest.raises(FetchError, match="larger than"):
        fetch.download("https://x/y", tmp_path / "x", "0" * 64)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Answer, "read", lambda self, size, sent=[]: b"" if sent else sent.append(1) or b"x")
    with pytest.raises(FetchError, match="SHA-256 is"):
        fetch.download("https://x/y", tmp_path / "x", "0" * 64)
    assert list(tmp_path.iterdir()) == []
