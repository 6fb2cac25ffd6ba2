"""Text files of data directories as other systems write them: read rightly, or named by file and line with the cure."""

import os
from pathlib import Path

import pytest

from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.errors import DataError

TABLES = {
    "CRLF": (lambda t: t.replace(b"\n", b"\r\n"), None),
    "no newline at the end": (lambda t: t[:-1], r"wav.scp:6: no newline at the end"),
    "tabs": (lambda t: t.replace(b" ", b"\t", 1), r"wav.scp:1: no key .*set a space for a tab"),
    "byte order mark": (lambda t: b"\xef\xbb\xbf" + t, r"wav.scp:1: starts with a byte order mark"),
    "Latin-1": (lambda t: t.replace(b"spk0_0", b"sp\xe90_0", 1), r"wav.scp:1: not UTF-8 \(byte 0xe9\); .*iconv"),
    "blank line": (lambda t: b"\n" + t, r"wav.scp:1: no key .*remove blank lines"),
    "space in a key": (lambda t: t.replace(b"spk0_0 ", b"spk0 _0 ", 1), r"utt2spk: utterance 'spk0' of wav.scp"),
    "unsorted": (lambda t: b"".join(reversed(t.splitlines(True))), r"wav.scp:2: .*out of order; sort"),
    "duplicate": (lambda t: t.splitlines(True)[0] + t, r"wav.scp:2: duplicate key 'spk0_0'"),
    "UTF-16": (lambda t: t.decode().encode("utf-16"), r"wav.scp:1: not UTF-8 \(byte 0xff\)"),
    "zero bytes": (lambda t: t.replace(b"spk0_0", b"spk\0_0", 1), r"wav.scp:1: the key .* don't print"),
    "nothing": (lambda t: b"", r"no utterance|wav.scp"),
    "a pipe to write to": (lambda t: t.replace(b" /", b" | /", 1), r"wav.scp: utterance 'spk0_0' is written to a pipe"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_text_files(small: DataDir, tmp_path: Path, kind: str) -> None:
    change, says = TABLES[kind]
    path = tmp_path / "data/wav.scp"
    path.write_bytes(change(path.read_bytes()))
    if says is None:
        assert datadir.read(tmp_path / "data").digest() == small.digest()
    else:
        with pytest.raises(DataError, match=says):
            datadir.read(tmp_path / "data")


def test_words_with_carriage_returns_and_files_of_one_word(small: DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    for name in ("text", "corpus", "emotions", "utt2spk"):
        (d / name).write_bytes((d / name).read_bytes().replace(b"\n", b"\r\n"))
    (d / "emotions").write_bytes(b"\xef\xbb\xbf" + (d / "emotions").read_bytes())
    assert datadir.read(d).digest() == small.digest()
    (d / "corpus").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="corpus: not UTF-8"):
        datadir.read(d)


@pytest.mark.skipif("FAS_LONG" not in os.environ, reason="ten million lines take a minute and 3 GB: set FAS_LONG")
def test_ten_million_lines(tmp_path: Path) -> None:
    with (tmp_path / "text").open("w") as f:
        f.writelines(f"s_{i:08d} some words\n" for i in range(10_000_000))
    assert len(tables.read_table(tmp_path / "text")) == 10_000_000
