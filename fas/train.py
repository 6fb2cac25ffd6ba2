"""Training of the FAS head on patches (Table 3 of the paper by default), and of the logistic-regression yardstick."""

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fas import conf, stamp
from fas.dataset import Dataset
from fas.metrics import scores
from fas.model import FAS, FASConfig, Stream

SAVE_EVERY = 10  # seconds between checkpoints of a running training


@dataclass
class TrainConf:
    """conf/fas/*.yaml. Defaults: Table 3 of the paper.

    streams: name -> {feats: ssl | text | whisper/<block>, patch: frames a token, tokens: budget K or null for all};
    system: fas, or logreg (mean and deviation of the frames, logistic regression of strength c);
    norm: global (training statistics) or speaker (each speaker's own utterances: transductive on a test set);
    stream_dropout: stream -> share of training utterances that it is hidden from;
    channel_dropout: share of the feature dimensions that an utterance loses in training;
    mixup: alpha of the Beta distribution that utterances of a batch are mixed by, 0 for none;
    keep: the epoch that becomes the model, best (highest dev UAR) or last (the schedule's end).
    """

    streams: dict[str, dict[str, Any]]
    system: str = "fas"
    norm: str = "global"
    width: int = 512
    queries: int = 2
    heads: int = 8
    dropout: float = 0.4
    channel_dropout: float = 0.0
    stream_dropout: dict[str, float] = field(default_factory=dict)
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
    tokens: int | None = None


def load_conf(path: Path) -> TrainConf:
    """Read conf/fas/*.yaml. Raises ConfError."""
    made = conf.build(TrainConf, conf.load(path), path)
    for name, stream in made.streams.items():
        conf.build(StreamConf, stream, f"{path}: stream {name}")
    if made.keep not in ("best", "last"):
        raise conf.ConfError(f"{path}: keep is best or last, not {made.keep!r}")
    if made.system not in ("fas", "logreg") or made.norm not in ("global", "speaker"):
        raise conf.ConfError(f"{path}: system is fas or logreg, norm is global or speaker")
    if unknown := made.stream_dropout.keys() - made.streams.keys():
        raise conf.ConfError(f"{path}: stream_dropout names no stream of this conf: {', '.join(unknown)}")
    if made.stream_dropout and made.streams.keys() == made.stream_dropout.keys():
        raise conf.ConfError(f"{path}: stream_dropout must leave one stream that is never hidden")
    return made


def folders(streams: dict[str, dict[str, Any]], feats: dict[str, Path]) -> dict[str, tuple[Path, str, int]]:
    """Where each stream's features lie: `whisper/last` -> (base of whisper, "last", patch). Raises ConfError."""
    made = {}
    for name, values in streams.items():
        stream = StreamConf(**values)
        kind, _, below = stream.feats.partition("/")
        if kind not in feats:
            raise conf.ConfError(f"stream {name}: no features {kind!r} were given (--feats {kind}=FOLDER)")
        made[name] = (feats[kind], below or ".", stream.patch)
    return made


def build_model(settings: TrainConf, dims: dict[str, int], classes: int) -> FAS:
    """The head for streams of these widths."""
    streams = {}
    for name, values in settings.streams.items():
        stream = StreamConf(**values)
        streams[name] = Stream(dims[name], stream.patch, stream.tokens)
    same = ("width", "queries", "heads", "dropout", "channel_dropout", "stream_dropout")
    return FAS(FASConfig(streams, classes, **{name: getattr(settings, name) for name in same}))


def save(path: Path, value: object) -> None:
    """torch.save, moved into place whole."""
    with stamp.write_aside(path, "wb") as f:
        torch.save(value, f)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, tensors and plain values only. Raises ConfError when it is not readable."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises many kinds for damaged files
        raise conf.ConfError(f"{path}: not a readable checkpoint ({str(e).splitlines()[0]}); train again") from None


@torch.inference_mode()
def posteriors(model: FAS, data: Dataset, device: str, batch: int = 256) -> np.ndarray:
    """(utterances, classes) float64 softmax outputs, in the dataset's order."""
    model.eval()
    made = []
    for part in data.batches(batch):
        part = part.to(device)
        made.append(model.fuse(part.patches, part.lengths).double().softmax(-1).cpu())
    return torch.cat(made).numpy()


