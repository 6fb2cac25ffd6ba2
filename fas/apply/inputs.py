"""What `fas predict` is given: files, folders, data directories and recordings, and what of it can't be used."""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fas import stamp
from fas.apply.predict import AT_ONCE, files
from fas.apply.recording import WHOLE, clock
from fas.data import audio, datadir
from fas.data.stream import Recording
from fas.errors import AudioError, DataError

SHOWN = 10  # names of passed-over files


def sets(args: argparse.Namespace) -> Iterator[datadir.DataDir | Recording | Exception]:
    """The inputs as sets to predict together, as recordings to follow, and what is wrong with those of no use."""
    if args.inputs == ["-"]:
        sys.stdin.reconfigure(errors="surrogateescape")  # a name that is not UTF-8 is named, as on the command line
        yield from usable((line.rstrip("\r\n") for line in sys.stdin if line.strip()), args, 1)
        return
    kinds = itertools.groupby(args.inputs, lambda name: (Path(name) / "wav.scp").exists())
    for is_set, names in kinds:
        if is_set:
            yield from (datadir.read(Path(name)) for name in names)
        else:
            yield from usable(itertools.chain.from_iterable(map(within, names)), args, AT_ONCE)


def within(name: str) -> Iterable[str]:
    """The audio files of a folder and of those in it, or the file itself. Raises DataError for an empty folder.

    What is passed over is said.
    """
    if not Path(name).is_dir():
        return [name]
    every = audio.files_below(Path(name))
    found = [str(p) for p in every if p.suffix.lower() in audio.SUFFIXES]
    if others := [p for p in every if p.suffix.lower() not in audio.SUFFIXES]:
        shown = ", ".join(str(p) for p in others[:SHOWN]) + ", ..." * (len(others) > SHOWN)
        stamp.log(f"{name}: passed over, no audio by the name ({len(others)}): {shown}")
    if not found:
        raise DataError([f"{name}: no audio file in this folder"])
    return found


def usable(
    paths: Iterable[str], args: argparse.Namespace, at_once: int
) -> Iterator[datadir.DataDir | Recording | Exception]:
    """Utterances that can be decoded, some at once, recordings, and the error of each file that can't be used."""
    good: list[datadir.DataDir] = []
    for path in paths:
        try:
            recording = Recording(path, args.channel)
            long = recording.seconds > WHOLE
            if args.segments != "none" and (long or args.segments or args.page):
                if good:
                    yield datadir.combine(good)
                    good = []
                yield recording
                continue
            if long:
                lasts = f"{path}: {clock(recording.seconds)} as one utterance"
                stamp.log(f"{lasts}: no figure beyond {WHOLE:g} s was measured; --segments vad cuts it")
            if any(path in part.wav for part in good):  # named twice
                yield datadir.combine(good)
                good = []
            good.append(files([path], args.language, args.channel))
        except (AudioError, DataError) as e:
            yield e
        if len(good) == at_once:
            yield datadir.combine(good)
            good = []
    if good:
        yield datadir.combine(good)
