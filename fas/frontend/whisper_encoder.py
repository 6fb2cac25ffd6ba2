"""Whisper's model and its encoder, on an utterance's own length and a margin of silence."""

import math
import warnings
from pathlib import Path

import numpy as np
import torch
import whisper
from torch import Tensor, nn
from whisper.audio import CHUNK_LENGTH, FRAMES_PER_SECOND, N_FRAMES, N_SAMPLES, SAMPLE_RATE
from whisper.model import TextDecoder, Whisper

from fas.errors import ConfError
from fas.frontend import ctranslate2, fetch
from fas.frontend.uninitialised import Uninitialised

FEW = 300  # log-mel frames (3 s); BLAS treats products of up to some 100 rows in a way of their own
CACHED = 32  # padded seconds that a processor encodes at a time: what passes between two layers then stays in its cache


def load(name: str, device: str) -> Whisper:
    """A model by openai-whisper's name, or by path: its .pt file or a CTranslate2 folder. In float32, to evaluate.

    Raises ConfError or FetchError.
    """
    path = Path(name).expanduser()
    if not path.exists():
        if name.startswith(("/", ".", "~")):
            raise ConfError(f"model {path}: no such file or folder; nothing else was looked up")
        path = fetch.whisper_model(name)
    with warnings.catch_warnings(), Uninitialised():
        warnings.simplefilter("ignore")
        model = ctranslate2.load(path) if path.is_dir() else whisper.load_model(str(path), device="cpu")
    return model.to(device).float().eval()


def block_indices(model: Whisper, layer: int | list[int]) -> list[int]:
    """Numbers of one block or several, 1 the first; -1 is the last. Raises ConfError."""
    blocks = len(model.encoder.blocks)
    made = []
    for index in layer if isinstance(layer, list) else [layer]:
        if isinstance(index, bool) or not isinstance(index, int) or not (1 <= index <= blocks or -blocks <= index < 0):
            raise ConfError(f"layer {index!r}: this Whisper has encoder blocks 1 to {blocks} (-1 the last)")
        made.append(index + blocks + 1 if index < 0 else index)
    return made


def tie_vocabulary(decoder: TextDecoder) -> None:
    """Give the decoder its product with the token embeddings as a linear layer, `vocabulary`, of the same weights."""
    tokens, width = decoder.token_embedding.weight.shape
    decoder.vocabulary = nn.Linear(width, tokens, bias=False, device="meta")
    decoder.vocabulary.weight = decoder.token_embedding.weight


@torch.inference_mode()
def encode(model: Whisper, mel: Tensor, blocks: set[int]) -> dict[int, Tensor]:
    """Log-mel (B, n_mels, F), F even and at most 3,000 -> the frames (B, F / 2, D) of each block asked for.

    The last block's frames are the encoder's output: they have passed the final layer norm. No block beyond the
    highest asked for is computed. Frames are the same to the bit alone and in a batch: the few rows of one short
    utterance would be multiplied, and rounded, in another way than more, so it gets a second copy of itself.
    """
    cached = max(1, CACHED * FRAMES_PER_SECOND // mel.shape[-1])
    if mel.device.type == "cpu" and len(mel) > cached:
        parts = [encode(model, some, blocks) for some in mel.split(cached)]
        return {number: torch.cat([part[number] for part in parts]) for number in blocks}
    if len(mel) == 1 and mel.shape[-1] < FEW:
        return {number: frames[:1] for number, frames in encode(model, mel.expand(2, -1, -1), blocks).items()}
    encoder = model.encoder
    x = torch.nn.functional.gelu(encoder.conv1(mel))
    x = torch.nn.functional.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = x + encoder.positional_embedding[: x.shape[1]]
    frames = {}
    for number, block in enumerate(encoder.blocks[: max(blocks)], 1):
        x = block(x)
        if number in blocks:
            frames[number] = encoder.ln_post(x) if number == len(encoder.blocks) else x
    return frames


def padded_seconds(samples: int, margin: float) -> int:
    """Whole seconds that the encoder sees of an utterance: its length and the margin, 30 at most."""
    return min(CHUNK_LENGTH, max(1, math.ceil(samples / SAMPLE_RATE + margin)))


def log_mel(model: Whisper, samples: np.ndarray, seconds: int, device: str) -> Tensor:
    """(samples,) at 16 kHz, padded with silence to `seconds` -> (n_mels, 100 * seconds), its own maximum as level."""
    padding = seconds * SAMPLE_RATE - len(samples)
    return whisper.log_mel_spectrogram(torch.from_numpy(samples), model.dims.n_mels, padding).to(device)


def transcribed_mel(model: Whisper, samples: np.ndarray, device: str) -> Tensor:
    """(samples,) of at most 30 s -> (n_mels, 3000) as openai-whisper's transcribe has it: behind the end zeros."""
    mel = whisper.log_mel_spectrogram(torch.from_numpy(samples), model.dims.n_mels, N_SAMPLES)
    return whisper.pad_or_trim(mel[:, : mel.shape[1] - N_FRAMES], N_FRAMES).to(device)
