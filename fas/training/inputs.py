"""What a training and a scoring depend on, as digests: labels of sets and features of streams; without torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fas import stamp
from fas.data import datadir
from fas.errors import DataError
from fas.features import ark


@dataclass(frozen=True)
class Head:
    """Of a set: its corpus, the corpus's emotions, and the identity of its utterances and labels."""

    corpus: str
    emotions: list[str]
    labels: str


@cache
def head(directory: Path) -> Head:
    """All that is kept of a data directory, whose tables may be large. Raises DataError."""
    data = datadir.read(directory)
    return Head(data.corpus, data.emotions, data.labels_digest())


@cache
def features_digest(kind: str, folder: Path) -> str:
    """Identity of a feature folder. Raises DataError that names the stage to run."""
    if not (folder / "feats.scp").exists():
        stage = {"ssl": 1, "whisper": 2, "text": 3}.get(kind, "?")
        raise DataError([f"{folder}/feats.scp: is missing; run stage {stage} first"])
    return ark.digest(folder)


def data_digest(streams: dict[str, Any], feats: dict[str, Path], sets: list[Path]) -> str:
    """Identity of the labels of these sets and of the features that the streams take from them."""
    parts = []
    for directory in sets:
        parts.append(head(directory).labels)
        for stream in streams.values():
            kind, _, below = str(stream["feats"]).partition("/")
            folder = feats.get(kind, Path(kind)) / datadir.home(directory).name / (below or ".")
            parts.append(features_digest(kind, folder))
    return stamp.digest(*parts)
