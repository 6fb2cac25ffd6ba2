"""Figures of a classifier, by hand and against scikit-learn."""

import numpy as np
import pytest

from fas import metrics


def test_figures() -> None:
    found = metrics.scores(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    assert found["accuracy"] == 0.75
    assert found["uar"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["recall"] == [pytest.approx(2 / 3), 1.0, None]
    assert found["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_figures_are_those_of_scikit_learn() -> None:
    """To the bit, classes that do not occur included."""
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

    random = np.random.default_rng(0)
    for _ in range(50):
        classes, count = int(random.integers(1, 9)), int(random.integers(1, 200))
        references, given = random.integers(0, classes, (2, count))
        every, present = list(range(classes)), sorted(set(references.tolist()))
        recall = recall_score(references, given, labels=every, average=None, zero_division=0)
        assert metrics.scores(references, given, classes) == {
            "n": count,
            "accuracy": accuracy_score(references, given),
            "uar": np.mean(recall[present]),
            "f1": f1_score(references, given, labels=present, average="macro", zero_division=0),
            "recall": [recall[c] if c in present else None for c in every],
            "confusion": confusion_matrix(references, given, labels=every).tolist(),
        }
