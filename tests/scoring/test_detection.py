"""P(conflict): its figures are scikit-learn's, over seeds and speakers; ties, one class alone, no words."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from fas.scoring import analysis, detection
from fas.scoring.analysis import Cell, Hypotheses
from fas.scoring.detection import Curve

LABELS = ["angry", "happy", "sad"]
INFO = {"protocol": "in-domain", "transductive": False}


def cell(posteriors: np.ndarray, conflict: np.ndarray | None = None, seed: int = 1) -> Cell:
    utts = [f"{'abcd'[i % 4]}{i}" for i in range(len(posteriors))]
    given = posteriors.argmax(1)
    made = Cell()
    made.add(seed, Hypotheses(LABELS, utts, given, given, posteriors, conflict), INFO)
    return made


@pytest.mark.parametrize("levels", [3, 10, 1000])
def test_the_figures_are_those_of_scikit_learn_with_ties_and_weights(levels: int) -> None:
    random = np.random.default_rng(levels)
    truth = random.random(300) < 0.4
    scores = np.round(np.clip(random.normal(0.5 + 0.1 * truth, 0.2), 0, 1) * levels) / levels
    weights = np.vstack([np.ones(300), random.integers(0, 4, (3, 300))])
    found = Curve.of(truth, scores, weights).figures()
    for row, weight in enumerate(weights):
        assert found["auc"][row] == pytest.approx(roc_auc_score(truth, scores, sample_weight=weight))
        assert found["average_precision"][row] == pytest.approx(
            average_precision_score(truth, scores, sample_weight=weight)
        )
        alarms, hits, _ = roc_curve(truth, scores, sample_weight=weight, drop_intermediate=False)
        assert found["found_at_20"][row] == pytest.approx(np.interp(0.2, alarms, hits))


def test_one_score_for_all_is_chance_and_a_perfect_one_finds_all() -> None:
    truth, weights = np.arange(40) % 2 == 0, np.ones((1, 40))
    even = Curve.of(truth, np.full(40, 0.3), weights).figures()
    assert {k: v[0] for k, v in even.items()} == pytest.approx(
        {"auc": 0.5, "average_precision": 0.5, "found_at_5": 0.05, "found_at_20": 0.2}
    )
    perfect = Curve.of(truth, truth.astype(float), weights).figures()
    assert {v[0] for v in perfect.values()} == {1.0}


def test_companions_part_as_far_as_their_posteriors_do() -> None:
    voice = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0]])
    words = np.array([[1.0, 0, 0], [0.5, 0, 0.5], [0, 1.0, 0]])
    assert detection.disagreement(words, voice).tolist() == [0, 0.75, 1]
    said = detection.of_companions(cell(words), cell(voice))
    assert said == {1: [{"a0": 0.0, "b1": 0.75, "c2": 1.0}]}
    reordered = cell(voice)
    pool = reordered.pools[1][0]
    pool.utts, pool.posteriors = pool.utts[::-1], pool.posteriors[::-1]
    assert detection.of_companions(cell(words), reordered) == said
    assert detection.of_companions(cell(words, seed=2), cell(voice)) == {}


def test_seeds_have_a_deviation_and_speakers_an_interval() -> None:
    random = np.random.default_rng(0)
    utts = [f"{'abcdefgh'[i % 8]}{i}" for i in range(400)]
    truth = {u: bool(random.random() < 0.5) for u in utts}
    heard = dict.fromkeys(utts, "words")
    said = {s: [{u: float(np.clip(random.normal(0.4 + 0.2 * truth[u], 0.2), 0, 1)) for u in utts}] for s in (1, 2)}
    found = detection.figures(said, truth, {u: u[0] for u in utts}, heard)
    assert found["seeds"] == [1, 2] and found["conflicts"] + found["congruent"] == 400
    values = list(truth.values())
    by_seed = [roc_auc_score(values, [pools[0][u] for u in utts]) for pools in said.values()]
    assert found["auc"]["mean"] == pytest.approx(np.mean(by_seed)) and found["auc"]["std"] > 0
    low, high = found["auc"]["interval"]
    assert low < found["auc"]["mean"] < high and high - low < 0.2
    assert found["found_at_5"]["mean"] < found["found_at_20"]["mean"]
    curve = found["curve"]
    area = np.trapezoid(curve["found"], curve["alarms"])
    assert area == pytest.approx(found["auc"]["mean"], abs=0.01)
    one = detection.figures(said, truth, dict.fromkeys(utts, "only"), heard)
    assert one["auc"]["interval"] is None and one["auc"]["mean"] == found["auc"]["mean"]


def test_one_class_alone_is_named_and_no_words_are_left_out() -> None:
    said = {1: [{"a0": 0.9, "a1": 0.2, "b2": 0.5, "b3": float("nan")}]}
    speakers = {u: u[0] for u in said[1][0]}
    all_part = detection.figures(said, dict.fromkeys(speakers, True), speakers, {})
    assert all_part["missing"] == "congruent" and "auc" not in all_part and all_part["without_words"] == 1
    none_heard = detection.figures(said, {"a0": True, "a1": False}, speakers, {"a0": "", "a1": ""})
    assert none_heard["missing"] == "conflicts and congruent" and none_heard["without_words"] == 2
    some = detection.figures(said, {"a0": True, "a1": False, "b2": True, "b3": True}, speakers, {"b2": ""})
    assert (some["conflicts"], some["congruent"], some["without_words"]) == (1, 1, 2)
    assert some["auc"]["mean"] == 1.0


def test_a_hyp_file_with_and_without_the_column(tmp_path: Path) -> None:
    (tmp_path / "hyp").write_text("# utt ref label angry sad P(conflict)\na angry sad 0.2 0.8 0.7\nb sad sad 0 1 nan\n")
    hyp = analysis.read_hyp(tmp_path / "hyp")
    assert hyp.labels == ["angry", "sad"] and hyp.posteriors.shape == (2, 2)
    assert hyp.conflict[0] == 0.7 and np.isnan(hyp.conflict[1])
    (tmp_path / "hyp").write_text("# utt ref label angry sad\na angry sad 0.2 0.8\n")
    assert analysis.read_hyp(tmp_path / "hyp").conflict is None
    joined = cell(np.eye(3), np.array([0.1, 0.2, 0.3]))
    joined.add(1, Hypotheses(LABELS, ["z"], np.array([0]), np.array([0]), np.eye(3)[:1], np.array([0.4])), INFO)
    assert detection.stated(joined) == {1: [{"a0": 0.1, "b1": 0.2, "c2": 0.3, "z": 0.4}]}
    joined.add(1, Hypotheses(LABELS, ["y"], np.array([0]), np.array([0]), np.eye(3)[:1]), INFO)
    assert detection.stated(joined) == {}
    assert detection.stated(cell(np.eye(3))) == {}
