"""Audio files to 16 kHz mono float32, decoded by fas.data.decoders and resampled by soxr.

In place of a file's path, "command |" stands for what a shell command writes, as in Kaldi's wav.scp. It is run only
where the caller allows it.

Many channels become one by `fas.data.mix`, whatever the kind of file: one that is asked for, or the front centre of
surround sound, or the mean.
"""

from pathlib import Path

import numpy as np

from fas.data import clips
from fas.data.decoders import NO_FILE, is_pipe, open_sound, printable, run_pipe
from fas.data.mix import Clip, Held, Place, limited, mono_blocks
from fas.errors import AudioError

__all__ = ["NO_FILE", "is_pipe", "printable", "run_pipe"]

SAMPLE_RATE = 16_000
SUFFIXES = (  # by which a file in a folder counts as audio
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64"),
    *(".rf64", ".sph", ".nist", ".voc", ".amr", ".wma", ".wv", ".ape", ".tta", ".spx", ".aac", ".ac3", ".eac3"),
    *(".dts", ".mp2", ".mpga", ".mp4", ".m4a", ".m4b", ".m4v", ".mov", ".3gp", ".3g2", ".avi", ".mkv", ".mka"),
    *(".webm", ".flv", ".wmv", ".asf", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".ogv"),
)
SILENT = -60.0  # dB of full scale: sound whose loudest sample is below this is none
LONGEST = 3600.0  # seconds; no corpus has a longer utterance


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and of those in it, sorted, without hidden ones; folders that are links are followed.

    A link to a folder that it lies in is not, for that would never end.
    """
    found: list[Path] = []

    def visit(here: Path, above: frozenset[tuple[int, int]]) -> None:
        status = here.stat()
        own = (status.st_dev, status.st_ino)
        if own in above:
            return
        for entry in sorted(here.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                visit(entry, above | {own})
            else:
                found.append(entry)

    visit(folder, frozenset())
    return found


def check(path: str | Path) -> float:
    """Duration in seconds, from the file's header, or by decoding it where the header does not say.

    Raises AudioError for a file that is missing, empty, of no known format, or without samples, and for a pipe.
    """
    with open_sound(path) as sound:
        if sound.seconds is not None:
            return sound.seconds
        return sum(block.shape[1] for block in limited(path, sound)) / sound.rate


def read(
    place: Place, allow_pipes: bool = False, to: int = SAMPLE_RATE, channel: int | None = None
) -> np.ndarray:
    """Read an audio file of any rate, width and channel count -> (samples,) float32 at `to` Hz, mixed by `mix`.

    A clip is cut before it is resampled, so that it is what a file of its samples alone would be. allow_pipes: run a
    command that stands in place of the path. Raises AudioError for a file that `check` refuses, that lasts more than an
    hour, ends early, holds NaN or infinity, or whose channels cancel each other out, for a command that fails, and for
    a clip beyond its recording.
    """
    import soxr

    if isinstance(place, Held):
        mono, rate = place.mono, place.rate
    elif isinstance(place, Clip):
        mono, rate = clips.cut(place, allow_pipes, channel)
    else:
        with open_sound(place, allow_pipes) as sound:
            if (sound.seconds or 0) > LONGEST:
                raise AudioError(f"{place}: lasts {sound.seconds:g} s; cut it into utterances or drop it")
            mono, rate = np.concatenate([np.zeros(0, np.float32), *mono_blocks(place, sound, channel)]), sound.rate
    if rate != to:
        mono = soxr.resample(mono, rate, to)
    if not len(mono):
        raise AudioError(f"{place}: no sample is left at {to} Hz; drop the utterance")
    return np.ascontiguousarray(mono, dtype=np.float32)


def silence(samples: np.ndarray) -> str:
    """What is wrong with samples that hold no sound; empty for those that hold some."""
    peak = 20 * np.log10(max(float(np.abs(samples).max()), 1e-10))
    return f"is silent (its loudest sample has {peak:.0f} dB of full scale)" if peak < SILENT else ""


def level(samples: np.ndarray, rms_dbfs: float) -> np.ndarray:
    """Scale to an RMS level in dB relative to full scale (float samples may pass 1); silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples if rms < 1e-8 else (samples * (10 ** (rms_dbfs / 20) / rms)).astype(np.float32)


def bounds(samples: np.ndarray, db: float, rate: int = SAMPLE_RATE) -> tuple[int, int]:
    """First sample and last + 1 of the speech: what is more than `db` decibels below the loudest 20 ms is silence.

    100 ms of the silence at both ends stay.
    """
    size, keep = rate // 50, rate // 10
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.square(blocks, dtype=np.float64).mean(1)
    if not len(power) or power.max() <= 0:
        return 0, len(samples)
    loud = np.flatnonzero(power > power.max() * 10 ** (-db / 10))
    return max(0, int(loud[0]) * size - keep), min(len(samples), (int(loud[-1]) + 1) * size + keep)


def trim(samples: np.ndarray, db: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Cut silence at both ends, as `bounds` finds it.

    Corpora differ in the silence around their utterances (RAVDESS has a second at each end, EmoDB none), and an
    encoder hears it: without this a classifier learns the corpus.
    """
    first, last = bounds(samples, db, rate)
    return samples[first:last]


def load(
    place: Place,
    trim_db: float | None,
    rms_dbfs: float | None,
    allow_pipes: bool = False,
    rate: int = SAMPLE_RATE,
    channel: int | None = None,
) -> np.ndarray:
    """`read` at `rate` Hz, then `trim` and `level` where asked for."""
    samples = read(place, allow_pipes, rate, channel)
    if trim_db is not None:
        samples = trim(samples, trim_db, rate)
    return samples if rms_dbfs is None else level(samples, rms_dbfs)