def train(
    settings: TrainConf, train_set: Dataset, dev_set: Dataset, out: Path, seed: int, inputs: dict[str, str]
) -> None:
    """Write out/{best.pt, last.pt, log.jsonl, curves.png, tb/}; goes on from last.pt when it is of the same inputs.

    The best epoch is that of the highest dev UAR, the lower loss deciding between equals (or the last, if so asked).
    """
    if settings.system == "logreg":
        train_logreg(settings, train_set, dev_set, out)
        return
    from torch.utils.tensorboard import SummaryWriter

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    dims = {n: train_set.dim(n) for n in settings.streams}
    model = build_model(settings, dims, len(train_set.labels))
    if settings.norm == "global":
        for name in settings.streams:
            model.set_statistics(name, *train_set.statistics(name))
    model.to(device)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=settings.lr, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * math.ceil(len(train_set.utts) / settings.batch)
    warmup = max(1, round(settings.warmup * steps))

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    history: list[dict[str, float]] = []
    best: dict[str, Any] = {"uar": -1.0, "loss": math.inf}
    if (out / "last.pt").exists():
        last = load_checkpoint(out / "last.pt")
        if last["inputs"] == inputs:
            model.load_state_dict(last["model"])
            optimizer.load_state_dict(last["optimizer"])
            schedule.load_state_dict(last["schedule"])
            history, best = last["history"], last["best"]
            stamp.log(f"{out}: going on after epoch {len(history)}")
    references = np.array([dev_set.labels[dev_set.data.utt2emo[u]] for u in dev_set.utts])
    started, saved, first = time.time(), time.time(), len(history)
    board = SummaryWriter(str(out / "tb"), purge_step=first)

    def save_all() -> None:
        save(
            out / "last.pt",
            {
                "inputs": inputs,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history,
                "best": best,
            },
        )

    for epoch in range(first, settings.epochs):
        torch.manual_seed(seed * 100_003 + epoch)  # so that a resumed run draws what an undisturbed one does
        chance = np.random.default_rng([seed, epoch])
        order = chance.permutation(len(train_set.utts))
        model.train()
        total = 0.0
        for part in train_set.batches(settings.batch, order):
            part = part.to(device)
            weight = float(chance.beta(settings.mixup, settings.mixup)) if settings.mixup else 1.0
            other = torch.from_numpy(chance.permutation(len(part.utts))).to(device)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                logits = model.fuse(part.patches, part.lengths, (weight, other) if settings.mixup else None).float()
            loss = weight * loss_of(logits, part.labels)
            if settings.mixup:
                loss = loss + (1 - weight) * loss_of(logits, part.labels[other])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(part.utts)
        probabilities = posteriors(model, dev_set, device)
        found = scores(references, probabilities.argmax(1), len(dev_set.labels))
        dev_loss = float(-np.log(probabilities[np.arange(len(references)), references] + 1e-12).mean())
        row = {
            "epoch": epoch + 1,
            "train_loss": total / len(train_set.utts),
            "dev_loss": dev_loss,
            "dev_uar": found["uar"],
            "dev_accuracy": found["accuracy"],
        }
        history.append(row)
        for key, value in row.items():
            board.add_scalar(key, value, epoch + 1)
        if settings.keep == "last" or (row["dev_uar"], -dev_loss) > (best["uar"], -best["loss"]):
            state = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
            best = {"uar": row["dev_uar"], "loss": dev_loss, "epoch": epoch + 1, "state": state}
        left = (time.time() - started) / (epoch + 1 - first) * (settings.epochs - epoch - 1)
        stamp.log(
            f"epoch {epoch + 1}/{settings.epochs}  train loss {row['train_loss']:.3f}  dev loss {dev_loss:.3f}  "
            f"dev UAR {100 * row['dev_uar']:.2f}  kept {100 * best['uar']:.2f} ({best['epoch']})  {left:.0f} s left"
        )
        if time.time() - saved > SAVE_EVERY:
            save_all()
            saved = time.time()
    board.close()
    save_all()
    save(out / "best.pt", {"dims": dims, "epoch": best["epoch"], "state": best["state"]})
    with stamp.write_aside(out / "log.jsonl") as f:
        f.writelines(json.dumps(row) + "\n" for row in history)
    plot_curves(history, best["epoch"], out / "curves.png")


