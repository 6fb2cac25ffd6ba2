"""A mixture of voices and words that were trained apart: nothing is learnt but how far each side is to be trusted."""

import json
from pathlib import Path
from typing import Any

import torch

from fas import stamp
from fas.errors import ConfError
from fas.training import calibration, checkpoint, logreg
from fas.training.confs import TrainConf
from fas.training.dataset import Dataset
from fas.training.train import on_dev


def train(settings: TrainConf, parts: dict[str, list[Path]], dev_set: Dataset, out: Path) -> dict[str, float]:
    """Write out/{best.pt, log.jsonl}: the heads of these folders with their weights, calibrated on the dev set.

    Returns its figures on the dev set. Raises ConfError for features of another width than a part was trained on.
    """
    dims = {n: dev_set.dim(n) for n in settings.streams}
    state: dict[str, torch.Tensor] = {}
    for side, folders in parts.items():
        experts = f"fusion.{side}.heads" if settings.fusion == "mixture" else "fusion.heads"
        for number, (folder, part) in enumerate(zip(folders, settings.parts[side], strict=True)):
            for key, value in _weights(folder, part, dims).items():
                own = key.removeprefix("fusion.")
                state[key if own == key else f"{experts}.{number}.{own}"] = value
    model = checkpoint.build_model(settings, dims, len(dev_set.labels))
    model.load_state_dict({k: v for k, v in model.state_dict().items() if k == "fusion.balance"} | state)
    calibration.fit(model, dev_set, "cpu")
    row = {"epoch": 1} | on_dev(model, dev_set, "cpu")
    checkpoint.save(out / "best.pt", {"dims": dims, "epoch": 1, "state": model.state_dict()})
    with stamp.write_aside(out / "log.jsonl") as f:
        f.write(json.dumps(row) + "\n")
    stamp.log(f"{out}: joined  dev loss {row['dev_loss']:.3f}  dev UAR {100 * row['dev_uar']:.2f}")
    return row


def _weights(folder: Path, part: dict[str, Any], dims: dict[str, int]) -> dict[str, torch.Tensor]:
    """The weights of a part as a head's. Raises ConfError."""
    loaded, own = checkpoint.load(folder / "best.pt"), {name: dims[name] for name in part["streams"]}
    if part["system"] == "logreg":
        try:
            return logreg.as_head(loaded["state"], own)
        except ConfError as e:
            raise ConfError(f"{folder}: {e}") from None
    for stream, width in loaded["dims"].items():
        if own[stream] != width:
            raise ConfError(f"{folder}: stream {stream!r} has width {width}, these features {own[stream]}")
    return loaded["state"]
