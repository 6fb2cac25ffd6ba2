"""Corpora that come as EmoBox's manifests or as a table with a conf of its own."""

import json
from pathlib import Path

import pytest
import yaml

from fas.data import corpora
from tests.data.conftest import Prepare, check_kaldi, files, table
from tests.data.sounds import wav


def emobox_tree(root: Path, folds: int) -> Path:
    """EmoBox's folder data with one dataset, toydb: three speakers, emotions of EmoDB, and its audio."""
    folder = root.parent / "emobox/data/toydb"
    folder.mkdir(parents=True)
    (folder / "label_map.json").write_text('{"anger": "Angry", "boredem": "Boredom", "happy": "Happy"}')
    keys = [(f"toydb-{s}a{i:02}", f"{s}0", ("anger", "boredem", "happy")[i % 3]) for s in "jkm" for i in range(18)]
    (folder / "data.seg.wrd.stm").write_text("".join(f"{k} 1 {s} 0 0.1 <id={k}> {e}\n" for k, s, e in keys))
    for fold in range(1, folds + 1):
        (folder / f"fold_{fold}").mkdir()
        lines: dict[str, list[str]] = {"train": [], "test": []}
        for i, (key, _, emotion) in enumerate(keys):
            name = key.removeprefix("toydb-")
            wav(root / f"toydb/wav/{name}.wav", 0.02)
            row = {"key": key, "dataset": "toydb", "wav": f"downloads/toydb/wav/{name}.wav", "type": "raw",
                   "sample_rate": 16000, "task": "category", "length": 0.02, "emo": emotion, "channel": 1}  # fmt: skip
            lines["test" if i % max(folds, 4) + 1 == fold else "train"].append(json.dumps(row) + "\n")
        for part, text in lines.items():
            (folder / f"fold_{fold}/toydb_{part}_fold_{fold}.jsonl").write_text("".join(text))
    return folder.parent


def toy_table(root: Path, suffix: str, folds: int) -> Path:
    """The same corpus as a table with other column names, and its conf."""
    rows = []
    for i, (s, n) in enumerate((s, n) for s in "jkm" for n in range(18)):
        part = i % max(folds, 4) + 1
        where = {"part": "test" if part == 1 else "train"} if folds == 1 else {"part": str(part)}
        emotion = ("anger", "boredem", "happy")[n % 3]
        rows.append({"file id": f"{s}a{n:02}", "path": f"wav/{s}a{n:02}.wav", "who": f"{s}0", "felt": emotion, **where})
    path = root / f"toydb/list.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    else:
        joint = "\t" if suffix == "tsv" else ","
        path.write_text("\n".join(joint.join(r) for r in [rows[0].keys(), *(r.values() for r in rows)]) + "\n")
    conf = {
        "title": "t", "paper": "p", "get": "g", "licence": "l", "layout": "y", "table": f"toydb/list.{suffix}",
        "columns": {"utt": "file id", "wav": "path", "speaker": "who", "emotion": "felt",
                    "split" if folds == 1 else "fold": "part"},
        "labels": {"anger": {"native": "angry", "seven": "angry"}, "happy": "happy",
                   "boredem": {"native": "boredom", "seven": None}},
    }  # fmt: skip
    (root.parent / "toydb.yaml").write_text(yaml.safe_dump(conf))
    return root.parent / "toydb.yaml"


@pytest.mark.parametrize("labels", ["seven", "native"])
@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_manifest_and_a_table_of_it_end_in_the_same_data(
    root: Path, prepare: Prepare, tmp_path: Path, labels: str, folds: int, suffix: str
) -> None:
    manifests = emobox_tree(root, folds)
    data = prepare("emobox", "--manifests", manifests, "--labels", labels, corpus="toydb")
    check_kaldi(data)
    data.rename(tmp_path / "by_manifest")
    again = prepare("table", "--conf", toy_table(root, suffix, folds), "--labels", labels, corpus="toydb")
    ours, theirs = files(tmp_path / "by_manifest"), files(again)
    assert ours == theirs
    subsets = {"train", "dev", "test"} if folds == 1 else {"fold1", "fold2", "fold3", "fold4"}
    assert {p.name for p in again.iterdir() if p.is_dir()} == subsets
    assert len(table(again / "wav.scp")) == (36 if labels == "seven" else 54)
    assert "toydbj0-ja00" in ours["utt2emo"].decode()


def test_emobox_errors_are_named(root: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]) -> None:
    manifests = emobox_tree(root, 1)
    with pytest.raises(SystemExit, match="has no 'meld'; it has toydb"):
        prepare("emobox", "--manifests", manifests, "--dataset", "meld")
    path = manifests / "toydb/fold_1/toydb_test_fold_1.jsonl"
    good = path.read_text()
    for text, says in (
        (good + "{\n", r"toydb_test_fold_1\.jsonl:\d+: not JSON"),
        (good.replace('"emo"', '"emotion"'), r"has no field 'emo'"),
        (good.replace('"channel": 1', '"start_time": 0'), "a piece of a longer file"),
        (good.replace('"toydb-ja00"', '"toydb-ja99"'), "no speaker is known for 'toydb-ja99'"),
        (good.replace('"toydb-ja00"', '"toydb-ja01"'), "'toydb-ja01' is in .*toydb_train_fold_1"),
        (good.replace('"emo": "anger"', '"emo": "Ärger"'), "unknown label 'Ärger'; known are 'anger' 'boredem'"),
    ):
        path.write_text(text)
        with pytest.raises(SystemExit, match=says):
            prepare("emobox", "--manifests", manifests)
    path.write_text(good)
    (manifests / "toydb/label_map.json").write_text('{"anger": "Wrath"}')
    with pytest.raises(SystemExit, match=r"'wrath' is not in conf/corpora/emobox\.yaml"):
        prepare("emobox", "--manifests", manifests)
    (manifests / "toydb/label_map.json").write_text('{"anger": "Angry"}')
    (root / "toydb").rename(root / "elsewhere")
    prepare("emobox", "--manifests", manifests, "--skip-missing", "true")
    assert "skipped toydb: " in capsys.readouterr().err


