"""Preparation of corpora of conversations and videos, on small trees in the releases' own layouts."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from fas.data import audio
from tests.data.conftest import Prepare, check_kaldi, table
from tests.data.sounds import video, wav

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


# MUStARD++


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
