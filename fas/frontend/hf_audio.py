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
from fas.frontend import TransformersConf, fetch, out_of_memory
from fas.frontend.hf_checkpoint import ALLOWED, line, load
from fas.frontend.hf_latents import LATENTS
from fas.frontend.neural import SHORTEST, NeuralFrontend, noise


class TransformersFrontend(NeuralFrontend):
    """What the library's own call gives for one utterance, to the bit in float32."""

    def __init__(self, settings: TransformersConf, device: str, allow_pipes: bool = False):
        super().__init__(settings, device, allow_pipes)
        folder = fetch.model_folder(settings.model, settings.revision)
        self.extractor, self.model = load(folder)
        config = self.model.config
        self.family, self.rate = config.model_type, self.extractor.sampling_rate
        _check(settings, folder, config, self.extractor)
        self.latents = LATENTS[self.family] if settings.output == "latents" else None
        self.layer = -1 if settings.layer is None else settings.layer
        if self.family == "clap":
            self.model = self.model.audio_model
        self._try(folder)
        squeeze = getattr(config, "squeeze_factor", 1)  # frames that one of SEW's layers is the mean of
        self.ready(batches=not self.latents and squeeze == 1)  # SEW's mask lets in a mean that is half padding
        if self.latents:
            self.frame_shift = self._measured_shift(self.latents.frame_shift(config))
        elif hasattr(config, "conv_stride"):
            self.frame_shift = self._measured_shift(math.prod(config.conv_stride) * squeeze / self.rate)
        else:
            self.frame_shift = self._measured_shift(None)

    def _try(self, folder: Path) -> None:
        """Raises ConfError for a model that doesn't take what its extractor makes, or gives no states of it."""
        self.model = self.model.to(self.device).eval()
        try:
            with torch.inference_mode():
                self.states([noise(SHORTEST, self.rate)])
        except Exception as e:  # a model says in many ways that it takes something else
            if out_of_memory(e) and self.device != "cpu":
                raise
            raise ConfError(
                f"model {folder}: {type(self.model).__name__} gives no frames of what {type(self.extractor).__name__} "
                f"makes of audio ({type(e).__name__}: {line(e)}); {ALLOWED}"
            ) from e

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
            return hidden, [self._convolved(len(s)) for s in samples]
        return hidden, [row["input_features"].shape[1] for row in rows]

    def _convolved(self, samples: int) -> int:
        """Frames of its convolutions. An adapter behind its layers (add_adapter) shortens no hidden state."""
        adapter = {"add_adapter": False} if getattr(self.model.config, "add_adapter", False) else {}
        return int(self.model._get_feat_extract_output_lengths(samples, **adapter))

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

    def _measured_shift(self, claimed: float | None) -> float:
        """Seconds a frame: what the checkpoint claims, if frames come so. Raises ConfError where they don't, and, of an
        encoder whose conf claims nothing, where they don't follow time."""
        counts = [len(self.frames([noise(seconds, self.rate)])[0]) for seconds in (1, 3)]
        made, said = counts[1] - counts[0], f"{counts[0]} frames of 1 s, {counts[1]} of 3 s"
        if claimed is not None:
            if abs(made - 2 / claimed) > 1.5:  # less is rounding at both ends
                raise ConfError(
                    f"model {self.settings.model}: claims {1 / claimed:.4g} frames a second and gives {said}; its "
                    "config.json and preprocessor_config.json are not of one model: copy both from where it came from"
                )
            return claimed
        again = [self.frames([noise(1, self.rate)])[0] for _ in range(2)]
        if not torch.equal(*again):
            raise ConfError(f"{self.family}: draws at random, two calls differ; take another encoder")
        if made < 4 or counts[1] > 3.2 * counts[0]:
            raise ConfError(f"{self.family}: its states are no frames in time ({said}); Whisper is kind: whisper")
        return 2 / made


def _check(settings: TransformersConf, folder: Path, config: Any, extractor: Any) -> None:
    """What a conf asks of a checkpoint that it hasn't, and what its two files say differently. Raises ConfError."""
    rate, own = extractor.sampling_rate, getattr(config, "sampling_rate", extractor.sampling_rate)
    if rate != own:
        raise ConfError(
            f"model {folder}: sampling_rate is {rate} in preprocessor_config.json and {own} in config.json; "
            "copy both from where the model came from"
        )
    if settings.sample_rate not in (None, rate):
        raise ConfError(f"sample_rate {settings.sample_rate}: {folder} takes {rate} Hz alone; set that or nothing")
    known = config.model_type in LATENTS
    if settings.output == "latents" and not known:
        raise ConfError(f"output: latents: {config.model_type} is no codec ({', '.join(LATENTS)}); set output: hidden")
    if settings.output == "hidden" and known:
        raise ConfError(f"output: hidden: {config.model_type} has no hidden states in time; set output: latents")
    stereo = getattr(config, "audio_channels", 1) != 1 or (known and extractor.feature_size == 2)
    if stereo or any(getattr(said, "chunk_length_s", None) for said in (config, extractor)):
        raise ConfError(f"{folder}: takes stereo or chunks; take its variant of one channel (facebook/encodec_24khz)")
    if getattr(extractor, "nb_max_samples", 10 * rate) != 10 * rate:
        raise ConfError(
            f"model {folder}: nb_max_samples {extractor.nb_max_samples} of preprocessor_config.json is no window of "
            f"10 s, which its encoder hears; set {10 * rate}"
        )


def pad(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Inputs (1, T, ...) of each utterance -> (B, longest T, ...), zeros behind each, and the mask that says so."""
    key = next(iter(rows[0]))
    made = {k: nn.utils.rnn.pad_sequence([row[k][0] for row in rows], batch_first=True) for k in rows[0]}
    if "attention_mask" not in made:  # base sizes are given none alone, and need it beside longer ones
        ones = [torch.ones(row[key].shape[1], dtype=torch.long) for row in rows]
        made["attention_mask"] = nn.utils.rnn.pad_sequence(ones, batch_first=True)
    return made
