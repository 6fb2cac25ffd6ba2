"""Data preparation shared by the corpora of local/: a corpus's own files to data directories.

What is known of a corpus (where to get it, its layout, its labels and why each counts as what) stands in
conf/corpora/<name>.yaml; local/<name>.py turns the files of its release into utterances; all else is here.
"""

import argparse
import codecs
import csv
import dataclasses
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fas import cli, conf, stamp
from fas.data import audio
from fas.data.datadir import EMOTIONS, DataDir
from fas.errors import AudioError, ConfError, DataError

CONF = Path(__file__).parents[2] / "conf"
AUDIO_SUFFIXES = (".wav", ".flac")
PARTS = ("train", "dev", "test")
SPLITS = ("own", "folds", "speakers", "none")


class MissingCorpus(DataError):
    """A corpus that is not there: what to get, where, its licence and the layout expected."""


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
    problem: str = ""  # why its file can't be one of the corpus


def wrong(path: Path, why: str) -> Utterance:
    """A file that can't be one of the corpus: `make` names it, with all others."""
    return Utterance("", path, "", "", problem=f"{path}: {why}")


@dataclass(frozen=True)
class Label:
    """What a corpus's own label means."""

    native: str | None  # its name with --labels native; None: no emotion at all, always dropped
    seven: str | None  # its class with --labels seven; None: dropped
    why: str = ""


@dataclass
class Corpus:
    """conf/corpora/<name>.yaml."""

    title: str
    paper: str
    get: str
    licence: str
    layout: str
    labels: dict[str, Label]
    splits: str = ""  # one of SPLITS; none said: whatever the utterances have
    language: str = ""
    bad: dict[str, str] = field(default_factory=dict)  # utterance, without its speaker -> why it can't be used
    longest: float = 3600.0  # seconds; an utterance that lasts longer is not one
    sentences: dict[str, str] = field(default_factory=dict)  # code in file names -> what was said
    table: str = ""  # local/table.py: its path below CORPORA
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
    values = conf.load(path)
    labels = {}
    for raw, entry in (values.get("labels") or {}).items():
        entry = entry if isinstance(entry, dict) else {"native": entry, "seven": entry}
        where = f"{path}: labels: {raw}"
        label = conf.build(Label, {"native": str(raw), **entry}, where)
        if label.seven not in (*EMOTIONS, None):
            raise ConfError(f"{where}: {label.seven!r} is none of {' '.join(EMOTIONS)} and not null")
        if label.native is not None and not re.fullmatch(r"\w+", str(label.native)):
            raise ConfError(f"{where}: the native label {label.native!r} must be one word")
        labels[str(raw)] = label
    named = {key: {str(k): v for k, v in (values.get(key) or {}).items()} for key in ("sentences", "bad")}
    corpus = conf.build(Corpus, values | named | {"labels": labels}, path)
    if corpus.splits not in ("", *SPLITS):
        raise ConfError(f"{path}: splits must be one of {', '.join(SPLITS)}, not {corpus.splits!r}")
    return corpus


def ids(corpus: str, speaker: str, name: str, joint: str = "-") -> dict[str, str]:
    """Speaker and utterance names that are unique over corpora and sort as Kaldi demands.

    The speaker starts with the corpus and the utterance with the speaker. White space becomes an underscore, as does a
    hyphen in a speaker, and whatever else is no letter, digit, dot or hyphen an underscore and its code. The joint
    sorts before all that a speaker's name may hold, so that speakers stay together.
    """

    def plain(text: str) -> str:
        return re.sub(r"[^\w.-]", lambda match: f"_{ord(match[0]):x}", re.sub(r"\s", "_", text))

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


def copy_of(path: Path) -> Path:
    """The file, or where it is not there its copy as .wav or .flac: many keep corpora, and the sound of videos, so."""
    copies = [path.with_suffix(suffix) for suffix in AUDIO_SUFFIXES]
    return path if path.exists() else next((c for c in copies if c.exists()), path)


