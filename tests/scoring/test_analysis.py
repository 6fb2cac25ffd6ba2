"""Figures over folds and seeds, tests between systems, and who wins a conflict."""

import json
from pathlib import Path

import numpy as np
import pytest

from fas.scoring import analysis
from fas.scoring.analysis import Cell, Hypotheses
from fas.scoring.evidence import attended_words, attention_over_time, attention_shares, read_evidence

LABELS = ["angry", "happy", "sad"]
INFO = {"protocol": "in-domain", "transductive": False}


def hypotheses(rows: list[tuple[str, str, str]]) -> Hypotheses:
    number = {e: i for i, e in enumerate(LABELS)}
    given = np.array([number[h] for _, _, h in rows])
    references = np.array([number[r] for _, r, _ in rows])
    return Hypotheses(LABELS, [u for u, _, _ in rows], references, given, np.eye(3)[given])


def test_interval_is_over_speakers() -> None:
    """All right for one speaker, all wrong for the other: the interval is as wide as it can be."""
    correct = {f"a{i}": 1.0 for i in range(50)} | {f"b{i}": 0.0 for i in range(50)}
    assert analysis.speaker_interval(correct, {u: u[0] for u in correct}) == (0.0, 1.0)
    even = {f"{s}{i}": float(i % 2) for s in "abcdefgh" for i in range(50)}
    low, high = analysis.speaker_interval(even, {u: u[0] for u in even})
    assert low == high == 0.5


def test_paired_test_is_exact_for_few_speakers() -> None:
    """Five speakers, one system better on each: only the two uniform flips reach the difference, p = 2 / 32."""
    utts = [f"{s}{i}" for s in "abcde" for i in range(4)]
    better, worse = dict.fromkeys(utts, 1.0), {u: float(int(u[1]) % 2) for u in utts}
    speakers = {u: u[0] for u in utts}
    assert analysis.paired_test(better, worse, speakers) == pytest.approx(2 / 32)
    assert analysis.paired_test(better, better, speakers) == 1.0
    many = {f"{s:02d}_{i}": float(s % 2) for s in range(40) for i in range(3)}
    other = {u: 1 - v for u, v in many.items()}
    assert analysis.paired_test(many, other, {u: u[:2] for u in many}) > 0.5


def test_holm() -> None:
    assert analysis.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert analysis.holm([0.9, 0.8]) == [1.0, 1.0]


def test_folds_are_pooled_and_repeated_sets_averaged() -> None:
    cell = Cell()
    cell.add(1, hypotheses([("a1", "angry", "angry"), ("a2", "sad", "angry")]), INFO)
    cell.add(1, hypotheses([("b1", "sad", "sad"), ("b2", "sad", "sad")]), INFO)
    assert len(cell.pools[1]) == 1
    speakers = {u: u[0] for u in ("a1", "a2", "b1", "b2")}
    assert cell.summary(speakers)["accuracy"] == {"mean": 0.75, "std": None}
    assert cell.summary(speakers)["uar"]["mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert cell.summary(speakers)["uar_folds"]["mean"] == pytest.approx((0.5 + 1) / 2)
    cell.add(1, hypotheses([(u, "sad", "angry") for u in ("b2", "b1", "a1", "a2")]), INFO)
    assert len(cell.pools[1]) == 2
    assert cell.summary(speakers)["accuracy"]["mean"] == 0.375
    assert cell.correct() == {"a1": 0.5, "a2": 0.0, "b1": 0.5, "b2": 0.5}


def test_seeds_are_averaged_by_utterance_not_by_line() -> None:
    cell = Cell()
    rows = [("a1", "angry", "angry"), ("a2", "sad", "sad")]
    cell.add(1, hypotheses(rows), INFO)
    cell.add(2, hypotheses(rows[::-1]), INFO)
    assert cell.seed_average() == 1.0


def conflict_cell() -> tuple[Cell, dict[str, str]]:
    """Six utterances, words happy: two congruent, of the four others one right, two captured, one neither."""
    voices = ["happy", "happy", "sad", "sad", "angry", "angry"]
    given = ["happy", "sad", "sad", "happy", "happy", "sad"]
    cell = Cell()
    cell.add(1, hypotheses([(f"u{i}", v, g) for i, (v, g) in enumerate(zip(voices, given, strict=True))]), INFO)
    return cell, {f"u{i}": "happy" for i in range(6)}


def test_who_wins_a_conflict() -> None:
    cell, utt2sem = conflict_cell()
    found = analysis.conflict(cell, analysis.slices(cell, utt2sem))
    assert found["n"] == [2, 4] and found["congruent"]["mean"] == 0.5
    assert found["acoustic_capture"]["mean"] == 0.25 and found["semantic_capture"]["mean"] == 0.5
    pairs = {(p["voice"], p["words"]): (p["n"], p["acoustic"], p["semantic"]) for p in found["pairs"]}
    assert pairs == {("sad", "happy"): (2, 0.5, 0.5), ("angry", "happy"): (2, 0.0, 0.5)}


def test_predicted_slices_come_from_the_text_only_system() -> None:
    cell, utt2sem = conflict_cell()
    words = Cell()
    for seed in (1, 2):
        words.add(seed, hypotheses([(u, "sad", e) for u, e in utt2sem.items()]), INFO)
    predicted, known = analysis.predicted_slices(cell, words, {}), analysis.slices(cell, utt2sem)
    silent = next(iter(utt2sem))
    unheard = analysis.predicted_slices(cell, words, dict.fromkeys(utt2sem, "words") | {silent: ""})
    assert {*unheard.congruent, *unheard.conflict} == set(utt2sem) - {silent}
    assert predicted.predicted and not known.predicted
    assert (predicted.words, predicted.conflict) == (known.words, known.conflict)


def test_attention(tmp_path: Path) -> None:
    rows = [
        {"utt": "u1", "voice": [[0, 0.1], [9, 0.3]], "words": [[0, 0.5], [1, 0.1]]},
        {"utt": "u2", "voice": [[0, 0.8]], "words": [[0, 0.2]]},
    ]
    (tmp_path / "evidence.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    evidence = read_evidence([tmp_path])
    shares = attention_shares(evidence, ["u1", "u2"])
    assert shares == {"voice": pytest.approx(0.6), "words": pytest.approx(0.4)}
    over_time = attention_over_time(evidence, ["u1"], "voice")
    assert over_time[0] == pytest.approx(0.25) and over_time[9] == pytest.approx(0.75)
    words = attended_words(evidence, {"u1": ["great", "just"], "u2": ["fine"]}, ["u1", "u2"], "words")
    assert words[0] == ("great", pytest.approx(5 / 3), 1) and [w for w, _, _ in words] == ["great", "fine", "just"]


def test_the_mean_of_agreeing_and_disagreeing_weighs_both_alike() -> None:
    rows = [("a1", "angry", "angry"), ("a2", "sad", "angry"), ("b1", "sad", "sad"), ("b2", "sad", "happy")]
    cell = Cell()
    cell.add(1, hypotheses(rows), INFO)
    cut = analysis.slices(cell, {"a1": "angry", "a2": "happy", "b1": "happy", "b2": "happy"})
    assert analysis.conflict(cell, cut)["mean"] == {"mean": pytest.approx((1 + 1 / 3) / 2), "std": None}
    weighted = analysis.balanced(cell, cut)
    assert weighted.keys() == {"a1", "a2", "b1", "b2"}
    assert np.mean(list(weighted.values())) == pytest.approx((1 + 1 / 3) / 2)
    alone = analysis.slices(cell, {"a2": "happy"})
    assert "mean" not in analysis.conflict(cell, alone)
