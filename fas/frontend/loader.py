"""The audio of a conf's utterances, decoded ahead of the encoder by a few threads."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import AudioError

THREADS = 4  # decoders of one job at the most
AHEAD = 600.0  # seconds of audio decoded and waiting (38 MB at 16 kHz)


class Loader:
    """Utterance -> (samples,) float32 at `rate` Hz, as the conf wants them; within `ahead`, decoded in advance."""

    def __init__(self, data: DataDir, settings: Any, pipes: bool, rate: int = audio.SAMPLE_RATE):
        self.data, self.settings, self.pipes, self.rate = data, settings, pipes, rate
        self.waiting: dict[str, Future] = {}
        self.order: Iterator[str] = iter(())
        self.seconds = 0.0
        self.pool: ThreadPoolExecutor | None = None

    def __call__(self, utt: str) -> np.ndarray:
        """Raises AudioError that names the utterance."""
        future = self.waiting.pop(utt, None)
        if future is None:  # a second try of a batch, or no one decodes ahead
            return self._load(utt)
        self.seconds -= self.data.utt2dur[utt]
        self._fill()
        return future.result()

    @contextlib.contextmanager
    def ahead(self, utts: Iterable[str]) -> Iterator[None]:
        """Decode these, in the order in which they will be asked for, while the block works on what is there."""
        threads = int(os.environ.get("FAS_THREADS") or len(os.sched_getaffinity(0)))
        self.order = iter(utts)
        self.pool = ThreadPoolExecutor(min(THREADS, threads), "decoder")
        try:
            self._fill()
            yield
        finally:
            self.order = iter(())
            self.pool.shutdown(cancel_futures=True)
            self.pool, self.seconds = None, 0.0
            self.waiting.clear()

    def _fill(self) -> None:
        while self.pool is not None and self.seconds < AHEAD and (utt := next(self.order, None)) is not None:
            self.waiting[utt] = self.pool.submit(self._load, utt)
            self.seconds += self.data.utt2dur[utt]

    def _load(self, utt: str) -> np.ndarray:
        try:
            place = self.data.place(utt)
            cut, level = self.settings.trim_db, self.settings.rms_dbfs
            return audio.load(place, cut, level, self.pipes, self.rate, self.data.channel.get(utt))
        except AudioError as e:
            raise AudioError(f"utterance {utt!r}: {e}") from None
