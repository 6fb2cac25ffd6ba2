"""Audio files to 16 kHz mono float32, with soundfile and soxr."""

from pathlib import Path

import numpy as np

SAMPLE_RATE = 16_000


class AudioError(Exception):
    """An audio file that can't be used: its name, why, and what to do."""


def check(path: str | Path) -> float:
    """Duration in seconds, from the file's header.

    Raises AudioError for a file that is missing, empty, of no known format, or without samples.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such file; mend the path in wav.scp or drop the utterance")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: empty file (0 bytes); copy it again or drop the utterance")
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as e:
        raise AudioError(f"{path}: not readable as audio ({e.error_string}); copy it again or convert it") from None
    if info.frames <= 0 or info.samplerate <= 0:
        raise AudioError(f"{path}: no samples in it; drop the utterance")
    return info.frames / info.samplerate


def read(path: str | Path) -> np.ndarray:
    """Read an audio file of any rate, width and channel count -> (samples,) float32 at 16 kHz, channels averaged.

    Raises AudioError for a file that `check` refuses, that ends early, or that holds NaN or infinity.
    """
    import soundfile
    import soxr

    seconds = check(path)
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as e:
        raise AudioError(f"{path}: can't be decoded ({e.error_string}); copy it again or drop the utterance") from None
    if len(samples) < round(seconds * rate):
        raise AudioError(
            f"{path}: ends after {len(samples) / rate:.2f} s where its header says {seconds:.2f} s; copy it again"
        )
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; repair or drop the utterance")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    if not len(mono):
        raise AudioError(f"{path}: no sample is left at {SAMPLE_RATE} Hz; drop the utterance")
    return np.ascontiguousarray(mono, dtype=np.float32)


def level(samples: np.ndarray, rms_dbfs: float) -> np.ndarray:
    """Scale to an RMS level in dB relative to full scale (float samples may pass 1); silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples if rms < 1e-8 else (samples * (10 ** (rms_dbfs / 20) / rms)).astype(np.float32)


def trim(samples: np.ndarray, db: float) -> np.ndarray:
    """Cut silence at both ends: what is more than `db` decibels below the loudest 20 ms; 100 ms of it stay.

    Corpora differ in the silence around their utterances (RAVDESS has a second at each end, EmoDB none), and an
    encoder hears it: without this a classifier learns the corpus.
    """
    size, keep = SAMPLE_RATE // 50, SAMPLE_RATE // 10
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.square(blocks, dtype=np.float64).mean(1)
    if not len(power) or power.max() <= 0:
        return samples
    loud = np.flatnonzero(power > power.max() * 10 ** (-db / 10))
    return samples[max(0, loud[0] * size - keep) : (loud[-1] + 1) * size + keep]


def load(path: str | Path, trim_db: float | None, rms_dbfs: float | None) -> np.ndarray:
    """`read`, then `trim` and `level` where asked for."""
    samples = read(path)
    if trim_db is not None:
        samples = trim(samples, trim_db)
    return samples if rms_dbfs is None else level(samples, rms_dbfs)
