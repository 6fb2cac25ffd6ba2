"""Data preparation of the corpora that recipes name: a corpus's own files to data directories."""

import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fas import audio, stamp
from fas.datadir import EMOTIONS, DataDir, DataError

AUDIO_SUFFIXES = (".wav", ".flac")

RAVDESS_CODES = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fear", "07": "disgust", "08": "surprise",
}  # fmt: skip
RAVDESS_STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
EMODB_CODES = {
    "W": "angry", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "T": "sad", "N": "neutral",
}  # fmt: skip


@dataclass
class Utterance:
    """One utterance as a corpus names it."""

    utt: str
    wav: Path
    speaker: str
    emotion: str
    language: str
    text: str = ""
    words_emotion: str = ""


def make(
    corpus: str,
    utterances: Iterator[Utterance],
    emotions: list[str],
    drop: Callable[[Utterance], str | None] = lambda _: None,
) -> tuple[DataDir, list[str]]:
    """A data directory of the utterances, and a line for each that `drop` gives a reason to leave out.

    Raises DataError naming every duplicate and every audio file that can't be opened.
    """
    data = DataDir(corpus=corpus, emotions=emotions, wav={}, utt2spk={}, utt2emo={}, utt2dur={})
    problems, dropped = [], []
    for u in utterances:
        if reason := drop(u):
            dropped.append(f"{u.utt} {reason}")
            continue
        if u.utt in data.wav:
            problems.append(f"{u.wav}: utterance {u.utt!r} stands in {data.wav[u.utt]} too; remove one of the two")
            continue
        try:
            data.utt2dur[u.utt] = audio.check(u.wav)
        except audio.AudioError as e:
            problems.append(f"utterance {u.utt!r}: {e}")
            continue
        data.wav[u.utt] = str(u.wav.resolve())
        data.utt2spk[u.utt], data.utt2emo[u.utt], data.utt2lang[u.utt] = u.speaker, u.emotion, u.language
        if u.text:
            data.text[u.utt] = u.text
        if u.words_emotion:
            data.utt2sem[u.utt] = u.words_emotion
    if problems:
        raise DataError(problems)
    return data, dropped


def write(data: DataDir, dropped: list[str], out: Path) -> None:
    """Write the data directory and the list of what was dropped and why."""
    data.write(out)
    with stamp.write_aside(out / "dropped") as f:
        f.writelines(f"{line}\n" for line in sorted(dropped))
    print(f"{out}: {len(data)} utterances, {len(dropped)} dropped (listed in {out}/dropped)", file=sys.stderr)


def folder_of(corpora: Path, name: str, what: str) -> Path:
    """The corpus's folder. Raises DataError that says what to get and where."""
    folder = corpora / name
    if not folder.is_dir():
        raise DataError([f"{folder}: no such folder. {what} Put it there, or name its parent with --corpora."])
    return folder


def audio_files(folder: Path, pattern: str, expected: str) -> list[Path]:
    """Audio files by a glob without suffix, sorted. Raises DataError when there is none."""
    found = sorted(p for suffix in AUDIO_SUFFIXES for p in folder.glob(pattern + suffix))
    if not found:
        raise DataError([f"{folder}: no audio; expected {expected}"])
    return found


def ravdess(folder: Path) -> Iterator[Utterance]:
    """RAVDESS speech (Livingstone & Russo 2018): Actor_NN/MM-CC-EE-II-SS-RR-AA.wav, native emotions.

    Song (second field 02) and video (first field not 03) files are passed over.
    Raises DataError for names that are not RAVDESS's.
    """
    for path in audio_files(folder, "Actor_*/*", "Actor_NN/03-01-EE-II-SS-RR-AA.wav"):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[2] not in RAVDESS_CODES or fields[4] not in RAVDESS_STATEMENTS:
            raise DataError([f"{path}: not a RAVDESS name (MM-CC-EE-II-SS-RR-AA); remove it from the folder"])
        if fields[:2] != ["03", "01"]:
            continue
        actor = fields[6]
        yield Utterance(
            utt=f"ravdess{actor}_{path.stem}",
            wav=path,
            speaker=f"ravdess{actor}",
            emotion=RAVDESS_CODES[fields[2]],
            language="en",
            text=RAVDESS_STATEMENTS[fields[4]],
        )


def emodb(folder: Path) -> Iterator[Utterance]:
    """Berlin EmoDB (Burkhardt et al. 2005): wav/SSTTTEV.wav, native emotions.

    Raises DataError for names that are not EmoDB's.
    """
    for path in audio_files(folder, "wav/*", "wav/SSTTTEV.wav"):
        name = path.stem
        if len(name) != 7 or not name[:2].isdigit() or name[5] not in EMODB_CODES:
            raise DataError([f"{path}: not an EmoDB name (SSTTTEV); remove it from the folder"])
        speaker = f"emodb{name[:2]}"
        yield Utterance(f"{speaker}_{name}", path, speaker, EMODB_CODES[name[5]], "de")


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


def to_seven(u: Utterance) -> str | None:
    """Map to the seven classes in place (calm counts as neutral); the reason to drop what has no class."""
    if u.emotion == "calm":
        u.emotion = "neutral"
    return None if u.emotion in EMOTIONS else f"{u.emotion} is none of the seven classes"


def write_folds(data: DataDir, out: Path, fold_of: dict[str, int], sex_of: Callable[[str], str]) -> None:
    """out/foldF/{train,dev,test} by speaker: test is fold F, dev one speaker of each sex from the folds after it.

    fold_of: speaker -> fold in which it is tested. Raises DataError for a speaker without a fold.
    """
    if missing := sorted(set(data.utt2spk.values()) - fold_of.keys()):
        raise DataError([f"{out}: speaker {s!r} has no fold" for s in missing])
    folds = max(fold_of.values())
    for fold in range(1, folds + 1):
        after = sorted(fold_of, key=lambda s: ((fold_of[s] - fold - 1) % folds, s))
        dev = {next(s for s in after if sex_of(s) == sex) for sex in sorted({sex_of(s) for s in fold_of})}
        test = {s for s in fold_of if fold_of[s] == fold}
        parts = {"test": test, "dev": dev, "train": fold_of.keys() - test - dev}
        for name, speakers in parts.items():
            data.subset(lambda u, s=speakers: data.utt2spk[u] in s).write(out / f"fold{fold}" / name)


def read_folds(path: Path, prefix: str) -> dict[str, int]:
    """A table of speaker and fold; lines that start with # are remarks."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {prefix + name: int(fold) for name, fold in lines}


