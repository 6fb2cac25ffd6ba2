"""Figures of a classifier: accuracy (WA), unweighted average recall (UAR), macro F1, and how they are spread."""

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score


def scores(references: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Class numbers (n,) of reference and prediction -> accuracy, uar, f1, recall per class, confusion, n.

    UAR and F1 are means over the classes that occur in the reference; recall of any other class is None.
    confusion[i][j] counts reference i given the label j.
    """
    every = list(range(classes))
    present = sorted(set(references.tolist()))
    recall = recall_score(references, predictions, labels=every, average=None, zero_division=0)
    f1 = f1_score(references, predictions, labels=present, average="macro", zero_division=0)
    return {
        "n": len(references),
        "accuracy": float(accuracy_score(references, predictions)),
        "uar": float(np.mean([recall[c] for c in present])),
        "f1": float(f1),
        "recall": [float(recall[c]) if c in present else None for c in every],
        "confusion": confusion_matrix(references, predictions, labels=every).tolist(),
    }


def speaker_interval(
    correct: dict[str, float], speaker: dict[str, str], rounds: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the accuracy over speakers: whole speakers are drawn with replacement (Efron 1979).

    correct: utterance -> share of the seeds that got it right.
    """
    speakers = sorted({speaker[u] for u in correct})
    row = {s: i for i, s in enumerate(speakers)}
    right, count = np.zeros(len(speakers)), np.zeros(len(speakers))
    for utt, value in correct.items():
        right[row[speaker[utt]]] += value
        count[row[speaker[utt]]] += 1
    drawn = np.random.default_rng(0).integers(len(speakers), size=(rounds, len(speakers)))
    accuracy = right[drawn].sum(1) / count[drawn].sum(1)
    tail = (1 - level) / 2
    return float(np.quantile(accuracy, tail)), float(np.quantile(accuracy, 1 - tail))
