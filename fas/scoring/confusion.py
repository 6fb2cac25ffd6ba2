"""The confusion matrix of a set as a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from fas.figures import plt, save


def draw(counts: np.ndarray, labels: list[str], result: dict[str, Any], path: Path) -> None:
    """Rows: the reference; colour: share of the row; figures: utterances."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            axes.text(j, i, str(count), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
    mark = ", transductive" if result["transductive"] else ""
    axes.set(xlabel="label given", ylabel="emotion of the voice")
    axes.set_title(f"{result['set']}: accuracy {100 * result['accuracy']:.1f} %{mark}", fontsize=10)
    save(figure, path)