def test_hostile_names_are_data(root: Path, prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["a b", "$(touch ran)", "; touch ran;", "`touch ran`", "line\nbreak", "| cat", "ünï"]
    rows = ["file,path,who,felt,said"]
    for i, name in enumerate(names):
        wav(root / f"toydb/{name.replace('/', '')} {i}.wav".replace("\n", ""))
        path = f"{name} {i}.wav".replace("\n", "")
        rows.append(",".join(f'"{v}"' for v in (name, path, name, "happy", f"said {name} $(touch ran)")))
    (root / "toydb").mkdir(exist_ok=True)
    (root / "toydb/list.csv").write_text("\n".join(rows) + "\n")
    conf = {
        "title": "t", "paper": "p", "get": "g", "licence": "l", "layout": "y", "table": "toydb/list.csv",
        "columns": {"utt": "file", "wav": "path", "speaker": "who", "emotion": "felt", "text": "said",
                    "language": {"value": "en"}},
        "labels": {"happy": "happy"},
    }  # fmt: skip
    (tmp_path / "toydb.yaml").write_text(yaml.safe_dump(conf))
    data = prepare("table", "--conf", tmp_path / "toydb.yaml", corpus="toydb")
    check_kaldi(data)
    assert len(table(data / "wav.scp")) == len(names)
    assert table(data / "text")["toydbline_break-line_break"] == "said line break $(touch ran)"
    assert {"toydb_24_28touch_ran_29-_24_28touch_ran_29", "toydbünï-ünï"} < table(data / "utt2spk").keys()
    wav(root / "toydb/line\nbreak 4.wav")
    (root / "toydb/list.csv").write_text('file,path,who,felt,said\na,"line\nbreak 4.wav",b,happy,c\n')
    with pytest.raises(SystemExit, match="a path with a line break"):
        prepare("table", "--conf", tmp_path / "toydb.yaml")
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("utt,wav,speaker\n", "has no column 'emotion'; it has utt wav speaker"),
        ("utt,wav,speaker,emotion\na,a.wav,,happy\n", "list.csv:2: speaker is empty"),
        ("utt,wav,speaker,emotion\na,a.wav,s,happy,more\n", "list.csv:2: has more cells"),
        ("utt,wav,speaker,emotion\na,a.wav,s,glad\n", "unknown label 'glad'"),
        ("utt,wav,speaker,emotion\na,b.wav,s,happy\n", "b.wav: no such file"),
        ("utt,wav,speaker,emotion\na,a.wav,s,happy\na,a.wav,s,happy\n", "has the sound of .*csv:2, a.wav"),
        ("utt,wav,speaker,emotion\n", "no utterance"),
        (b"utt,wav,speaker,emotion\na,a.wav,\xff,happy\n", "not utf-8-sig .*convert it with iconv"),
    ],
)
def test_a_wrong_table_is_named(root: Path, prepare: Prepare, tmp_path: Path, text: str | bytes, says: str) -> None:
    wav(root / "toydb/a.wav")
    (root / "toydb/list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    columns = {name: name for name in ("utt", "wav", "speaker", "emotion")}
    conf = {"title": "t", "paper": "p", "get": "g", "licence": "l", "layout": "y", "table": "toydb/list.csv",
            "columns": columns, "labels": {"happy": "happy"}}  # fmt: skip
    (tmp_path / "toydb.yaml").write_text(yaml.safe_dump(conf))
    with pytest.raises(SystemExit, match=says):
        prepare("table", "--conf", tmp_path / "toydb.yaml")
    (tmp_path / "toydb.yaml").write_text(yaml.safe_dump(conf | {"columns": columns | {"mood": "x"}}))
    with pytest.raises(SystemExit, match="columns: mood"):
        prepare("table", "--conf", tmp_path / "toydb.yaml")


def test_splits_that_the_conf_does_not_say_are_an_error(root: Path, prepare: Prepare, tmp_path: Path) -> None:
    (root / "x").mkdir()
    wav(root / "x/a.wav")
    (root / "x/t.csv").write_text("id,who,says\na,s1,joy\n")
    columns = {"utt": "id", "wav": {"value": "a.wav"}, "speaker": "who", "emotion": "says"}
    values = dict.fromkeys(("title", "paper", "get", "licence", "layout"), "-")
    values |= {"table": "x/t.csv", "columns": columns, "labels": {"joy": {"native": "joy", "seven": "happy"}}}
    values |= {"sentences": {1: "digits as keys are text"}}
    for splits, says in (("own", "neither splits nor folds"), ("folds", "neither"), ("none", None)):
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(values | {"splits": splits}))
        assert corpora.read_conf(tmp_path / "x.yaml").sentences == {"1": "digits as keys are text"}
        if says:
            with pytest.raises(SystemExit, match=f"x: its conf says `splits: {splits}`, but .* {says}"):
                prepare("table", "--conf", tmp_path / "x.yaml", corpus="x")
        else:
            assert len(table(prepare("table", "--conf", tmp_path / "x.yaml", corpus="x") / "wav.scp")) == 1
