"""A mixture of a voice and words that were trained apart: nothing is learnt but how far each is to be trusted."""

import json
from pathlib import Path

import torch

from fas import stamp
from fas.errors import ConfError
from fas.training import calibration, checkpoint
from fas.training.confs import TrainConf
from fas.training.dataset import Dataset
from fas.training.train import on_dev


def train(settings: TrainConf, parts: dict[str, Path], dev_set: Dataset, out: Path) -> dict[str, float]:
    """Write out/{best.pt, log.jsonl}: the heads of these folders with their weights, calibrated on the dev set.

    Returns its figures on the dev set. Raises ConfError for features of another width than a part was trained on.
    """
    dims = {n: dev_set.dim(n) for n in settings.streams}
    state: dict[str, torch.Tensor] = {}
    for side, folder in parts.items():
        weights = checkpoint.load(folder / "best.pt")
        for stream, width in weights["dims"].items():
            if dims[stream] != width:
                raise ConfError(f"{folder}: stream {stream!r} has width {width}, these features {dims[stream]}")
        for key, value in weights["state"].items():
            own = key.removeprefix("fusion.")
            state[key if own == key else f"fusion.{side}.{own}"] = value
    model = checkpoint.build_model(settings, dims, len(dev_set.labels))
    model.load_state_dict(state | {"fusion.balance": model.fusion.balance})
    calibration.fit(model, dev_set, "cpu")
    row = {"epoch": 1} | on_dev(model, dev_set, "cpu")
    checkpoint.save(out / "best.pt", {"dims": dims, "epoch": 1, "state": model.state_dict()})
    with stamp.write_aside(out / "log.jsonl") as f:
        f.write(json.dumps(row) + "\n")
    stamp.log(f"{out}: joined  dev loss {row['dev_loss']:.3f}  dev UAR {100 * row['dev_uar']:.2f}")
    return row
