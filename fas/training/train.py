"""Training of the FAS head on patches (Table 3 of the paper by default), and of the logistic-regression yardstick."""

import hashlib
import io
import json
import math
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fas import conf, stamp, threads
from fas.ablations import FUSIONS
from fas.errors import ConfError
from fas.metrics import scores
from fas.model import FASConfig, FASHead, Stream
from fas.report import plots
from fas.training import distributed
from fas.training.dataset import Dataset, Source

SHA256 = 64  # hexadecimal digits
SAVE_EVERY = 10  # seconds between checkpoints of a running training
CHOICES = {
    "system": ("fas", "logreg"),
    "fusion": ("queries", *FUSIONS),
    "choice": ("norm", "uniform", "random"),
    "norm": ("global", "speaker"),
    "keep": ("best", "last"),
}


@dataclass
class TrainConf:
    """conf/fas/*.yaml. Defaults: Table 3 of the paper.

    streams: name -> {feats: ssl | text | whisper/<block>, patch: frames a token, tokens: budget as a number or a share,
    or null for all, cmn: true to take the utterance's mean out};
    system: fas, or logreg (mean and deviation of the frames, logistic regression of strength c);
    fusion: queries (FAS), or mean, concat, gated (fas/ablations.py);
    choice: the tokens that a budget keeps, norm, uniform or random;
    norm: global (training statistics) or speaker (each speaker's own utterances: transductive on a test set);
    stream_dropout: stream -> share of training utterances that it is hidden from;
    stream_swap: stream -> share of training utterances that are given another one's, the label staying the voice's;
    channel_dropout: share of the feature dimensions that an utterance loses in training;
    mixup: alpha of the Beta distribution that utterances of a batch are mixed by, 0 for none;
    keep: the epoch that becomes the model, best (highest dev UAR) or last (the schedule's end).
    """

    streams: dict[str, dict[str, Any]]
    system: str = "fas"
    fusion: str = "queries"
    choice: str = "norm"
    norm: str = "global"
    width: int = 512
    queries: int = 2
    heads: int = 8
    dropout: float = 0.4
    channel_dropout: float = 0.0
    stream_dropout: dict[str, float] = field(default_factory=dict)
    stream_swap: dict[str, float] = field(default_factory=dict)
    lr: float = 2e-4
    weight_decay: float = 1e-4
    warmup: float = 0.05
    batch: int = 2048
    epochs: int = 100
    label_smoothing: float = 0.0
    mixup: float = 0.0
    keep: str = "best"
    c: float = 0.02


@dataclass
class StreamConf:
    """One entry of `streams`."""

    feats: str
    patch: int = 5
    tokens: int | float | None = None
    cmn: bool = False


def load_conf(path: Path) -> TrainConf:
    """Read conf/fas/*.yaml. Raises ConfError."""
    made = conf.build(TrainConf, conf.load(path), path)
    for name, stream in made.streams.items():
        budget = conf.build(StreamConf, stream, f"{path}: stream {name}").tokens
        whole = isinstance(budget, int) and not isinstance(budget, bool) and budget > 0
        if not (budget is None or whole or (isinstance(budget, float) and 0 < budget < 1)):
            raise ConfError(f"{path}: stream {name}: tokens is a number, a share below 1, or null, not {budget!r}")
    for name, known in CHOICES.items():
        if getattr(made, name) not in known:
            raise ConfError(f"{path}: {name} is one of {', '.join(known)}, not {getattr(made, name)!r}")
    if made.fusion == "gated" and len(made.streams) != 2:
        raise ConfError(f"{path}: the gated fusion takes two streams, not {len(made.streams)}")
    for key in ("stream_dropout", "stream_swap"):
        named = getattr(made, key).keys()
        if unknown := named - made.streams.keys():
            raise ConfError(f"{path}: {key} names no stream of this conf: {', '.join(unknown)}")
        if named and named == made.streams.keys():
            raise ConfError(f"{path}: {key} must leave one stream as it is")
    return made


