"""Data preparation on small trees in the releases' own layouts, odd cases included."""

import json
import os
import runpy
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import soundfile
import yaml

from fas.data import audio, corpora, datadir, tables
from fas.data.datadir import EMOTIONS
from fas.errors import AudioError
from tests.conftest import ROOT, run

Prepare = Callable[..., Path]


def wav(path: Path, seconds: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(int(16000 * seconds), 0.1), 16000)


def video(
    path: Path, seconds: float = 0.2, sound: bool = True, layout: str = "stereo", loud: int | None = None
) -> None:
    """A real mp4 with AAC sound (a 440 Hz tone in every channel, or in channel `loud` alone) and a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 16
        picture.pix_fmt = "yuv420p"
        if sound:
            stream = out.add_stream("aac", rate=48000, layout=layout)
            tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)
            samples = np.repeat(tone[None].astype(np.float32), len(stream.layout.channels), 0)
            if loud is not None:
                samples[[i for i in range(len(samples)) if i != loud]] = 0
            for start in range(0, samples.shape[1], 1024):
                block = np.ascontiguousarray(samples[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate, frame.pts = 48000, start
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        for _ in range(max(1, int(seconds * 10))):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        out.mux(picture.encode(None))


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """local/<name>.py on tmp_path/corpora, in this process; the data directory. Errors are SystemExit."""

    def call(name: str, *options: object, corpus: str | None = None) -> Path:
        arguments = [*map(str, options), str(tmp_path / "corpora"), str(tmp_path / "data")]
        monkeypatch.setattr(sys, "argv", [f"local/{name}.py", *arguments])
        runpy.run_path(str(ROOT / "local" / f"{name}.py"), run_name="__main__")
        return tmp_path / "data" / (corpus or name)

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "corpora").mkdir()
    return tmp_path / "corpora"


def table(path: Path) -> dict[str, str]:
    return tables.read_table(path, empty_ok=True)


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but the marks, which hold digests of the same."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def check_kaldi(data: Path) -> None:
    """What Kaldi's validate_data_dir.sh demands of names: utterances start with the speaker and sort like speakers."""
    pairs = list(table(data / "utt2spk").items())
    assert all(u.startswith(s) for u, s in pairs)
    speakers = [s for _, s in pairs]
    assert speakers == sorted(speakers, key=str.encode)
    datadir.read(data)


# Confs


def test_every_mapping_that_is_not_the_identity_has_a_reason() -> None:
    for path in sorted((ROOT / "conf/corpora").glob("*.yaml")):
        corpus = corpora.read_conf(path)
        for own, label in corpus.labels.items():
            assert label.native == label.seven or label.why, f"{path.name}: {own} -> {label.seven} without a reason"
        for key in ("title", "paper", "get", "licence", "layout"):
            assert getattr(corpus, key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": {"x": "joy"}}, "labels: x: 'joy' is none of"),
        ({"labels": {"x": {"native": "two words", "seven": "happy"}}}, "must be one word"),
        ({"labels": {"x": {"sevn": "happy"}}}, "unknown key sevn"),
        ({"splits": "random"}, "splits must be one of"),
        ({"lable": {}}, "unknown key lable"),
    ],
)
def test_a_wrong_conf_is_named(tmp_path: Path, change: dict, says: str) -> None:
    good = {"title": "t", "paper": "p", "get": "g", "licence": "l", "layout": "y", "labels": {"happy": "happy"}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(good))
    corpora.read_conf(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(good | change))
    with pytest.raises(Exception, match=says) as error:
        corpora.read_conf(tmp_path / "x.yaml")
    assert "x.yaml" in str(error.value)


