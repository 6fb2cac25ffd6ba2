"""Predictions of a trained model on a set, their figures, and the files that hold them."""

import json
from collections.abc import Container
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from fas import stamp, threads
from fas.errors import ConfError
from fas.metrics import scores
from fas.model import FASHead
from fas.scoring import confusion
from fas.scoring.analysis import CONFLICT
from fas.training import checkpoint, logreg
from fas.training.confs import TrainConf
from fas.training.dataset import Batch, Dataset

Kept = dict[str, list[list[float]]]  # stream -> [place, attention] of each kept token


@torch.inference_mode()
def predict(
    model: Path, settings: TrainConf, data: Dataset, evidence: IO[str], wordless: Container[str] = ()
) -> tuple[np.ndarray, np.ndarray | None]:
    """Posteriors (utterances, classes) of the model folder's best checkpoint, P(conflict) (utterances,) if it has any.

    To `evidence`, for heads with queries, goes a JSON line for each utterance: utt, and stream -> [place, attention] of
    each kept token, the place counted in tokens; the attention over all streams sums to 1. wordless: the utterances in
    which no words were heard.
    """
    weights = checkpoint.load(model / "best.pt")
    if settings.system == "logreg":
        return logreg.posteriors(weights["state"], data), None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    head = checkpoint.build_model(settings, weights["dims"], len(data.labels))
    head.load_state_dict(weights["state"])
    head.to(device).eval()
    posteriors = np.empty((len(data), len(data.labels)))
    conflicts: list[float | None] = []
    for i, part in enumerate(data.batches(1)):
        part = hush(part, settings) if data.utts[i] in wordless else part
        posteriors[i], kept, conflict = predict_one(head, part.to(device))
        conflicts.append(conflict)
        if kept:
            evidence.write(json.dumps({"utt": data.utts[i]} | kept) + "\n")
    return posteriors, None if None in conflicts else np.array(conflicts, dtype=np.float64)


def hush(utterance: Batch, settings: TrainConf) -> Batch:
    """What a head is given of an utterance in which no words were heard: a mixture no words, so that the voice answers.

    A text encoder gives its marks of beginning and end even so, which say nothing.
    """
    if settings.fusion != "mixture":
        return utterance
    text = {name for name, stream in settings.streams.items() if stream["feats"] == "text"}
    patches = {name: p[:0] if name in text else p for name, p in utterance.patches.items()}
    lengths = {name: le * (name not in text) for name, le in utterance.lengths.items()}
    return Batch(patches, lengths, utterance.labels)


@threads.one()
@torch.inference_mode()
def predict_one(head: FASHead, utterance: Batch) -> tuple[np.ndarray, Kept, float | None]:
    """(classes,) float64 posteriors of a batch of one utterance, its evidence as in `predict` ({} without queries), and
    P(conflict), None of a head that states none.

    One by one and in one thread, so that a score does not depend on what else is scored nor on the number of cores, and
    `fas predict` gives the same digits.
    """
    torch.manual_seed(0)  # for a random choice of tokens
    said, streams = head.judge(utterance.patches, utterance.lengths)
    conflict = None if said.conflict is None else float(said.conflict.double()[0])
    if said.attention is None:
        return _softmax(said.logits), {}, conflict
    pieces = said.attention[0].cpu().split([s.mask.shape[1] for s in streams.values()])
    kept = {}
    for (name, tokens), piece in zip(streams.items(), pieces, strict=True):
        mask = tokens.mask[0].cpu()
        places = sorted(zip(tokens.index[0].cpu()[mask].tolist(), piece[mask].tolist(), strict=True))
        kept[name] = [[place, round(weight, 5)] for place, weight in places]
    return _softmax(said.logits), kept, conflict


def _softmax(logits: torch.Tensor) -> np.ndarray:
    """Logits (1, classes) -> (classes,) float64."""
    return logits.double().softmax(-1)[0].cpu().numpy()


def check_finite(probabilities: np.ndarray | None, utts: list[str], model: Path) -> None:
    """Raises ConfError where probabilities (utterances, ...) are not numbers, which would pass for the first label.

    None: there are none to check.
    """
    if probabilities is not None and not np.isfinite(probabilities).all():
        finite = np.isfinite(probabilities).reshape(len(utts), -1).all(1)
        bad = [utts[i] for i in np.flatnonzero(~finite)]
        raise ConfError(
            f"{model}: gives no numbers for {len(bad)} of {len(utts)} utterances ({bad[0]!r} the first); nothing was "
            "scored; train it again with a lower lr"
        )


def evaluate(data: Dataset, probabilities: np.ndarray, labels: list[str], allowed: np.ndarray) -> dict[str, Any]:
    """Figures over the allowed labels."""
    predictions = np.where(allowed, probabilities, -1).argmax(1)
    result = scores(data.references, predictions, len(labels))
    result |= {"labels": labels, "labels_given": [e for e, a in zip(labels, allowed, strict=True) if a]}
    return result


def write(
    out: Path,
    data: Dataset,
    masked: np.ndarray,
    conflict: np.ndarray | None,
    labels: list[str],
    result: dict[str, Any],
) -> None:
    """hyp: a head line, then utterance, reference, label and posteriors (masked ones are 0, the rest sum to 1).

    Last stands P(conflict), (utterances,), of a system that states it, nan where no words were heard.
    """
    columns = masked / masked.sum(1, keepdims=True)
    given = masked.argmax(1)
    head = labels
    if conflict is not None:
        columns, head = np.column_stack([columns, conflict]), [*labels, CONFLICT]
    with stamp.write_aside(out / "hyp") as f:
        f.write(f"# utt ref label {' '.join(head)}\n")
        for utt, reference, label, row in zip(data.utts, data.references, given, columns, strict=True):
            f.write(f"{utt} {labels[reference]} {labels[label]} {' '.join(f'{p:.6f}' for p in row)}\n")
    with stamp.write_aside(out / "result.json") as f:
        json.dump(result, f, indent=1)
    confusion.draw(np.array(result["confusion"]), labels, result, out / "confusion.png")
