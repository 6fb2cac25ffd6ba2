"""Stretches of recordings as people write them down: Kaldi's segments, RTTM with speakers, Praat's TextGrid."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fas.data import mix
from fas.data.tables import read_table
from fas.errors import DataError

TO_THE_END = -1.0


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording, in seconds (end -1: to its end), and who speaks in it, where that is known."""

    recording: str
    start: float
    end: float
    speaker: str = ""

    def __str__(self) -> str:
        """As a line of Kaldi's segments has it, behind the utterance."""
        return f"{self.recording} {seconds(self.start)} {seconds(self.end)}"

    @property
    def problem(self) -> str | None:
        """What is wrong with its times."""
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            return "has a time that is no number of seconds"
        if self.start < 0:
            return f"starts at {self.start:g} s, before its recording"
        if self.end != TO_THE_END and self.end <= self.start:
            return f"ends at {self.end:g} s, but starts at {self.start:g} s"
        return None


def seconds(value: float) -> str:
    """A time to the microsecond, without needless zeros."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def parse(lines: Iterable[tuple[str, str]], path: Path) -> tuple[dict[str, Segment], list[str]]:
    """Utterance and rest of each line of Kaldi's segments -> the segments, and every problem of them."""
    made: dict[str, Segment] = {}
    problems = []
    for utt, rest in lines:
        fields = rest.split()
        try:
            recording, start, end = fields
            segment = Segment(recording, float(start), float(end))
        except ValueError:
            problems.append(f"{path}: utterance {utt!r}: {rest!r} is not: recording, start, end in seconds")
            continue
        if segment.problem:
            problems.append(f"{path}: utterance {utt!r} {segment.problem}; mend it or drop the utterance")
        else:
            made[utt] = segment
    return made, problems


def cut_up(
    path: Path, lines: dict[str, str], wav: dict[str, str]
) -> tuple[dict[str, str], dict[str, Segment], list[str]]:
    """The tables segments and wav.scp of a data directory -> utterance -> file, utterance -> segment, every problem.

    Kaldi's rule: both name the same recordings. Without a file `segments` the keys of wav.scp are utterances.
    """
    if not (path / "segments").exists():
        return wav, {}, []
    cuts, problems = parse(lines.items(), path / "segments")
    named = {s.recording for s in cuts.values()}
    mend = "mend one of the two, or drop what does not belong with utils/fix_data_dir.sh"
    problems += [f"{path / 'segments'}: recording {r!r} is not in wav.scp; {mend}" for r in sorted(named - wav.keys())]
    problems += [f"{path / 'wav.scp'}: recording {r!r} is not in segments; {mend}" for r in sorted(wav.keys() - named)]
    known = {u: s for u, s in cuts.items() if s.recording in wav}
    return {u: wav[s.recording] for u, s in known.items()}, known, problems


def wrong_recordings(path: Path, cuts: dict[str, Segment], wav: dict[str, str], files: dict[str, str]) -> list[str]:
    """Segments whose recording's name stands for another file too (`files`), as when sets are put together."""
    return [
        f"{path / 'segments'}: utterance {u!r}: the recording {s.recording!r} is two files; rename one"
        for u, s in cuts.items()
        if wav.get(u) != files[s.recording]
    ]


def places(path: Path) -> dict[str, mix.Place]:
    """Utterance -> what `audio.read` takes for it, of a data directory of which nothing else is read."""
    lines = read_table(path / "segments") if (path / "segments").exists() else {}
    wav, cuts, problems = cut_up(path, lines, read_table(path / "wav.scp"))
    if problems:
        raise DataError(problems)
    return wav | {u: mix.Clip(wav[u], s.start, s.end) for u, s in cuts.items()}


def read(path: Path, recording: str) -> list[Segment]:
    """The stretches of one recording by a file of any of the three kinds, in the order of their start.

    recording: the file's name without suffix, for those of an RTTM file or Kaldi's segments that name several; where
    they name one alone, that is taken to be it. TextGrid: each interval tier is a speaker, its labelled intervals are
    the stretches. Raises DataError naming file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = ""  # Praat writes UTF-16 too, and praatio reads it
    except OSError as e:
        raise DataError([f"{path}: can't be read ({e.strerror})"]) from None
    if path.suffix.lower() == ".textgrid":
        found = _read_textgrid(path, recording)
    else:
        lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        lines = [(number, fields) for number, fields in lines if not fields[0].startswith(";;")]
        rttm = path.suffix.lower() == ".rttm" or bool(lines and lines[0][1][0] in ("SPEAKER", "SPKR-INFO"))
        found = (_read_rttm if rttm else _read_kaldi)(path, lines)
    names = {s.recording for s in found}
    if len(names) > 1:
        found = [s for s in found if s.recording == recording]
        if not found:
            raise DataError([f"{path}: names {', '.join(sorted(names)[:5])}, and none of them is {recording!r}"])
    if not found:
        raise DataError([f"{path}: no stretch of speech in it; it should be Kaldi's segments, RTTM or a TextGrid"])
    return sorted(found, key=lambda s: (s.start, s.end))


def _read_kaldi(path: Path, lines: list[tuple[int, list[str]]]) -> list[Segment]:
    problems = [f"{path}:{n}: is not: utterance, recording, start, end" for n, fields in lines if len(fields) != 4]
    if problems:
        raise DataError(problems)
    made, problems = parse(((fields[0], " ".join(fields[1:])) for _, fields in lines), path)
    if problems:
        raise DataError(problems)
    return list(made.values())


def _read_rttm(path: Path, lines: list[tuple[int, list[str]]]) -> list[Segment]:
    """NIST's Rich Transcription Time Marked: SPEAKER file channel start duration <NA> <NA> speaker <NA> <NA>."""
    made, problems = [], []
    for number, fields in lines:
        if fields[0] != "SPEAKER":
            continue
        try:
            start, duration = float(fields[3]), float(fields[4])
            segment = Segment(fields[1], start, start + duration, fields[7])
        except (IndexError, ValueError):
            problems.append(f"{path}:{number}: is not: SPEAKER file channel start duration <NA> <NA> speaker ...")
            continue
        if segment.problem:
            problems.append(f"{path}:{number}: the stretch {segment.problem}")
        made.append(segment)
    if problems:
        raise DataError(problems)
    return made


def _read_textgrid(path: Path, recording: str) -> list[Segment]:
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, duplicateNamesMode="rename")
    except (PraatioException, ValueError, IndexError, OSError) as e:
        raise DataError([f"{path}: not readable as a TextGrid ({e}); save it anew from Praat"]) from None
    tiers = [tier for tier in grid.tiers if isinstance(tier, textgrid.IntervalTier)]
    return [
        Segment(recording, start, end, tier.name if len(tiers) > 1 else "")
        for tier in tiers
        for start, end, label in tier.entries
        if label.strip()
    ]