def sources(streams: dict[str, dict[str, Any]], feats: dict[str, Path]) -> dict[str, Source]:
    """Where each stream's patches come from: `whisper/last` -> base of whisper, "last". Raises ConfError."""
    made = {}
    for name, values in streams.items():
        stream = StreamConf(**values)
        kind, _, below = stream.feats.partition("/")
        if kind not in feats:
            raise ConfError(f"stream {name}: no features {kind!r} were given (--feats {kind}=FOLDER)")
        made[name] = Source(feats[kind], below or ".", stream.patch, stream.cmn)
    return made


def settings_of(described: dict[str, Any]) -> TrainConf:
    """The conf out of a model's conf.yaml, which says more than the conf."""
    known = {f.name for f in fields(TrainConf)}
    return TrainConf(**{k: v for k, v in described.items() if k in known})


def build_model(settings: TrainConf, dims: dict[str, int], classes: int) -> FASHead:
    """The head for streams of these widths."""
    streams = {}
    for name, values in settings.streams.items():
        stream = StreamConf(**values)
        streams[name] = Stream(dims[name], stream.patch, stream.tokens, stream.cmn)
    same = ("width", "queries", "heads", "dropout", "choice", "channel_dropout", "stream_dropout", "stream_swap")
    config = FASConfig(streams, classes, **{name: getattr(settings, name) for name in same})
    return FASHead(config, FUSIONS[settings.fusion](config) if settings.fusion != "queries" else None)


def save(path: Path, value: object) -> None:
    """torch.save, moved into place whole.

    torch compares no checksum when it loads, so the file, a zip archive, has the SHA-256 of its bytes as its comment.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    body = buffer.getvalue()[:-2] + SHA256.to_bytes(2, "little")  # an archive ends with the length of its comment
    with stamp.write_aside(path, "wb") as f:
        f.write(body + hashlib.sha256(body).hexdigest().encode())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, tensors and plain values only.

    Raises ConfError when it is not readable or damaged, and takes the mark of its folder away, so that the next run
    trains it again.
    """
    try:
        content = path.read_bytes()
        body, comment = content[:-SHA256], content[-SHA256:]
        sealed = body[-22:-18] == b"PK\5\6" and int.from_bytes(body[-2:], "little") == SHA256
        if sealed and hashlib.sha256(body).hexdigest().encode() != comment:
            raise ValueError("its bytes are not those that were written")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises many kinds for damaged files
        stamp.unmark(path.parent)
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ConfError(f"{path}: not a readable checkpoint ({reason}); train again") from None


@torch.inference_mode()
def posteriors(model: FASHead, data: Dataset, device: str, batch: int = 256) -> np.ndarray:
    """(utterances, classes) float64 softmax outputs, in the dataset's order."""
    torch.manual_seed(0)  # for a random choice of tokens
    model.eval()
    made = []
    for part in data.batches(batch):
        part = part.to(device)
        made.append(model.fuse(part.patches, part.lengths).double().softmax(-1).cpu())
    return torch.cat(made).numpy()


