"""Predictions of a trained model on a set, their figures, and the files that hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fas import plots, stamp, train
from fas.dataset import Dataset
from fas.metrics import scores

Evidence = list[dict[str, Any]]


@torch.inference_mode()
def predict(model: Path, settings: train.TrainConf, data: Dataset) -> tuple[np.ndarray, Evidence]:
    """(utterances, classes) posteriors of the model folder's best checkpoint, and what the queries attended to.

    Evidence, for heads with queries, an entry for each utterance: stream -> [place, attention] of each kept token, the
    place counted in tokens; the attention over all streams sums to 1.
    """
    checkpoint = train.load_checkpoint(model / "best.pt")
    if settings.system == "logreg":
        return train.logreg_posteriors(checkpoint["state"], data), []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    head = train.build_model(settings, checkpoint["dims"], len(data.labels))
    head.load_state_dict(checkpoint["state"])
    head.to(device)
    posteriors = train.posteriors(head, data, device)
    if settings.fusion != "queries":
        return posteriors, []
    evidence: Evidence = []
    torch.manual_seed(0)
    for part in data.batches(256):
        part = part.to(device)
        _, streams, attention = head.attend(part.patches, part.lengths)
        pieces = attention.cpu().split([s.mask.shape[1] for s in streams.values()], 1)
        for i in range(len(attention)):
            kept = {}
            for (name, tokens), piece in zip(streams.items(), pieces, strict=True):
                mask = tokens.mask[i].cpu()
                places = sorted(zip(tokens.index[i].cpu()[mask].tolist(), piece[i][mask].tolist(), strict=True))
                kept[name] = [[place, round(weight, 5)] for place, weight in places]
            evidence.append(kept)
    return posteriors, evidence


def evaluate(data: Dataset, probabilities: np.ndarray, labels: list[str], allowed: np.ndarray) -> dict[str, Any]:
    """Figures over the allowed labels."""
    predictions = np.where(allowed, probabilities, -1).argmax(1)
    result = scores(data.references, predictions, len(labels))
    result |= {"labels": labels, "labels_given": [e for e, a in zip(labels, allowed, strict=True) if a]}
    return result


def write(
    out: Path, data: Dataset, masked: np.ndarray, labels: list[str], result: dict[str, Any], evidence: Evidence
) -> None:
    """hyp: a head line, then utterance, reference, label and posteriors (masked ones are 0, the rest sum to 1)."""
    masked = masked / masked.sum(1, keepdims=True)
    with stamp.write_aside(out / "hyp") as f:
        f.write(f"# utt ref label {' '.join(labels)}\n")
        for utt, row in zip(data.utts, masked, strict=True):
            posteriors = " ".join(f"{p:.6f}" for p in row)
            f.write(f"{utt} {data.data.utt2emo[utt]} {labels[row.argmax()]} {posteriors}\n")
    with stamp.write_aside(out / "evidence.jsonl") as f:
        for utt, kept in zip(data.utts, evidence, strict=False):
            f.write(json.dumps({"utt": utt} | kept) + "\n")
    with stamp.write_aside(out / "result.json") as f:
        json.dump(result, f, indent=1)
    plots.confusion(np.array(result["confusion"]), labels, result, out / "confusion.png")