def make(
    corpus: str,
    utterances: Iterable[Utterance],
    emotions: list[str],
    drop: Callable[[Utterance], str | None] = lambda _: None,
    longest: float = float("inf"),
    skip_bad: bool = False,
) -> tuple[DataDir, list[str]]:
    """A data directory of the utterances, and a line for each that is left out: `drop` gives a reason or it lasts
    longer than `longest` seconds, or with skip_bad its audio can't be opened.

    Raises DataError naming every file that is none of the corpus's, every duplicate, every unknown label and, without
    skip_bad, all audio that can't be opened.
    """
    data = DataDir(corpus=corpus, emotions=emotions, wav={}, utt2spk={}, utt2emo={}, utt2dur={})
    problems, dropped = [], []
    for u in utterances:
        if u.problem:
            problems.append(u.problem)
            continue
        try:
            if reason := drop(u):
                dropped.append(f"{u.utt} {reason}")
                continue
            if u.utt in data.wav:
                problems.append(f"{u.wav}: utterance {u.utt!r} stands in {data.wav[u.utt]} too; remove one of the two")
                continue
            source = copy_of(u.wav)
            wav = str(source.resolve())
            if wav != wav.strip() or "\n" in wav or "\r" in wav or audio.is_pipe(wav):
                problems.append(f"{wav!r}: a path with a line break, or that ends in a space or |, can't be used")
                continue
            seconds = audio.check(source)
        except DataError as e:
            problems += e.problems
            continue
        except AudioError as e:
            if skip_bad:
                dropped.append(f"{u.utt} audio can't be opened: {e}")
            else:
                problems.append(f"utterance {u.utt!r}: {e}")
            continue
        if seconds > longest:
            dropped.append(f"{u.utt} lasts longer than {longest:g} s and is no utterance")
            continue
        data.wav[u.utt], data.utt2dur[u.utt], data.text[u.utt] = wav, seconds, " ".join(u.text.split())
        data.utt2spk[u.utt], data.utt2emo[u.utt] = u.speaker, u.emotion
        if u.language:
            data.utt2lang[u.utt] = u.language
        if u.words_emotion:
            data.utt2sem[u.utt] = u.words_emotion
    if problems:
        raise DataError(problems)
    if not any(data.text.values()):
        data.text = {}
    return data, dropped


def write(data: DataDir, dropped: list[str], out: Path) -> None:
    """Write the data directory and the list of what was dropped and why; print a summary by reason."""
    data.write(out)
    with stamp.write_aside(out / "dropped") as f:
        f.writelines(f"{line}\n" for line in sorted(dropped))
    print(f"{out}: {len(data)} utterances, {len(dropped)} dropped (listed in {out}/dropped)", file=sys.stderr)
    for reason, count in Counter(line.partition(" ")[2] for line in dropped).most_common():
        print(f"  {count} dropped: {reason}", file=sys.stderr)


def check_splits(name: str, splits: str, utterances: list[Utterance]) -> None:
    """Raises DataError when the conf's `splits` is not what the utterances have."""
    has_split, has_fold = any(u.split for u in utterances), any(u.fold for u in utterances)
    found = "folds" if has_fold else "own" if has_split else "none"
    if splits and found != {"speakers": "own"}.get(splits, splits):
        raise DataError([
            f"{name}: its conf says `splits: {splits}`, but its utterances have "
            f"{ {'folds': 'folds', 'own': 'splits', 'none': 'neither splits nor folds'}[found]}; mend one of the two"
        ])


def split_by_speaker(utterances: list[Utterance]) -> None:
    """Fill in disjoint splits: of every ten speakers in the order of their names the ninth is dev, the tenth test.

    Raises DataError for fewer than ten speakers.
    """
    names = sorted({u.speaker for u in utterances})
    if len(names) < 10:
        raise DataError([f"{len(names)} speakers are too few for splits: speakers, which takes ten; use folds or none"])
    part_of = {name: {8: "dev", 9: "test"}.get(i % 10, "train") for i, name in enumerate(names)}
    for u in utterances:
        u.split = part_of[u.speaker]


def fifth_of_ten(data: DataDir, utts: set[str]) -> set[str]:
    """A dev set where speakers can't be kept apart: of each emotion's utterances in order, the fifth of every ten."""
    ordered = sorted(utts)
    return {u for e in data.emotions for u in [u for u in ordered if data.utt2emo[u] == e][4::10]}