def moments(data: Dataset, names: list[str], speaker_norm: bool) -> np.ndarray:
    """(utterances, sum of 2 D) mean and deviation over time of all streams; z-scored per speaker where asked for."""
    x = np.stack([np.concatenate([data.stores[n][u].moment(u) for n in names]) for u in data.utts]).astype(np.float64)
    if speaker_norm:
        speakers = np.array([data.data.utt2spk[u] for u in data.utts])
        for speaker in set(speakers):
            own = speakers == speaker
            x[own] = (x[own] - x[own].mean(0)) / np.maximum(x[own].std(0), 1e-5)
    return x


def train_logreg(settings: TrainConf, train_set: Dataset, dev_set: Dataset, out: Path) -> None:
    """The yardstick: statistics pooling and one logistic regression; nothing is chosen on the dev set."""
    from sklearn.linear_model import LogisticRegression

    speaker = settings.norm == "speaker"
    x = moments(train_set, list(settings.streams), speaker)
    y = np.array([train_set.labels[train_set.data.utt2emo[u]] for u in train_set.utts])
    mean, std = x.mean(0), np.maximum(x.std(0), 1e-8)
    fitted = LogisticRegression(C=settings.c, max_iter=2000).fit((x - mean) / std, y)
    weight = np.zeros((len(train_set.labels), x.shape[1]))
    bias = np.full(len(train_set.labels), -1e9)
    weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    arrays = {"mean": mean, "std": std, "weight": weight, "bias": bias}
    save(out / "best.pt", {"state": {k: torch.from_numpy(v) for k, v in arrays.items()}})
    predicted = logreg_posteriors(load_checkpoint(out / "best.pt")["state"], settings, dev_set)
    references = np.array([dev_set.labels[dev_set.data.utt2emo[u]] for u in dev_set.utts])
    found = scores(references, predicted.argmax(1), len(dev_set.labels))
    row = {"epoch": 1, "dev_uar": found["uar"], "dev_accuracy": found["accuracy"]}
    with stamp.write_aside(out / "log.jsonl") as f:
        f.write(json.dumps(row) + "\n")
    stamp.log(f"logistic regression  dev UAR {100 * row['dev_uar']:.2f}")


def logreg_posteriors(state: dict[str, torch.Tensor], settings: TrainConf, data: Dataset) -> np.ndarray:
    """(utterances, classes) of the yardstick."""
    x = torch.from_numpy(moments(data, list(settings.streams), settings.norm == "speaker"))
    z = (x - state["mean"]) / state["std"]
    return (z @ state["weight"].T + state["bias"]).softmax(-1).numpy()


def plot_curves(history: list[dict[str, float]], best: int, path: Path) -> None:
    """Losses and dev UAR over epochs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    epochs = [r["epoch"] for r in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for key, label in (("train_loss", "train"), ("dev_loss", "dev")):
        left.plot(epochs, [r[key] for r in history], label=label)
    left.set(xlabel="epoch", ylabel="cross entropy")
    left.legend()
    right.plot(epochs, [100 * r["dev_uar"] for r in history])
    right.axvline(best, color="0.6", linestyle=":", label=f"chosen: epoch {best}")
    right.set(xlabel="epoch", ylabel="dev UAR (%)")
    right.legend()
    with stamp.write_aside(path, "wb") as f:
        figure.savefig(f, format="png", dpi=110)
    plt.close(figure)


def describe(settings: TrainConf) -> dict[str, Any]:
    """The conf as plain values."""
    return asdict(settings)


def threads() -> None:
    """As many threads as the launcher gave this job."""
    torch.set_num_threads(int(os.environ.get("FAS_THREADS") or len(os.sched_getaffinity(0))))
