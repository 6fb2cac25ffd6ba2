"""Settings of a training, conf/fas/*.yaml."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import PositiveInt

from fas import conf
from fas.ablations import FUSIONS
from fas.errors import ConfError
from fas.training.dataset import Source


@dataclass
class TrainConf:
    """conf/fas/*.yaml. Defaults: Table 3 of the paper.

    streams: name -> {feats: ssl | text | whisper/<block>, patch: frames a token, or all for one token, the utterance's
    mean and deviation, tokens: budget as a number or a share, or null for all, cmn: true to take the utterance's mean
    out};
    parts: voice and words -> folders of models that were trained apart, one or a list, in which {fold} and {seed} are
    filled in: they become the sides of a mixture, with their streams (the mean of the log posteriors of several), and
    nothing is learnt but how far each side is to be trusted; without words they are the fusion experts, that mean;
    target: whose emotion it learns, the voice's (utt2emo) or the words' (utt2sem, of the utterances that have it);
    system: fas, or logreg (mean and deviation of the frames, logistic regression of strength c);
    fusion: queries (FAS), or mean, concat, gated, statistics, mixture (fas/ablations.py);
    members: heads that are trained together, their posteriors averaged;
    sides: of the mixture, share of the loss that is each side's alone, the voice's by utt2emo, the words' by utt2sem
    where it is known, all emotions alike; the rest is that of its answer;
    choice: the tokens that a budget keeps, norm, uniform or random;
    norm: global (training statistics), or corpus or speaker (each one's own utterances: transductive on a test set);
    balance: corpus gives every training corpus the same weight, label every label, however often they come;
    stream_dropout: stream -> share of training utterances that it is hidden from;
    stream_swap: stream -> share of training utterances that are given another one's, the label staying the voice's;
    channel_dropout: share of the feature dimensions that an utterance loses in training;
    mixup: alpha of the Beta distribution that utterances of a batch are mixed by, 0 for none;
    soft_labels: train on utt2emo_soft, the share of listeners that heard each emotion, in place of utt2emo;
    keep: the epoch that becomes the model, best (highest dev UAR) or last (the schedule's end).
    """

    streams: dict[str, dict[str, Any]]
    parts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    target: Literal["voice", "words"] = "voice"
    system: Literal["fas", "logreg"] = "fas"
    fusion: Literal[(*FUSIONS, "experts")] = "queries"
    members: PositiveInt = 1
    sides: Annotated[float, Ge(0), Le(1)] = 0.0
    choice: Literal["norm", "uniform", "random"] = "norm"
    norm: Literal["global", "corpus", "speaker"] = "global"
    balance: Literal["none", "corpus", "label"] = "none"
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
    soft_labels: bool = False
    keep: Literal["best", "last"] = "best"
    c: float = 0.02


@dataclass
class StreamConf:
    """One entry of `streams`."""

    feats: str
    patch: PositiveInt | Literal["all"] = 5
    tokens: PositiveInt | Annotated[float, Gt(0), Lt(1)] | None = None
    cmn: bool = False


def load_conf(path: Path) -> TrainConf:
    """Read conf/fas/*.yaml. Raises ConfError."""
    return of(conf.load(path), path)


def of(values: dict[str, Any], path: Path) -> TrainConf:
    """The settings that a conf says, its parts resolved. Raises ConfError, which names the conf's path."""
    made = conf.build(TrainConf, values, path)
    for name, values in made.streams.items():
        stream = conf.build(StreamConf, values, f"{path}: stream {name}")
        if stream.patch == "all" and stream.cmn:
            raise ConfError(f"{path}: stream {name}: patch all keeps the utterance's mean, which cmn takes out")
        if stream.cmn and made.system == "logreg":
            raise ConfError(f"{path}: stream {name}: cmn is false for logreg, which knows the mean; take norm: speaker")
        if stream.patch == "all" and made.fusion == "queries" and made.system == "fas":
            others = ", ".join(f for f in FUSIONS if f != "queries")
            raise ConfError(f"{path}: stream {name}: patch all leaves no tokens to attend to: take fusion {others}")
    if made.soft_labels and made.system == "logreg":
        raise ConfError(f"{path}: soft_labels is false for logreg, which learns from one label an utterance")
    if made.target == "words" and (made.soft_labels or made.stream_swap or made.fusion == "mixture"):
        says = "is not for soft_labels, stream_swap nor the mixture, which learn the voice's"
        raise ConfError(f"{path}: target: words {says}")
    if made.fusion in ("gated", "mixture") and len(made.streams) != 2 and not made.parts:
        raise ConfError(f"{path}: fusion {made.fusion} takes two streams, not {len(made.streams)}")
    if made.fusion == "mixture" and made.mixup:
        raise ConfError(f"{path}: mixup is 0 for the mixture, whose words have one emotion")
    if made.fusion == "experts" and not made.parts:
        raise ConfError(f"{path}: fusion experts is of parts: name folders of trained models")
    if made.sides and made.fusion != "mixture":
        raise ConfError(f"{path}: sides is for fusion mixture, which keeps its sides apart")
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


