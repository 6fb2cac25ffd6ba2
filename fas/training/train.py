"""Training of the FAS head on patches (Table 3 of the paper by default)."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fas import stamp, threads
from fas.errors import ConfError
from fas.metrics import scores
from fas.model import FASHead
from fas.training import calibration, checkpoint, curves, distributed
from fas.training.confs import TrainConf
from fas.training.dataset import Dataset
from fas.training.losses import Targets, loss_of_head

SAVE_EVERY = 10  # seconds between checkpoints of a running training


@torch.inference_mode()
def posteriors(
    model: FASHead, data: Dataset, device: str, batch: int = 256, order: np.ndarray | None = None
) -> np.ndarray:
    """(utterances, classes) float64 softmax outputs, in the dataset's order or in that of the numbers given."""
    torch.manual_seed(0)  # for a random choice of tokens
    model.eval()
    made = []
    for part in data.batches(batch, order):
        part = part.to(device)
        made.append(model.fuse(part.patches, part.lengths).double().softmax(-1).cpu())
    return torch.cat(made).numpy()


class State:
    """All that a training carries from epoch to epoch."""

    def __init__(self, settings: TrainConf, train_set: Dataset, device: str):
        dims = {n: train_set.dim(n) for n in settings.streams}
        self.model = checkpoint.build_model(settings, dims, len(train_set.labels))
        if settings.norm == "global":
            for name in settings.streams:
                statistics = train_set.statistics(name)
                self.model.set_statistics(name, *(torch.from_numpy(x).float() for x in statistics))
        self.model.to(device)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        steps = settings.epochs * math.ceil(len(train_set) / settings.batch)
        warmup = max(1, round(settings.warmup * steps))

        def rate(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"uar": -1.0, "loss": math.inf}

    def save(self, path: Path, inputs: dict[str, str]) -> None:
        """Write a checkpoint to go on from."""
        modules = {k: getattr(self, k).state_dict() for k in ("model", "optimizer", "schedule")}
        checkpoint.save(path, {"inputs": inputs, "history": self.history, "best": self.best} | modules)

    def resume(self, path: Path, inputs: dict[str, str]) -> None:
        """Go on from the checkpoint when there is a sound one of the same inputs."""
        if not path.exists():
            return
        try:
            last = checkpoint.load(path)
        except ConfError as e:
            stamp.log(f"{e}: from the first epoch")
            return
        if last["inputs"] != inputs:
            return
        for name in ("model", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(last[name])
        self.history, self.best = last["history"], last["best"]
        stamp.log(f"{path.parent}: going on after epoch {len(self.history)}")


def train(
    settings: TrainConf, train_set: Dataset, dev_set: Dataset, out: Path, seed: int, inputs: dict[str, str]
) -> dict[str, float]:
    """Write out/{best.pt, last.pt, log.jsonl, curves.png, tb/}; goes on from last.pt when it is of the same inputs.

    Returns the chosen epoch with its figures on the dev set: that of the highest dev UAR, the lower loss deciding
    between equals, or the last if so asked. Started by torchrun, all processes train and the first one writes.
    """
    from torch.utils.tensorboard import SummaryWriter

    if settings.sides == 1 and not (train_set.words >= 0).any():
        raise ConfError(f"{out}: sides: 1.0 needs utt2sem of training utterances to teach the words by; lower it")
    device = distributed.device()
    torch.manual_seed(seed)
    state = State(settings, train_set, device)
    state.resume(out / "last.pt", inputs)
    first, started, saved = len(state.history), time.monotonic(), time.monotonic()
    board = SummaryWriter(str(out / "tb"), purge_step=first) if distributed.RANK == 0 else None
    for epoch in range(first, settings.epochs):
        row = {"epoch": epoch + 1, "train_loss": train_epoch(settings, state, train_set, seed, epoch, device)}
        sound(row["train_loss"], "loss", settings, out, epoch)
        if board:
            row |= on_dev(state.model, dev_set, device)
            sound(row["dev_loss"], "loss on the dev set", settings, out, epoch)
            best = state.best
            if settings.keep == "last" or (row["dev_uar"], -row["dev_loss"]) > (best["uar"], -best["loss"]):
                weights = {k: v.detach().cpu().clone() for k, v in state.model.state_dict().items()}
                state.best = {"uar": row["dev_uar"], "loss": row["dev_loss"], "epoch": epoch + 1, "state": weights}
            left = (time.monotonic() - started) / (epoch + 1 - first) * (settings.epochs - epoch - 1)
            stamp.log(
                f"epoch {epoch + 1}/{settings.epochs}  train loss {row['train_loss']:.3f}  "
                f"dev loss {row['dev_loss']:.3f}  dev UAR {100 * row['dev_uar']:.2f}  "
                f"kept {100 * state.best['uar']:.2f} ({state.best['epoch']})  {left:.0f} s left"
            )
            for key, value in row.items():
                board.add_scalar(key, value, epoch + 1)
        state.history.append(row)
        if board and time.monotonic() - saved > SAVE_EVERY:
            state.save(out / "last.pt", inputs)
            saved = time.monotonic()
    if not board:
        return {}
    board.close()
    state.save(out / "last.pt", inputs)
    state.model.load_state_dict(state.best["state"])
    calibration.fit(state.model, dev_set, device)
    weights = {k: v.detach().cpu() for k, v in state.model.state_dict().items()}
    dims = {n: train_set.dim(n) for n in settings.streams}
    checkpoint.save(out / "best.pt", {"dims": dims, "epoch": state.best["epoch"], "state": weights})
    write_history(state.history, state.best["epoch"], out)
    return state.history[state.best["epoch"] - 1] | on_dev(state.model, dev_set, device)


def on_dev(model: FASHead, dev_set: Dataset, device: str) -> dict[str, float]:
    """Cross-entropy, UAR and accuracy on the dev set."""
    probabilities = posteriors(model, dev_set, device)
    found = scores(dev_set.references, probabilities.argmax(1), len(dev_set.labels))
    likelihood = probabilities[np.arange(len(dev_set)), dev_set.references]
    loss = float(-np.log(likelihood + 1e-12).mean())
    return {"dev_loss": loss, "dev_uar": found["uar"], "dev_accuracy": found["accuracy"]}


def sound(value: float, what: str, settings: TrainConf, out: Path, epoch: int) -> None:
    """Raises ConfError when a training has left the numbers, and takes its checkpoint away, which holds that state."""
    if not math.isfinite(value):
        (out / "last.pt").unlink(missing_ok=True)
        raise ConfError(
            f"{out}: the {what} is {value} in epoch {epoch + 1}; no model was written. Lower lr (it is "
            f"{settings.lr:g}), or lengthen warmup; if that does not help, look at the features"
        )


def train_epoch(
    settings: TrainConf, state: State, train_set: Dataset, seed: int, epoch: int, device: str
) -> float:
    """One pass over the training set; the mean loss (of this process's share)."""
    weights = train_set.weights(settings.balance)
    rank, world = distributed.RANK, distributed.WORLD
    torch.manual_seed(seed * 100_003 + epoch + rank * 2**32)  # a resumed run draws what an undisturbed one does
    order = np.random.default_rng([seed, epoch]).permutation(len(train_set))
    chance = np.random.default_rng([seed, epoch, rank])  # for mixup
    state.model.train()
    total = count = 0.0
    for start in range(0, len(order), settings.batch):
        whole = order[start : start + settings.batch]
        mine = whole[rank::world]
        state.optimizer.zero_grad(set_to_none=True)
        if len(mine):
            part = train_set.batch(mine).to(device)
            weight = float(chance.beta(settings.mixup, settings.mixup)) if settings.mixup else 1.0
            other = torch.from_numpy(chance.permutation(len(mine))).to(device)
            targets = targets_of(train_set, mine, part.labels, device)
            if settings.mixup:
                targets.allowed = targets.allowed | targets.allowed[other]
            of_utterance = torch.from_numpy(weights[mine]).float().to(device)
            with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=device.startswith("cuda")):
                mix = (weight, other) if settings.mixup else None
                said, _ = state.model.judge(part.patches, part.lengths, mix)
            loss = weight * loss_of_head(said, targets, settings.label_smoothing, settings.sides)
            if settings.mixup:
                targets.labels = targets.labels[other]
                loss = loss + (1 - weight) * loss_of_head(said, targets, settings.label_smoothing, settings.sides)
            loss = (loss * of_utterance).mean()
            with threads.one():  # the gradients of LayerNorm's weights are sums whose order follows the threads
                (loss * (len(mine) / len(whole))).backward()
            total, count = total + loss.item() * len(mine), count + len(mine)
        distributed.sum_gradients(state.parameters)
        state.optimizer.step()
        state.schedule.step()
    return total / max(count, 1)


def targets_of(train_set: Dataset, chosen: np.ndarray, labels: torch.Tensor, device: str) -> Targets:
    """What is known of the utterances numbered `chosen`, whose labels are already there."""
    allowed, words, weights = train_set.allowed[chosen], train_set.words[chosen], train_set.word_weights
    return Targets(labels, *(torch.from_numpy(x).to(device) for x in (allowed, words, weights)))


def write_history(history: list[dict[str, float]], chosen: int, out: Path) -> None:
    """log.jsonl, and the curves as a picture."""
    with stamp.write_aside(out / "log.jsonl") as f:
        f.writelines(json.dumps(row) + "\n" for row in history)
    curves.draw(history, chosen, out / "curves.png")


