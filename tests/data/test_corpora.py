"""What is known of corpora: their confs, what a missing one is told to need, and the step that prepares several."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from fas.data import corpora
from tests.conftest import ROOT, run
from tests.data.conftest import Prepare, table
from tests.data.sounds import wav

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
        ({"labels": {"x": "joy"}}, "labels: x: seven must be 'angry', .*, not 'joy'"),
        ({"labels": {"x": {"native": "two words", "seven": "happy"}}}, "must be one word"),
        ({"labels": {"x": {"sevn": "happy"}}}, "unknown key sevn"),
        ({"splits": "random"}, "splits must be '', 'own'"),
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
         "savee", "cafe", "emotiontalk", "emis")  # fmt: skip


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


def test_duplicates_are_named(root: Path, prepare: Prepare) -> None:
    for folder in ("Actor_01", "copy/Actor_01"):
        wav(root / "ravdess" / folder / "03-01-01-01-01-01-01.wav")
    with pytest.raises(SystemExit, match=r"copy/Actor_01/03-01-01-01-01-01-01\.wav|stands in .* too"):
        prepare("ravdess")


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
