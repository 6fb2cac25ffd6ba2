"""What is known of a corpus: its labels and its conf, conf/corpora/<name>.yaml, and how its utterances are named."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fas import conf
from fas.data.datadir import EMOTIONS
from fas.errors import ConfError, DataError, MissingCorpus

CONF = Path(__file__).parents[2] / "conf"
SPLITS = ("own", "folds", "speakers", "none")


@dataclass
class Utterance:
    """One utterance as a corpus names it; emotions are the corpus's own labels until they are mapped."""

    utt: str
    wav: Path
    speaker: str
    emotion: str
    language: str = ""
    text: str = ""
    words_emotion: str = ""
    sex: str = ""
    split: str = ""  # train, dev or test; none: in no subset
    fold: int = 0  # in which it is tested, from 1; 0: the corpus has no folds
    channel: int = 0  # of its audio, from 1; 0: they are mixed (fas.data.mix)
    start: float = 0.0  # seconds into its file
    end: float = 0.0  # 0: it is the whole file
    problem: str = ""  # why its file can't be one of the corpus


@dataclass
class Label:
    """What a corpus's own label means."""

    native: str | None  # its name with --labels native; None: no emotion at all, always dropped
    seven: Literal[EMOTIONS] | None  # its class with --labels seven; None: dropped
    why: str = ""


@dataclass
class Corpus:
    """conf/corpora/<name>.yaml."""

    title: str
    get: str
    licence: str
    layout: str
    labels: dict[str, Label]
    paper: str = ""
    forbids: str = ""  # what the licence forbids of what research does: it is then asked for before a download
    download: list[dict[str, Any]] = field(default_factory=list)  # fas/data/acquire.py
    splits: Literal[("", *SPLITS)] = ""  # one of SPLITS; none said: whatever the utterances have
    language: str = ""
    bad: dict[str, str] = field(default_factory=dict)  # utterance, without its speaker -> why it can't be used
    longest: conf.Number = 3600.0  # seconds; an utterance that lasts longer is not one
    counts: dict[str, int] = field(default_factory=dict)  # native label -> utterances in the release, by its own word
    channel: int = 0  # of all its audio, from 1; 0: they are mixed
    sentences: dict[str, str] = field(default_factory=dict)  # code in file names -> what was said
    table: str = ""  # local/table.py: its path below CORPORA
    join: dict[str, str] = field(default_factory=dict)  # local/table.py: a second table in its folder, the column `by`
    columns: dict[str, Any] = field(default_factory=dict)  # local/table.py
    speakers: dict[str, str] = field(default_factory=dict)  # local/emobox.py: dataset -> pattern of the key
    languages: dict[str, str] = field(default_factory=dict)  # local/emobox.py: dataset -> language

    def emotions(self, seven: bool) -> list[str]:
        """The label set: those of the seven that occur, in their order, or all native ones, sorted."""
        if seven:
            return [e for e in EMOTIONS if e in {label.seven for label in self.labels.values()}]
        return sorted({label.native for label in self.labels.values() if label.native})

    def missing(self, what: str) -> MissingCorpus:
        """The error of a corpus that is not there; `what` begins the line."""
        return MissingCorpus([
            f"{what}. It needs {self.title} from {self.get}. Licence: {self.licence}. Expected layout: {self.layout}. "
            "Put it there, or name the folder that holds it (--corpora of run.sh, CORPORA of steps/prepare_data.sh)."
        ])


def read_conf(path: Path) -> Corpus:
    """Read a corpus's conf. Raises ConfError naming the file and the key for whatever is not understood.

    A label is `own: class`, or `own: {native: name, seven: class or null, why: reason}`.
    """
    values = conf.load(path, plain=True)  # a label 01 and a language no as they are written
    labels = {}
    for raw, entry in (values.get("labels") or {}).items():
        entry = entry if isinstance(entry, dict) else {"native": entry, "seven": entry}
        where = f"{path}: labels: {raw}"
        label = conf.build(Label, {"native": str(raw), **entry}, where)
        if label.native is not None and not re.fullmatch(r"\w+", str(label.native)):
            raise ConfError(f"{where}: the native label {label.native!r} must be one word")
        labels[str(raw)] = label
    try:
        numbers = {k: kind(values[k]) for k, kind in (("longest", float), ("channel", int)) if k in values}
        numbers["counts"] = {label: int(n) for label, n in (values.get("counts") or {}).items()}
    except (ValueError, TypeError) as e:
        raise ConfError(f"{path}: longest, channel and the values of counts are numbers ({e})") from None
    corpus = conf.build(Corpus, values | numbers | {"labels": labels}, path)
    native = {label.native or raw for raw, label in labels.items()}
    if unknown := sorted(corpus.counts.keys() - native):
        raise ConfError(f"{path}: counts: {', '.join(unknown)}: native labels are {', '.join(sorted(native))}")
    return corpus


def ids(corpus: str, speaker: str, name: str, joint: str = "-") -> dict[str, str]:
    """Speaker and utterance names that are unique over corpora and sort as Kaldi demands.

    The speaker starts with the corpus and the utterance with the speaker. White space becomes an underscore, as does a
    hyphen in a speaker, and whatever else is no letter, digit, dot or hyphen an underscore and its code. The joint
    sorts before all that a speaker's name may hold, so that speakers stay together.
    """

    def plain(text: str) -> str:
        text = re.sub(r"\s", "_", unicodedata.normalize("NFC", text))  # file names may have letters and accents apart
        return re.sub(r"[^\w.-]", lambda match: f"_{ord(match[0]):x}", text)

    speaker = corpus + plain(speaker).replace("-", "_")
    return {"speaker": speaker, "utt": speaker + joint + plain(name)}


def mapper(corpus: Corpus, seven: bool) -> Callable[[Utterance], str | None]:
    """A function that maps an utterance's labels in place and gives the reason to drop it, if there is one.

    It raises DataError for a label that the conf does not know.
    """

    def look_up(u: Utterance, own: str) -> tuple[str, str | None]:
        if own not in corpus.labels:
            known = " ".join(map(repr, corpus.labels))
            raise DataError([
                f"{u.wav}: utterance {u.utt!r} has the unknown label {own!r}; known are {known} "
                "(mend it, or add it to labels in the corpus's conf)"
            ])
        label = corpus.labels[own]
        if label.native is None:
            return own, label.why
        if seven and label.seven is None:
            return own, f"{label.native} is none of the seven classes"
        return (label.seven if seven else label.native) or "", None

    def apply(u: Utterance) -> str | None:
        if reason := corpus.bad.get(u.utt.removeprefix(u.speaker)[1:]):
            return reason
        u.emotion, reason = look_up(u, u.emotion)
        if reason is None and u.words_emotion:
            u.words_emotion, reason = look_up(u, u.words_emotion)
            reason = reason and f"words: {reason}"
        return reason

    return apply