def write_subsets(data: DataDir, utterances: list[Utterance], out: Path) -> None:
    """out/{train,dev,test} or out/foldF/{train,dev,test}, whichever the utterances have.

    Splits without a dev set get one of the training part by `fifth_of_ten`. Folds: test is fold F; dev is, where no
    speaker is in two folds, the first speaker of each sex from the folds after F, and else by `fifth_of_ten`.
    Raises DataError for a split of another name, and for an utterance without a fold beside some with one.
    """
    kept = [u for u in utterances if u.utt in data.wav]
    if unknown := [u for u in kept if u.split not in ("", *PARTS)]:
        raise DataError([f"utterance {u.utt!r} is in split {u.split!r}; take train, dev or test" for u in unknown])
    if any(u.fold for u in kept):
        if lost := [u for u in kept if not u.fold]:
            raise DataError([f"utterance {u.utt!r} has no fold" for u in lost])
        write_folds(data, kept, out)
        return
    parts = {part: {u.utt for u in kept if u.split == part} for part in PARTS}
    if parts["train"] and not parts["dev"]:
        parts["dev"] = fifth_of_ten(data, parts["train"])
        parts["train"] -= parts["dev"]
    for part, utts in parts.items():
        if utts:
            data.subset(lambda u, utts=utts: u in utts).write(out / part)


def write_folds(data: DataDir, utterances: list[Utterance], out: Path) -> None:
    """out/foldF/{train,dev,test}; see write_subsets."""
    pairs = {(u.speaker, u.fold) for u in utterances}
    disjoint = len(pairs) == len({speaker for speaker, _ in pairs})
    sex_of = {u.speaker: u.sex for u in utterances}
    folds = max(u.fold for u in utterances)
    for fold in range(1, folds + 1):
        test = {u.utt for u in utterances if u.fold == fold}
        rest = {u.utt for u in utterances} - test
        dev: set[str] = set()
        if disjoint:
            after = [s for _, s in sorted(((f - fold) % folds, s) for s, f in pairs if f != fold)]
            chosen = {next(s for s in after if sex_of[s] == sex) for sex in {sex_of[s] for s in after}}
            if len(chosen) < len(after):  # else nobody would be left to train on
                dev = {u for u in rest if data.utt2spk[u] in chosen}
        dev = dev or fifth_of_ten(data, rest)
        for name, utts in {"test": test, "dev": dev, "train": rest - dev}.items():
            data.subset(lambda u, utts=utts: u in utts).write(out / f"fold{fold}" / name)


def read_folds(name: str) -> Callable[[str], int]:
    """The fold of a speaker or utterance by conf/folds/<name>.tsv, where lines that start with # are remarks.

    The function raises DataError for a name that is not in the table.
    """
    path = CONF / "folds" / f"{name}.tsv"
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    table = {key: int(fold) for key, fold in lines}

    def fold_of(key: str) -> int:
        if key not in table:
            raise DataError([f"{path}: {key!r} has no fold; is it a file of the original release?"])
        return table[key]

    return fold_of


def read_text(path: Path, *encodings: str) -> str:
    """A text file in UTF-8 or UTF-16 (with a byte order mark or without), else in the first encoding that fits.

    Raises DataError naming the file and the byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise DataError([f"{path}: can't be read ({e.strerror}); it belongs to the release"]) from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif b"\0" in raw:
        candidates = ["utf-16-le"]
    else:
        candidates = ["utf-8-sig", *encodings]
    problem = ""
    for encoding in candidates:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as e:
            problem = problem or f"{path}: not {encoding} (byte {e.start}: {raw[e.start]:#04x}); convert it with iconv"
    raise DataError([problem])


def read_rows(path: Path, needed: Iterable[str], *encodings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a .csv, .tsv or .jsonl file: `file:line` and the row, all values as text.

    Raises DataError for a file without the needed columns and for rows that are not of the table's form.
    """
    text = read_text(path, *encodings)
    if path.suffix == ".jsonl":
        rows = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as e:
                    raise DataError([f"{path}:{number}: not JSON ({e})"]) from None
                if not isinstance(row, dict):
                    raise DataError([f"{path}:{number}: not a JSON object"])
                rows.append((number, {k: "" if v is None else str(v) for k, v in row.items()}))
        lacking = {name: number for number, row in rows for name in needed if name not in row}
        if lacking:
            raise DataError([f"{path}:{number}: has no field {name!r}" for name, number in lacking.items()])
    elif path.suffix in (".csv", ".tsv"):
        dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="", **dialect)
        try:
            columns = reader.fieldnames or []
            if lacking := [name for name in needed if name not in columns]:
                raise DataError([f"{path}:1: has no column {name!r}; it has {' '.join(columns)}" for name in lacking])
            rows = [(reader.line_num, row) for row in reader]
        except csv.Error as e:
            raise DataError([f"{path}:{reader.line_num}: not readable as a table ({e})"]) from None
        if long := [number for number, row in rows if None in row]:
            raise DataError([f"{path}:{number}: has more cells than the head has columns" for number in long])
    else:
        raise DataError([f"{path}: a table must be .csv, .tsv or .jsonl"])
    for number, row in rows:
        yield f"{path}:{number}", row


