"""The page of one recording: the voice's emotion over time, the words' below it, conflicts between, and the sound."""

import base64
import html
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from fas.data import audio
from fas.data.stream import Recording
from fas.report.colours import colours
from fas.report.page import ENVIRONMENT

STEP = 0.1  # seconds of a column of the waveform
KBITS = 32  # a second, of the sound within the page: MP3 of a constant rate, in which every browser finds a time
EMBEDDED = 7200.0  # seconds; a longer recording is linked, as 29 MB of sound are enough for a page


@dataclass
class Picture:
    """What the page shows of a recording.

    pieces: of each start, end, speaker, label, voice, words, heard, conflict, its probability, winner, in order; voice,
    words and probability are None where the model does not know them;
    broken: stretches (from, to, why) that could not be decoded; facts: lines of the head.
    """

    name: str
    path: str
    seconds: float
    labels: list[str]
    pieces: list[dict[str, Any]]
    broken: list[tuple[float, float, str]]
    facts: list[str]
    shares: dict[str, float]
    channel: int | None = None
    conflicts: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.conflicts = [p | {"number": i} for i, p in enumerate(self.pieces) if p["conflict"]]


def page(picture: Picture, where: Path | None) -> str:
    """The page as HTML that loads nothing; where: its file, from which a recording too long for it is linked."""
    wave, sound = heard(picture, picture.seconds <= EMBEDDED or where is None)
    if not sound:
        sound = quote(os.path.relpath(picture.path, where.resolve().parent))
    both = colours(picture.labels)
    columns = ("start", "end", "label", "voice", "words", "heard", "conflict")
    drawn = [[p[name] for name in columns] for p in picture.pieces]
    data = {
        "seconds": picture.seconds,
        "step": STEP,
        "wave": wave,
        "pieces": drawn,
        "broken": picture.broken,
        "light": {e: c[0] for e, c in both.items()},
        "dark": {e: c[1] for e, c in both.items()},
        "sides": any(p["words"] for p in picture.pieces),
    }
    return ENVIRONMENT.get_template("timeline.html").render(
        picture=picture, data=data, sound=sound, linked=not sound.startswith("data:"), colours=both
    )


def fragment(picture: Picture) -> str:
    """The page within a page, as notebooks and the demo show it."""
    inner = html.escape(page(picture, None))
    title = html.escape(f"Timeline of {picture.name}")
    return f'<iframe title="{title}" srcdoc="{inner}" style="width: 100%; height: 46rem; border: 0"></iframe>'


def heard(picture: Picture, embedded: bool) -> tuple[str, str]:
    """Decode once more -> loudness of each 0.1 s, a byte each, in base64; and the sound as a data URI if embedded."""
    import soundfile
    import soxr

    recording = Recording(picture.path, picture.channel)
    same = recording.rate == audio.SAMPLE_RATE
    converter = None if same else soxr.ResampleStream(recording.rate, audio.SAMPLE_RATE, 1, dtype="float32")
    size, file, peaks, left = round(STEP * audio.SAMPLE_RATE), io.BytesIO(), [], np.zeros(0, np.float32)
    mp3 = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": level_of(KBITS)}
    with soundfile.SoundFile(file, "w", audio.SAMPLE_RATE, 1, **mp3) as out:
        for block in recording.blocks():
            samples = np.ascontiguousarray(block, np.float32)
            samples = samples if converter is None else converter.resample_chunk(samples)
            if embedded:
                out.write(np.clip(samples, -1, 1))
            left = np.concatenate([left, samples])
            whole = len(left) // size * size
            peaks.append(np.abs(left[:whole]).reshape(-1, size).max(1))
            left = left[whole:]
    top = np.concatenate(peaks) if peaks else np.zeros(0)
    most = max(float(np.quantile(top, 0.995)), 1e-4) if len(top) else 1.0
    columns = np.round(255 * np.sqrt(np.clip(top / most, 0, 1))).astype(np.uint8)  # sqrt: quiet speech is seen too
    wave = base64.b64encode(columns.tobytes()).decode()
    return wave, f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}" if embedded else ""


def level_of(kbits: int) -> float:
    """libsndfile's name of a constant MP3 rate at 16 kHz: 0 is 160 kbit/s, 1 is 8."""
    return (160 - kbits) / (160 - 8)
