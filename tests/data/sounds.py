"""Sound files of tests, made here for real."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
SUBTYPES = {  # by suffix, what libsndfile writes
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"),
    "aiff": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"),
    "flac": ("PCM_S8", "PCM_16", "PCM_24"),
    "ogg": ("VORBIS", "OPUS"),
    "mp3": ("MPEG_LAYER_III",),
    "w64": ("PCM_16",),
    "au": ("PCM_16",),
    "caf": ("PCM_16",),
}


def wav(path: Path, seconds: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(int(16000 * seconds), 0.1), 16000)


def video(
    path: Path, seconds: float = 0.2, sound: bool = True, layout: str = "stereo", loud: int | None = None
) -> None:
    """A real mp4 with AAC sound (a 440 Hz tone in every channel, or in channel `loud` alone) and a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 16
        picture.pix_fmt = "yuv420p"
        if sound:
            stream = out.add_stream("aac", rate=48000, layout=layout)
            tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)
            samples = np.repeat(tone[None].astype(np.float32), len(stream.layout.channels), 0)
            if loud is not None:
                samples[[i for i in range(len(samples)) if i != loud]] = 0
            for start in range(0, samples.shape[1], 1024):
                block = np.ascontiguousarray(samples[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate, frame.pts = 48000, start
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        for _ in range(max(1, int(seconds * 10))):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        out.mux(picture.encode(None))


def is_the_tone(samples: np.ndarray, tolerance: float = 0.02) -> bool:
    """A second (or so) of 440 Hz at half of full scale."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + 8000]
    peak = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * RATE / len(middle)
    return (
        samples.dtype == np.float32
        and abs(len(samples) - RATE) < 0.1 * RATE
        and abs(peak - 440) <= 2
        and abs(np.sqrt(np.mean(middle**2)) - 0.5 / np.sqrt(2)) < tolerance
    )


def encode(path: Path, codec: str, rate: int, channels: int) -> None:
    """The tone through one of FFmpeg's encoders."""
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono" if channels == 1 else "stereo")
        block = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=stream.layout, rate=rate)
        for start in range(0, rate, block):
            piece = np.tile(tone[start : start + block], (channels, 1))
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=stream.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
