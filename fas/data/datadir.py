"""Kaldi data directories: text tables, an utterance a line, sorted in the C locale, as Python sorts strings.

| file | a line | needed |
|---|---|---|
| wav.scp | utterance, path of an audio file, or a command and `|`, run only with --allow-pipes true | yes |
| segments | utterance, recording (then the key of wav.scp), its start and end in seconds (-1: to its end) | no |
| utt2spk, spk2utt | utterance, speaker; and the reverse | yes |
| utt2emo | utterance, emotion of the voice | yes |
| utt2lang | utterance, ISO 639-1 language | no |
| utt2dur | utterance, seconds; where it is missing it is made from the audio | no |
| utt2sem | utterance, emotion of the words | conflict sets |
| utt2emo_soft | utterance, share of listeners by emotion of the voice, `angry=0.75 sad=0.25` | no |
| utt2channel | utterance, channel of its audio to take, from 1; of the others see fas.data.mix | no |
| text | utterance, reference words | no |
| spk2gender | speaker, m or f | no |
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
from fas.data import audio, mix
from fas.data.mend import contradictions, measure, speakers_problems
from fas.data.segments import TO_THE_END, Segment, cut_up
from fas.data.tables import OPTIONAL, REQUIRED, numbers, parse_table, write_table
from fas.errors import DataError

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
NAMES = ("wav", "segments", "utt2spk", "utt2emo", "utt2dur", "utt2lang", "utt2sem", "utt2emo_soft")  # a DataDir's
NAMES += ("channel", "text", "held")
SPOKEN = ("wav.scp", "utt2dur")  # of what is written, and has text, there is neither


@dataclass
class DataDir:
    """A data directory in memory; tables map utterance to value.

    wav: the file (or pipe) that an utterance lies in; segments: where in it, for those that are not the whole of it;
    held: the sound of those that were decoded already, which is never written.
    """

    corpus: str
    wav: dict[str, str]
    utt2spk: dict[str, str]
    utt2emo: dict[str, str]
    utt2dur: dict[str, float]
    emotions: list[str] = field(default_factory=lambda: list(EMOTIONS))
    utt2lang: dict[str, str] = field(default_factory=dict)
    utt2sem: dict[str, str] = field(default_factory=dict)
    utt2emo_soft: dict[str, str] = field(default_factory=dict)
    channel: dict[str, int] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    spk2gender: dict[str, str] = field(default_factory=dict)
    held: dict[str, mix.Held] = field(default_factory=dict)
    path: Path = Path()

    def __len__(self) -> int:
        return len(self.wav)

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
        cuts = {u: self.segments.get(u) or Segment(u, 0.0, TO_THE_END) for u in self.wav} if self.segments else {}
        spoken = {
            "wav.scp": {s.recording: self.wav[u] for u, s in cuts.items()} or self.wav,
            "utt2dur": {u: f"{d:.6g}" for u, d in self.utt2dur.items()},
        }
        every = ({} if self.written else spoken) | {
            "segments": {u: str(s) for u, s in cuts.items()},
            "utt2spk": self.utt2spk,
            "utt2emo": self.utt2emo,
            "utt2lang": self.utt2lang,
            "utt2sem": self.utt2sem,
            "utt2emo_soft": self.utt2emo_soft,
            "utt2channel": {u: str(c) for u, c in self.channel.items()},
            "text": self.text,
            "spk2gender": self.spk2gender,
        }
        return {name: table for name, table in every.items() if table}

    def problems(self) -> list[str]:
        """What contradicts itself: utterances missing from a table, labels outside of the corpus's emotions."""
        return contradictions(self.path, self.tables(), self.wav, self.segments, self.emotions, EMOTIONS)

    def fingerprint(self) -> str:
        """Digest of utterances and where they lie: files' names, sizes, times (or a pipe's command, or texts)."""
        if self.written:
            return stamp.digest_all(f"{u} {self.text[u]}" for u in self.utts)
        tails = {u: "" for u in self.utts} | {u: f" channel {c}" for u, c in self.channel.items()}
        tails |= {u: f"{tails[u]} {s}" for u, s in self.segments.items()}
        return stamp.digest_all(f"{u} {_audio_line(self.wav[u])}{tail}" for u, tail in tails.items())

    def place(self, utt: str) -> mix.Place:
        """What `audio.read` takes for an utterance."""
        if utt in self.held:
            return self.held[utt]
        cut = self.segments.get(utt)
        return mix.Clip(self.wav[utt], cut.start, cut.end) if cut else self.wav[utt]

    def labels_digest(self) -> str:
        """Digest of utterances, speakers and labels."""
        return stamp.digest_all(
            f"{u} {self.utt2spk[u]} {self.utt2emo[u]} {self.utt2sem.get(u)}"
            + (f" {self.utt2emo_soft[u]}" if u in self.utt2emo_soft else "")
            for u in self.utts
        )

    def subset(self, keep: Callable[[str], bool]) -> "DataDir":
        """The utterances for which keep(utterance) holds."""
        return self.take([u for u in self.utts if keep(u)])

    def take(self, utts: list[str]) -> "DataDir":
        """These utterances, in the C locale's order."""
        tables = {name: {u: t[u] for u in utts if u in t} for name in NAMES for t in [getattr(self, name)]}
        speakers = set(tables["utt2spk"].values())
        tables["spk2gender"] = {s: g for s, g in self.spk2gender.items() if s in speakers}
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


def load(path: Path, allow_pipes: bool = False) -> tuple[DataDir, list[str]]:
    """What can be read of a data directory, and every problem of it. Raises DataError when there is none.

    Without utt2dur the durations are those of the audio (`mend.measure`), with allow_pipes of what commands write too.
    """
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
    problems += speakers_problems(path, tables["utt2spk"])
    wav, cuts, found = cut_up(path, tables["segments"], tables["wav.scp"])
    problems += found
    channels, found = numbers(path / "utt2channel", tables["utt2channel"], int, "channel from 1")
    problems += found
    if (path / "utt2dur").exists():
        durations, found = numbers(path / "utt2dur", tables["utt2dur"], float, "number of seconds")
    else:
        durations, found = ({}, []) if written else measure(path, wav, cuts, channels, allow_pipes)
    problems += found
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
        wav=dict.fromkeys(tables["text"], "") if written else wav,
        segments=cuts,
        utt2dur=dict.fromkeys(tables["text"], 0.0) if written else durations,
        channel=channels,
        **{n: tables[n] for n in ("utt2spk", "utt2emo", "utt2lang", "utt2sem", "utt2emo_soft", "text", "spk2gender")},
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
        for name in (*NAMES, "spk2gender"):
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


def write_split(path: Path, parts: int, out: Path | None = None) -> None:
    """data/x -> data/x/splitN/1 .. N, as Kaldi's tools lay it out, or out/1 .. N.

    Whole when they are there for the same data.
    """
    data = read(path)
    out = out or path / f"split{parts}"
    with stamp.locked(out.parent / ".split.lock"):
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
