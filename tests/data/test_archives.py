"""Archives that others made: what would leave the folder, swell, or is damaged is refused."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from fas.data import archives
from fas.errors import FetchError
from tests.data.servers import REG, tarred, zipped

BODY = bytes(range(256)) * 4000


def link_in_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("wav/a.wav")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


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
