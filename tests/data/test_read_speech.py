"""Preparation of corpora whose actors read given sentences, on small trees in the releases' own layouts."""

import os
from collections import Counter
from pathlib import Path

import pytest

from fas.data.datadir import EMOTIONS
from tests.conftest import ROOT
from tests.data.conftest import Prepare, check_kaldi, table
from tests.data.sounds import wav

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


# EMOVO, CREMA-D, TESS, SAVEE, CaFE


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
