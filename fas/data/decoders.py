"""Sound files opened: soundfile reads what libsndfile knows, PyAV the rest.

In place of a file's path, "command |" stands for what a shell command writes, as in Kaldi's wav.scp.
"""

import contextlib
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from fas.errors import AudioError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# Kinds of file that PyAV may find in a file, whatever its name: each begins with marks of its own. FFmpeg knows others
# that name further files or addresses to read (playlists), which must not be followed.
SEALED = ("aiff", "amr", "ape", "asf", "avi", "caf", "flac", "flv", "matroska", "mov", "mpeg", "mpegts", "ogg", "rm")
SEALED += ("tta", "w64", "wav", "wv")
# Kinds without such marks, so that other bytes may look like them: believed only by the file's name
BARE = {".aac": "aac", ".ac3": "ac3", ".eac3": "eac3", ".dts": "dts", ".mp2": "mp3", ".mp3": "mp3", ".mpga": "mp3"}
STATED = ("mov", "matroska", "avi", "flv", "asf", "ape", "flac", "ogg", "tta", "wav", "wv")  # tell their length
BLOCK = 1 << 16  # sample frames read at once: little memory, and what is broken is known to a second or two
OPEN_ENDED = 0x7FFF0000  # a chunk of this size or more was written to a pipe, its length not known
ENDLESS = 1 << 48  # sample frames; libsndfile says more than this of a FLAC file that does not know its length
LOST = 0.05  # seconds between two frames' times from where on something is missing between them
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR")  # of six or eight channels where a file names none
NO_FILE = "no such file; put it there, mend its path, or drop the utterance"


Broken = Callable[[float, float, str], None]  # is told from when to when, in seconds, a sound is broken, and why


@dataclass
class Sound:
    """An open file: its rate in Hz, the channels' names where they are known, and blocks (channels, samples) of it.

    seconds: by its header, None where that does not say; slack: how many seconds it may end before that.
    """

    rate: int
    channels: list[str]
    blocks: Iterator[np.ndarray]
    seconds: float | None
    slack: float = 0.0


def printable(path: str | Path) -> str:
    """A path with its bytes that are not UTF-8 as \\x.., so that it can be written anywhere."""
    return os.fsencode(path).decode(errors="backslashreplace")


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


@contextlib.contextmanager
def open_sound(path: str | Path, allow_pipes: bool = False, broken: Broken | None = None) -> Iterator[Sound]:
    """The sound of a file or of a pipe. Raises AudioError for what can't be one.

    broken: is told of stretches that can't be decoded, which are silence then; PyAV reads any kind of file so.
    """
    if is_pipe(path):
        if not allow_pipes:
            raise AudioError(f"{path}: is a pipe, which is run only with --allow-pipes true; allow it or name a file")
        source: IO[bytes] = io.BytesIO(run_pipe(str(path)))
    else:
        if any("\udc80" <= letter <= "\udcff" for letter in str(path)):  # bytes that this locale has no letters for
            shown = printable(path)
            if "\\x" in shown:
                raise AudioError(f"{shown}: its name is not UTF-8; rename it (convmv does many)")
            raise AudioError(f"{shown}: the locale is not UTF-8, as the file's name is; set LC_ALL=C.UTF-8")
        if not os.path.isfile(path):
            raise AudioError(f"{path}: {NO_FILE}")
        if os.path.getsize(path) == 0:
            raise AudioError(f"{path}: empty file (0 bytes); copy it again or drop the utterance")
        source = open(path, "rb")  # noqa: SIM115 - closed below
    with source, contextlib.ExitStack() as stack:
        yield (None if broken else _by_libsndfile(path, source, stack)) or _by_ffmpeg(path, source, stack, broken)


