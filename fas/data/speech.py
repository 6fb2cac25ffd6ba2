"""Where somebody speaks: voice activity by silero-vad, and recordings cut into pieces at the pauses.

silero-vad (MIT) is a small recurrent network. Its weights come with its wheel; onnxruntime runs them block by block, so
that a recording of any length takes little memory.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

FRAME = 512  # samples at 16 kHz (32 ms) that silero-vad judges at a time
CONTEXT = 64  # samples before them that it sees too
SECONDS = FRAME / 16_000
ON, OFF = 0.3, 0.2  # probability from where on it is speech, and below which it is no longer (chosen: benchmarks/)
PAUSE = 11  # frames (0.35 s) without speech that end a piece
PAD = 3  # frames (0.1 s) kept on both sides of speech
BLIP = 4  # frames (0.13 s); what is shorter is a click and no speech
SHORT = 40  # frames (1.3 s); a shorter piece is joined to its neighbour, or widened
NEAR = 20  # frames (0.6 s); as far as a neighbour may be
LONGEST = 468  # frames (15 s); a longer piece is divided at its quietest place
AT_ONCE = 8  # seconds that are judged together
QUIET = 5  # frames (0.16 s) over which the loudness is averaged to find it


class VoiceActivity:
    """silero-vad's probability that somebody speaks, for each 32 ms of a sound that comes in blocks."""

    def __init__(self) -> None:
        import onnxruntime

        # not through its package, whose import sets torch to one thread
        weights = Path(importlib.util.find_spec("silero_vad").origin).parent / "data" / "silero_vad_16k_sequence.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self.hidden = self.cell = np.zeros((1, 1, 128), np.float32)
        self.before = np.zeros(CONTEXT, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(512 * n,) float32 at 16 kHz, that follow those of the last call -> (n,)."""
        joined = np.concatenate([self.before, samples])
        self.before = joined[-CONTEXT:]
        frames = np.lib.stride_tricks.sliding_window_view(joined, CONTEXT + FRAME)[::FRAME]
        state = {"input": np.ascontiguousarray(frames), "h": self.hidden, "c": self.cell}
        speech, self.hidden, self.cell = self.session.run(["speech_probs", "hn", "cn"], state)
        return speech.reshape(-1)


def loudness(samples: np.ndarray) -> np.ndarray:
    """(512 * n,) -> mean square of each frame (n,)."""
    return np.square(samples.reshape(-1, FRAME), dtype=np.float64).mean(1)


class Cutter:
    """Frames' speech probabilities, as they come, into pieces of speech (start, end) in frames.

    A piece is closed by a pause of 0.35 s, and by 15 s, then at its quietest place. One of less than 1.3 s is
    joined to the nearer neighbour within 0.6 s, or else widened to 1.3 s.
    """

    def __init__(self) -> None:
        self.now = 0
        self.start: int | None = None  # of the speech that goes on
        self.last = 0  # end of its last frame of speech
        self.divided = False  # whether it goes on behind a division
        self.levels: list[float] = []  # loudness of its frames
        self.held: list[tuple[int, int]] = []  # pieces that a short one may yet be joined to, the last three at most
        self.given = 0  # end of the last piece that was handed out

    def feed(self, speech: np.ndarray, levels: np.ndarray) -> Iterator[tuple[int, int]]:
        """Probabilities and mean squares of the next frames -> the pieces that are certain by now."""
        for probability, level in zip(speech.tolist(), levels.tolist(), strict=True):
            if probability >= (ON if self.start is None else OFF):
                if self.start is None:
                    self.start, self.levels, self.divided = self.now, [], False
                self.last = self.now + 1
            self.now += 1
            if self.start is None:
                continue
            self.levels.append(level)
            if self.now - self.last >= PAUSE:
                yield from self._close()
            elif self.now - self.start >= LONGEST - 2 * PAD:
                yield from self._divide()
        if self.start is None and self.held and self.now - self.held[-1][1] > NEAR:
            yield from self._release(self.held)

    def finish(self) -> Iterator[tuple[int, int]]:
        """The pieces that were waiting for what would follow them."""
        if self.start is not None:
            yield from self._close()
        yield from self._release(self.held)

    @property
    def oldest(self) -> int:
        """No piece that is still to come begins before this frame."""
        going = self.now if self.start is None else self.start
        return max(self.given, min([going, *(first for first, _ in self.held)]) - SHORT)

    def _close(self) -> Iterator[tuple[int, int]]:
        first, last = self.start, self.last
        self.start = None
        if last - first >= BLIP:
            yield from self._add(first if self.divided else max(0, first - PAD), min(self.now, last + PAD))

    def _divide(self) -> Iterator[tuple[int, int]]:
        """Cut at the quietest place of the second half."""
        half = len(self.levels) // 2
        smooth = np.convolve(self.levels[half:], np.full(QUIET, 1 / QUIET), "valid")
        place = self.start + half + int(smooth.argmin()) + QUIET // 2
        first = self.start if self.divided else max(0, self.start - PAD)
        self.levels = self.levels[place - self.start :]
        self.start, self.divided = place, True
        yield from self._add(first, place)

    def _add(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        self.held.append((first, last))
        if len(self.held) > 1 and is_short(self.held[-2]):
            before = self.held[-3] if len(self.held) > 2 else None
            self._join(before, self.held[-2], self.held[-1])
        if not is_short(self.held[-1]):
            yield from self._release(self.held[:-1])
        else:
            yield from self._release(self.held[:-2])

    def _join(self, before: tuple[int, int] | None, short: tuple[int, int], after: tuple[int, int]) -> None:
        """Put the short last piece but one to the nearer of its neighbours, if one is near enough."""
        gaps = {}
        if before and fits(before, short):
            gaps["before"] = short[0] - before[1]
        if fits(short, after):
            gaps["after"] = after[0] - short[1]
        if gaps and min(gaps, key=gaps.get) == "before":
            self.held[-3:] = [(before[0], short[1]), after]
        elif gaps:
            self.held[-2:] = [(short[0], after[1])]

    def _release(self, pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Hand out the first of the held pieces, widened where they are too short."""
        pieces = list(pieces)
        if len(pieces) == len(self.held) and len(pieces) > 1 and is_short(pieces[-1]) and fits(*pieces[-2:]):
            pieces[-2:] = [(pieces[-2][0], pieces[-1][1])]
            self.held = []
        else:
            self.held = self.held[len(pieces) :]
        following = [first for first, _ in [*pieces[1:], *self.held]]
        if len(following) < len(pieces):
            following.append(self.now if self.start is None else self.start)
        for (first, last), limit in zip(pieces, following, strict=False):
            lacking = max(0, SHORT - (last - first))
            first = max(self.given, first - (lacking + 1) // 2)
            last = max(last, min(limit, first + SHORT)) if lacking else last
            self.given = last
            yield first, last


def is_short(piece: tuple[int, int]) -> bool:
    return piece[1] - piece[0] < SHORT


def fits(left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether two pieces are near enough to be joined, and together not too long."""
    return right[0] - left[1] <= NEAR and right[1] - left[0] <= LONGEST


class Detector:
    """Pieces of speech in a sound that comes in blocks of any length, as soon as they are certain.

    oldest: seconds; no piece that is still to come begins before.
    """

    def __init__(self) -> None:
        self.activity, self.cutter = VoiceActivity(), Cutter()
        self.left, self.total = np.zeros(0, np.float32), 0

    def feed(self, samples: np.ndarray) -> Iterator[tuple[float, float]]:
        """(n,) at 16 kHz, that follow those of the last call -> (start, end) in seconds of each piece."""
        self.total += len(samples)
        yield from self._judge(samples)

    def finish(self) -> Iterator[tuple[float, float]]:
        """The pieces that were waiting for what would follow them."""
        yield from self._judge(np.zeros(-len(self.left) % FRAME, np.float32))
        yield from self._seconds(self.cutter.finish())

    @property
    def oldest(self) -> float:
        return self.cutter.oldest * SECONDS

    def _judge(self, samples: np.ndarray) -> Iterator[tuple[float, float]]:
        joined = np.concatenate([self.left, samples])
        whole = len(joined) // FRAME * FRAME
        self.left = joined[whole:]
        if whole:
            yield from self._seconds(self.cutter.feed(self.activity(joined[:whole]), loudness(joined[:whole])))

    def _seconds(self, pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[float, float]]:
        for first, last in pieces:
            yield first * SECONDS, min(last * SECONDS, self.total / 16_000)
