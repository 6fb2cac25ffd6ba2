"""Sound files of tests, made here for real."""

from pathlib import Path

import av
import numpy as np
import soundfile


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
