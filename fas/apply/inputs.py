"""What is given to a model on a command line: files, folders of files, data directories, names on standard input."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fas.apply.predict import AT_ONCE, files
from fas.data import datadir
from fas.data.audio import CONTAINERS
from fas.errors import AudioError, DataError

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".au"}  # and audio.CONTAINERS


def sets(inputs: list[str], language: str | None) -> Iterator[datadir.DataDir | Exception]:
    """The inputs as sets to predict together, and what is wrong with those that can't be used."""
    if inputs == ["-"]:
        yield from usable((line.rstrip("\n") for line in sys.stdin if line.strip()), language, 1)
        return
    kinds = itertools.groupby(inputs, lambda name: (Path(name) / "wav.scp").exists())
    for is_set, names in kinds:
        if is_set:
            yield from (datadir.read(Path(name)) for name in names)
        else:
            yield from usable(itertools.chain.from_iterable(map(within, names)), language, AT_ONCE)


def within(name: str) -> Iterable[str]:
    """The audio files of a folder and of those in it, or the file itself. Raises DataError for an empty folder."""
    if not Path(name).is_dir():
        return [name]
    found = [str(p) for p in sorted(Path(name).rglob("*")) if p.suffix.lower() in (*SUFFIXES, *CONTAINERS)]
    if not found:
        raise DataError([f"{name}: no audio file in this folder"])
    return found


def usable(paths: Iterable[str], language: str | None, at_once: int) -> Iterator[datadir.DataDir | Exception]:
    """Files that can be decoded, some at once, and the error of each that can't."""
    good: list[str] = []
    for path in paths:
        try:
            files([path], language)
            good.append(path)
        except AudioError as e:
            yield e
        if len(good) == at_once:
            yield files(good, language)
            good = []
    if good:
        yield files(good, language)
