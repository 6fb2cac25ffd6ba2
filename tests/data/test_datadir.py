"""Data directories: what is written can be read, and what is wrong is named by file and line."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.errors import DataError
from tests.conftest import run


def test_round_trip(small: DataDir, tmp_path: Path) -> None:
    again = datadir.read(tmp_path / "data")
    assert again.digest() == small.digest()
    assert (tmp_path / "data/spk2utt").read_text() == "spk0 spk0_0 spk0_1 spk0_2\nspk1 spk1_3 spk1_4 spk1_5\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"b x\na x\n", "wav.scp:2: 'a' is out of order"),
        (b"a x\na y\n", "wav.scp:2: duplicate key 'a'"),
        (b"a x\n\nb x\n", "wav.scp:2: no key"),
        (b"a x\nb\n", "wav.scp:2: nothing behind the key 'b'"),
        (b"a x\nb \xff\n", "wav.scp:2: not UTF-8 (byte 0xff)"),
        (b"a\tx\n", "wav.scp:1: no key"),
        (b"\xef\xbb\xbfa x\n", "wav.scp:1: starts with a byte order mark"),
        ("a\u2028b x\n".encode(), "wav.scp:1: the key 'a\\u2028b' has characters"),
        (b"a x", "wav.scp:1: no newline at the end"),
    ],
)
def test_broken_tables_are_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "wav.scp").write_bytes(content)
    with pytest.raises(DataError) as error:
        tables.read_table(tmp_path / "wav.scp")
    assert says in str(error.value)


def test_every_problem_is_told_at_once(small: DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    (d / "utt2emo").write_text((d / "utt2emo").read_text().replace("spk0_1 happy", "spk0_1 glad"))
    (d / "utt2spk").write_text((d / "utt2spk").read_text().replace("spk1_5 spk1\n", ""))
    with pytest.raises(DataError) as error:
        datadir.read(d)
    assert "utt2emo:2: utterance 'spk0_1' has the unknown label 'glad'" in str(error.value)
    assert "utt2spk: utterance 'spk1_5' of wav.scp is missing" in str(error.value)


def test_five_faults_are_told_at_once(small: DataDir, tmp_path: Path, python_path: None) -> None:
    """A duplicate, an unknown label, a missing, an empty and a corrupt file: each named by one validation."""
    d = tmp_path / "data"
    (tmp_path / "spk0_1.wav").unlink()
    (tmp_path / "spk0_2.wav").write_bytes(b"")
    (tmp_path / "spk1_3.wav").write_bytes(b"RIFF of no use")
    (d / "utt2emo").write_text((d / "utt2emo").read_text().replace("spk1_4 happy", "spk1_4 glad"))
    first = (d / "wav.scp").read_text().splitlines()[0]
    (d / "wav.scp").write_text(f"{first}\n{(d / 'wav.scp').read_text()}")
    before = {p: p.read_bytes() for p in d.rglob("*") if p.is_file()}
    done = run(sys.executable, "-m", "fas.bin.data", "validate", "--audio", d)
    assert done.returncode == 1
    for says in ("wav.scp:2: duplicate key 'spk0_0'", "utterance 'spk1_4' has the unknown label 'glad'",
                 "spk0_1.wav: no such file", "spk0_2.wav: empty file", "spk1_3.wav: not readable"):  # fmt: skip
        assert says in done.stderr, done.stderr
    assert {p: p.read_bytes() for p in d.rglob("*") if p.is_file() and p.name != ".audio.lock"} == before


def test_a_place_that_can_not_be_a_file_is_named(small: DataDir, tmp_path: Path, python_path: None) -> None:
    for utt, place in zip(small.utts, ("x" * 5000, "/etc/passwd/x", "a\0b", str(tmp_path)), strict=False):
        small.wav[utt] = place
    small.write(tmp_path / "data")
    conf = tmp_path / "fbank.yaml"
    conf.write_text("kind: s3prl\nupstream: fbank\n")
    for command in (
        ("fas.bin.data", "validate", "--audio", tmp_path / "data"),
        ("fas.bin.extract", "ssl", "check", "--conf", conf, "--data", tmp_path / "data", "--out", tmp_path / "out"),
    ):
        done = run(sys.executable, "-m", *command)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("no such file") == 4


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6])
def test_split_is_a_partition(small: DataDir, parts: int) -> None:
    pieces = datadir.split(small, parts)
    assert sorted(u for p in pieces for u in p.utts) == small.utts
    assert all(len(p) and p.utts == sorted(p.utts) for p in pieces)


def test_parts_of_a_split_cost_the_same_whatever_an_utterance_costs(small: DataDir) -> None:
    """The first speaker's utterances are short, the second's long: parts in order would not be alike."""
    small.utt2dur = dict(zip(small.utts, (1.0, 1.2, 1.1, 9.0, 9.1, 9.3), strict=True))
    for cost in (lambda seconds: seconds, lambda seconds: seconds + 5, lambda seconds: 1):
        for parts in (2, 3):
            costs = [sum(cost(s) for s in p.utt2dur.values()) for p in datadir.split(small, parts)]
            assert max(costs) - min(costs) <= max(small.utt2dur.values()) - min(small.utt2dur.values())
    assert [sum(s > 5 for s in p.utt2dur.values()) for p in datadir.split(small, 3)] == [1, 1, 1]


def test_split_refuses_more_parts_than_utterances(small: DataDir) -> None:
    with pytest.raises(DataError, match="smaller --nj"):
        datadir.split(small, 7)


def test_subset_shares_features_of_its_home(small: DataDir, tmp_path: Path) -> None:
    small.subset(lambda u: u.startswith("spk0")).write(tmp_path / "data/fold1/train")
    assert datadir.home(tmp_path / "data/fold1/train") == tmp_path / "data"
    assert len(datadir.read(tmp_path / "data/fold1/train")) == 3


def test_folds_share_no_speaker_and_hold_all(small: DataDir, tmp_path: Path, python_path: None) -> None:
    command = [sys.executable, "-m", "fas.bin.data", "folds", tmp_path / "data", "2", tmp_path / "data/folds"]
    assert run(*command).returncode == 0
    for fold, speaker in ((1, "spk0"), (2, "spk1")):
        held, rest = (datadir.read(tmp_path / f"data/folds/fold{fold}/{part}") for part in ("test", "train"))
        assert set(held.utt2spk.values()) == {speaker}
        assert sorted([*held.utts, *rest.utts]) == small.utts and not set(held.utts) & set(rest.utts)
    (tmp_path / "one").write_text("spk1\n")
    done = run(*command, "--speakers", tmp_path / "one")
    assert done.returncode != 0 and "2 folds of 1 speakers" in done.stderr


def test_what_can_t_be_folds_is_named(small: DataDir, tmp_path: Path, python_path: None) -> None:
    """Folds without features, folds beside those of another number or with a dev set of others, lists that are none."""
    command = [sys.executable, "-m", "fas.bin.data", "folds"]
    (tmp_path / "latin").write_bytes(b"spk\xe9\n")
    small.subset(lambda u: u.startswith("spk0")).write(tmp_path / "data/folds/fold3/test")
    small.subset(lambda u: u.startswith("spk0")).write(tmp_path / "data/own/fold1/dev")
    for args, says in (
        ((tmp_path / "data", "2", tmp_path / "elsewhere"), "elsewhere: is not within"),
        ((tmp_path / "data", "2", tmp_path / "data/folds"), "fold3/test: is not of these 2 folds; remove it"),
        ((tmp_path / "data", "2", tmp_path / "data/own"), "fold1/dev: is not of these 2 folds"),
        (("--speakers", tmp_path / "nothing", tmp_path / "data", "2", tmp_path / "data/f"), "nothing: no such file"),
        (("--speakers", tmp_path / "latin", tmp_path / "data", "2", tmp_path / "data/f"), "latin: not UTF-8"),
    ):
        done = run(*command, *args)
        assert done.returncode != 0 and says in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "data/folds/fold1").exists()


def test_write_leaves_the_old_whole_when_the_new_is_wrong(small: DataDir, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in (tmp_path / "data").iterdir() if p.is_file()}
    bad = small.subset(lambda _: True)
    bad.utt2emo["spk0_0"] = "bored"
    with pytest.raises(DataError, match="unknown label 'bored'"):
        bad.write(tmp_path / "data")
    assert {p.name: p.read_bytes() for p in (tmp_path / "data").iterdir() if p.is_file()} == before


def test_validate_names_missing_empty_and_corrupt_audio(
    small: DataDir, tmp_path: Path, python_path: None
) -> None:
    (tmp_path / "spk0_0.wav").unlink()
    (tmp_path / "spk0_1.wav").write_bytes(b"")
    (tmp_path / "spk0_2.wav").write_bytes(b"this is no audio at all")
    done = run(os.sys.executable, "-m", "fas.bin.data", "validate", "--audio", tmp_path / "data")
    assert done.returncode != 0
    assert "spk0_0.wav: no such file" in done.stderr
    assert "spk0_1.wav: empty file" in done.stderr
    assert "spk0_2.wav: not readable as audio" in done.stderr


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    try:
        table = tables.read_table(path, empty_ok=True)
    except DataError:
        return
    assert list(table) == sorted(table, key=str.encode)


def test_combine_refuses_a_shared_utterance(small: DataDir) -> None:
    with pytest.raises(DataError, match="stands in"):
        datadir.combine([small, small])
