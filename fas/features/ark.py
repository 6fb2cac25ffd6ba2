"""Feature arks: float16 matrices through kaldiio, read without ever running a pipe or a pickle."""

import contextlib
from pathlib import Path
from typing import BinaryIO

import kaldiio
import numpy as np
from kaldiio.matio import read_kaldi

from fas import stamp
from fas.data import tables
from fas.errors import ArkError, DataError

FRAME_SHIFT = "frame_shift"  # file beside the tables, as in Kaldi's data directories: seconds from frame to frame


def append(ark: BinaryIO, utt: str, frames: np.ndarray) -> int:
    """Append one (frames, width) matrix in its own dtype; returns the offset that an scp line names."""
    offset = ark.tell() + len(utt.encode()) + 1
    kaldiio.save_ark(ark, {utt: frames}, write_function="numpy")
    return offset


def read_scp(path: Path) -> dict[str, tuple[str, int]]:
    """feats.scp -> utterance to (ark, byte offset). Raises DataError for lines that are not `utt ark:offset`."""
    locations, problems, places = {}, [], {}
    for utt, value in tables.read_table(path).items():
        ark, _, offset = value.rpartition(":")
        if not ark or not offset.isdigit() or "|" in value:
            problems.append(f"{path}: utterance {utt!r} has {value!r}, not ark:offset; extract the features again")
        else:
            if ark not in places:  # a project that was moved as a whole has its arks beside their tables
                beside = path.parent / Path(ark).name
                places[ark] = str(beside) if beside.exists() and not Path(ark).exists() else ark
            locations[utt] = (places[ark], int(offset))
    if problems:
        raise DataError(problems)
    return locations


def digest(folder: Path) -> str:
    """Identity of a feature folder: its table's content and its arks' sizes and times."""
    scp = folder / "feats.scp"
    arks = sorted({a for a, _ in read_scp(scp).values()})
    return stamp.digest(stamp.digest_file(scp), *(stamp.stat_line(a) for a in arks))


def frame_shift(folder: Path) -> float | None:
    """Seconds from frame to frame of a feature folder; None where its extraction did not say."""
    for place in (folder, folder.parent):
        with contextlib.suppress(OSError, ValueError):
            return float((place / FRAME_SHIFT).read_text())
    return None


def verify(folder: Path) -> None:
    """Compare what extraction wrote with its checksums; where it differs, take the marks away and raise ArkError.

    The stage run again makes the damaged jobs' parts again and no others.
    """
    out = next((f for f in (folder, folder.parent) if (f / stamp.DONE).exists()), folder)
    bad = []
    for mark in sorted(out.glob(".done.[0-9]*.json")):
        if found := stamp.damaged(folder, out, mark.name):
            bad += found
            mark.unlink()
    if bad:
        stamp.unmark(out)
        files = ", ".join(map(str, bad))
        raise ArkError(f"{files}: not the bytes that were written; run the stage that writes {out} again")


class Reader:
    """Random access to the matrices of a feats.scp; arks stay open between reads."""

    def __init__(self, scp: Path):
        self.scp = scp
        self.locations = read_scp(scp)
        self.open: dict[str, BinaryIO] = {}

    def __getitem__(self, utt: str) -> np.ndarray:
        """(frames, width) of one utterance. Raises ArkError."""
        if utt not in self.locations:
            raise ArkError(f"{self.scp}: no utterance {utt!r}; extract features of the set it belongs to")
        ark, offset = self.locations[utt]
        try:
            if ark not in self.open:
                self.open[ark] = Path(ark).open("rb")  # noqa: SIM115 (closed by __exit__)
            file = self.open[ark]
            file.seek(offset)
            if file.read(3) not in (b"NPY", b"\0BF", b"\0BD", b"\0BC"):
                raise ValueError("no matrix at this offset")
            file.seek(offset)
            frames = read_kaldi(file)
            if not isinstance(frames, np.ndarray) or frames.ndim != 2:
                raise ValueError("not a matrix")
        except Exception as e:  # numpy raises many kinds for a damaged header
            why = str(e) or type(e).__name__
            raise ArkError(f"{ark}:{offset}: utterance {utt!r} can't be read ({why}); extract it again") from e
        return frames

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.open.values():
            file.close()
