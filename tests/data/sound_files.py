"""Sound files of any kind, made with FFmpeg's encoders: with or without a head that tells their length."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 48000


class Pipe(io.RawIOBase):
    """A target that can't seek, so that no length can be written into the head afterwards."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        self.content += bytes(data)
        return len(data)


def encode(path: Path, samples: np.ndarray, codec: str, rate: int = RATE, **how: object) -> Path:
    """Write (channels, samples) float32; layout, format, pipe and options of the muxer may follow."""
    import av

    layout = how.pop("layout", "mono" if len(samples) == 1 else "stereo")
    kind, pipe = how.pop("format", None), how.pop("pipe", False)
    target: object = Pipe() if pipe else str(path)
    with av.open(target, "w", format=kind, options=how) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        block = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=stream.layout, rate=rate)
        for start in range(0, samples.shape[1], block):
            piece = np.ascontiguousarray(samples[:, start : start + block], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    if pipe:
        path.write_bytes(bytes(target.content))
    return path


def tone(seconds: float = 1, hertz: float = 440, rate: int = RATE) -> np.ndarray:
    """(samples,) at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
