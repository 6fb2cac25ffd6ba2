"""A recording of minutes or hours: cut into pieces, each judged by an exported model as it comes.

    for piece in FAS.load("model").predict_recording("call.wav"):
        print(piece.start, piece.end, piece.label, piece.conflict)
"""

import dataclasses
import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fas.apply.prediction import Prediction
from fas.data import audio, segments, stream
from fas.data.datadir import DataDir
from fas.data.stream import Piece, Recording
from fas.errors import AudioError, ConfError
from fas.report import timeline

Predict = Callable[[DataDir, Iterable[str]], Iterator[Prediction]]  # a set, the labels allowed: `FAS.predict_set`

WHOLE = 30.0  # seconds up to which a file is one utterance; Whisper's window, beyond which no figure was measured
FIRST, AT_ONCE = 4, 32  # pieces that are encoded together: at first few, so that there is soon an answer
TOLD = 5  # conflicts that a summary names


def pieces(recording: Recording, how: str) -> Iterator[Piece]:
    """Cut by `how`: vad, fixed:WINDOW:HOP (seconds), none, or a file of Kaldi's segments, RTTM or a TextGrid.

    Raises ConfError, DataError, AudioError.
    """
    if how == "vad":
        return stream.by_voice(recording)
    if how == "none":
        if recording.seconds > audio.LONGEST:
            lasts = f"lasts {recording.seconds:g} s, which is too long for one label"
            raise AudioError(f"{recording.path}: {lasts}; use --segments vad")
        return stream.by_times(recording, [(0.0, segments.TO_THE_END, "")])
    if how.startswith("fixed:"):
        window, hop = windows(how)
        return stream.by_windows(recording, window, hop)
    if not Path(how).is_file():
        raise ConfError(f"--segments {how}: take vad, fixed:WINDOW:HOP, none, or a file that is there")
    listed = segments.read(Path(how), Path(recording.path).stem)
    return stream.by_times(recording, [(s.start, s.end, s.speaker) for s in listed])


def windows(how: str) -> tuple[float, float]:
    """Window and hop in seconds of "fixed:4:2". Raises ConfError."""
    numbers = re.fullmatch(r"fixed:(\d+\.?\d*):(\d+\.?\d*)", how)
    window, hop = map(float, numbers.groups()) if numbers else (0.0, 0.0)
    if not (0.5 <= window <= WHOLE and 0 < hop <= window):
        raise ConfError(f"--segments {how}: is not fixed:WINDOW:HOP with a window of 0.5 to 30 s and a hop no longer")
    return window, hop


def judge(
    predict: Predict, recording: Recording, how: str, language: str | None = None, labels: Iterable[str] = ()
) -> Iterator[Prediction]:
    """The predictions of a recording's pieces, in order, each as soon as its batch is done. Raises as `pieces` does."""
    batch: list[Piece] = []
    size = FIRST
    for piece in pieces(recording, how):
        batch.append(piece)
        if len(batch) == size:
            yield from _together(predict, recording, batch, language, labels)
            batch, size = [], min(2 * size, AT_ONCE)
    if batch:
        yield from _together(predict, recording, batch, language, labels)


def _together(
    predict: Predict, recording: Recording, batch: list[Piece], language: str | None, labels: Iterable[str]
) -> Iterator[Prediction]:
    data = DataDir("", {}, {}, {}, {})
    for number, piece in enumerate(batch):
        name = f"{number:04d}"
        data.wav[name], data.held[name] = recording.path, piece.sound
        data.utt2dur[name] = len(piece.sound.mono) / piece.sound.rate
        if language:
            data.utt2lang[name] = language
    for piece, said in zip(batch, predict(data, labels), strict=True):
        where = {"start": piece.start, "seconds": piece.end - piece.start, "part": True}
        whose = {"channel": recording.channel, "speaker": piece.speaker}
        yield dataclasses.replace(said, name=recording.path, **where, **whose)