def _by_libsndfile(path: str | Path, source: IO[bytes], stack: contextlib.ExitStack) -> Sound | None:
    """What soundfile makes of it; None where PyAV knows more: other kinds, surround sound, MP3 and FLAC of no length.

    libsndfile guesses the length of such an MP3 file and reads no more than it guessed, and fails at the end of the
    other.
    """
    import soundfile

    opened: IO[bytes] | int = source
    if not is_pipe(path):  # by a descriptor of its own: of a Python file, every few bytes would cost a call of Python
        opened = os.open(path, os.O_RDONLY)
        stack.callback(os.close, opened)
    try:
        file = stack.enter_context(soundfile.SoundFile(opened, closefd=False))
    except soundfile.LibsndfileError:
        return None
    if file.frames <= 0 or file.samplerate <= 0:
        raise AudioError(f"{path}: no samples in it; drop the utterance")
    for said, found in re.findall(r"(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", file.extra_info):
        if int(found) < int(said) < OPEN_ENDED:  # libsndfile takes what is there
            raise AudioError(f"{path}: its header says {said} bytes of sound where {found} are left; copy it again")
    if file.frames > ENDLESS or file.channels > 2 or (file.format == "MP3" and not _has_length(source)):
        return None

    def blocks() -> Iterator[np.ndarray]:
        try:
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                yield block.T
        except soundfile.LibsndfileError as e:
            raise AudioError(f"{path}: can't be decoded ({e.error_string}); copy it again or drop it") from None

    return Sound(file.samplerate, [""] * file.channels, blocks(), file.frames / file.samplerate)


def _has_length(source: IO[bytes]) -> bool:
    """Whether the first frame of an MP3 file is one that tells the number of the others (Xing, Info or VBRI)."""
    source.seek(0)
    head = source.read(10)
    if head[:3] == b"ID3":  # its size: four bytes of seven bits
        head = source.read(sum(b << 7 * i for i, b in enumerate(reversed(head[6:10])))) and b""
    head += source.read(4096)
    return re.search(rb"\xff[\xe2-\xff].{2,190}?(Xing|Info|VBRI)", head, re.DOTALL) is not None


def _by_ffmpeg(path: str | Path, source: IO[bytes], stack: contextlib.ExitStack, broken: Broken | None) -> Sound:
    """What PyAV makes of it. Raises AudioError for what is no audio."""
    import av

    source.seek(0)
    bare = BARE.get(Path(path).suffix.lower())
    kinds = ",".join((*SEALED, bare) if bare else SEALED)
    try:
        # metadata in other character sets is no reason to refuse a file
        container = av.open(source, options={"format_whitelist": kinds}, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as e:
        why = getattr(e, "strerror", None) or str(e)
        raise AudioError(f"{path}: not readable as audio ({why}); copy it again or convert it") from None
    stack.enter_context(container)
    if not container.streams.audio:
        raise AudioError(f"{path}: has no audio track; drop the utterance")
    stream = container.streams.audio[0]
    names = [c.name for c in stream.layout.channels]
    if set(names) == {"NONE"} and len(names) in (6, 8):
        names = list(SURROUND[: len(names)])
    seconds = _seconds(container, stream)
    # a lossy coder's frames and edit lists put the end of a whole file some frames off its header
    slack = max(0.25, 0.05 * (seconds or 0))
    return Sound(stream.rate, names, _decoded(path, container, stream, broken), seconds, slack)


def _seconds(container: "InputContainer", stream: "AudioStream") -> float | None:
    """Duration of the sound by the header, the container's where the track's is not given; None where neither is."""
    if not set(container.format.name.split(",")) & set(STATED):
        return None  # FFmpeg guesses it by the bit rate
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / 1e6
    return seconds if seconds > 0 else None


def _decoded(
    path: str | Path, container: "InputContainer", stream: "AudioStream", broken: Broken | None
) -> Iterator[np.ndarray]:
    """Blocks (channels, samples) float32 of a track. broken: see `open_sound`; what is lost is known by its times."""
    import av

    # changes the sample format only; packed, for PyAV crashes on eight planes
    resampler = av.AudioResampler(format="flt")
    done, begin, rate = 0, None, stream.rate
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError) as e:
            if broken:
                continue
            why = getattr(e, "strerror", None) or str(e)
            raise AudioError(f"{path}: can't be decoded ({why}); copy it again or drop the utterance") from None
        for frame in frames:
            if broken and frame.time is not None:
                begin = frame.time if begin is None else begin
                lost = round((frame.time - begin) * rate) - done
                if lost > LOST * rate:
                    broken(done / rate, (done + lost) / rate, "can't be decoded")
                    done += lost
                    yield np.zeros((len(stream.layout.channels), lost), np.float32)
            for part in resampler.resample(frame):
                done += part.samples
                yield part.to_ndarray().reshape(-1, part.layout.nb_channels).T