NAMES = ("iemocap", "mosei", "mer2024", "meld", "ravdess", "esd", "emovo", "emodb", "crema_d", "tess", "mustard_pp",
         "savee", "cafe")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_corpus_says_what_to_get(
    name: str, empty: bool, root: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = corpora.read_conf(ROOT / f"conf/corpora/{name}.yaml")
    if empty:
        (root / name).mkdir()
    with pytest.raises(SystemExit) as error:
        prepare(name)
    for part in (str(root / name), corpus.title, corpus.get, corpus.licence, corpus.layout):
        assert part in str(error.value)
    assert not prepare(name, "--skip-missing", "true").exists()
    assert f"skipped {name}: " in capsys.readouterr().err


# RAVDESS and EmoDB


def test_ravdess_passes_over_song_and_maps_calm(root: Path, prepare: Prepare) -> None:
    for actor in range(1, 25):
        for emotion in ("01", "02", "05"):
            wav(root / f"ravdess/Actor_{actor:02}/03-01-{emotion}-01-01-01-{actor:02}.wav")
    wav(root / "ravdess/Actor_01/03-02-05-01-01-01-01.wav")
    data = prepare("ravdess")
    assert len(table(data / "wav.scp")) == 72
    emotions = table(data / "utt2emo")
    assert emotions["ravdess01_03-01-02-01-01-01-01"] == "neutral"
    assert table(data / "text")["ravdess01_03-01-02-01-01-01-01"] == "Kids are talking by the door"
    check_kaldi(data)
    test_speakers = set(table(data / "fold1/test/utt2spk").values())
    assert test_speakers == {"ravdess01", "ravdess11", "ravdess20", "ravdess21"}
    # one man and one woman of fold 2 (actors 04 10 12 14) and of fold 3 (08 09 ...), whose first man is 09
    assert set(table(data / "fold1/dev/utt2spk").values()) == {"ravdess04", "ravdess09"}
    assert len(table(data / "fold1/train/utt2spk")) == 18 * 3
    native = prepare("ravdess", "--labels", "native")
    assert table(native / "utt2emo")["ravdess01_03-01-02-01-01-01-01"] == "calm"


def test_ravdess_names_that_are_not_its_own_are_errors(root: Path, prepare: Prepare) -> None:
    wav(root / "ravdess/Actor_01/03-01-09-01-01-01-01.wav")
    with pytest.raises(SystemExit, match="unknown label '09'; known are '01'"):
        prepare("ravdess")
    (root / "ravdess/Actor_01/03-01-09-01-01-01-01.wav").rename(root / "ravdess/Actor_01/take one.wav")
    wav(root / "ravdess/Actor_01/03-01-05-01-01-01-xx.wav")
    (root / "ravdess/Actor_01/03-01-05-01-01-01-01.wav").touch()
    with pytest.raises(SystemExit) as error:
        prepare("ravdess")
    for says in ("take one.wav: not a RAVDESS name", "01-xx.wav: not a RAVDESS name", "01-01.wav: empty file"):
        assert says in str(error.value)


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


def test_duplicates_are_named(root: Path, prepare: Prepare) -> None:
    for folder in ("Actor_01", "copy/Actor_01"):
        wav(root / "ravdess" / folder / "03-01-01-01-01-01-01.wav")
    with pytest.raises(SystemExit, match=r"copy/Actor_01/03-01-01-01-01-01-01\.wav|stands in .* too"):
        prepare("ravdess")


def test_emodb_folds_share_speakers_and_never_utterances(root: Path, prepare: Prepare) -> None:
    for line in (ROOT / "conf/folds/emodb.tsv").read_text().splitlines():
        if line.startswith(("03", "08")):
            wav(root / f"emodb/wav/{line.split()[0]}.wav", 0.01)
    data = prepare("emodb", "--labels", "native")
    everything = set(table(data / "wav.scp"))
    tested = []
    for fold in range(1, 6):
        parts = {p: set(table(data / f"fold{fold}/{p}/wav.scp")) for p in ("train", "dev", "test")}
        assert parts["train"] | parts["dev"] | parts["test"] == everything
        assert sum(map(len, parts.values())) == len(everything)
        assert 0.07 < len(parts["dev"]) / len(everything - parts["test"]) < 0.13
        tested += parts["test"]
    assert sorted(tested) == sorted(everything)
    seven = prepare("emodb")
    dropped = (seven / "dropped").read_text().splitlines()
    assert dropped and all(line.endswith(" boredom is none of the seven classes") for line in dropped)
    assert (seven / "emotions").read_text().split() == [e for e in EMOTIONS if e != "surprise"]


@pytest.mark.skipif("FAS_CORPORA" not in os.environ, reason="FAS_CORPORA names no folder with ravdess and emodb")
def test_real_ravdess_and_emodb(root: Path, prepare: Prepare) -> None:
    for name in ("ravdess", "emodb"):
        (root / name).symlink_to(Path(os.environ["FAS_CORPORA"], name).resolve())
    data = prepare("ravdess")
    assert len(table(data / "wav.scp")) == 1440 and len(table(data / "fold6/test/wav.scp")) == 240
    assert len(table(prepare("emodb", "--labels", "native") / "wav.scp")) == 535
    assert len(table(prepare("emodb") / "wav.scp")) == 454
    check_kaldi(data)


def test_folders_in_other_letters_and_copies_in_other_formats(root: Path, prepare: Prepare) -> None:
    folder = meld_tree(root)
    clip = folder / "dev_splits_complete/dia0_utt0.mp4"
    clip.unlink()
    soundfile.write(clip.with_suffix(".flac"), np.full(1600, 0.1), 16000)
    folder.rename(root / "MELD")
    data = prepare("meld")
    assert table(data / "wav.scp")["meldGuy-dev_dia0_utt0"] == str(root / "MELD/dev_splits_complete/dia0_utt0.flac")
    (root / "Meld").mkdir()
    with pytest.raises(SystemExit, match="MELD and Meld may both be meld"):
        prepare("meld")


# IEMOCAP

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes0{n}F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Sadness;\t()
C-F1:\tAnger;\t(rude)
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes0{n}F_impro01_M000\texc\t[2.5000, 2.5000, 2.5000]
C-E2:\tExcited;\t()

[14.8872 - 18.0175]\tSes0{n}F_impro01_M001\txxx\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tFrustration;\t()
C-E4:\tAnger;\t()

[19.2900 - 20.7875]\tSes0{n}F_impro01_F001\toth\t[2.0000, 3.5000, 3.5000]
[21.3257 - 24.7400]\tSes0{n}F_impro01_F002\tfru\t[2.0000, 3.5000, 3.5000]
"""


def test_iemocap(root: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(1, 6):
        session = root / f"iemocap/Session{n}"
        (session / "dialog/EmoEvaluation/Categorical").mkdir(parents=True)
        (session / "dialog/transcriptions").mkdir()
        (session / f"dialog/EmoEvaluation/Ses0{n}F_impro01.txt").write_text(EVALUATION.format(n=n))
        (session / f"dialog/EmoEvaluation/._Ses0{n}F_impro01.txt").write_bytes(b"\0\5\x16\7")
        (session / f"dialog/EmoEvaluation/Categorical/Ses0{n}F_impro01_e2_cat.txt").write_text("not this one")
        (session / f"dialog/transcriptions/Ses0{n}F_impro01.txt").write_text(
            f"Ses0{n}F_impro01_F000 [006.2901-008.2357]: Excuse me.\r\n"
            f"M: a line of another form\r\nSes0{n}F_impro01_M000 [010.0100-011.3925]: Do you have your forms?\r\n"
        )
        for name in ("F000", "F001", "F002", "M000", "M001"):
            wav(session / f"sentences/wav/Ses0{n}F_impro01/Ses0{n}F_impro01_{name}.wav")
    data = prepare("iemocap")
    check_kaldi(data)
    emotions, speakers = table(data / "utt2emo"), table(data / "utt2spk")
    assert len(emotions) == 10
    assert emotions["iemocapSes01F-Ses01F_impro01_F000"] == "neutral"
    assert emotions["iemocapSes01M-Ses01F_impro01_M000"] == "happy"
    assert speakers["iemocapSes01M-Ses01F_impro01_M000"] == "iemocapSes01M"
    assert table(data / "text")["iemocapSes01F-Ses01F_impro01_F000"] == "Excuse me."
    dropped = (data / "dropped").read_text()
    assert "iemocapSes01M-Ses01F_impro01_M001 annotators do not agree (xxx)" in dropped
    said = capsys.readouterr().err
    assert "5 dropped: frustrated is none of the seven classes" in said and "5 dropped: annotators do not agree" in said
    assert set(table(data / "fold2/test/utt2spk").values()) == {"iemocapSes02F", "iemocapSes02M"}
    assert set(table(data / "fold2/dev/utt2spk").values()) == {"iemocapSes03F", "iemocapSes03M"}
    native = prepare("iemocap", "--labels", "native")
    assert set(table(native / "utt2emo").values()) == {"neutral", "excited", "frustrated"}


# CMU-MOSEI


def mosei_tree(root: Path) -> Path:
    folder = root / "mosei"
    videos = {"-abc_123": [(1, [0, 2, 0, 0, 0, 0]), (0, [0] * 6)], "273531": [(0, [1, 0, 0, 1, 0, 0])]}
    (folder / "Transcript/Segmented/Combined").mkdir(parents=True)
    with h5py.File(folder / "CMU_MOSEI_Labels.csd", "w") as file:
        one = [(0, [3, 0, 0, 0, 0, 0])]
        for name, rows in {**videos, "unlisted": one, "uncut": one}.items():
            group = file.create_group(f"All Labels/data/{name}")
            group["features"] = np.array([[0.5, *emotions] for _, emotions in rows])
            # the SDK's intervals are not in the clips' order
            group["intervals"] = np.array([(clip * 5.0 + 0.333, clip * 5.0 + 4.777) for clip, _ in rows])
            lines = [f"{name}___{c}___{c * 5.0 + 0.333}___{c * 5.0 + 4.777}___Words {c}\n" for c in range(3)]
            (folder / f"Transcript/Segmented/Combined/{name}.txt").write_text("".join(lines))
            for clip, _ in [] if name == "uncut" else rows:
                video(folder / f"Videos/Segmented/Combined/{name}_{clip}.mp4", 0.2)
    (folder / "cmu_mosei_std_folds.py").write_text(
        "standard_train_fold=['-abc_123']\nstandard_valid_fold=['273531']\nstandard_test_fold=['uncut']\n"
        "raise SystemExit('run')\n"
    )
    return folder


def test_mosei_takes_the_strongest_emotion(root: Path, prepare: Prepare) -> None:
    mosei_tree(root)
    data = prepare("mosei")
    check_kaldi(data)
    assert table(data / "utt2emo") == {
        "mosei_abc_123--abc_123_0": "neutral", "mosei_abc_123--abc_123_1": "sad",
    }  # fmt: skip
    assert table(data / "text")["mosei_abc_123--abc_123_1"] == "Words 1"
    assert table(data / "train/wav.scp")["mosei_abc_123--abc_123_1"].endswith("-abc_123_1.mp4")
    dropped = (data / "dropped").read_text()
    assert "moseiuncut-uncut_label0 the release has no clip of this video" in dropped
    assert "mosei273531-273531_0 two emotions are the strongest" in dropped
    assert "moseiunlisted-unlisted_0 the video is in none of the standard folds" in dropped


def test_mosei_label_without_a_clip_and_broken_lists(root: Path, prepare: Prepare) -> None:
    folder = mosei_tree(root)
    with h5py.File(folder / "CMU_MOSEI_Labels.csd", "a") as file:
        file["All Labels/data/-abc_123/intervals"][0] = (90.0, 91.0)
    assert "label0 no clip of the release has the label's interval" in (prepare("mosei") / "dropped").read_text()
    (folder / "Videos/Segmented/Combined/-abc_123_0.mp4").rename(folder / "Videos/Segmented/Combined/-abc_123_7.mp4")
    with pytest.raises(SystemExit, match=r"-abc_123_0\.mp4: no such file"):
        prepare("mosei")
    (folder / "cmu_mosei_std_folds.py").write_text("standard_train_fold = open('/etc/passwd').read()\n")
    with pytest.raises(SystemExit, match="is not the SDK's list of standard folds"):
        prepare("mosei")
    (folder / "CMU_MOSEI_Labels.csd").write_bytes(b"<html>moved</html>")
    (folder / "cmu_mosei_std_folds.py").write_text(
        "standard_train_fold=['a']\nstandard_valid_fold=[]\nstandard_test_fold=[]\n"
    )
    with pytest.raises(SystemExit, match="is not CMU-MOSEI's label file"):
        prepare("mosei")


# MER2024


def test_mer2024(root: Path, prepare: Prepare) -> None:
    folder = root / "mer2024"
    folder.mkdir()
    names = [f"samplenew_{i:05}" for i in range(12)]
    emotions = ["happy", "worried", "neutral"] * 4
    rows = [f"{n},{e},0.5" for n, e in zip(names, emotions, strict=True)]
    (folder / "label-disdim.csv").write_text("\n".join(["name,discrete,valence", *rows]) + "\n")
    (folder / "label-transcription.csv").write_text(f"name,chinese,english\n{names[0]},我很高兴,I am glad\n")
    for name in names:
        video(folder / f"video-labeled/{name}.mp4", 0.2)
    data = prepare("mer2024")
    assert len(table(data / "wav.scp")) == 8
    assert table(data / "text")[f"mer2024{names[0]}-{names[0]}"] == "我很高兴"
    assert set(table(data / "utt2lang").values()) == {"zh"}
    assert table(data / "dev/utt2emo") == {f"mer2024{names[8]}-{names[8]}": "neutral"}
    assert table(data / "test/utt2emo") == {f"mer2024{names[9]}-{names[9]}": "happy"}
    check_kaldi(data)


# MELD

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def meld_tree(root: Path) -> Path:
    """The archives of MELD.Raw.tar.gz, unpacked where they lie; train's table in Windows-1252."""
    folder = root / "meld"
    rows: dict[str, list[tuple[str, str, str, int, int]]] = {
        "train": [("You\x92re a genius!", "Chandler", "joy", 0, 0), ("He, he.", "Mrs. Green", "neutral", 125, 3)],
        "dev": [("A", "Guy", "anger", 0, 0), ("B", "Guy 1", "fear", 0, 1), ("C", "Phoebe", "neutral", 110, 7)],
        "test": [("Why?", "Ross", "surprise", 0, 0), ("So.", "Ross", "sadness", 38, 4)],
    }
    places = {"train": "train/train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for split, lines in rows.items():
        where = folder / ("train" if split == "train" else "")
        where.mkdir(parents=True, exist_ok=True)
        text = "".join(f'1,"{u}",{s},{e},neutral,{d},{n},4,7,"0:0:0","0:0:1"\n' for u, s, e, d, n in lines)
        (where / f"{split}_sent_emo.csv").write_bytes((HEAD + text).encode("latin-1"))
        for _, _, _, d, n in lines:
            if (d, n) not in ((125, 3), (110, 7)):
                video(folder / places[split] / f"dia{d}_utt{n}.mp4", 41.0 if d == 38 else 0.2)
    (folder / "train/train_splits/dia125_utt3.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    video(folder / "output_repeated_splits_test/final_videos_testdia101_utt0.mp4", 0.2)
    return folder


def test_meld(root: Path, prepare: Prepare) -> None:
    meld_tree(root)
    data = prepare("meld")
    check_kaldi(data)
    assert table(data / "utt2emo") == {
        "meldChandler-train_dia0_utt0": "happy", "meldGuy-dev_dia0_utt0": "angry",
        "meldGuy_1-dev_dia0_utt1": "fear", "meldRoss-test_dia0_utt0": "surprise",
    }  # fmt: skip
    assert table(data / "text")["meldChandler-train_dia0_utt0"] == "You’re a genius!"
    assert list(table(data / "test/wav.scp")) == ["meldRoss-test_dia0_utt0"]
    assert (data / "dropped").read_text().splitlines() == [
        "meldMrs._Green-train_dia125_utt3 a broken file in the release (MELD issues 39 and 52)",
        "meldPhoebe-dev_dia110_utt7 not in the release (MELD issues 22 and 27)",
        "meldRoss-test_dia38_utt4 lasts longer than 40 s and is no utterance",
    ]
    assert 15000 < len(audio.read(table(data / "wav.scp")["meldRoss-test_dia0_utt0"])) * 5 < 18000


def test_meld_clips_that_nobody_knows_to_be_bad_are_errors(root: Path, prepare: Prepare) -> None:
    folder = meld_tree(root)
    (folder / "dev_splits_complete/dia0_utt0.mp4").unlink()
    video(folder / "output_repeated_splits_test/dia0_utt0.mp4", sound=False)
    with pytest.raises(SystemExit) as error:
        prepare("meld")
    assert "'meldGuy-dev_dia0_utt0'" in str(error.value) and "dia0_utt0.mp4: no such file" in str(error.value)
    assert "dia0_utt0.mp4: has no audio track; drop the utterance" in str(error.value)


def test_video_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video(tmp_path / "a.mp4", 1.0)
    samples = audio.read(tmp_path / "a.mp4")
    assert abs(audio.check(tmp_path / "a.mp4") - 1) < 0.05 and abs(len(samples) - 16000) < 800
    assert np.abs(np.fft.rfft(samples[:16000])).argmax() in (439, 440, 441)
    # dialogue of a film is in the front centre, channel 2 of 5.1; averaging would bury it
    video(tmp_path / "film.mp4", 1.0, layout="5.1", loud=2)
    assert audio.read(tmp_path / "film.mp4").std() > 0.8 * samples.std()
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("cut", "text"):
        with pytest.raises(AudioError, match=rf"{name}\.mp4: not readable"):
            audio.check(tmp_path / f"{name}.mp4")
    monkeypatch.setattr(audio, "LONGEST", 0.5)
    with pytest.raises(AudioError, match=r"a\.mp4: lasts 1.* s by its header, which can't be"):
        audio.check(tmp_path / "a.mp4")


# ESD


def test_esd_label_files_in_every_encoding(root: Path, prepare: Prepare) -> None:
    folder = root / "esd"
    encodings = {
        "0001": "utf-8", "0002": "utf-8-sig", "0003": "utf-16", "0004": "utf-16-le", "0005": "gbk",
        "0011": "ascii", "0012": "utf-16-le", "0016": "cp1252", "0017": "gb2312",
    }  # fmt: skip
    for speaker, encoding in encodings.items():
        words = "打远一看" if speaker < "0011" else "Don’t you" if speaker > "0012" else "Do you"
        label = "生气" if speaker < "0011" else "Angry"
        between = " " if speaker == "0012" else "\t"
        names = [f"{speaker}_{n:06}" for n in (351, 370, 371, 400, 401, 700)]
        text = "".join(f"{name}{between}{words}{between}{label}\r\n" for name in names) + "\r\n"
        (folder / speaker).mkdir(parents=True)
        (folder / speaker / f"{speaker}.txt").write_bytes(text.encode(encoding))
        for name in names:
            wav(folder / speaker / "Angry" / f"{name}.wav", 0.01)
    data = prepare("esd")
    check_kaldi(data)
    text, languages = table(data / "text"), table(data / "utt2lang")
    for speaker in encodings:
        expected = "打远一看" if speaker < "0011" else "Don’t you" if speaker > "0012" else "Do you"
        assert text[f"esd{speaker}-{speaker}_000351"] == expected, speaker
        assert languages[f"esd{speaker}-{speaker}_000351"] == ("zh" if speaker < "0011" else "en")
    numbers = {p: {u[-6:] for u in table(data / p / "wav.scp")} for p in ("train", "dev", "test")}
    assert numbers == {"dev": {"000351", "000370"}, "test": {"000371", "000400"}, "train": {"000401", "000700"}}


def test_esd_older_release_has_its_splits_as_folders(root: Path, prepare: Prepare) -> None:
    folder = root / "esd/0013"
    for i, split in enumerate(("train", "evaluation", "test")):
        wav(folder / "Sad" / split / f"0013_00100{i}.wav")
    (folder / "0013.txt").write_text("0013_001000\tYes.\tSad\n")
    data = prepare("esd")
    assert {p: list(table(data / p / "wav.scp")) for p in ("train", "dev", "test")} == {
        "train": ["esd0013-0013_001000"], "dev": ["esd0013-0013_001001"], "test": ["esd0013-0013_001002"],
    }  # fmt: skip
    assert table(data / "text") == {
        "esd0013-0013_001000": "Yes.", "esd0013-0013_001001": "", "esd0013-0013_001002": "",
    }  # fmt: skip
    wav(folder / "Sad" / "validation" / "0013_001009.wav")
    with pytest.raises(SystemExit, match="'validation' is none of train, evaluation and test"):
        prepare("esd")


# EMOVO, CREMA-D, TESS, SAVEE, CaFE, MUStARD++


def test_emovo_italian_codes(root: Path, prepare: Prepare) -> None:
    codes = {
        "dis": "disgust", "gio": "happy", "neu": "neutral", "pau": "fear", "rab": "angry", "sor": "surprise",
        "tri": "sad",
    }  # fmt: skip
    for actor in ("f1", "f2", "f3", "m1", "m2", "m3"):
        for code in codes:
            wav(root / f"emovo/EMOVO/{actor}/{code}-{actor}-b1.wav")
    data = prepare("emovo")
    check_kaldi(data)
    assert {u.split("-")[1]: e for u, e in table(data / "utt2emo").items()} == codes
    assert set(table(data / "text").values()) == {"Gli operai si alzano presto."}
    assert set(table(data / "fold1/test/utt2spk").values()) == {"emovof1"}
    assert set(table(data / "fold1/dev/utt2spk").values()) == {"emovof2", "emovom1"}
    wav(root / "emovo/EMOVO/f1/xyz-f1-b1.wav")
    with pytest.raises(SystemExit, match="unknown label 'xyz'"):
        prepare("emovo")


def test_crema_d_bad_files_and_disjoint_speakers(root: Path, prepare: Prepare) -> None:
    for actor in range(1001, 1013):
        wav(root / f"crema_d/AudioWAV/{actor}_DFA_ANG_XX.wav")
    for name in ("1076_MTI_SAD_XX", "1064_IEO_DIS_MD"):
        wav(root / f"crema_d/AudioWAV/{name}.wav")
    for name in ("1076_MTI_NEU_XX", "1064_TIE_SAD_XX"):
        (root / f"crema_d/AudioWAV/{name}.wav").touch()
    data = prepare("crema_d")
    check_kaldi(data)
    assert len(table(data / "wav.scp")) == 12 and len((data / "dropped").read_text().splitlines()) == 4
    assert set(table(data / "dev/utt2spk").values()) == {"crema_d1009"}
    assert set(table(data / "test/utt2spk").values()) == {"crema_d1010"}
    assert table(data / "text")["crema_d1001-1001_DFA_ANG_XX"] == "Don't forget a jacket"
    (root / "crema_d/AudioWAV/1001_IEO_SAD_LO.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SystemExit, match=r"1001_IEO_SAD_LO\.wav: not readable as audio"):
        prepare("crema_d")
    data = prepare("crema_d", "--skip-bad", "true")
    check_kaldi(data)
    assert len(table(data / "wav.scp")) == 12
    assert "SAD_LO audio can't be opened: " in (data / "dropped").read_text()


def test_tess_odd_names(root: Path, prepare: Prepare) -> None:
    folder = root / "tess/TESS Toronto emotional speech set data"
    for word in ("back", "bar", "base", "bath", "bean"):
        wav(folder / f"OAF_Pleasant_surprise/OAF_{word}_ps.wav")
        wav(folder / f"YAF_pleasant_surprised/YAF_{word}_ps.wav")
        wav(folder / f"OAF_Sad/OAF_{word}_sad.wav")
    wav(folder / "OAF_neutral/OA_bite_neutral.wav")
    data = prepare("tess")
    check_kaldi(data)
    emotions = table(data / "utt2emo")
    assert emotions["tessYAF-YAF_back_ps"] == "surprise" and emotions["tessOAF-OA_bite_neutral"] == "neutral"
    assert table(data / "utt2spk")["tessOAF-OA_bite_neutral"] == "tessOAF"
    assert table(data / "text")["tessOAF-OAF_bean_sad"] == "Say the word bean"
    # one actress is tested, dev and training share the other
    assert list(table(data / "fold2/test/utt2spk").values()) == ["tessYAF"] * 5
    assert set(table(data / "fold2/dev/utt2spk")) == {"tessOAF-OAF_bean_ps", "tessOAF-OAF_bean_sad"}


def test_savee(root: Path, prepare: Prepare) -> None:
    for speaker in ("DC", "JE", "JK", "KL"):
        for code in ("a", "d", "f", "h", "n", "sa", "su"):
            wav(root / f"savee/AudioData/{speaker}/{code}01.wav")
    data = prepare("savee")
    check_kaldi(data)
    assert table(data / "utt2emo")["saveeDC-sa01"] == "sad" and table(data / "utt2emo")["saveeDC-su01"] == "surprise"
    assert set(table(data / "fold4/test/utt2spk").values()) == {"saveeKL"}
    assert set(table(data / "fold4/dev/utt2spk").values()) == {"saveeDC"}


def test_cafe_neutral_has_no_intensity_folder_and_names_decide(root: Path, prepare: Prepare) -> None:
    folder = root / "CaFE/CaFE_48k"
    # Dégoût as unzip programs garble it
    codes = {"Colère": "C", "D‚go–t": "D", "Joie": "J", "Peur": "P", "Surprise": "S", "Tristesse": "T"}
    for actor in range(1, 13):
        for name, code in codes.items():
            wav(folder / f"{name}/Faible/{actor:02}-{code}-1-2.wav")
            wav(folder / f"{name}/Fort/{actor:02}-{code}-2-2.wav")
        wav(folder / f"Neutre/{actor:02}-N-1-2.wav")
    data = prepare("cafe")
    check_kaldi(data)
    assert len(table(data / "wav.scp")) == 12 * 13
    emotions = [e for u, e in table(data / "utt2emo").items() if u.startswith("cafe12-")]
    assert Counter(emotions) == {e: 1 if e == "neutral" else 2 for e in EMOTIONS}
    assert set(table(data / "text").values()) == {"Deux ânes aigris au pelage brun"}
    assert set(table(data / "fold1/test/utt2spk").values()) == {"cafe01", "cafe07", "cafe08", "cafe10"}
    # the first woman and the only man of fold 2 (actors 02 04 09 12)
    assert set(table(data / "fold1/dev/utt2spk").values()) == {"cafe02", "cafe09"}
    native = prepare("cafe", "--labels", "native")
    assert table(native / "utt2emo")["cafe01-01-J-2-2"] == "joy"
    wav(folder / "Joie/Fort/01-H-2-2.wav")
    with pytest.raises(SystemExit, match="unknown label 'H'; known are 'C' 'D' 'J' 'N' 'P' 'S' 'T'"):
        prepare("cafe")
    wav(folder / "Joie/Fort/01-J-2.wav")
    with pytest.raises(SystemExit, match=r"01-J-2\.wav: not a CaFE name"):
        prepare("cafe")


def test_mustard_pp_words_and_voice(root: Path, prepare: Prepare) -> None:
    folder = root / "mustard_pp"
    head = "SCENE,KEY,SENTENCE,END_TIME,SPEAKER,SHOW,Sarcasm,Sarcasm_Type,Implicit_Emotion,Explicit_Emotion,"
    head += "Valence,Arousal\n"
    rows = [
        '1_1003,1_1003_c_00,"It is smashed.\nWhat now?",0:03,HOWARD,BBT,,,,,,',
        '1_1003,1_1003_u,"Good idea, sit with her.\nHold her.",0:08,HOWARD,BBT,1,PRO,Anger,Sadness,3,6',
        "1_S11E03_067,Disgust,Sure.,0:05,PERSON,BBT,1,PRO,Disgust,Happiness,3,6",
        "2_474,2_474_u,Nice.,0:05,PERSON,FRIENDS,1,PRO,Ridicule,Neutral,3,6",
        "2_475,2_475_u,Fine.,0:05,ROSS,FRIENDS,0,NONE,Happiness,Frustration,3,6",
    ]
    rows += [f"3_{i},3_{i}_u,Hi.,0:01,SPEAKER{i},SV,0,NONE,Neutral,Neutral,5,5" for i in range(8)]
    folder.mkdir()
    (folder / "mustard++_text.csv").write_text(head + "\n".join(rows) + "\n")
    for name in ["1_1003", "1_S11E03_067", "2_474", "2_475", *(f"3_{i}" for i in range(8))]:
        video(folder / f"final_utterance_videos/{name}_u.mp4", 0.2)
    data = prepare("mustard_pp")
    check_kaldi(data)
    utt = "mustard_ppBBT_HOWARD-1_1003_u"
    assert (table(data / "utt2emo")[utt], table(data / "utt2sem")[utt]) == ("angry", "sad")
    assert table(data / "text")[utt] == "Good idea, sit with her. Hold her."
    assert table(data / "utt2emo")["mustard_ppBBT_PERSON-1_S11E03_067_u"] == "disgust"
    assert (data / "dropped").read_text().splitlines() == [
        "mustard_ppFRIENDS_PERSON-2_474_u ridicule is none of the seven classes",
        "mustard_ppFRIENDS_ROSS-2_475_u words: frustration is none of the seven classes",
    ]


# EmoBox's manifests and tables


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
        ("utt,wav,speaker,emotion\na,a.wav,s,happy\na,a.wav,s,happy\n", "stands in .* too; remove one"),
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


# The step


def test_prepare_data_takes_several_corpora(root: Path, tmp_path: Path) -> None:
    wav(root / "tess/OAF_back_sad.wav")
    wav(root / "tess/YAF_back_sad.wav")
    for word in ("a", "b", "c", "d"):
        wav(root / f"tess/OAF_{word}_sad.wav")
        wav(root / f"tess/YAF_{word}_sad.wav")
    wav(root / "case/a.wav")
    (root / "case/metadata.csv").write_text(
        "id,path,speaker,acoustic_emotion,semantic_emotion,text,language\n1,a.wav,s,sad,happy,Great.,en\n"
    )
    step = ROOT / "steps/prepare_data.sh"
    options = {"env": os.environ | {"FAS_PYTHON": sys.executable}}
    done = run(step, "--names", "tess,case,meld", "--skip-missing", "true", root, tmp_path / "data", 2, **options)
    assert done.returncode == 0, done.stderr
    assert "skipped meld: " in done.stderr
    assert table(tmp_path / "data/case/utt2sem") == {"cases-1": "happy"}
    assert len(table(tmp_path / "data/tess/wav.scp")) == 10
    done = run(step, "--names", "tess,../x", root, tmp_path / "data", **options)
    assert done.returncode == 2 and "no corpus ../x; known are cafe case crema_d" in done.stderr
    done = run(step, "--names", "meld", root, tmp_path / "data", **options)
    assert done.returncode == 1 and "error: " in done.stderr and "affective-meld.github.io" in done.stderr
