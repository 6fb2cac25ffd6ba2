"""Kaldi data directories: text tables, one utterance a line, sorted in the C locale.

That is how Python sorts strings: UTF-8 keeps the order of code points.

| file | a line | needed |
|---|---|---|
| wav.scp | utterance, path of an audio file, or a command and `|`, run only with --allow-pipes true | yes |
| utt2spk, spk2utt | utterance, speaker; and the reverse | yes |
| utt2emo | utterance, emotion of the voice | yes |
| utt2lang | utterance, ISO 639-1 language | no |
| utt2dur | utterance, seconds | yes |
| utt2sem | utterance, emotion of the words | conflict sets |
| text | utterance, reference words | no |
| corpus | the corpus's name, alone | yes |
| emotions | the corpus's emotions in this mapping, one a line | yes |

What was written and never spoken has `text` and neither wav.scp nor utt2dur: for systems whose streams are text.

A folder inside a data directory that is one itself is a subset of it and shares its features
(data/ravdess/fold1/train belongs to data/ravdess).
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fas import stamp
from fas.data import audio
from fas.data.tables import parse_table, write_table
from fas.errors import DataError

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
REQUIRED = ("wav.scp", "utt2spk", "utt2emo", "utt2dur")
OPTIONAL = ("utt2lang", "utt2sem", "text")
SPOKEN = ("wav.scp", "utt2dur")  # of what is written, and has text, there is neither


@dataclass
class DataDir:
    """A data directory in memory; tables map utterance to value."""

    corpus: str
    wav: dict[str, str]
    utt2spk: dict[str, str]
    utt2emo: dict[str, str]
    utt2dur: dict[str, float]
    emotions: list[str] = field(default_factory=lambda: list(EMOTIONS))
    utt2lang: dict[str, str] = field(default_factory=dict)
    utt2sem: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    path: Path = Path()

    def __len__(self) -> int:
        return len(self.wav)

    @property
    def first(self) -> str:
        """The table that says which utterances there are."""
        return "text" if self.written else "wav.scp"

    @property
    def utts(self) -> list[str]:
        """Utterances in the C locale's order."""
        return sorted(self.wav)

    @property
    def written(self) -> bool:
        """Whether these are texts that nobody spoke: no wav.scp and no utt2dur; `wav` then has empty places."""
        return bool(self.wav) and not any(self.wav.values())

    def tables(self) -> dict[str, dict[str, str]]:
        """File name -> table, those that hold something."""
        durations = {u: f"{d:.6g}" for u, d in self.utt2dur.items()}
        spoken = {} if self.written else {"wav.scp": self.wav, "utt2dur": durations}
        every = spoken | {
            "utt2spk": self.utt2spk,
            "utt2emo": self.utt2emo,
            "utt2lang": self.utt2lang,
            "utt2sem": self.utt2sem,
            "text": self.text,
        }
        return {name: table for name, table in every.items() if table}

    def problems(self) -> list[str]:
        """What contradicts itself: utterances missing from a table, labels outside of the corpus's emotions."""
        found = []
        for name, table in self.tables().items():
            file = self.path / name
            missing = sorted(u for u in self.wav if u not in table)
            extra = sorted(u for u in table if u not in self.wav)
            found += [f"{file}: utterance {u!r} of {self.first} is missing" for u in missing]
            found += [f"{file}: utterance {u!r} is not in {self.first}" for u in extra]
        for name, table in {"utt2emo": self.utt2emo, "utt2sem": self.utt2sem}.items():
            known = set(self.emotions) | (set(EMOTIONS) if name == "utt2sem" else set())
            for line, utt in enumerate(sorted(table), 1):
                if table[utt] not in known:
                    found.append(
                        f"{self.path / name}:{line}: utterance {utt!r} has the unknown label {table[utt]!r}; "
                        f"known are {' '.join(self.emotions)} (map or drop it, or add it to {self.path / 'emotions'})"
                    )
        for utt, path in self.wav.items():
            if path.startswith("|"):
                found.append(f"{self.path / 'wav.scp'}: utterance {utt!r} is written to a pipe; name what is read")
        for utt, speaker in self.utt2spk.items():
            if speaker.split() != [speaker] or not speaker.isprintable():
                found.append(f"{self.path / 'utt2spk'}: utterance {utt!r} has the speaker {speaker!r}; take one word")
        for utt, seconds in self.utt2dur.items():
            if not self.written and not 0 < seconds < float("inf"):
                found.append(f"{self.path / 'utt2dur'}: utterance {utt!r} lasts {seconds} s")
        if not self.wav:
            found.append(f"{self.path}: no utterance")
        return found

    def fingerprint(self) -> str:
        """Digest of utterances and their audio files' names, sizes and times: changes when any audio does.

        Of a pipe: of the command, and of the files that are words of it. Of a text that nobody spoke: of the text.
        """
        if self.written:
            return stamp.digest_all(f"{u} {self.text[u]}" for u in self.utts)
        return stamp.digest_all(f"{u} {_audio_line(self.wav[u])}" for u in self.utts)

    def labels_digest(self) -> str:
        """Digest of utterances, speakers and labels."""
        return stamp.digest_all(
            f"{u} {self.utt2spk[u]} {self.utt2emo[u]} {self.utt2sem.get(u)}" for u in self.utts
        )

    def subset(self, keep: Callable[[str], bool]) -> "DataDir":
        """The utterances for which keep(utterance) holds."""
        return self.take([u for u in self.utts if keep(u)])

    def take(self, utts: list[str]) -> "DataDir":
        """These utterances, in the C locale's order."""
        tables = {
            name: {u: table[u] for u in utts if u in table}
            for name in ("wav", "utt2spk", "utt2emo", "utt2dur", "utt2lang", "utt2sem", "text")
            for table in [getattr(self, name)]
        }
        return DataDir(corpus=self.corpus, emotions=self.emotions, path=self.path, **tables)

    def write(self, path: Path) -> None:
        """Write all files, then the mark that says they are whole; raises DataError before anything is touched."""
        self.path = path
        if problems := self.problems():
            raise DataError(problems)
        with stamp.locked(path / ".lock"):
            self._write(path)

    def _write(self, path: Path) -> None:
        inputs = {"content": self.digest()}
        if stamp.is_whole(path, inputs):
            return
        stamp.unmark(path)
        spk2utt: dict[str, list[str]] = {}
        for utt in self.utts:
            spk2utt.setdefault(self.utt2spk[utt], []).append(utt)
        tables = self.tables() | {"spk2utt": {s: " ".join(u) for s, u in spk2utt.items()}}
        for name in (*REQUIRED, *OPTIONAL):
            if name not in tables:
                (path / name).unlink(missing_ok=True)
        for name, table in tables.items():
            write_table(path / name, table)
        for name, lines in {"corpus": [self.corpus], "emotions": self.emotions}.items():
            with stamp.write_aside(path / name) as f:
                f.writelines(f"{line}\n" for line in lines)
        stamp.mark_whole(path, inputs, [*tables, "corpus", "emotions"])

    def digest(self) -> str:
        """Digest of everything the tables say."""
        return stamp.digest_all(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from [self.corpus, *self.emotions]
        for name, table in self.tables().items():
            yield name
            yield from (f"{u} {table[u]}" for u in sorted(table))


def _audio_line(place: str) -> str:
    if not audio.is_pipe(place):
        return stamp.stat_line(place)
    words = (word.strip("'\"") for word in place.split())
    return "\n".join([place, *(stamp.stat_line(w) for w in words if os.path.isfile(w))])


def read(path: Path) -> DataDir:
    """Read and check a data directory. Raises DataError with every problem, by file and line."""
    data, problems = load(path)
    if problems:
        raise DataError(problems)
    return data


def load(path: Path) -> tuple[DataDir, list[str]]:
    """What can be read of a data directory, and every problem of it. Raises DataError when there is none."""
    if not path.is_dir():
        raise DataError([f"{path}: no such data directory; run the recipe's stage 0 first"])
    problems: list[str] = []
    tables: dict[str, dict[str, str]] = {}
    written = (path / "text").exists() and not any((path / name).exists() for name in SPOKEN)
    for name in REQUIRED + OPTIONAL:
        tables[name] = {}
        if (name in REQUIRED and not (written and name in SPOKEN)) or (path / name).exists():
            tables[name], found = parse_table(path / name, empty_ok=name == "text", ordered=True)
            problems += found
    durations = {}
    for utt, value in tables["utt2dur"].items():
        try:
            durations[utt] = float(value)
        except ValueError:
            problems.append(f"{path / 'utt2dur'}: utterance {utt!r} has no number of seconds but {value!r}")
            durations[utt] = 1.0
    single: dict[str, list[str]] = {"corpus": [], "emotions": []}
    for name in single:
        try:
            single[name] = (path / name).read_text(encoding="utf-8-sig").split()
        except UnicodeDecodeError as e:
            problems.append(f"{path / name}: not UTF-8 ({e.reason}); convert the file with iconv")
        except OSError:
            problems.append(f"{path / name}: is missing; it holds " + (
                "the corpus's name" if name == "corpus" else f"the emotions in use, one a line ({' '.join(EMOTIONS)})"
            ))
    data = DataDir(
        corpus=" ".join(single["corpus"]),
        emotions=single["emotions"],
        wav=dict.fromkeys(tables["text"], "") if written else tables["wav.scp"],
        utt2spk=tables["utt2spk"],
        utt2emo=tables["utt2emo"],
        utt2dur=dict.fromkeys(tables["text"], 0.0) if written else durations,
        utt2lang=tables["utt2lang"],
        utt2sem=tables["utt2sem"],
        text=tables["text"],
        path=path,
    )
    return data, problems + data.problems()


def combine(sets: Iterable[DataDir]) -> DataDir:
    """One data directory of several disjoint ones; raises DataError for an utterance that stands in two."""
    first, *others = sets
    total = first.subset(lambda _: True) if others else first
    for data in others:
        if twice := sorted(total.wav.keys() & data.wav.keys()):
            raise DataError([f"{data.path}: utterance {u!r} stands in {total.path} too" for u in twice])
        for name in ("wav", "utt2spk", "utt2emo", "utt2dur", "utt2lang", "utt2sem", "text"):
            getattr(total, name).update(getattr(data, name))
        total.emotions = total.emotions + [e for e in data.emotions if e not in total.emotions]
        total.corpus += f" {data.corpus}"
    return total


def split(data: DataDir, parts: int) -> Iterator[DataDir]:
    """Deal out to `parts`, by duration, so that every part has utterances of all lengths alike.

    Jobs then take the same time whatever an utterance costs beside its duration (a margin of silence, its words), which
    parts of one duration do not. Raises DataError when there are fewer utterances than parts.
    """
    if parts > len(data):
        raise DataError([f"{data.path}: {len(data)} utterances can't be split in {parts}; use a smaller --nj"])
    by_duration = sorted(data.utts, key=data.utt2dur.__getitem__)
    return (data.take(sorted(by_duration[i::parts])) for i in range(parts))


def write_split(path: Path, parts: int) -> None:
    """data/x -> data/x/splitN/1 .. N, as Kaldi's tools lay it out; whole when they are there for the same data."""
    data = read(path)
    out = path / f"split{parts}"
    with stamp.locked(path / ".split.lock"):
        inputs = {"content": data.digest()}
        if stamp.is_whole(out, inputs):
            return
        shutil.rmtree(out, ignore_errors=True)
        for number, piece in enumerate(split(data, parts), 1):
            piece.write(out / str(number))
        stamp.mark_whole(out, inputs, [f"{n}/utt2emo" for n in range(1, parts + 1)])


def with_subsets(path: Path) -> list[Path]:
    """A data directory and the subsets that lie in it, those of split_data.sh excepted."""
    found = sorted(p.parent for p in path.rglob("utt2emo"))
    return [p for p in found if not any(part.startswith("split") for part in p.relative_to(path).parts)]


def home(path: Path) -> Path:
    """The outermost data directory that `path` lies in: the one whose features it shares."""
    found = path
    for parent in path.parents:
        if (parent / "utt2emo").exists():
            found = parent
    return found
