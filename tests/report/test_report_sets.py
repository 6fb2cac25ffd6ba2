"""What a report is made of: sets told apart, scored whole, their utterances counted, and rows that can be compared."""

import json
import re
import shutil
from pathlib import Path

import pytest

from fas.data import tables
from tests.report.conftest import report


@pytest.mark.parametrize(
    "gone", ["voice/fold2/seed2/score/toy-fold2-test", "*/fold2/seed*/score/toy*", "words/fold1/seed2/score/other"]
)
def test_a_set_scored_with_some_folds_or_seeds_alone_is_named(scored: Path, gone: str) -> None:
    """Its figures would be those of fewer seeds or utterances than the tables say."""
    for folder in (scored / "exp").glob(gone):
        shutil.rmtree(folder)
    done = report(scored)
    assert done.returncode == 1 and "no scores of" in done.stderr and "Traceback" not in done.stderr
    assert "run stage 5" in done.stderr and f"{gone.split('/')[1]}/seed" in done.stderr


def test_a_logistic_regression_has_one_seed(scored: Path) -> None:
    for path in (scored / "exp").glob("voice/fold*/seed1/conf.yaml"):
        path.write_text(path.read_text() + "system: logreg\n")
        shutil.rmtree(path.parents[1] / "seed2")
    assert report(scored).returncode == 0


def test_dev_figures_of_the_words_emotion_stand_in_no_column_of_the_voice(scored: Path) -> None:
    for path in (scored / "exp").glob("words/fold*/seed*/conf.yaml"):
        path.write_text(path.read_text() + "target: words\n")
    assert report(scored).returncode == 0
    rows = [line for line in (scored / "exp/RESULTS.md").read_text().splitlines() if line.startswith("| words |")]
    assert rows and "50.00 ± 0.00" not in rows[0]
    assert "| 50.00 ± 0.00 |" in (scored / "exp/RESULTS.md").read_text()  # the others'


def test_utterances_that_no_label_is_known_for_are_counted(scored: Path) -> None:
    """Three in fold 1 and two in fold 2, the same ones for every seed; those of a zero-shot set in each fold again."""
    for path in (scored / "exp").glob("*/fold*/seed*/score/*/result.json"):
        fold = int(path.parents[3].name[-1])
        count = 7 if path.parent.name == "other" else 4 - fold
        path.write_text(json.dumps(json.loads(path.read_text()) | {"left_out": count}))
    assert report(scored).returncode == 0
    other, toy = (scored / "exp/RESULTS.md").read_text().split("## other (")[1].split("## toy-test (")
    assert "\n7 more utterances are left out: their emotion" in other and "\n5 more utterances are left out" in toy
    assert "5 more utterances are left out" in (scored / "exp/report.html").read_text()


def test_one_speaker_has_no_interval(scored: Path) -> None:
    """It would be as narrow as can be, of the set that tells least."""
    path = scored / "data/toy/utt2spk"
    path.write_text("".join(f"{line.split()[0]} toy0\n" for line in path.read_text().splitlines()))
    assert report(scored).returncode == 0
    found = json.loads((scored / "exp/results.json").read_text())
    assert found["sets"]["toy-test"]["fas"]["interval"] is None and found["sets"]["other"]["fas"]["interval"]
    assert found["detection"]["toy"]["words + voice"]["auc"]["interval"] is None
    text = (scored / "exp/RESULTS.md").read_text()
    assert re.search(r"^\| words \| 33.33 ± 0.00 \|  \| 33.33", text, re.M) and "None" not in text
    assert "no interval, of one speaker" in (scored / "exp/report.html").read_text()


def test_pictures_of_sets_that_are_gone_go(scored: Path) -> None:
    assert report(scored).returncode == 0 and (scored / "exp/capture-other.png").exists()
    for folder in (scored / "exp").glob("*/fold*/seed*/score/other"):
        shutil.rmtree(folder)
    assert report(scored).returncode == 0
    assert {p.name for p in (scored / "exp").glob("*-*.*")} == {"capture-toy.png", "roc-toy.png", "conflict-toy.tsv"}


@pytest.mark.parametrize("name", ["words", "oracle"])
def test_an_outside_system_has_a_name_of_its_own(scored: Path, name: str) -> None:
    utts = [line.split()[0] for line in (scored / "data/other/utt2emo").read_text().splitlines()]
    (scored / "llm").write_text("".join(f"{u} happy\n" for u in utts))
    done = report(scored, "--external", f"{name}={scored}/llm")
    assert done.returncode == 1 and f"have a row {name} already; take another name" in done.stderr


