"""A corpus of one's own by a table, as docs/corpus.md has it, with what such tables hold in practice."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from fas.data import corpora, datadir
from tests.conftest import ROOT
from tests.data.conftest import Prepare
from tests.data.sounds import wav

Conf = dict[str, object]


@pytest.fixture
def conf() -> Conf:
    """The first conf of docs/corpus.md."""
    return yaml.safe_load(re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/corpus.md").read_text(), re.S)[0])


def make(root: Path, prepare: Prepare, conf: Conf, table: str, **columns: str) -> datadir.DataDir:
    """The data directory of a table that lies in root/mine."""
    (root / "mine").mkdir(exist_ok=True)
    (root / "mine/metadata.csv").write_bytes(table.encode())
    conf["columns"] |= columns
    path = root / "mine.yaml"
    path.write_text(yaml.safe_dump(conf))
    return datadir.read(prepare("table", "--conf", path, corpus="mine"))


def test_the_conf_of_the_page_does_as_it_stands(root: Path, prepare: Prepare, conf: Conf) -> None:
    """With a byte order mark, carriage returns, and names with spaces and accents."""
    conf["splits"] = "none"
    wav(root / "mine/Zoë M/a 1.wav")
    data = make(root, prepare, conf, "\ufeffid,path,speaker,label\r\n1,Zoë M/a 1.wav, Zoë M ,joy\r\n")
    assert data.utt2emo == {"mineZoë_M-1": "happy"}


def test_several_utterances_of_one_file(root: Path, prepare: Prepare, conf: Conf) -> None:
    """By start and end; recordings of one name in two folders stay apart."""
    conf["splits"] = "none"
    for name in ("s 1/talk", "s2/talk"):
        wav(root / f"mine/{name}.wav", seconds=4)
    head = "id,path,speaker,label,from,to\n"
    rows = "1,s 1/talk.wav,A,joy,0,1.5\n2,s 1/talk.wav,B,anger,1.5,3\n3,s2/talk.wav,A,joy,0,1.5\n"
    data = make(root, prepare, conf, head + rows, start="from", end="to")
    assert {u: str(s) for u, s in data.segments.items()} == {
        "mineA-1": "mine-talk 0 1.5", "mineB-2": "mine-talk 1.5 3", "mineA-3": "mine-s2_talk 0 1.5",
    }  # fmt: skip
    assert data.wav["mineA-3"] == str((root / "mine/s2/talk.wav").resolve())


@pytest.mark.parametrize(
    ("table", "columns", "says"),
    [
        ("id,path,speaker,label,label\n1,a.wav,A,joy,anger\n", {}, "csv:1: has 'label' for two columns"),
        ("id,path,speaker,label,x,x\n1,a.wav,A,joy,,\n", {}, "csv:1: has 'x' for two columns"),
        ("id,path,speaker,label\n1,a.wav,A,joy\n2,a.wav,B,joy\n", {}, "csv:3: has the sound of .*csv:2, a.wav"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,0\n", {"channel": "x"}, "csv:2: channel is '0', not a number from 1"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,0\n", {"fold": "x"}, "csv:2: fold is '0', not a number from 1"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,F\n", {"sex": "x"}, "csv:2: sex is 'F', not m or f"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,1:02\n", {"start": "x"}, "csv:2: start is '1:02', not seconds"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,1\n", {"start": "x"}, "start is '1' and end ''; give both"),
        ("id,path,speaker,label,x\n1,a.wav,A,joy,0\n", {"start": "x", "end": "x"}, "start is '0' and end '0'"),
    ],
)
def test_cells_that_would_be_taken_wrong_are_named(
    root: Path, prepare: Prepare, conf: Conf, table: str, columns: dict[str, str], says: str
) -> None:
    wav(root / "mine/a.wav")
    with pytest.raises(SystemExit, match=says):
        make(root, prepare, conf, table, **columns)


def test_speakers_that_may_be_one_are_told(
    root: Path, prepare: Prepare, conf: Conf, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose names differ in capital letters, and who are in train and test."""
    conf["splits"] = "own"
    for i in range(3):
        wav(root / f"mine/{i}.wav")
    rows = "id,path,speaker,label,part\n0,0.wav,Anna,joy,train\n1,1.wav,anna,anger,test\n2,2.wav,Anna,joy,test\n"
    make(root, prepare, conf, rows, split="part")
    said = capsys.readouterr().err
    assert "warning: taken for different speakers: mineAnna and mineanna" in said
    assert "1 of the 2 speakers of test are in train too" in said


def test_a_letter_and_its_accent_apart_are_one_name() -> None:
    apart = unicodedata.normalize("NFD", "Zoë")
    assert corpora.ids("x", apart, apart) == corpora.ids("x", "Zoë", "Zoë")
