"""Figures of a classifier: accuracy (WA), unweighted average recall (UAR), macro F1.

Those of scikit-learn, to the bit, without importing it: that takes longer than torch, in every training and score.
"""

from typing import Any

import numpy as np


def scores(references: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Class numbers (n,) of reference and prediction -> accuracy, uar, f1, recall per class, confusion, n.

    UAR and F1 are means over the classes that occur in the reference; recall of any other class is None.
    confusion[i][j] counts reference i given the label j.
    """
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (references, predictions), 1)
    right, occur, given = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    present = occur > 0
    recall, f1 = right[present] / occur[present], 2 * right[present] / (occur + given)[present]
    recalls = iter(recall.tolist())
    return {
        "n": len(references),
        "accuracy": float(right.sum() / len(references)),
        "uar": float(recall.mean()),
        "f1": float(f1.mean()),
        "recall": [next(recalls) if there else None for there in present],
        "confusion": confusion.tolist(),
    }
