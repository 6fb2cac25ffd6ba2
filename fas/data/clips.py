"""Stretches of recordings: cut by seeking in the file, or out of a copy that was decoded once where that is not exact.

libsndfile finds any sample of uncompressed and of lossless sound. A lossy coder's frames depend on those before them,
and a command's output has to be taken from its start: such a recording is decoded once into a temporary file.
"""

import atexit
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fas import stamp
from fas.data.decoders import ENDLESS, Sound, is_pipe, open_sound
from fas.data.mix import OVERSHOOT, Clip, mono_blocks
from fas.errors import AudioError

if TYPE_CHECKING:
    from soundfile import SoundFile

EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")  # libsndfile's names of codings whose samples stand alone
SPOOLED = 20e9  # bytes of decoded recordings that a process keeps


def cut(clip: Clip, allow_pipes: bool = False, channel: int | None = None) -> tuple[np.ndarray, int]:
    """The samples of a stretch, (samples,) float32 of one channel at the recording's own rate, and that rate in Hz.

    They run from sample round(start * rate) to before round(end * rate). Raises AudioError as `audio.read` does, and
    for times beyond the recording.
    """
    import soundfile

    if not is_pipe(clip.place):
        try:
            with soundfile.SoundFile(clip.place) as file:
                if file.subtype.startswith(EXACT) and 0 < file.frames < ENDLESS and file.channels <= 2:
                    return _seek(clip, file, channel), file.samplerate
        except soundfile.LibsndfileError:
            pass  # PyAV may know it; what is wrong is said there
    samples, rate = SPOOL.get(clip.place, allow_pipes, channel)
    first, last = limits(clip, len(samples), rate)
    return np.array(samples[first:last]), rate


def _seek(clip: Clip, file: "SoundFile", channel: int | None) -> np.ndarray:
    first, last = limits(clip, file.frames, file.samplerate)
    file.seek(first)
    block = file.read(last - first, dtype="float32", always_2d=True).T
    sound = Sound(file.samplerate, [""] * len(block), iter([block]), (last - first) / file.samplerate)
    return np.concatenate(list(mono_blocks(clip, sound, channel)))


def limits(clip: Clip, frames: int, rate: int) -> tuple[int, int]:
    """First sample and last + 1 of a stretch. Raises AudioError where its times can't be those of the recording."""
    seconds, end = frames / rate, clip.end
    if end < 0:
        end = seconds
    if clip.start < 0 or clip.start >= seconds:
        why = f"starts at {clip.start:g} s, but the recording lasts {seconds:g} s"
    elif end > seconds + OVERSHOOT:
        why = f"ends at {end:g} s, but the recording lasts {seconds:g} s"
    elif round(min(end, seconds) * rate) <= round(clip.start * rate):
        why = f"no sample lies between {clip.start:g} and {end:g} s"
    else:
        return round(clip.start * rate), min(round(end * rate), frames)
    raise AudioError(f"{clip.place}: {why}; mend the times in segments, or drop the utterance")


class Spool:
    """Decoded recordings, a temporary file of float32 each: one channel at its own rate. The oldest leave when full."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.folder: Path | None = None
        self.kept: OrderedDict[tuple[str, int | None], tuple[Path, int] | AudioError] = OrderedDict()

    def get(self, place: str, allow_pipes: bool, channel: int | None) -> tuple[np.ndarray, int]:
        """(samples,), mapped from disk, and the rate. Raises AudioError, the same for every stretch of a recording."""
        with self.lock:
            key = (place, channel)
            if key not in self.kept:
                try:
                    self.kept[key] = self._decode(place, allow_pipes, channel)
                except AudioError as e:
                    self.kept[key] = e
                self._make_room()
            self.kept.move_to_end(key)
            found = self.kept[key]
            if isinstance(found, AudioError):
                raise AudioError(str(found))
            path, rate = found
            return np.memmap(path, np.float32, "r"), rate

    def _decode(self, place: str, allow_pipes: bool, channel: int | None) -> tuple[Path, int]:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="fas-recordings-"))
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        path = self.folder / str(len(os.listdir(self.folder)) + len(self.kept))
        with path.open("wb") as f, open_sound(place, allow_pipes) as sound:
            for block in mono_blocks(place, sound, channel):
                f.write(np.ascontiguousarray(block, np.float32).tobytes())
            return path, sound.rate

    def _make_room(self) -> None:
        sizes = {k: v[0].stat().st_size for k, v in self.kept.items() if not isinstance(v, AudioError)}
        while len(sizes) > 1 and sum(sizes.values()) > SPOOLED:
            oldest = next(iter(sizes))
            kept = f"{SPOOLED / 1e9:g} GB of decoded recordings are kept"
            stamp.log(f"{oldest[0]}: may have to be decoded again, as only {kept}; make a FLAC copy to save that")
            self.kept.pop(oldest)[0].unlink()
            del sizes[oldest]


SPOOL = Spool()
