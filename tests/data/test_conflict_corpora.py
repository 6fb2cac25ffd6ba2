"""Corpora that label tone and words apart, nEMO, and tables of many forms, on small trees in their own layouts."""

import json
from pathlib import Path

import pytest
import yaml

from fas.data import datadir
from tests.conftest import ROOT
from tests.data.conftest import Prepare
from tests.data.sounds import wav

EMOTIONTALK = [  # name, the voice's emotion, the words' emotion, words
    ("G00009/G00009_42/G00009_42_14/G00009_42_14_024", "neutral", "happy", "[over/]太好了[interrupted]"),
    ("G00001/G00001_02/G00001_02_03/G00001_02_03_001", "angry", "angry", "你走开"),
    ("G00012/G00012_01/G00012_01_05/G00012_01_05_007", "sad", "surprised", "真的吗"),
    ("G00003/G00003_11/G00003_11_06/G00003_11_06_100", "disgusted", "neutral", "是这样"),
    ("G00015/G00015_07/G00015_07_09/G00015_07_09_003", "fearful", "fearful", "别过来"),
]


def emotiontalk(root: Path, depth: str = "audio") -> None:
    folder = root / "emotiontalk"
    for name, *_ in EMOTIONTALK:
        wav(folder / depth / f"{name}.wav")
    rows = [f"{name}.wav,{voice}" for name, voice, _, _ in EMOTIONTALK]
    (folder / "audio.csv").write_text("\n".join(["file_name,emotion", *rows]) + "\n")
    rows = [f"{name},{words},{text}" for name, _, words, text in reversed(EMOTIONTALK)]
    (folder / "transcription.csv").write_text("\n".join(["name,emotion,chinese", *rows]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("depth", [".", "Audio/wav"])
def test_emotiontalk_has_the_voices_and_the_words_emotion(root: Path, prepare: Prepare, depth: str) -> None:
    emotiontalk(root, depth)
    data = datadir.read(prepare("emotiontalk"))
    assert data.utt2emo["emotiontalk42_14-G00009_42_14_024"] == "neutral"
    assert data.utt2sem["emotiontalk42_14-G00009_42_14_024"] == "happy"
    assert data.text["emotiontalk42_14-G00009_42_14_024"] == "太好了"
    assert sum(data.utt2emo[u] != data.utt2sem[u] for u in data.utts) == 3
    assert set(data.utt2lang.values()) == {"zh"} and data.emotions == list(datadir.EMOTIONS)
    parts = {part: datadir.read(data.path / part).utts for part in ("train", "dev", "test")}
    groups = {part: sorted(u.partition("-")[2][:6] for u in utts) for part, utts in parts.items()}
    assert groups == {"train": ["G00009"], "dev": ["G00001", "G00012"], "test": ["G00003", "G00015"]}


def test_emotiontalks_speaker_is_the_json_files(root: Path, prepare: Prepare) -> None:
    emotiontalk(root)
    for (name, *_), speaker in zip(EMOTIONTALK, ("07", "01", "07", "03", "07"), strict=True):
        path = root / f"emotiontalk/audio/{name}.json"
        path.write_text(json.dumps({"speaker_id": speaker, "emotion_result": "happy"}))
    data = datadir.read(prepare("emotiontalk"))
    assert set(data.utt2spk.values()) == {"emotiontalk07", "emotiontalk01", "emotiontalk03"}
    path.write_text("{}")
    with pytest.raises(SystemExit, match=r"024\.json|003\.json: no speaker_id"):
        prepare("emotiontalk")


def test_what_emotiontalk_lacks_is_named(root: Path, prepare: Prepare) -> None:
    with pytest.raises(SystemExit, match=r"emotiontalk: no such folder.*BAAI/Emotiontalk.*G00009_42"):
        prepare("emotiontalk")
    emotiontalk(root)
    table = root / "emotiontalk/transcription.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"audio.csv:2: 'G00009_42_14_024' is not in transcription.csv"):
        prepare("emotiontalk")
    table.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"transcription.csv:7: .* stands in another row too"):
        prepare("emotiontalk")
    emotiontalk(root)
    (root / f"emotiontalk/audio/{EMOTIONTALK[0][0]}.wav").unlink()
    with pytest.raises(SystemExit, match=r"G00009_42_14_024"):
        prepare("emotiontalk")


def test_emis_crosses_words_and_voice(root: Path, prepare: Prepare) -> None:
    emotions = ("angry", "happy", "neutral", "sad")
    for words in emotions:
        for voice in emotions:
            for synthesiser in ("cosyvoice", "indextts"):
                wav(root / f"emis/{synthesiser}/explicit_12_{words}_{voice}_0011_{synthesiser}.wav")
    data = datadir.read(prepare("emis"))
    assert len(data) == 32 and set(data.utt2spk.values()) == {"emiscosyvoice_0011", "emisindextts_0011"}
    utt = "emisindextts_0011-explicit_12_sad_angry"
    assert (data.utt2sem[utt], data.utt2emo[utt]) == ("sad", "angry")
    assert data.emotions == list(emotions)
    assert sum(data.utt2sem[u] == data.utt2emo[u] for u in data.utts) == 8
    wav(root / "emis/angry_0011.wav")
    with pytest.raises(SystemExit, match=r"angry_0011.wav: not an EMIS name"):
        prepare("emis")


def test_emo_emilia_has_two_languages_and_its_sources_as_speakers(root: Path, prepare: Prepare) -> None:
    rows = []
    for index, emotion in (
        ("ZH_B00090_S00350_W000000", "angry"),
        ("ZH_B00090_S00350_W000012", "disgusted"),
        ("EN_B00011_S00350_W000003", "surprised"),
    ):
        wav(root / f"emo_emilia/Emo-Emilia/wav/{index}.wav")
        rows.append({"index": index, "emotion": emotion, "wav": f"./Emo-Emilia/wav/{index}.wav", "text": "那 好"})
    table = root / "emo_emilia/Emo-Emilia-ALL.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = datadir.read(prepare("table", "--conf", ROOT / "conf/corpora/emo_emilia.yaml", corpus="emo_emilia"))
    assert len(data) == 3 and len(set(data.utt2spk.values())) == 2
    assert data.utt2lang["emo_emiliaEN_B00011_S00350-EN_B00011_S00350_W000003"] == "en"
    assert sorted(data.utt2emo.values()) == ["angry", "disgust", "surprise"]
    assert data.utt2lang["emo_emiliaZH_B00090_S00350-ZH_B00090_S00350_W000000"] == "zh"


NEMO = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


def test_nemos_own_table(root: Path, prepare: Prepare) -> None:
    lines = [
        "EB0_neutral_13.wav\tneutral\tInteresuje mnie historia Polski.\tx\t        EB0\tfemale\t27\n",
        "KS0_surprised_10.wav\tsurprised\tKupiłem nową szafę.\tx\t        KS0\tmale\t23\n",
    ]
    wav(root / "nemo/samples/EB0_neutral_13.wav")
    wav(root / "nemo/samples/KS0_surprised_10.flac")  # many keep corpora so
    (root / "nemo/data.tsv").write_text(NEMO + "".join(lines), encoding="utf-8")
    data = datadir.read(prepare("table", "--conf", ROOT / "conf/corpora/nemo.yaml", corpus="nemo"))
    assert data.utt2spk == {"nemoEB0-neutral_13": "nemoEB0", "nemoKS0-surprised_10": "nemoKS0"}
    assert data.utt2emo["nemoKS0-surprised_10"] == "surprise"
    assert data.text["nemoKS0-surprised_10"] == "Kupiłem nową szafę."
    assert data.emotions == ["angry", "fear", "happy", "neutral", "sad", "surprise"]


def write_conf(path: Path, **changed: object) -> Path:
    labels = {"anger": {"native": "anger", "seven": "angry"}, "joy": {"native": "joy", "seven": "happy"}}
    values = dict.fromkeys(("title", "paper", "get", "licence", "layout"), "-")
    path.write_text(yaml.safe_dump(values | {"labels": labels} | changed))
    return path


def test_huggingfaces_metadata(root: Path, prepare: Prepare, tmp_path: Path) -> None:
    """As datasets' audiofolder has it: file_name below the folder of the table, one folder a split."""
    for name in ("train/s1/0001.wav", "test/s2/0002.wav"):
        wav(root / "hf" / name)
    (root / "hf/metadata.csv").write_text("file_name,label\ntrain/s1/0001.wav,anger\ntest/s2/0002.wav,joy\n")
    columns = {
        "utt": {"column": "file_name", "pattern": r"([^/]+)\.wav$"},
        "wav": "file_name",
        "speaker": {"column": "file_name", "pattern": "^[^/]+/([^/]+)/"},
        "split": {"column": "file_name", "pattern": "^([^/]+)"},
        "emotion": "label",
    }
    conf = write_conf(tmp_path / "hf.yaml", table="hf/metadata.csv", columns=columns, splits="own")
    data = datadir.read(prepare("table", "--conf", conf, corpus="hf"))
    assert data.utt2spk == {"hfs1-0001": "hfs1", "hfs2-0002": "hfs2"}
    assert datadir.read(data.path / "test").utts == ["hfs2-0002"]


def audformat(root: Path) -> dict[str, object]:
    for name in ("03a01Fa", "08a01Wa"):
        wav(root / f"af/wav/{name}.wav")
    rows = ["file,emotion,emotion.confidence", "wav/03a01Fa.wav,joy,0.9", "wav/08a01Wa.wav,anger,1.0"]
    (root / "af/db.emotion.csv").write_text("\n".join(rows))
    rows = ["file,duration,speaker", "wav/08a01Wa.wav,0 days 00:00:01,8", "wav/03a01Fa.wav,0 days 00:00:02,3"]
    (root / "af/db.files.csv").write_text("\n".join(rows))
    columns = {"utt": {"column": "file", "pattern": "^wav/(.*)[.]wav$"}, "wav": "file"}
    columns |= {"speaker": "speaker", "emotion": "emotion"}
    return {"table": "af/db.emotion.csv", "join": {"table": "db.files.csv", "by": "file"}, "columns": columns}


def test_audformats_two_tables(root: Path, prepare: Prepare, tmp_path: Path) -> None:
    conf = write_conf(tmp_path / "af.yaml", **audformat(root))
    data = datadir.read(prepare("table", "--conf", conf, corpus="af"))
    assert data.utt2spk == {"af3-03a01Fa": "af3", "af8-08a01Wa": "af8"}


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("db.files.csv", "file,speaker\nwav/08a01Wa.wav,8\n", r"db.emotion.csv:2: 'wav/03a01Fa.wav' is not in .*files"),
        ("db.files.csv", "file,speaker\na,1\na,2\n", r"db.files.csv:3: 'a' stands in another row too"),
        ("db.files.csv", "file\nwav/08a01Wa.wav\nwav/03a01Fa.wav\n", "neither it nor .* has a column 'speaker'"),
        ("db.files.csv", "file,speaker,emotion\nwav/08a01Wa.wav,8,x\nwav/03a01Fa.wav,3,y\n", "both have the column"),
        ("db.files.csv", "path,speaker\nx,8\n", "has no column 'file'"),
    ],
)
def test_tables_that_do_not_fit_together_are_named(
    root: Path, prepare: Prepare, tmp_path: Path, file: str, content: str, says: str
) -> None:
    conf = write_conf(tmp_path / "af.yaml", **audformat(root))
    (root / "af" / file).write_text(content)
    with pytest.raises(SystemExit, match=says):
        prepare("table", "--conf", conf, corpus="af")


@pytest.mark.parametrize(
    ("speaker", "says"),
    [
        ({"column": "id", "pattern": "^([a-z]+)_"}, r"t.csv:3: speaker: '7_b' does not match the pattern"),
        ({"column": "id", "pattern": "("}, "columns: speaker: pattern: not a regular expression"),
        ({"column": "id", "patern": "x"}, "columns: speaker: give a column's name"),
        ("{who}", "has no column 'who'"),
        ({"column": "id", "map": "x"}, "columns: speaker: give a column's name"),
    ],
)
def test_columns_that_can_not_be_are_named(
    root: Path, prepare: Prepare, tmp_path: Path, speaker: object, says: str
) -> None:
    wav(root / "x/a.wav")
    (root / "x/t.csv").write_text("id,says\na_1,joy\n7_b,joy\n")
    columns = {"utt": "id", "wav": {"value": "a.wav"}, "speaker": speaker, "emotion": "says"}
    with pytest.raises(SystemExit, match=says):
        conf = write_conf(tmp_path / "x.yaml", table="x/t.csv", columns=columns)
        prepare("table", "--conf", conf, corpus="x")
