"""Pages that show results and single utterances: templates filled with jinja2, all text escaped, nothing loaded."""

import base64
import io
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader

from fas.data import audio, mix
from fas.scoring.evidence import Emotion, Mark

ENVIRONMENT = Environment(
    loader=PackageLoader("fas.report"), autoescape=lambda name: not (name or "").endswith(".md"), trim_blocks=True
)
ENVIRONMENT.filters["yaml"] = lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
COLUMNS = 400  # of a waveform
HEIGHT = 100  # of a track, in its own units; its width is 1000
PITCH = (60.0, 500.0)  # Hz, from bottom to top of its track
FLOOR = 50.0  # dB below the loudest frame where the energy track ends
VOICED = 25.0  # dB below the loudest frame from where on a pitch is shown
SPECIAL = {"[CLS]": "start", "[SEP]": "end", "<s>": "start", "</s>": "end"}


@dataclass
class Picture:
    """What the page shows of one utterance.

    verdicts: system -> its emotion, in the order of the columns; marks: stream -> its tokens; facts: lines beside the
    words; audio: the address that the player plays, the sound itself (a data URI) if empty.
    """

    name: str
    place: mix.Place
    heard: str
    verdicts: dict[str, Emotion]
    marks: dict[str, list[Mark]]
    facts: dict[str, str] = field(default_factory=dict)
    channel: int | None = None


def utterance(picture: Picture) -> str:
    """One utterance as a piece of HTML that stands alone."""
    return ENVIRONMENT.get_template("alone.html").render(picture=picture, tracks=Tracks(picture))


class Tracks:
    """The sound of an utterance drawn: SVG paths on a field of 1000 by 100."""

    def __init__(self, picture: Picture):
        samples = audio.read(picture.place, channel=picture.channel)
        peak = float(np.abs(samples).max())
        if 0 < peak < 0.9:
            samples = samples * (0.9 / peak)  # corpora are quiet; what is shown and played is not
        self.seconds = len(samples) / audio.SAMPLE_RATE
        self.wave = waveform(samples)
        level = energy(samples)
        self.energy = line(1 + np.maximum(level - level.max(), -FLOOR) / FLOOR, level > level.max() - FLOOR)
        hertz, voiced = pitch(samples, level)
        low, high = np.log(PITCH[0]), np.log(PITCH[1])
        self.pitch = line((np.log(np.maximum(hertz, 1)) - low) / (high - low), voiced)
        self.hertz = np.quantile(hertz[voiced], (0.05, 0.95)).tolist() if voiced.any() else None
        self.sound = sound(samples)
        timed = {s: m for s, m in picture.marks.items() if m and m[0].start is not None}
        self.strips = {s: [self._box(m, max(x.weight for x in marks)) for m in marks] for s, marks in timed.items()}
        self.words = {s: joined(marks) for s, marks in picture.marks.items() if s not in timed}
        self.shares = {s: sum(m.weight for m in marks) for s, marks in picture.marks.items()}

    def _box(self, mark: Mark, most: float) -> dict[str, float]:
        start, end = (1000 * min(1.0, t / self.seconds) for t in (mark.start, mark.end))
        return {"x": start, "width": max(1.0, end - start), "opacity": 0.12 + 0.88 * mark.weight / max(most, 1e-9)}


def waveform(samples: np.ndarray) -> str:
    """(samples,) -> the path of its envelope."""
    edges = np.linspace(0, len(samples) - 1, COLUMNS + 1).astype(int)
    parts = [samples[a : b + 1] for a, b in pairwise(edges)]
    x = np.linspace(0, 1000, COLUMNS)
    top = [f"{a:.0f} {50 - 48 * p.max():.1f}" for a, p in zip(x, parts, strict=True)]
    bottom = [f"{a:.0f} {50 - 48 * p.min():.1f}" for a, p in zip(x[::-1], parts[::-1], strict=True)]
    return f"M{' L'.join(top + bottom)}Z"


def line(heights: np.ndarray, shown: np.ndarray) -> str:
    """Heights from 0 to 1, evenly spaced, as a path that is broken where nothing is shown."""
    x = np.linspace(0, 1000, len(heights))
    made, down = [], False
    for a, height, show in zip(x, np.clip(heights, 0, 1), shown, strict=True):
        if show:
            made.append(f"{'L' if down else 'M'}{a:.0f} {HEIGHT * (1 - height):.1f}")
        down = bool(show)
    return "".join(made)


def energy(samples: np.ndarray) -> np.ndarray:
    """(samples,) -> dB of each 10 ms, over 25 ms."""
    size, step = audio.SAMPLE_RATE // 40, audio.SAMPLE_RATE // 100
    padded = np.pad(samples.astype(np.float64) ** 2, (0, size))
    total = np.concatenate([[0.0], np.cumsum(padded)])
    starts = np.arange(0, max(1, len(samples)), step)
    return 10 * np.log10((total[starts + size] - total[starts]) / size + 1e-10)


def pitch(samples: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hz of each frame of `level`, and whether a pitch is shown there: torchaudio's normalised cross-correlation."""
    import torch
    import torchaudio

    low, high = PITCH
    padded = torch.from_numpy(np.pad(samples, (0, max(0, audio.SAMPLE_RATE // 2 - len(samples)))))[None]
    found = torchaudio.functional.detect_pitch_frequency(padded, audio.SAMPLE_RATE, freq_low=low, freq_high=high)[0]
    hertz = np.resize(found.numpy(), len(level)) if len(found) < len(level) else found.numpy()[: len(level)]
    steady = np.abs(np.diff(np.log(np.maximum(hertz, 1)), prepend=np.log(max(hertz[0], 1)))) < 0.12
    return hertz, (level > level.max() - VOICED) & steady


def sound(samples: np.ndarray) -> str:
    """(samples,) -> a data URI, FLAC, which every browser plays."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"


def joined(marks: list[Mark]) -> list[dict[str, Any]]:
    """Pieces of a text as words: WordPiece's ## and SentencePiece's ▁ say where a word goes on or begins."""
    marked = any("▁" in (m.piece or "") for m in marks)
    made: list[dict[str, Any]] = []
    for mark in marks:
        piece = mark.piece or ""
        goes_on = not piece.startswith("▁") if marked else piece.startswith("##")
        if piece in SPECIAL:
            made.append({"text": SPECIAL[piece], "weight": mark.weight, "special": True})
        elif goes_on and made and not made[-1]["special"]:
            made[-1]["text"] += piece.removeprefix("##")
            made[-1]["weight"] += mark.weight
        else:
            made.append({"text": piece.lstrip("▁").removeprefix("##"), "weight": mark.weight, "special": False})
    most = max((w["weight"] for w in made), default=0)
    return [w | {"strength": round(100 * w["weight"] / max(most, 1e-9))} for w in made if w["text"]]