class Timeline:
    """A recording's pieces: each is judged as the iteration comes to it, and kept. A notebook shows all of them."""

    def __init__(
        self,
        predict: Predict,
        known: list[str],
        path: str | Path,
        how: str = "vad",
        language: str | None = None,
        labels: Iterable[str] = (),
        channel: int | None = None,
    ):
        self.labels, self.recording = known, Recording(path, channel)
        self.pieces: list[Prediction] = []
        self._coming = judge(predict, self.recording, how, language, labels)

    def __iter__(self) -> Iterator[Prediction]:
        known = 0
        while known < len(self.pieces) or (said := next(self._coming, None)):
            if known == len(self.pieces):
                self.pieces.append(said)
            yield self.pieces[known]
            known += 1

    @property
    def summary(self) -> "Summary":
        """Of all pieces."""
        made = Summary()
        for said in self:
            made.add(said)
        return made

    @property
    def picture(self) -> timeline.Picture:
        """What a page shows of it."""
        return picture(self.recording, list(self), self.labels)

    def _repr_html_(self) -> str:
        return timeline.fragment(self.picture)


@dataclass
class Summary:
    """What a recording holds in sum: seconds of speech, seconds of each emotion, and the conflicts.

    longest: heap of (seconds, start, what) of the longest conflicts.
    """

    pieces: int = 0
    speech: float = 0.0
    by_emotion: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    in_conflict: float = 0.0
    known: bool = False
    longest: list[tuple[float, float, str]] = field(default_factory=list)
    covered: float = 0.0

    def add(self, said: Prediction) -> None:
        self.pieces += 1
        fresh = max(0.0, said.end - max(said.start, self.covered))  # windows overlap
        self.covered = max(self.covered, said.end)
        self.speech += fresh
        self.by_emotion[said.label] += said.seconds
        self.known |= said.conflict is not None
        if said.conflict:
            self.conflicts += 1
            self.in_conflict += fresh
            won = {"voice": "the voice won", "words": "the words won"}.get(said.winner or "", "neither won")
            what = f"voice {said.voice.label}, words {said.words.label}, {won}"
            heapq.heappush(self.longest, (said.seconds, said.start, what))
            if len(self.longest) > TOLD:
                heapq.heappop(self.longest)

    def lines(self, name: str, seconds: float) -> list[str]:
        """To read, behind the pieces."""
        if not self.pieces:
            return [f"{name}: no speech found in its {clock(seconds)}; --segments fixed:4:2 judges it all the same"]
        total = sum(self.by_emotion.values())
        shares = ", ".join(f"{e} {100 * s / total:.0f} %" for e, s in self.by_emotion.most_common())
        head = f"{name}: {clock(self.speech)} in {self.pieces} pieces of its {clock(seconds)}: {shares}"
        if not self.known:
            return [head]
        if not self.conflicts:
            return [head, "no conflict of tone and words"]
        told = f"{self.conflicts} conflicts of tone and words, {clock(self.in_conflict)} in all; the longest:"
        longest = sorted(self.longest, reverse=True)
        return [head, told, *(f"  {clock(start)} to {clock(start + s)}: {what}" for s, start, what in longest)]


def picture(recording: Recording, said: list[Prediction], labels: list[str]) -> timeline.Picture:
    """What the page shows of a recording that was judged."""
    summary = Summary()
    for one in said:
        summary.add(one)
    total = sum(summary.by_emotion.values())
    facts = [clock(recording.done), f"{clock(summary.speech)} of speech in {summary.pieces} pieces"]
    if summary.known:
        facts.append(f"{summary.conflicts} conflicts of tone and words, {clock(summary.in_conflict)} in all")
    pieces = [
        {
            "start": p.start,
            "end": p.end,
            "speaker": p.speaker,
            "label": p.label,
            "voice": p.voice.label if p.voice else None,
            "words": p.words.label if p.words else None,
            "heard": p.heard,
            "conflict": bool(p.conflict),
            "probability": p.conflict_probability,
            "winner": p.winner,
        }
        for p in said
    ]
    shares = {e: s / total for e, s in summary.by_emotion.most_common()}
    name = Path(recording.path).name
    shown = (name, recording.path, recording.done, labels, pieces, recording.broken, facts, shares)
    return timeline.Picture(*shown, recording.channel)


def clock(seconds: float) -> str:
    """1:02:03.4, or 2:03.4.

    >>> clock(123.44), clock(3723.04)
    ('2:03.4', '1:02:03.0')
    """
    tenths = round(10 * seconds)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{rest // 10:02d}.{rest % 10}"