class State:
    """All that a training carries from epoch to epoch."""

    def __init__(self, settings: TrainConf, train_set: Dataset, device: str):
        self.model = build_model(settings, {n: train_set.dim(n) for n in settings.streams}, len(train_set.labels))
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
        save(path, {"inputs": inputs, "history": self.history, "best": self.best} | modules)

    def resume(self, path: Path, inputs: dict[str, str]) -> None:
        """Go on from the checkpoint when there is a sound one of the same inputs."""
        if not path.exists():
            return
        try:
            last = load_checkpoint(path)
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

    device = distributed.device()
    torch.manual_seed(seed)
    state = State(settings, train_set, device)
    state.resume(out / "last.pt", inputs)
    first, started, saved = len(state.history), time.monotonic(), time.monotonic()
    board = SummaryWriter(str(out / "tb"), purge_step=first) if distributed.RANK == 0 else None
    for epoch in range(first, settings.epochs):
        row = {"epoch": epoch + 1, "train_loss": train_epoch(settings, state, train_set, seed, epoch, device)}
        if board:
            probabilities = posteriors(state.model, dev_set, device)
            found = scores(dev_set.references, probabilities.argmax(1), len(dev_set.labels))
            likelihood = probabilities[np.arange(len(dev_set)), dev_set.references]
            row["dev_loss"] = float(-np.log(likelihood + 1e-12).mean())
            row |= {"dev_uar": found["uar"], "dev_accuracy": found["accuracy"]}
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
    dims = {n: train_set.dim(n) for n in settings.streams}
    save(out / "best.pt", {"dims": dims, "epoch": state.best["epoch"], "state": state.best["state"]})
    write_history(state.history, state.best["epoch"], out)
    return state.history[state.best["epoch"] - 1]


def train_epoch(
    settings: TrainConf, state: State, train_set: Dataset, seed: int, epoch: int, device: str
) -> float:
    """One pass over the training set; the mean loss (of this process's share)."""
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
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
            with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=device.startswith("cuda")):
                mix = (weight, other) if settings.mixup else None
                logits = state.model.fuse(part.patches, part.lengths, mix).float()
            loss = weight * loss_of(logits, part.labels)
            if settings.mixup:
                loss = loss + (1 - weight) * loss_of(logits, part.labels[other])
            with threads.one():  # the gradients of LayerNorm's weights are sums whose order follows the threads
                (loss * (len(mine) / len(whole))).backward()
            total, count = total + loss.item() * len(mine), count + len(mine)
        distributed.sum_gradients(state.parameters)
        state.optimizer.step()
        state.schedule.step()
    return total / max(count, 1)


def write_history(history: list[dict[str, float]], chosen: int, out: Path) -> None:
    """log.jsonl, and the curves as a picture."""
    with stamp.write_aside(out / "log.jsonl") as f:
        f.writelines(json.dumps(row) + "\n" for row in history)
    plots.curves(history, chosen, out / "curves.png")


def train_logreg(settings: TrainConf, train_set: Dataset, dev_set: Dataset, out: Path) -> dict[str, float]:
    """The yardstick: statistics pooling and one logistic regression; nothing is chosen on the dev set."""
    from sklearn.linear_model import LogisticRegression

    x = train_set.moments()
    mean, std = x.mean(0), np.maximum(x.std(0), 1e-8)
    fitted = LogisticRegression(C=settings.c, max_iter=2000).fit((x - mean) / std, train_set.references)
    weight = np.zeros((len(train_set.labels), x.shape[1]))
    bias = np.full(len(train_set.labels), -1e9)
    weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    arrays = {"mean": mean, "std": std, "weight": weight, "bias": bias}
    save(out / "best.pt", {"state": {k: torch.from_numpy(v) for k, v in arrays.items()}})
    predicted = logreg_posteriors(load_checkpoint(out / "best.pt")["state"], dev_set)
    found = scores(dev_set.references, predicted.argmax(1), len(dev_set.labels))
    row = {"epoch": 1, "dev_uar": found["uar"], "dev_accuracy": found["accuracy"]}
    with stamp.write_aside(out / "log.jsonl") as f:
        f.write(json.dumps(row) + "\n")
    stamp.log(f"logistic regression  dev UAR {100 * row['dev_uar']:.2f}")
    return row


def logreg_posteriors(state: dict[str, torch.Tensor], data: Dataset) -> np.ndarray:
    """(utterances, classes) of the yardstick."""
    x = torch.from_numpy(data.moments())
    z = (x - state["mean"]) / state["std"]
    return (z @ state["weight"].T + state["bias"]).softmax(-1).numpy()


def describe(settings: TrainConf) -> dict[str, Any]:
    """The conf as plain values."""
    return asdict(settings)
