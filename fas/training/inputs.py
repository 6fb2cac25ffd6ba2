"""What a training and a scoring depend on, as digests: labels of sets and features of streams; without torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fas import conf, stamp
from fas.cli import fill
from fas.data import datadir
from fas.data.tables import read_table
from fas.errors import ConfError, DataError
from fas.features import ark

if TYPE_CHECKING:
    from fas.training.dataset import Source

SIDES = ("voice", "words")  # parts of a mixture; those of the voice alone are averaged
LONGEST_TOKEN = 1.0  # seconds; a voice changes within less


@dataclass(frozen=True)
class Head:
    """Of a set: its corpus, the corpus's emotions, the languages told, the identity of its utterances and labels."""

    corpus: str
    emotions: list[str]
    languages: frozenset[str]
    labels: str


@cache
def head(directory: Path) -> Head:
    """All that is kept of a data directory, whose tables may be large. Raises DataError."""
    data = datadir.read(directory)
    return Head(data.corpus, data.emotions, frozenset(data.utt2lang.values()), data.labels_digest())


@cache
def features_digest(kind: str, folder: Path) -> str:
    """Identity of a feature folder. Raises DataError that names the stage to run."""
    if not (folder / "feats.scp").exists():
        stage = {"ssl": 1, "semantic": 1, "whisper": 2, "text": 3}.get(kind, "?")
        raise DataError([f"{folder}/feats.scp: is missing; run stage {stage} first"])
    return ark.digest(folder)


def check_patches(sources: "dict[str, Source]", sets: list[Path]) -> None:
    """Say how long a token of each stream lasts. Raises ConfError where that is beyond any emotion's changes."""
    for name, source in sources.items():
        if source.patch == "all":
            continue
        shifts = {ark.frame_shift(source.base / datadir.home(d).name / source.below) for d in sets} - {None}
        if len(shifts) > 1:
            raise ConfError(f"stream {name}: the sets' features differ in frames a second; extract them again")
        for shift in shifts:
            lasts = source.patch * shift
            stamp.log(f"stream {name}: {1 / shift:g} frames a second, patch {source.patch}: {lasts:g} s a token")
            if lasts > LONGEST_TOKEN:
                raise ConfError(
                    f"stream {name}: patch {source.patch} at {1 / shift:g} frames a second makes tokens of {lasts:g} "
                    f"s; set patch to {max(1, int(LONGEST_TOKEN / shift))} at the most (0.1 s, as published, is "
                    f"{max(1, round(0.1 / shift))})"
                )


def data_digest(streams: dict[str, Any], feats: dict[str, Path], sets: list[Path]) -> str:
    """Identity of the labels of these sets and of the features that the streams take from them."""
    parts = []
    for directory in sets:
        parts.append(head(directory).labels)
        for stream in streams.values():
            kind, _, below = str(stream["feats"]).partition("/")
            if kind == "semantic" and kind not in feats:
                raise ConfError(f"feats: {stream['feats']}: has no encoder; name the encoder's conf, --semantic-conf")
            if kind != "text" and not (directory / "wav.scp").exists():
                says = f"was written and never spoken, so there are no {kind} frames; it is for systems of text alone"
                raise DataError([f"{directory}: {says}"])
            folder = feats.get(kind, Path(kind)) / datadir.home(directory).name / (below or ".")
            parts.append(features_digest(kind, folder))
    return stamp.digest(*parts)


def with_parts(values: dict[str, Any], path: Path, **names: str) -> tuple[dict[str, Any], dict[str, list[Path]]]:
    """A conf with parts as its models' own confs say them, with their streams; and the models' folders, by side.

    names: what stands for {fold} and {seed} in those. Raises ConfError for parts that are not trained or don't go
    together.
    """
    parts = values.get("parts")
    if parts is None:
        return values, {}
    if not isinstance(parts, dict) or set(parts) - {"words"} != {"voice"} or len(values) > 1 or not all(parts.values()):
        says = "names folders of models, one or a list, for voice and for words, and stands alone: they say all else"
        raise ConfError(f"{path}: parts {says}")
    given = {side: parts[side] if isinstance(parts[side], list) else [parts[side]] for side in SIDES if side in parts}
    folders = {side: [fill(str(folder), **names) for folder in every] for side, every in given.items()}
    said: dict[str, list[dict[str, Any]]] = {side: [] for side in folders}
    owner: dict[str, Path] = {}  # of each stream
    first: Path | None = None
    for side, folder in [(side, folder) for side, every in folders.items() for folder in every]:
        if not (folder / stamp.DONE).exists():
            raise ConfError(f"{path}: parts: {side}: {folder} holds no trained model; run stage 4 with its conf first")
        part = {k: v for k, v in conf.load(folder / "conf.yaml").items() if k != "encoders"}
        if part.get("parts"):
            raise ConfError(f"{path}: parts: {side}: {folder} is joined itself; name its parts")
        if part["system"] == "logreg":  # mean and deviation, which are one token of a stream
            part["streams"] = {f"{n}_pooled": {"feats": s["feats"], "patch": "all"} for n, s in part["streams"].items()}
        for stream in part["streams"]:
            if (other := owner.setdefault(stream, folder)) is not folder:
                if other == folder:
                    raise ConfError(f"{path}: parts: {folder} is there twice; name each once")
                cure = "name one of them otherwise and train it again"
                raise ConfError(f"{path}: parts: {other} and {folder}: have a stream {stream!r} each; {cure}")
        first = first or folder
        said[side].append(part)
        both, known = f"{path}: parts: {first} and {folder}", said["voice"][0]
        for key in ("norm", "choice"):
            if part[key] != known[key]:
                raise ConfError(f"{both}: differ in {key}, {known[key]} and {part[key]}")
        if (folder / "labels").read_text(encoding="utf-8") != (first / "labels").read_text(encoding="utf-8"):
            raise ConfError(f"{both}: have other labels each (the files labels); train both with the same --labels")
    streams = {name: stream for side in said.values() for part in side for name, stream in part["streams"].items()}
    same = {key: said["voice"][0][key] for key in ("norm", "choice")}
    fusion = "mixture" if "words" in said else "experts"
    return {"fusion": fusion, "streams": streams, "parts": said} | same, folders


def silent(feats: dict[str, Path], sets: list[Path]) -> set[str] | None:
    """Utterances of these sets in which no words were heard, as stage 2 tells; None where it left no transcripts."""
    texts = {feats["whisper"] / datadir.home(d).name / "text" for d in sets} if "whisper" in feats else set()
    if not texts or not all(p.exists() for p in texts):
        return None
    return {u for p in texts for u, text in read_table(p, empty_ok=True).items() if not text}


def without_words(feats: dict[str, Path], sets: list[Path], utts: list[str]) -> int | None:
    """How many of these no words were heard in: a text encoder gives its marks of beginning and end alone."""
    found = silent(feats, sets)
    return None if found is None else sum(u in found for u in utts)
