"""What the encoders of frames share: layers, batches by length with masks, precision, and the GPU's memory.

An encoder is given one utterance at a time, as its own library would be, unless it runs on a GPU or the conf names
batch_seconds. Then utterances of about one length go together, padded behind their ends, and what is padded must not
change what is not: at loading, frames of a batch are compared with those of its utterances alone, and where they differ
the encoder stays with one at a time.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn

from fas import stamp, threads
from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, masked, out_of_memory, precision, weights
from fas.frontend.loader import Loader

SHORTEST = 0.1  # seconds; convolutional encoders give no frame at all below some 25 ms
MOST = 640.0  # seconds of audio in one pass at the most; a GPU is busy with far less
FIRST = 40.0  # seconds in the first pass of the search for what the memory takes
SHARE = 0.6  # of the free memory that a pass may take
SMALL = 500_000  # parameters; below, a second thread gains an encoder next to nothing and costs decoders theirs
ALIKE = 1e-3  # of the largest value, by which frames of a padded batch may differ from those alone, in float32


def choose_layer(hidden: list[Tensor], layer: object) -> Tensor:
    """Hidden states, each (B, T, D) -> one layer, the mean of all, or a list of layers side by side (B, T, n * D)."""
    if layer == "mean":
        return torch.stack(list(hidden)).mean(0)
    chosen = layer if isinstance(layer, list) else [layer]
    for index in chosen:
        if isinstance(index, bool) or not isinstance(index, int) or not -len(hidden) <= index < len(hidden):
            raise ConfError(f"layer {index!r}: the encoder has layers 0 to {len(hidden) - 1}, -1 the last, or mean")
    return torch.cat([hidden[i] for i in chosen], dim=-1)


def noise(seconds: float, rate: int) -> np.ndarray:
    """(samples,) float32 of noise that is always the same: what a model is tried with when it is loaded."""
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def cut(seconds: Sequence[float], limit: float) -> Iterator[tuple[int, int]]:
    """First and last + 1 of consecutive utterances, sorted by length, that padded last `limit` s at the most.

    >>> list(cut([1, 2, 2, 3, 9], 6))
    [(0, 3), (3, 4), (4, 5)]
    """
    first = 0
    while first < len(seconds):
        last = first + 1
        while last < len(seconds) and (last + 1 - first) * seconds[last] <= limit:
            last += 1
        yield first, last
        first = last


class NeuralFrontend:
    """Frames of a frozen encoder.

    A kind gives `states`, sets model, family, frame_shift and, where they differ, rate and layer, and calls `ready`.
    """

    model: nn.Module
    family: str  # by which fas.frontend.precision knows what the encoder bears
    frame_shift: float  # seconds
    rate: int = audio.SAMPLE_RATE  # Hz
    layer: object = -1

    def __init__(self, settings: object, device: str, allow_pipes: bool = False):
        self.settings, self.device, self.allow_pipes = settings, device, allow_pipes
        self.precision = "float32"
        self.together = False  # whether utterances share a pass
        self.rows = masked.Rows(1, 1)
        self.threads: Callable[[], AbstractContextManager] = contextlib.nullcontext
        self.seconds: float | None = settings.batch_seconds

    def states(self, samples: list[np.ndarray]) -> tuple[list[Tensor], list[int]]:
        """Of utterances (n,) float32 at `rate` Hz, several of which are padded and masked: hidden states, each
        (B, T, D), and how many of its row's T frames each utterance has."""
        raise NotImplementedError

    def ready(self, batches: bool = True) -> None:
        """Model to the device, upper layers off, precision; `batches`: whether they may be tried. Raises ConfError."""
        self.model = weights.fold(self.model).to(self.device).eval()
        if sum(p.numel() for p in self.model.parameters()) < SMALL:
            self.threads = threads.one
        self.frames([noise(SHORTEST, self.rate)])  # a layer that isn't there is an error now
        if self.layer != "mean":
            self._leave_out_upper_layers()
        if self.device != "cpu" or self.seconds is not None:
            self.together = batches and self._bears_padding()
            if self.seconds is not None and not self.together:
                raise ConfError(f"batch_seconds: {self.family} takes one utterance at a time; leave it out")
        self.precision = precision.choose(self.settings.precision, self.family, self.device)
        if self.precision == "int8":
            self.model = precision.to_int8(self.model, lambda: self.frames([noise(SHORTEST, self.rate)]))

    def batches(self, data: DataDir) -> list[list[str]]:
        """Single utterances in the set's order, or lists by length, whose passes `encode` fits into the memory."""
        self.audio = Loader(data, self.settings, self.allow_pipes, self.rate)
        if not self.together:
            return [[utt] for utt in data.utts]
        utts = sorted(data.utts, key=data.utt2dur.__getitem__)
        lengths = [data.utt2dur[utt] for utt in utts]
        return [utts[i:j] for i, j in cut(lengths, self.seconds or MOST)]

    def encode(self, batch: list[str]) -> list[Encoded]:
        samples = [self.audio(utt) for utt in batch]
        made: list[Encoded] = [{} for _ in batch]
        if self.together and self.seconds is None:
            self.seconds = self._find_seconds()
        order = sorted(range(len(batch)), key=lambda i: len(samples[i]))
        while order:
            limit = self.seconds if self.together else 0.0
            _, last = next(cut([len(samples[i]) / self.rate for i in order], limit))
            some, order = order[:last], order[last:]
            for i, frames in zip(some, self._fit([samples[k] for k in some]), strict=True):
                made[i] = {".": self._stored(batch[i], frames)}
        return made

    def _stored(self, utt: str, frames: Tensor) -> np.ndarray:
        """(T, D) in the conf's dtype. Raises ConfError for numbers that are none."""
        with np.errstate(over="ignore"):
            stored = frames.float().cpu().numpy().astype(self.settings.dtype)
        if not np.isfinite(stored).all():
            key = "precision" if self.precision == "float16" else "dtype"
            raise ConfError(f"utterance {utt!r}: frames beyond what {self.precision} holds; set {key}: float32")
        return stored

    def _fit(self, samples: list[np.ndarray]) -> list[Tensor]:
        """Frames; a pass that the GPU's memory does not take is halved, and so are those behind it."""
        try:
            return self.frames(samples)
        except Exception as e:
            if len(samples) == 1 or not out_of_memory(e):
                raise
        torch.cuda.empty_cache()
        half = len(samples) // 2
        self.seconds = max(map(len, samples)) / self.rate * half
        stamp.log(f"out of memory with {len(samples)} utterances in a pass; {self.seconds:.0f} s a pass from here on")
        return self._fit(samples[:half]) + self._fit(samples[half:])

    @torch.inference_mode()
    def frames(self, samples: list[np.ndarray]) -> list[Tensor]:
        """Utterances (n,) float32 at `rate` Hz -> (T, D) of the conf's layer of each."""
        least = round(SHORTEST * self.rate)
        samples = [np.pad(s, (0, max(0, least - len(s)))) for s in samples]
        lengths = [len(s) for s in samples]
        with precision.autocast(self.precision, self.device), self.rows.of(lengths), self.threads():
            hidden, counts = self.states(samples)
            chosen = choose_layer(hidden, self.layer)
        return [row[:count] for row, count in zip(chosen, counts, strict=True)]

    def _bears_padding(self) -> bool:
        """Whether the rows of a padded batch have the frames of their utterances alone, once norms are masked."""
        self.rows = masked.mask_norms(self.model)
        tried = [noise(seconds, self.rate) for seconds in (SHORTEST, 0.537, 1.311)]
        try:
            for together, row in zip(self.frames(tried), tried, strict=True):
                alone = self.frames([row])[0]
                if together.shape != alone.shape or (together - alone).abs().max() > ALIKE * alone.abs().max():
                    return False
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as e:
            if out_of_memory(e):
                raise
            return False  # a model says in many ways that it takes no batch
        return True

    def _leave_out_upper_layers(self) -> None:
        """Take away the transformer layers that no frame of the conf needs, if frames then stay the same to the bit."""
        stacks = [
            m for n, m in self.model.named_modules() if n.endswith("encoder.layers") and isinstance(m, nn.ModuleList)
        ]
        if len(stacks) != 1:
            return
        sound = noise(SHORTEST, self.rate)
        with torch.inference_mode():
            hidden, _ = self.states([sound])
        expected = choose_layer(hidden, self.layer)[0]
        chosen = self.layer if isinstance(self.layer, list) else [self.layer]
        counted = [i % len(hidden) for i in chosen]
        above = list(stacks[0][max(counted) + 1 :])  # the layer behind may normalise what it is given: it stays
        if len(hidden) != len(stacks[0]) + 1 or not above:
            return
        before, self.layer = self.layer, counted
        del stacks[0][max(counted) + 1 :]
        if not torch.equal(self.frames([sound])[0], expected):
            stacks[0].extend(above)
            self.layer = before

    def _find_seconds(self) -> float:
        """Padded seconds that a pass may have: doubled until the next would take more than its share of the memory."""
        seconds = FIRST
        while seconds < MOST:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            free, before = torch.cuda.mem_get_info()[0], torch.cuda.memory_allocated()
            try:
                self.frames([noise(10, self.rate)] * int(seconds // 10))
            except Exception as e:
                if not out_of_memory(e):
                    raise
                seconds /= 2
                break
            if 2 * (torch.cuda.max_memory_allocated() - before) > SHARE * free:
                break
            seconds *= 2
        stamp.log(f"{self.family} in {self.precision}: passes of up to {seconds:.0f} s of audio")
        return seconds
