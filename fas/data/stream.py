"""A recording of any length, block by block in flat memory, and the stretches that are taken out of it as it passes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fas.data import audio, mix, speech
from fas.data.decoders import open_sound
from fas.errors import AudioError

KEPT = 2.0  # seconds of sound before the earliest stretch that may yet be asked for


@dataclass
class Piece:
    """A stretch of a recording: from when to when in seconds, its sound, and who speaks."""

    start: float
    end: float
    sound: mix.Held
    speaker: str = ""


class Recording:
    """A file as a stream of mono blocks at its own rate.

    What can't be decoded is silence, and stands in `broken` with its times (from, to, why) once it has passed. done:
    the seconds that have passed; seconds: by the header, or decoded where that does not say. Raises AudioError for a
    file of which nothing can be used.
    """

    def __init__(self, path: str | Path, channel: int | None = None):
        self.path, self.channel = str(path), channel
        self.broken: list[tuple[float, float, str]] = []
        self.done = 0.0
        with open_sound(self.path) as sound:
            self.rate, seconds = sound.rate, sound.seconds
        self.seconds: float = audio.check(self.path) if seconds is None else seconds

    def blocks(self) -> Iterator[np.ndarray]:
        """(n,) float32 each."""
        done = 0
        try:
            with open_sound(self.path) as sound:
                for block in mix.mono_blocks(self.path, sound, self.channel, self._tell):
                    done += len(block)
                    self.done = done / self.rate
                    yield block
            return
        except AudioError as e:
            why = str(e).removeprefix(f"{self.path}: ")
        yield from self._rest(done, why)

    def _rest(self, done: int, why: str) -> Iterator[np.ndarray]:
        """What PyAV still finds behind the first `done` samples, where libsndfile has ended or given up."""
        passed, failed = 0, done / self.rate
        try:
            with open_sound(self.path, broken=self._tell) as sound:
                for block in mix.mono_blocks(self.path, sound, self.channel, self._tell):
                    passed += len(block)
                    if passed > done:
                        fresh = block[-(passed - done) :]
                        done = passed
                        self.done = done / self.rate
                        yield fresh
        except AudioError as e:
            if not done:
                raise
            why = str(e).removeprefix(f"{self.path}: ")
        if self.done < self.seconds - 1:
            self.broken.append((self.done, self.seconds, why))
        elif not self.broken:
            self.broken.append((failed, failed + max(0.0, self.seconds - self.done), why))

    def _tell(self, start: float, end: float, why: str) -> None:
        last = self.broken[-1] if self.broken else None
        if last and start - last[1] < 1.0:  # one fault, told frame by frame
            if end > last[1]:
                self.broken[-1] = (last[0], end, last[2])
        else:
            self.broken.append((start, end, why))


class Tail:
    """The sound that has just passed, of which stretches are cut."""

    def __init__(self, recording: Recording):
        self.rate, self.path = recording.rate, recording.path
        self.first, self.blocks, self.last = 0, [], 0  # samples of the recording

    def append(self, block: np.ndarray) -> None:
        self.blocks.append(block)
        self.last += len(block)

    def forget(self, before: float) -> None:
        """Let go of what lies before a time in seconds."""
        while self.blocks and self.first + len(self.blocks[0]) < (before - KEPT) * self.rate:
            self.first += len(self.blocks.pop(0))

    def cut(self, start: float, end: float, speaker: str = "") -> Piece | None:
        """The samples that `fas.data.clips.cut` gives of the stretch; None where the recording has none of it."""
        first, last = round(start * self.rate), min(round(end * self.rate), self.last)
        if last <= first:
            return None
        mono = np.concatenate(self.blocks)[first - self.first : last - self.first]
        sound = mix.Held(np.ascontiguousarray(mono, dtype=np.float32), self.rate)
        return Piece(start, min(end, self.last / self.rate), sound, speaker)


def by_voice(recording: Recording) -> Iterator[Piece]:
    """The pieces where somebody speaks, cut at pauses (see fas.data.speech)."""
    import soxr

    tail, detector = Tail(recording), speech.Detector()
    same = recording.rate == audio.SAMPLE_RATE
    converter = None if same else soxr.ResampleStream(recording.rate, audio.SAMPLE_RATE, 1, dtype="float32")
    for block in recording.blocks():
        for part in np.array_split(block, max(1, len(block) // (speech.AT_ONCE * recording.rate))):
            tail.append(part)
            heard = part if converter is None else converter.resample_chunk(np.ascontiguousarray(part, np.float32))
            for start, end in detector.feed(heard):
                yield tail.cut(start, end)
            tail.forget(detector.oldest)
    if converter is not None:
        for start, end in detector.feed(converter.resample_chunk(np.zeros(0, np.float32), last=True)):
            yield tail.cut(start, end)
    for start, end in detector.finish():
        if piece := tail.cut(start, end):
            yield piece


def by_times(recording: Recording, wanted: Iterable[tuple[float, float, str]]) -> Iterator[Piece]:
    """The stretches (start, end, speaker), which come in the order of their start; end -1: to the recording's end.

    Raises AudioError for one that lies beyond the recording.
    """
    tail, blocks, over = Tail(recording), recording.blocks(), False
    for start, end, speaker in wanted:
        tail.forget(start)
        until = float("inf") if end < 0 else end
        while not over and tail.last < until * tail.rate:
            block = next(blocks, None)
            over = block is None
            if not over:
                tail.append(block)
                tail.forget(start)
        seconds = tail.last / tail.rate
        if over and (start >= seconds or (end > seconds + mix.OVERSHOOT)):
            asked = f"a stretch from {start:g} to {end:g} s is asked for; mend its times"
            raise AudioError(f"{recording.path}: lasts {seconds:g} s, where {asked}")
        if piece := tail.cut(start, min(until, seconds), speaker):
            yield piece
    for _ in blocks:  # a fault behind the last stretch is told too
        pass


def by_windows(recording: Recording, window: float, hop: float) -> Iterator[Piece]:
    """Windows of a fixed length, `hop` seconds from start to start; the last is cut short by the recording's end."""
    tail, blocks, over, number, covered = Tail(recording), recording.blocks(), False, 0, 0.0
    while True:
        start = number * hop
        while not over and tail.last < (start + window) * tail.rate:
            block = next(blocks, None)
            over = block is None
            if not over:
                tail.append(block)
                tail.forget(start)
        piece = tail.cut(start, start + window)
        if not piece or (over and tail.last <= round(covered * tail.rate)):
            return
        covered = piece.end
        yield piece
        number += 1
