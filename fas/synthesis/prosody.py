"""Emotional speech by eSpeak NG: the voice's settings and a little processing drawn from each emotion's ranges."""

import random
from typing import Any

import numpy as np

from fas.data import espeak
from fas.errors import ConfError
from fas.synthesis.plan import SetConf

CUES = ("rate", "pitch", "range", "gap", "loudness", "tilt", "breath")
LEVEL = -26.0  # dB of full scale, RMS of a voice at loudness 0
PEAK = 0.95  # of full scale; louder utterances are turned down whole, never clipped


def check(settings: SetConf) -> None:
    """Raises ConfError for an emotion without its cues and a voice without its settings."""
    for emo, entry in settings.emotions.items():
        if missing := sorted({*CUES, "ending"} - set(entry)):
            raise ConfError(f"{settings.name}: emotions: {emo} lacks {', '.join(missing)}: add them")
    for name, entry in settings.voices.items():
        if set(entry) != {"voice", "rate", "pitch"}:
            raise ConfError(f"{settings.name}: speakers: {name} must have voice, rate (words a minute) and pitch "
                            "(semitones from the voice's own)")  # fmt: skip


def speak(text: str, voice: dict[str, Any], ranges: dict[str, Any], seed: str) -> np.ndarray:
    """`text` as int16 samples (n,) at espeak.SAMPLE_RATE; depends on nothing but the arguments.

    voice: eSpeak's voice and variant, rate in words a minute, pitch in semitones from the variant's own; ranges: those
    of the emotion's cues, as local/case_mini/prosody.yaml explains them. Raises EspeakError.
    """
    rng = random.Random(seed)
    cue = {name: rng.uniform(*ranges[name]) for name in CUES}
    ending = rng.choices(list(ranges["ending"]), list(ranges["ending"].values()))[0]
    settings = espeak.Settings(
        voice=voice["voice"],
        rate=round(voice["rate"] * cue["rate"]),
        pitch=min(99, max(0, round(50 + 50 * (voice["pitch"] + cue["pitch"]) / 12))),  # eSpeak: 50 steps an octave
        range=min(99, round(50 * cue["range"])),
        word_gap=round(cue["gap"]),
    )
    noise_seed = rng.getrandbits(31)
    samples = espeak.synthesise(text.rstrip(".!?") + ending, settings, noise_seed) / 32768
    samples = tilt(add_breath(samples, cue["breath"], noise_seed), cue["tilt"])
    samples *= 10 ** ((LEVEL + cue["loudness"]) / 20) / np.sqrt(np.mean(samples**2))
    samples *= min(1.0, PEAK / np.abs(samples).max())
    return np.round(samples * 32767).astype(np.int16)


def add_breath(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
    """Add white noise that follows the voice (n,), `level` dB from it, over windows of 20 ms."""
    window = espeak.SAMPLE_RATE // 50
    power = np.convolve(samples**2, np.full(window, 1 / window), mode="same")
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    return samples + 10 ** (level / 20) * np.sqrt(power) * noise


def tilt(samples: np.ndarray, slope: float) -> np.ndarray:
    """Raise the spectrum of `samples` (n,) by `slope` dB an octave around 1 kHz, level below 125 Hz."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / espeak.SAMPLE_RATE)
    gain = slope * np.log2(np.maximum(hertz, 125) / 1000)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))
