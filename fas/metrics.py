"""Figures of a classifier: accuracy (WA), unweighted average recall (UAR), macro F1."""

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
