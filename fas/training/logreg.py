"""The yardstick: statistics pooling and a logistic regression."""

import json
from pathlib import Path

import numpy as np
import torch

from fas import stamp
from fas.errors import ConfError
from fas.metrics import scores
from fas.training import checkpoint
from fas.training.confs import TrainConf
from fas.training.dataset import Dataset


def train(settings: TrainConf, train_set: Dataset, dev_set: Dataset, out: Path) -> dict[str, float]:
    """The yardstick: statistics pooling and one logistic regression; nothing is chosen on the dev set."""
    from sklearn.linear_model import LogisticRegression

    x = train_set.moments()
    mean, std = x.mean(0), np.maximum(x.std(0), 1e-8)
    weights = train_set.weights(settings.balance)
    fitted = LogisticRegression(C=settings.c, max_iter=2000).fit((x - mean) / std, train_set.references, weights)
    weight = np.zeros((len(train_set.labels), x.shape[1]))
    bias = np.full(len(train_set.labels), -1e9)
    weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    arrays = {"mean": mean, "std": std, "weight": weight, "bias": bias}
    checkpoint.save(out / "best.pt", {"state": {k: torch.from_numpy(v) for k, v in arrays.items()}})
    predicted = posteriors(checkpoint.load(out / "best.pt")["state"], dev_set)
    found = scores(dev_set.references, predicted.argmax(1), len(dev_set.labels))
    row = {"epoch": 1, "dev_uar": found["uar"], "dev_accuracy": found["accuracy"]}
    with stamp.write_aside(out / "log.jsonl") as f:
        f.write(json.dumps(row) + "\n")
    stamp.log(f"logistic regression  dev UAR {100 * row['dev_uar']:.2f}")
    return row


def as_head(state: dict[str, torch.Tensor], dims: dict[str, int]) -> dict[str, torch.Tensor]:
    """The yardstick's weights as those of a head: its streams, each of one token of these widths, in order.

    Raises ConfError for features of another width.
    """
    if (width := state["weight"].shape[1]) != sum(dims.values()):
        raise ConfError(f"has features of width {width}, these have {sum(dims.values())}")
    made, first = {}, 0
    for number, (name, dim) in enumerate(dims.items()):
        own, first = slice(first, first + dim), first + dim
        made |= {f"mean.{name}": state["mean"][own], f"scale.{name}": 1 / state["std"][own]}
        bias = torch.zeros_like(state["bias"]) if number else state["bias"]
        made |= {f"project.{name}.weight": state["weight"][:, own], f"project.{name}.bias": bias}
    return {key: value.float() for key, value in made.items()}


def posteriors(state: dict[str, torch.Tensor], data: Dataset) -> np.ndarray:
    """(utterances, classes) of the yardstick."""
    x = torch.from_numpy(data.moments())
    z = (x - state["mean"]) / state["std"]
    return (z @ state["weight"].T + state["bias"]).softmax(-1).numpy()
