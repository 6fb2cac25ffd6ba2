"""Which codecs of transformers give latents, and how: CLAP's audio tower is one of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

CLAP_STEPS = 32  # columns of its image of 10 s


@dataclass(frozen=True)
class Latents:
    """How a codec gives latents: (model, its inputs) -> (B, T, D); the part of the model asked; config -> s a frame."""

    call: Callable[[nn.Module, dict[str, Tensor]], Tensor]
    part: str
    frame_shift: Callable[[Any], float]


def _hop(config: Any) -> float:
    ratios = getattr(config, "downsampling_ratios", None) or config.upsampling_ratios
    return math.prod(ratios) / getattr(config, "sampling_rate", 24_000)


def _encoder(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Before quantisation: (B, D, T) of the encoder."""
    return model.encoder(inputs["input_values"]).transpose(1, 2)


def _columns(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """(B, D, bands, T) -> (B, T, bands * D)."""
    return model(**inputs).last_hidden_state.permute(0, 3, 2, 1).flatten(2)


LATENTS = {
    "xcodec2": Latents(lambda m, x: m.encode(**x, output_latents=True).latents.transpose(1, 2), "", _hop),
    "vibevoice_acoustic_tokenizer": Latents(
        lambda m, x: m.encode(x["input_values"], sample=False).latents, "encoder", _hop
    ),
    "encodec": Latents(_encoder, "encoder", _hop),
    "dac": Latents(_encoder, "encoder", _hop),
    "mimi": Latents(
        lambda m, x: m.encoder(x["input_values"]).latents.transpose(1, 2), "encoder", lambda c: 1 / c.frame_rate
    ),
    "clap": Latents(_columns, "audio_model", lambda _: 10 / CLAP_STEPS),
}
