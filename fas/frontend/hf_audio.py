"""Frames of any audio encoder of transformers: hidden states of speech encoders, latents of codecs and of CLAP.

Nothing is drawn: VibeVoice's noise is left out, and CLAP, whose library crops what is longer than 10 s at random, hears
consecutive windows of 10 s. Code that comes with a checkpoint is never run.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fas.errors import ConfError
from fas.frontend import TransformersConf, fetch
from fas.frontend.hf_checkpoint import load
from fas.frontend.hf_latents import LATENTS
from fas.frontend.neural import NeuralFrontend, noise


class TransformersFrontend(NeuralFrontend):
    """What the library's own call gives for one utterance, to the bit in float32."""

    def __init__(self, settings: TransformersConf, device: str, allow_pipes: bool = False):
        super().__init__(settings, device, allow_pipes)
        folder = fetch.model_folder(settings.model, settings.revision)
        self.extractor, self.model = load(folder)
        config = self.model.config
        self.family, self.rate = config.model_type, self.extractor.sampling_rate
        _check(settings, folder, config, self.rate)
        self.latents = LATENTS[self.family] if settings.output == "latents" else None
        self.layer = -1 if settings.layer is None else settings.layer
        if self.family == "clap":
            self.model = self.model.audio_model
        if self.latents:
            self.frame_shift = self.latents.frame_shift(config)
            self.ready(batches=False)
        elif hasattr(config, "conv_stride"):
            squeeze = getattr(config, "squeeze_factor", 1)  # frames that one of SEW's layers is the mean of
            self.frame_shift = math.prod(config.conv_stride) * squeeze / self.rate
            self.ready(batches=squeeze == 1)  # its mask lets in a last mean that is half padding
        else:
            self.ready()
            self.frame_shift = self._measured_shift()

    def states(self, samples: list[np.ndarray]) -> tuple[list[Tensor], list[int]]:
        if self.family == "clap":
            frames = self._clap(samples[0])
            return [frames], [frames.shape[1]]
        rows = [dict(self._extract(s)) for s in samples]
        inputs = {k: v.to(self.device) for k, v in (rows[0] if len(rows) == 1 else pad(rows)).items()}
        if self.latents:
            hidden = [self.latents.call(self.model, inputs)]
        else:
            hidden = list(self.model(**inputs, output_hidden_states=True).hidden_states)
        if len(rows) == 1:
            return hidden, [hidden[0].shape[1]]
        if "input_values" in inputs:
            return hidden, [int(self.model._get_feat_extract_output_lengths(len(s))) for s in samples]
        return hidden, [row["input_features"].shape[1] for row in rows]

    def _extract(self, samples: np.ndarray) -> Any:
        """What the checkpoint's extractor makes of them, in float32 whatever the model computes in."""
        with torch.autocast("cpu", enabled=False):
            return self.extractor(samples, sampling_rate=self.rate, return_tensors="pt")

    def _clap(self, samples: np.ndarray) -> Tensor:
        """(1, T, D): consecutive windows of 10 s, each repeated to 10 s by the library, and of each its own share."""
        window, made = self.extractor.nb_max_samples, []
        for first in range(0, len(samples), window):
            piece = samples[first : first + window]
            frames = self.latents.call(self.model, dict(self._extract(piece).to(self.device)))
            made.append(frames[:, : math.ceil(len(piece) / window * frames.shape[1])])
        return torch.cat(made, 1)

    def _measured_shift(self) -> float:
        """Seconds a frame, of an encoder whose conf doesn't say it. Raises ConfError where frames don't follow time."""
        counts = [len(self.frames([noise(seconds, self.rate)])[0]) for seconds in (1, 3)]
        again = [self.frames([noise(1, self.rate)])[0] for _ in range(2)]
        if not torch.equal(*again):
            raise ConfError(f"{self.family}: draws at random, two calls differ; take another encoder")
        if counts[1] - counts[0] < 4 or counts[1] > 3.2 * counts[0]:
            raise ConfError(
                f"{self.family}: its states are no frames in time ({counts[0]} of 1 s, {counts[1]} of 3 s); "
                "Whisper is kind: whisper"
            )
        return 2 / (counts[1] - counts[0])


def _check(settings: TransformersConf, folder: Path, config: Any, rate: int) -> None:
    """What a conf asks of a checkpoint that it hasn't. Raises ConfError."""
    if settings.sample_rate not in (None, rate):
        raise ConfError(f"sample_rate {settings.sample_rate}: {folder} takes {rate} Hz alone; set that or nothing")
    known = config.model_type in LATENTS
    if settings.output == "latents" and not known:
        raise ConfError(f"output: latents: {config.model_type} is no codec ({', '.join(LATENTS)}); set output: hidden")
    if settings.output == "hidden" and known:
        raise ConfError(f"output: hidden: {config.model_type} has no hidden states in time; set output: latents")
    if getattr(config, "audio_channels", 1) != 1 or getattr(config, "chunk_length_s", None):
        raise ConfError(f"{folder}: takes stereo or chunks; take its variant of one channel (facebook/encodec_24khz)")


def pad(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Inputs (1, T, ...) of each utterance -> (B, longest T, ...), zeros behind each, and the mask that says so."""
    key = next(iter(rows[0]))
    made = {k: nn.utils.rnn.pad_sequence([row[k][0] for row in rows], batch_first=True) for k in rows[0]}
    if "attention_mask" not in made:  # base sizes are given none alone, and need it beside longer ones
        ones = [torch.ones(row[key].shape[1], dtype=torch.long) for row in rows]
        made["attention_mask"] = nn.utils.rnn.pad_sequence(ones, batch_first=True)
    return made
