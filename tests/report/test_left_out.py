"""The table of corpora that are left out in turn."""

import sys
from pathlib import Path

import numpy as np

from fas.report import left_out
from fas.scoring.analysis import Cell, Hypotheses
from tests.conftest import run
from tests.training.test_several_corpora import LABELS, corpus


def cell(corpus: str, right: list[float], seeds: int = 2, protocol: str = "zero-shot") -> Cell:
    """One speaker a share of `right`, ten utterances each, of which that share is right with every seed."""
    made = Cell()
    utts = [f"{corpus}{s}-{i}" for s in range(len(right)) for i in range(10)]
    given = np.array([0 if i < round(10 * share) else 1 for share in right for i in range(10)])
    for seed in range(1, seeds + 1):
        hyp = Hypotheses(["angry", "sad"], utts, np.zeros(len(utts), int), given, np.eye(2)[given])
        made.add(seed, hyp, {"protocol": protocol, "transductive": corpus == "moved"})
    return made


SPEAKERS = {f"{c}{s}-{i}": f"{c}{s}" for c in ("de", "pl") for s in range(3) for i in range(10)}
LANGUAGES = {u: u[:2] for u in SPEAKERS}


def test_the_mean_over_corpora_is_not_that_over_utterances() -> None:
    cells = {
        ("fas", "de"): cell("de", [1.0, 1.0, 1.0]),
        ("fas", "pl"): cell("pl", [0.5]),
        ("voice", "de"): cell("de", [0.9, 0.9, 0.9]),
        ("voice", "pl"): cell("pl", [0.4]),
        ("half", "de"): cell("de", [0.9, 0.9, 0.9]),
    }
    lines = left_out.left_out_table(cells, ["de", "pl"], "fas", SPEAKERS, LANGUAGES)
    assert "| system | de (de, 30) | pl (pl, 10) | mean | 95 % interval | seeds averaged | against fas |" in lines
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("| ")}
    assert rows["fas"].startswith("| fas | 100.00 ± 0.00 | 50.00 ± 0.00 | 75.00 ± 0.00 | 75.0 to 75.0 | 75.00 |")
    assert "-10.0 (-10.0 to -10.0)" in rows["voice"]
    assert "half" not in rows  # has not been tested on all


def test_the_difference_is_that_of_the_means_whoever_speaks_more() -> None:
    """Of four speakers one says nine tenths: the mean over draws of speakers is far from the mean over utterances."""
    speakers = {f"{c}{i}": f"{c}{max(0, i - 26)}" for c in ("de", "pl") for i in range(30)}
    cells = {}
    for system, right in (("fas", 15), ("voice", 27)):
        for name in ("de", "pl"):
            given = np.array([0 if (i < right) == (system == "voice") else 1 for i in range(30)])
            cells[system, name] = made = Cell()
            utts = [f"{name}{i}" for i in range(30)]
            hyp = Hypotheses(["angry", "sad"], utts, np.zeros(30, int), given, np.eye(2)[given])
            made.add(1, hyp, {"protocol": "zero-shot", "transductive": False})
    lines = left_out.left_out_table(cells, ["de", "pl"], "fas", speakers, {})
    row = next(line for line in lines if line.startswith("| voice"))
    assert "| 90.00 |" in row and "| +40.0 (" in row


def test_intervals_draw_speakers_within_each_corpus() -> None:
    drawn = left_out.bootstrap([cell("de", [1.0, 0.0, 0.5]).correct(), cell("pl", [0.5]).correct()], SPEAKERS)
    assert drawn.shape == (left_out.ROUNDS,) and abs(drawn.mean() - 0.5) < 0.01
    assert drawn.min() == 0.25 and drawn.max() == 0.75


def test_other_recipes_have_no_such_table() -> None:
    cells = {("fas", "ravdess-test"): cell("de", [1.0], protocol="in-domain"), ("fas", "emodb"): cell("pl", [0.5])}
    assert left_out.left_out_table(cells, ["1", "2"], "fas", SPEAKERS, LANGUAGES) == []
    assert left_out.left_out_table(cells, [""], "fas", SPEAKERS, LANGUAGES) == []


def test_women_and_men_are_told_apart() -> None:
    cells = {("fas", "de"): cell("de", [1.0, 0.5, 0.5]), ("fas", "pl"): cell("pl", [0.5])}
    genders = {"de0": "f", "de1": "m", "de2": "m", "pl0": "f"}
    lines = left_out.by_gender_table(cells, ["de", "pl"], SPEAKERS, genders)
    rows = [line for line in lines if "fas" in line]
    assert rows == ["| fas | de | 100.00 (1) | 50.00 (2) | +50.0 (+50.0 to +50.0) |"]
    assert left_out.by_gender_table(cells, ["de", "pl"], SPEAKERS, {}) == []


def test_the_programs_leave_each_corpus_out_in_turn(tmp_path: Path, python_path: None) -> None:
    """Folds that are named after corpora, by train, score and report; the third corpus has no sad."""
    for name, emotions in (("de", LABELS), ("pl", LABELS), ("en", LABELS[:2])):
        data = corpus(tmp_path, name, emotions, 24)
        (data / "utt2lang").write_text("".join(f"{line.split()[0]} {name}\n" for line in (data / "utt2emo").open()))
    text = "system: logreg\nstreams: {acoustic: {feats: ssl}}\n"
    (tmp_path / "logreg.yaml").write_text(text)
    (tmp_path / "logreg_corpus.yaml").write_text(text + "norm: corpus\n")
    confs, feats = [tmp_path / f"{s}.yaml" for s in ("logreg", "logreg_corpus")], f"ssl={tmp_path / 'dump'}"
    model = tmp_path / "exp/{system}/fold{fold}"
    for held in ("de", "pl", "en"):
        others = [tmp_path / "data" / n for n in ("de", "pl", "en") if n != held]
        sets = ["--train", others[0], "--dev", others[1], "--folds", held, "--seeds", "1", "--out", model]
        done = run(sys.executable, "-m", "fas.bin.train", "--conf", *confs, "--feats", feats, *sets)
        assert done.returncode == 0, done.stderr
    folds = ["--folds", "de pl en", "--seeds", "1", "--systems", "logreg logreg_corpus", "--model", model]
    done = run(sys.executable, "-m", "fas.bin.score", "--feats", feats, "--zero-shot", *folds, tmp_path / "data/{fold}")
    assert done.returncode == 0, done.stderr
    done = run(sys.executable, "-m", "fas.bin.report", "--out", tmp_path / "exp", "--datadir", tmp_path / "data",
               "--feats", feats, "--reference", "logreg", *folds)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = (tmp_path / "exp/RESULTS.md").read_text()
    assert "| system | de (de, 24) | pl (pl, 24) | en (en, 24) | mean |" in results
    assert "| logreg_corpus *transductive* |" in results and "Labels that may be given: angry, happy." in results