def test_an_outside_system_may_lack_the_conflicts(scored: Path) -> None:
    """One that labelled the congruent subset alone has a row there, and none in the table of conflicts."""
    sem = tables.read_table(scored / "data/toy/utt2sem")
    for folder in sorted((scored / "exp").glob("*/fold*/seed*/score/toy*")):
        head, *lines = (folder / "hyp").read_text().splitlines()
        for part, agree in (("congruent", True), ("conflict", False)):
            out = folder.with_name(folder.name.replace("test", part))
            shutil.copytree(folder, out)
            mine = [x for x in lines if (sem[x.split()[0]] == x.split()[1]) == agree]
            (out / "hyp").write_text("\n".join([head, *mine]) + "\n")
            result = (folder / "result.json").read_text().replace(folder.name, out.name)
            (out / "result.json").write_text(result)
        shutil.rmtree(folder)
    emo = tables.read_table(scored / "data/toy/utt2emo")
    (scored / "llm").write_text("".join(f"{u} happy\n" for u in emo if emo[u] == sem[u]))
    done = report(scored, "--external", f"llm={scored}/llm")
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())
    assert "llm" in found["sets"]["toy-congruent"] and "llm" not in found["conflict"]["toy"]
    assert "nan" not in (scored / "exp/RESULTS.md").read_text() and found["conflict"]["toy"]["fas"]["n"] == [16, 32]


def rename(scored: Path, old: str, new: str) -> None:
    """Another name for a data directory, in its scores too."""
    (scored / "data" / old).rename(scored / "data" / new)
    for folder in sorted((scored / "exp").glob(f"*/fold*/seed*/score/{old}*")):
        out = folder.rename(folder.with_name(folder.name.replace(old, new)))
        result = out / "result.json"
        result.write_text(result.read_text().replace(f'"{old}', f'"{new}'))


def test_sets_whose_names_begin_alike_are_not_joined(scored: Path) -> None:
    rename(scored, "toy", "case-en")
    rename(scored, "other", "case-zh")
    emo = (scored / "data/case-zh/utt2emo").read_text()
    (scored / "data/case-zh/utt2sem").write_text(emo.replace(" sad", " happy"))
    assert report(scored).returncode == 0
    found = json.loads((scored / "exp/results.json").read_text())["conflict"]
    assert {name: rows["fas"]["n"] for name, rows in found.items()} == {"case-en": [16, 32], "case-zh": [32, 16]}


def test_subsets_that_overlap_count_each_utterance_once(scored: Path) -> None:
    """The conflicts as a set of their own, whose name sorts before that of the whole test set."""
    sem = tables.read_table(scored / "data/toy/utt2sem")
    for folder in sorted((scored / "exp").glob("*/fold*/seed*/score/toy*")):
        out = folder.with_name(folder.name.replace("test", "conflict"))
        shutil.copytree(folder, out)
        (out / "result.json").write_text((folder / "result.json").read_text().replace(folder.name, out.name))
        head, *lines = (folder / "hyp").read_text().splitlines()
        mine = [x for x in lines if sem[x.split()[0]] != x.split()[1]]
        (out / "hyp").write_text("\n".join([head, *mine]) + "\n")
    assert report(scored).returncode == 0
    found = json.loads((scored / "exp/results.json").read_text())
    assert list(found["sets"]) == ["other", "toy-conflict", "toy-test"]
    for folder in (scored / "exp").glob("*/fold*/seed*/score/toy*conflict"):
        shutil.rmtree(folder)
    assert report(scored).returncode == 0
    alone = json.loads((scored / "exp/results.json").read_text())
    for kind in ("conflict", "detection"):
        assert found[kind]["toy"] == alone[kind]["toy"], kind


def test_one_name_for_two_utterances_is_an_error(scored: Path) -> None:
    """Speakers and emotions of one set would be taken for the other's; what was not scored does no harm."""
    path = scored / "data/another"
    shutil.copytree(scored / "data/toy", path)
    (path / "utt2sem").write_text((path / "utt2sem").read_text().replace(" sad", " happy"))
    assert report(scored).returncode == 0
    known = json.loads((scored / "exp/results.json").read_text())["conflict"]["toy"]
    assert known["fas"]["n"] == [16, 32]
    for folder in (scored / "exp").glob("*/fold*/seed*/score/other"):
        (folder / "result.json").write_text((folder / "result.json").read_text().replace('"other"', '"another"'))
        folder.rename(folder.with_name("another"))
    done = report(scored)
    assert done.returncode == 1 and "another/utt2sem: 'toy0_" in done.stderr and "by a prefix" in done.stderr


def test_what_nobody_spoke_has_no_tone(scored: Path) -> None:
    for name in ("wav.scp", "utt2dur", "utt2sem"):
        (scored / "data/toy" / name).unlink()
    assert report(scored).returncode == 0
    found = json.loads((scored / "exp/results.json").read_text())
    assert "toy-test" in found["sets"] and list(found["conflict"]) == ["other"]
