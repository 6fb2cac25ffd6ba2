"""Readers of files that others made, on inputs that hypothesis makes up: each is read rightly or refused by name.

FAS_FUZZ sets the number of inputs of each test; `for seed in 1 2 3; do FAS_FUZZ=20000 tests/run.sh tests/test_fuzz.py
--hypothesis-seed=$seed; done` tries others. What was found stands as an example at the test.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fas.data import corpora, datadir, releases, tables
from fas.data.datadir import DataDir
from fas.errors import ArkError, DataError
from fas.features import ark
from fas.frontend import ctranslate2
from tests.frontend.test_ctranslate2 import model_bin

fuzz = settings(
    max_examples=int(os.environ.get("FAS_FUZZ", 500)),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NAMES = ("wav.scp", "utt2spk", "utt2emo", "utt2dur", "utt2lang", "utt2sem", "text", "corpus", "emotions")
BYTES = st.binary(max_size=60)
WORDS = st.sampled_from([
    *(b"a", b"b", b"a b", b"a angry\n", b"a 1\n", b"a nan\n", b"a |\n", b"\n", b" ", b"\t", b"\r\n", b"\xff"),
    *(b"\xef\xbb\xbf", b"../x", b"$(id)", "\u2028".encode(), b"\0", b"-1", b"1e999", b"a x:3\n", b"b y:-1\n"),
])
LINES = st.lists(WORDS, max_size=8).map(b"".join)


@pytest.fixture(scope="module")
def folder(in_memory: Path) -> Path:
    return in_memory


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


@fuzz
@given(st.one_of(BYTES, LINES))
@example(b"\xef\xbb\xbfa x\n")
@example("a\u2028b x\n".encode())
def test_tables(folder: Path, content: bytes) -> None:
    (folder / "table").write_bytes(content)
    try:
        table = tables.read_table(folder / "table", empty_ok=True)
    except DataError as e:
        assert str(folder / "table") in str(e)
        return
    assert list(table) == sorted(table, key=str.encode)
    assert all(k.split() == [k] and v == v.strip() and "\n" not in v for k, v in table.items())
    tables.write_table(folder / "again", table)
    assert tables.read_table(folder / "again", empty_ok=True) == table


@fuzz
@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(BYTES, LINES), max_size=3))
@example({"corpus": b"\xff"})
@example({"emotions": b"\xef\xbb\xbfangry\n"})
@example({"utt2dur": b"a nan\n"})
def test_data_directories(folder: Path, files: dict[str, bytes]) -> None:
    """A sound data directory, some files of which are replaced."""
    whole = {"wav.scp": b"a /x\n", "utt2spk": b"a s\n", "utt2emo": b"a angry\n", "utt2dur": b"a 1\n", "corpus": b"c\n"}
    whole |= {"emotions": b"angry\n"} | files
    data = _made(folder / "data")
    for name in NAMES:
        (data / name).unlink(missing_ok=True)
    for name, content in whole.items():
        (data / name).write_bytes(content)
    try:
        made = datadir.read(data)
    except DataError as e:
        assert str(data) in str(e)
        return
    assert isinstance(made, DataDir) and not made.problems()


@fuzz
@given(st.integers(0, 200), BYTES, st.booleans())
@example(15, b"{", False)  # a bracket that is never closed
@example(12, b"\0", False)
@example(80, b"9" * 40, False)  # more rows than there is memory
def test_arks(folder: Path, place: int, junk: bytes, cut: bool) -> None:
    """A sound ark of two matrices, with bytes replaced or the end cut off."""
    path = folder / "feats.ark"
    with path.open("wb") as f:
        offsets = [ark.append(f, u, np.arange(6, dtype=np.float16).reshape(3, 2) + i) for i, u in enumerate("ab")]
    whole = path.read_bytes()
    place %= len(whole)
    path.write_bytes(whole[:place] + junk + (b"" if cut else whole[place + len(junk) :]))
    (folder / "feats.scp").write_text("".join(f"{u} {path}:{o}\n" for u, o in zip("ab", offsets, strict=True)))
    with ark.Reader(folder / "feats.scp") as reader:
        for utt in "ab":
            try:
                frames = reader[utt]
            except ArkError as e:
                assert utt in str(e) and str(path) in str(e)
            else:
                assert frames.ndim == 2


@fuzz
@given(LINES)
def test_feature_tables(folder: Path, content: bytes) -> None:
    (folder / "any.scp").write_bytes(content)
    try:
        for location, offset in ark.read_scp(folder / "any.scp").values():
            assert location and offset >= 0
    except DataError as e:
        assert "any.scp" in str(e)


SMALL = model_bin({"a/weight": ("float16", np.ones((2, 3), np.float16))}, {"b": "a/weight"})


# found by coverage_fuzz.py: no values, in a shape that is too large for an array
HUGE = (6).to_bytes(4, "little") + b"\x0c\0WhisperSpec\0\3\0\0\0\1\0\0\0\2\0a\0\6" + b"\xff\xff\xff\x6f" * 5 + bytes(12)


@fuzz
@given(st.integers(0, len(SMALL)), BYTES, st.booleans())
@example(0, HUGE, True)
def test_ctranslate2(folder: Path, place: int, junk: bytes, cut: bool) -> None:
    path = folder / "model.bin"
    path.write_bytes(SMALL[:place] + junk + (b"" if cut else SMALL[place + len(junk) :]))
    try:
        variables = ctranslate2.read_variables(path)
        ctranslate2.convert(variables, path)
    except ValueError as e:
        assert "model.bin" in str(e)


CELL = st.text(max_size=12) | st.sampled_from(['"', "a,b", "$(id)", "../x", "\t", "\r", "\n", '"a\nb"', "\0"])


@fuzz
@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=4), st.sampled_from([".csv", ".tsv", ".jsonl"]), BYTES)
def test_tables_of_corpora(folder: Path, rows: list[list[str]], suffix: str, tail: bytes) -> None:
    if suffix == ".jsonl":
        text = "\n".join(json.dumps(dict(zip("abcd", row, strict=False))) for row in rows)
    else:
        text = "a,b,c\n".replace(",", "\t" if suffix == ".tsv" else ",") + "\n".join(",".join(r) for r in rows)
    path = folder / f"list{suffix}"
    path.write_bytes(text.encode(errors="surrogatepass") + tail)
    try:
        for where, row in releases.read_rows(path, ["a"]):
            assert where.startswith(str(path)) and all(isinstance(v, str) for v in row.values())
    except DataError as e:
        assert str(path) in str(e)


@fuzz
@given(st.text(max_size=30), st.text(max_size=30))
def test_names_of_corpora(speaker: str, name: str) -> None:
    """Whatever a corpus calls them, utterances are one plain word that starts with the speaker."""
    made = corpora.ids("toy", speaker, name)
    for word in made.values():
        assert word.split() == [word] and word.isprintable() and "/" not in word and not word.startswith(".")
    assert made["utt"].startswith(made["speaker"])
