"""One channel of a sound, block by block, and where a sound lies: a file, a stretch of one, or memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fas.data.decoders import Broken, Sound
from fas.errors import AudioError

RECORDING = 360_000.0  # seconds (100 hours); a header which says more of a recording is wrong
OVERSHOOT = 0.5  # seconds; a stretch that ends no more than this behind its recording is cut there, as Kaldi does
MIXED = 10.0  # seconds after which it is plain whether channels cancel each other out
CANCELLED = 0.01  # a mix with less than this share of its channels' mean power has lost what they hold


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording: the file (or pipe) that it lies in, its start and its end in seconds (-1: the end)."""

    place: str
    start: float
    end: float = -1

    def __str__(self) -> str:
        end = "its end" if self.end < 0 else f"{self.end:g} s"
        return f"{self.place}, from {self.start:g} s to {end}"


@dataclass(frozen=True)
class Held:
    """A sound that is in memory already: (n,) float32 of one channel, at its file's own rate in Hz."""

    mono: np.ndarray
    rate: int


Place = str | Path | Clip | Held


def mono_blocks(
    place: Place, sound: Sound, channel: int | None, broken: Broken | None = None
) -> Iterator[np.ndarray]:
    """The blocks of a sound, each (samples,) float32 of one channel by `mix`, in the memory that one takes.

    broken: is told of stretches of NaN or infinity, which are silence then; without it such a stretch is an error.
    Raises AudioError as `read` does, as the blocks are taken.
    """
    done, power, before = 0, 0.0, 0.0
    for block in limited(place, sound):
        mono = mix(block, sound.channels, channel, place)
        finite = np.isfinite(mono)
        if not finite.all():
            if not broken:
                raise AudioError(f"{place}: holds NaN or infinite samples; repair or drop the utterance")
            wrong = np.flatnonzero(~finite)
            broken((done + wrong[0]) / sound.rate, (done + wrong[-1] + 1) / sound.rate, "NaN or infinite samples")
            mono = np.where(finite, mono, np.float32(0))
        done += len(mono)
        if channel is None and len(block) > 1:
            power += float(np.square(mono, dtype=np.float64).sum())
            before += float(np.square(np.where(finite, block, 0), dtype=np.float64).sum()) / len(block)
            if done > MIXED * sound.rate:
                _check_mixed(place, sound, power, before)
        yield mono
    _check_mixed(place, sound, power, before)
    if sound.seconds is not None and done < round((sound.seconds - sound.slack) * sound.rate):
        raise AudioError(
            f"{place}: ends after {done / sound.rate:.2f} s where its header says {sound.seconds:.2f} s; copy it again"
        )


def _check_mixed(place: Place, sound: Sound, power: float, before: float) -> None:
    if power < CANCELLED * before:
        raise AudioError(
            f"{place}: hardly anything is left of its {len(sound.channels)} channels when they are mixed (is one the "
            "negative of another?); choose one: --channel 1 of fas predict, utt2channel of a data directory, channel "
            "of a corpus"
        )


def mix(block: np.ndarray, names: list[str], channel: int | None, path: str | Path) -> np.ndarray:
    """(channels, samples) -> (samples,): the channel asked for, from 1, or the front centre, or the mean.

    The front centre is where films have the dialogue (so does EmoBox with MELD). Raises AudioError where there is no
    such channel.
    """
    if channel is not None:
        if not 1 <= channel <= len(block):
            raise AudioError(f"{path}: has no channel {channel}; it has {len(block)}, the first is 1")
        return block[channel - 1]
    if len(block) > 2 and "FC" in names:
        return block[names.index("FC")]
    return block.mean(axis=0)


def limited(place: Place, sound: Sound) -> Iterator[np.ndarray]:
    """The blocks of a sound. Raises AudioError when they don't end, or when there is none."""
    total = 0
    longest = f"{place}: lasts more than {RECORDING:g} s, which can't be; copy it again or drop it"
    if (sound.seconds or 0) > RECORDING:
        raise AudioError(longest)
    for block in sound.blocks:
        total += block.shape[1]
        if total > RECORDING * sound.rate:
            raise AudioError(longest)
        yield block
    if not total:
        raise AudioError(f"{place}: no samples in it; drop the utterance")
