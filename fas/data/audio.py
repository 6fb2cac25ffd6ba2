"""Audio files to 16 kHz mono float32, with soundfile and soxr; the sound of video files with PyAV.

In place of a file's path, "command |" stands for what a shell command writes, as in Kaldi's wav.scp. It is run only
where the caller allows it.
"""

import io
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fas.errors import AudioError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SAMPLE_RATE = 16_000
CONTAINERS = (".mp4", ".m4a", ".mov", ".avi", ".mkv", ".webm", ".flv")  # soundfile can't read these
LONGEST = 3600.0  # seconds; no corpus has a longer utterance, so that a header which says more is wrong
BLOCK = 1 << 20  # sample frames read at once, so that many channels at a high rate don't fill the memory
OPEN_ENDED = 0x7FFF0000  # a chunk of this size or more was written to a pipe, its length not known
NO_FILE = "no such file; put it there, mend its path, or drop the utterance"


def is_pipe(place: str | Path) -> bool:
    """Whether a value of wav.scp is a command and no file."""
    return str(place).endswith("|")


def run_pipe(pipe: str) -> bytes:
    """What the command of "command |" writes; /bin/sh runs it, as popen does for Kaldi's programs.

    Raises AudioError with its exit status and the last line of its complaints.
    """
    done = subprocess.run(pipe[:-1], shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AudioError(f"{pipe}: ended with exit status {done.returncode} ({said}); mend it or drop the utterance")
    if not done.stdout:
        raise AudioError(f"{pipe}: wrote nothing; mend it or drop the utterance")
    return done.stdout


def check(path: str | Path) -> float:
    """Duration in seconds, from the file's header.

    Raises AudioError for a file that is missing, empty, of no known format, or without samples, and for a pipe.
    """
    if is_pipe(path):
        raise AudioError(f"{path}: is a pipe, which is run only with --allow-pipes true; allow it or name a file")
    path = Path(path)
    if not os.path.isfile(path):
        raise AudioError(f"{path}: {NO_FILE}")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: empty file (0 bytes); copy it again or drop the utterance")
    if path.suffix.lower() in CONTAINERS:
        with _open(path) as container:
            return _seconds(path, container, _sound(path, container))
    return _by_header(path, str(path))


def _by_header(path: str | Path, source: str | io.BytesIO) -> float:
    """Duration in seconds of what soundfile reads; see `check`. Errors name `path`."""
    import soundfile

    try:
        info = soundfile.info(source)
    except soundfile.LibsndfileError as e:
        raise AudioError(f"{path}: not readable as audio ({e.error_string}); copy it again or convert it") from None
    if info.frames <= 0 or info.samplerate <= 0:
        raise AudioError(f"{path}: no samples in it; drop the utterance")
    for said, found in re.findall(r"(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", info.extra_info):
        if int(found) < int(said) < OPEN_ENDED:  # libsndfile takes what is there
            raise AudioError(f"{path}: its header says {said} bytes of sound where {found} are left; copy it again")
    if info.frames > LONGEST * info.samplerate:
        raise AudioError(f"{path}: lasts {info.frames / info.samplerate:g} s; cut it into utterances or drop it")
    return info.frames / info.samplerate


def read(path: str | Path, allow_pipes: bool = False, to: int = SAMPLE_RATE) -> np.ndarray:
    """Read an audio file of any rate, width and channel count -> (samples,) float32 at `to` Hz, channels averaged.

    allow_pipes: run a command that stands in place of the path. Raises AudioError for a file that `check` refuses, that
    ends early, or that holds NaN or infinity, and for a command that fails.
    """
    import soundfile
    import soxr

    source: str | io.BytesIO = str(path)
    if allow_pipes and is_pipe(path):
        content = run_pipe(str(path))
        seconds, source = _by_header(path, io.BytesIO(content)), io.BytesIO(content)
    else:
        seconds = check(path)
    slack = 0.0
    if Path(path).suffix.lower() in CONTAINERS:
        mono, rate = _decode(Path(path))
        # a lossy coder's frames and edit lists put the end of a whole file some frames off its header
        slack = max(0.25, 0.05 * seconds)
    else:
        try:
            with soundfile.SoundFile(source) as file:
                rate, pieces = file.samplerate, [np.zeros(0, np.float32)]
                while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                    pieces.append(block.mean(axis=1))
            mono = np.concatenate(pieces)
        except soundfile.LibsndfileError as e:
            raise AudioError(f"{path}: can't be decoded ({e.error_string}); copy it again or drop it") from None
    if len(mono) < round((seconds - slack) * rate):
        raise AudioError(
            f"{path}: ends after {len(mono) / rate:.2f} s where its header says {seconds:.2f} s; copy it again"
        )
    if not np.isfinite(mono).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; repair or drop the utterance")
    if rate != to:
        mono = soxr.resample(mono, rate, to)
    if not len(mono):
        raise AudioError(f"{path}: no sample is left at {to} Hz; drop the utterance")
    return np.ascontiguousarray(mono, dtype=np.float32)


def _open(path: Path) -> "InputContainer":
    import av

    try:
        return av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as e:
        raise AudioError(f"{path}: not readable as a video or audio file ({e.strerror}); copy it again") from None


def _sound(path: Path, container: "InputContainer") -> "AudioStream":
    if not container.streams.audio:
        raise AudioError(f"{path}: has no audio track; drop the utterance")
    return container.streams.audio[0]


def _seconds(path: Path, container: "InputContainer", stream: "AudioStream") -> float:
    """Duration of the sound by the header, the container's where the track's is not given."""
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / 1e6
    if not 0 < seconds <= LONGEST:
        raise AudioError(f"{path}: lasts {seconds:g} s by its header, which can't be; cut it again or drop it")
    return seconds


def _decode(path: Path) -> tuple[np.ndarray, int]:
    """The sound of a container -> (samples,) float32 and its rate in Hz.

    Channels are averaged; of surround sound the front centre is taken, where films have the dialogue (so does EmoBox
    with MELD).
    """
    import av

    with _open(path) as container:
        stream = _sound(path, container)
        resampler = av.AudioResampler(format="fltp")  # changes the sample format only
        blocks = []
        try:
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    names = [c.name for c in part.layout.channels]
                    samples = part.to_ndarray()  # (channels, samples)
                    surround = len(names) > 2 and "FC" in names
                    blocks.append(samples[names.index("FC")] if surround else samples.mean(axis=0))
        except av.FFmpegError as e:
            raise AudioError(f"{path}: can't be decoded ({e.strerror}); copy it again or drop the utterance") from None
        if not blocks:
            raise AudioError(f"{path}: its audio track is empty; drop the utterance")
        return np.concatenate(blocks), stream.rate


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
    path: str | Path, trim_db: float | None, rms_dbfs: float | None, allow_pipes: bool = False, rate: int = SAMPLE_RATE
) -> np.ndarray:
    """`read` at `rate` Hz, then `trim` and `level` where asked for."""
    samples = read(path, allow_pipes, rate)
    if trim_db is not None:
        samples = trim(samples, trim_db, rate)
    return samples if rms_dbfs is None else level(samples, rms_dbfs)