def audio_files(folder: Path, pattern: str, corpus: Corpus, suffixes: Iterable[str] = AUDIO_SUFFIXES) -> list[Path]:
    """Audio files by a glob without suffix, sorted, without the hidden ones. Raises MissingCorpus for none."""
    found = sorted(p for s in suffixes for p in folder.glob(pattern + s) if not p.name.startswith("."))
    if not found:
        raise corpus.missing(f"{folder}: no {' or '.join(suffixes)} in {pattern}")
    return found


def find(folder: Path, *names: str) -> Path:
    """The file or folder below `folder` by the first of the names that is there, the outermost if there are several.

    Raises DataError when there is none.
    """
    for name in names:
        if found := sorted(folder.rglob(name), key=lambda p: (len(p.parts), p)):
            return found[0]
    raise DataError([f"{folder}: {' or '.join(names)} is missing; it belongs to the release"])


def folder_of(root: Path, name: str) -> Path:
    """The corpus's folder below `root`, by its name or in other letters (CREMA-D for crema_d).

    Raises DataError where two have the name.
    """

    def plain(text: str) -> str:
        return re.sub(r"[\W_]", "", text.lower())

    if (root / name).is_dir():
        return root / name
    found = sorted(p for p in root.glob("*") if p.is_dir() and plain(p.name) == plain(name))
    if len(found) > 1:
        raise DataError([f"{root}: {' and '.join(p.name for p in found)} may both be {name}; rename one"])
    return found[0] if found else root / name


def case_mini(folder: Path) -> Iterator[tuple[str, Utterance]]:
    """The embedded corpus (local/case_mini.py): pairs of split and utterance."""
    with (folder / "metadata.tsv").open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield (
                row["split"],
                Utterance(
                    utt=row["utt"],
                    wav=folder / "wav" / f"{row['utt']}.wav",
                    speaker=row["speaker"],
                    emotion=row["emo"],
                    language="en",
                    text=row["text"],
                    words_emotion=row["sem"],
                ),
            )


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The command line that all corpora have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", choices=("seven", "native"), default="seven", help="the paper's classes or its own")
    parser.add_argument("--skip-missing", choices=("true", "false"), default="false", help="true: go on without it")
    add_skip_bad(parser)
    parser.add_argument("corpora", type=Path, metavar="CORPORA", help="folder that holds the corpora")
    parser.add_argument("datadir", type=Path, metavar="DATADIR", help="gets DATADIR/<corpus> and its subsets")
    return parser


def add_skip_bad(parser: argparse.ArgumentParser) -> None:
    """The option that run.sh hands on."""
    says = "true: leave out audio that can't be opened"
    parser.add_argument("--skip-bad", choices=("true", "false"), default="false", help=says)


def prepare(
    name: str, corpus: Corpus, generate: Callable[[], Iterable[Utterance]], args: argparse.Namespace
) -> None:
    """Write DATADIR/<name> and its subsets; a missing corpus is an error, or one line with --skip-missing true."""
    if not re.fullmatch(r"\w+", name):
        raise DataError([f"{name!r} can't name a corpus; take letters, digits and underscores"])
    try:
        utterances = list(generate())
    except MissingCorpus as e:
        if args.skip_missing != "true":
            raise
        print(f"skipped {name}: {e}", file=sys.stderr)
        return
    seven = args.labels == "seven"
    skip_bad = args.skip_bad == "true"
    data, dropped = make(name, utterances, corpus.emotions(seven), mapper(corpus, seven), corpus.longest, skip_bad)
    if corpus.splits == "speakers":
        split_by_speaker(utterances)
    check_splits(name, corpus.splits, utterances)
    write(data, dropped, args.datadir / name)
    write_subsets(data, utterances, args.datadir / name)


def main(name: str, generate: Callable[[Path, Corpus], Iterable[Utterance]], doc: str | None) -> None:
    """The program of local/<name>.py; `generate` takes the corpus's folder and its conf."""

    def run() -> None:
        args = arguments(doc).parse_args()
        corpus = read_conf(CONF / "corpora" / f"{name}.yaml")

        def utterances() -> Iterable[Utterance]:
            folder = folder_of(args.corpora, name)
            if not folder.is_dir():
                raise corpus.missing(f"{folder}: no such folder")
            return (
                dataclasses.replace(u, language=u.language or corpus.language) for u in generate(folder, corpus)
            )

        prepare(name, corpus, utterances, args)

    cli.main(run)
