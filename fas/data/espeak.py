"""eSpeak NG as a function: text and voice settings in, 16-bit samples out, the same bytes for the same arguments.

The library and its voices come with the wheel `espeakng-loader`; they are called through ctypes. eSpeak keeps state
from one utterance to the next in C statics (phase of the wave and of the pitch flutter, echo, noise) that neither its
settings nor espeak_Terminate and espeak_Initialize put back: of 80 utterances spoken in two orders, 79 differed.
So every utterance gets a freshly loaded library, some 10 ms each, and what was spoken before leaves no trace.
"""

import _ctypes
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np

from fas.errors import EspeakError

SAMPLE_RATE = 22050  # Hz, the rate of eSpeak's own voices

# Constants of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 1  # without 0x10 (SSML) and 0x100 ([[phonemes]]): text is only ever text
POS_CHARACTER = 1
RATE, VOLUME, PITCH, RANGE, WORD_GAP = 1, 2, 3, 4, 7

_LIMITS = {"rate": (80, 450), "volume": (0, 200), "pitch": (0, 99), "range": (0, 99), "word_gap": (0, 100)}
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Settings:
    """How to speak; a value outside its limits is a ValueError."""

    voice: str  # a language or accent and a variant of it, such as "en-us+f2"
    rate: int = 175  # words a minute, 80 to 450
    volume: int = 100  # per cent, 0 to 200; above 100 eSpeak may clip
    pitch: int = 50  # 0 to 99; 50 is the voice's own, 0 an octave lower, 99 (nearly) an octave higher
    range: int = 50  # 0 to 99; 50 is the voice's own movement around its pitch, 99 (nearly) twice that, 0 a monotone
    word_gap: int = 0  # more silence between words, 0 to 100 in units of 10 ms at the rate of 175

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"eSpeak's {name} goes from {low} to {high}, not {getattr(self, name)}")


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """eSpeak NG in its first state, and unloaded again afterwards."""
    path, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    except OSError:
        pass  # not loaded yet, as it should be
    else:
        raise EspeakError(f"{path} is already loaded in this process, with another user's state: speak in another one")
    lib = ctypes.CDLL(path)
    try:
        rate = lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), INITIALIZE_DONT_EXIT)
        if rate != SAMPLE_RATE:
            raise EspeakError(f"eSpeak NG answers {rate}, not {SAMPLE_RATE} Hz, for {data}: reinstall espeakng-loader")
        yield lib
        lib.espeak_Terminate()
    finally:
        _ctypes.dlclose(lib._handle)


def version() -> str:
    """The version of the eSpeak NG library, such as "1.52.0"."""
    with _fresh_library() as lib:
        lib.espeak_Info.restype = ctypes.c_char_p
        return lib.espeak_Info(None).decode().split()[0]


def synthesise(text: str, settings: Settings, seed: int = 0) -> np.ndarray:
    """Speak `text`; returns int16 samples (n,) at SAMPLE_RATE.

    `seed` (0 to 2**31 - 1) starts eSpeak's noise (breath, hiss). The same arguments give the same bytes in any process
    on the same machine. Not for threads: one process speaks one utterance at a time. Raises EspeakError where the voice
    is unknown or nothing was spoken.
    """
    chunks: list[bytes] = []

    @_SYNTH_CALLBACK
    def keep(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    with _fresh_library() as lib:
        lib.espeak_SetSynthCallback(keep)
        # eSpeak itself speaks on without a variant that it doesn't find, and says nothing
        variants = Path(espeakng_loader.get_data_path(), "voices", "!v")
        variant = settings.voice.partition("+")[2]
        if lib.espeak_SetVoiceByName(settings.voice.encode()) != 0 or variant not in ["", *os.listdir(variants)]:
            raise EspeakError(f"eSpeak NG has no voice {settings.voice!r}: take a language from lang/ and a variant "
                              f"from voices/!v/ in {variants.parents[1]}")
        for parameter, value in ((RATE, settings.rate), (VOLUME, settings.volume), (PITCH, settings.pitch),
                                 (RANGE, settings.range), (WORD_GAP, settings.word_gap)):
            lib.espeak_SetParameter(parameter, value, 0)
        lib.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        ctypes.CDLL(None).srand(ctypes.c_uint(seed))  # a part of eSpeak takes its noise from libc
        utf8 = text.encode()
        status = lib.espeak_Synth(utf8, ctypes.c_size_t(len(utf8) + 1), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
    samples = np.frombuffer(b"".join(chunks), dtype=np.int16)
    if status != 0 or not samples.any():
        raise EspeakError(f"eSpeak NG (status {status}) made no sound of {text!r} with {settings}")
    return samples
