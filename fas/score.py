"""Predictions of a trained model on a set, their figures, and the files that hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fas import stamp, train
from fas.dataset import Dataset
from fas.metrics import scores


def predict(model: Path, settings: train.TrainConf, data: Dataset) -> np.ndarray:
    """(utterances, classes) posteriors of the model folder's best checkpoint."""
    checkpoint = train.load_checkpoint(model / "best.pt")
    if settings.system == "logreg":
        return train.logreg_posteriors(checkpoint["state"], settings, data)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    head = train.build_model(settings, checkpoint["dims"], len(data.labels))
    head.load_state_dict(checkpoint["state"])
    return train.posteriors(head.to(device), data, device)


def evaluate(data: Dataset, probabilities: np.ndarray, labels: list[str], allowed: np.ndarray) -> dict[str, Any]:
    """Figures over the allowed labels; on a set with utt2sem also how often the words' emotion won.

    semantic_capture: share of the conflict utterances (the words' emotion is not the voice's) that were given the
    words' emotion.
    """
    predictions = np.where(allowed, probabilities, -1).argmax(1)
    references = np.array([data.labels[data.data.utt2emo[u]] for u in data.utts])
    result = scores(references, predictions, len(labels))
    result |= {"labels": labels, "labels_given": [e for e, a in zip(labels, allowed, strict=True) if a]}
    pairs = [
        (labels[p], data.data.utt2sem[u])
        for u, p in zip(data.utts, predictions, strict=True)
        if u in data.data.utt2sem and data.data.utt2sem[u] != data.data.utt2emo[u]
    ]
    if pairs:
        result["conflict_utterances"] = len(pairs)
        result["semantic_capture"] = sum(p == s for p, s in pairs) / len(pairs)
    return result


def write(out: Path, data: Dataset, masked: np.ndarray, labels: list[str], result: dict[str, Any]) -> None:
    """hyp: a head line, then utterance, reference, label and posteriors (masked ones are 0, the rest sum to 1)."""
    masked = masked / masked.sum(1, keepdims=True)
    with stamp.write_aside(out / "hyp") as f:
        f.write(f"# utt ref label {' '.join(labels)}\n")
        for utt, row in zip(data.utts, masked, strict=True):
            posteriors = " ".join(f"{p:.6f}" for p in row)
            f.write(f"{utt} {data.data.utt2emo[utt]} {labels[row.argmax()]} {posteriors}\n")
    with stamp.write_aside(out / "result.json") as f:
        json.dump(result, f, indent=1)
    plot_confusion(np.array(result["confusion"]), labels, result, out / "confusion.png")


def plot_confusion(confusion: np.ndarray, labels: list[str], result: dict[str, Any], path: Path) -> None:
    """Rows: the reference; colour: share of the row; figures: utterances."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            axes.text(j, i, str(count), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
    mark = ", transductive" if result["transductive"] else ""
    axes.set(xlabel="label given", ylabel="emotion of the voice")
    axes.set_title(f"{result['set']}: accuracy {100 * result['accuracy']:.1f} %{mark}", fontsize=10)
    with stamp.write_aside(path, "wb") as f:
        figure.savefig(f, format="png", dpi=110)
    plt.close(figure)
