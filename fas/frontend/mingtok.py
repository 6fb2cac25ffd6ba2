"""MingTok-Audio's encoder (arXiv 2511.05516), the paper's acoustic one: a causal transformer over raw samples.

    frames of the waveform (T, 320) -> fc1 -> fc2 -> Qwen2 -> fc3 -> mean and log variance (T, 2 * 64)

Its own `encode_latent` draws from the posterior; here the mean is taken, so that two calls agree. Which of both the
paper took is not said.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from fas.errors import ConfError
from fas.frontend import MingTokConf, fetch, out_of_memory
from fas.frontend.neural import NeuralFrontend

PREFIX = "encoder."  # of the encoder's weights in the checkpoint
NEVER_CALLED = ("norm.", "encoder.embed_tokens.")  # weights of the encoder that no frame needs


class Encoder(nn.Module):
    """(B, T, window) samples -> (B, T, latent) means."""

    def __init__(self, kwargs: dict[str, Any]):
        from transformers import Qwen2Config, Qwen2Model

        super().__init__()
        ours = {"use_cache": False, "attn_implementation": "sdpa"}  # whatever its training had
        theirs = {k: v for k, v in kwargs["backbone"].items() if k.removeprefix("_") not in ours}
        config = Qwen2Config(**theirs, **ours)
        self.latent = kwargs.get("latent_dim", 64)
        self.fc1 = nn.Linear(kwargs.get("input_dim", 320), config.hidden_size, bias=False)
        self.fc2 = nn.Linear(config.hidden_size, config.hidden_size)
        self.encoder = Qwen2Model(config)
        self.fc3 = nn.Linear(config.hidden_size, 2 * self.latent)

    def forward(self, windows: Tensor) -> Tensor:
        hidden = self.encoder(inputs_embeds=self.fc2(self.fc1(windows))).last_hidden_state
        return self.fc3(hidden)[..., : self.latent]


class MingTokFrontend(NeuralFrontend):
    """Means of the posterior. The encoder is causal: padding behind an utterance can't be heard, and needs no mask."""

    family = "mingtok"

    def __init__(self, settings: MingTokConf, device: str, allow_pipes: bool = False):
        super().__init__(settings, device, allow_pipes)
        folder = fetch.model_folder(settings.model, settings.revision, others=())
        described = read_config(folder)
        kwargs = described["enc_kwargs"]
        self.rate, self.window = described.get("sample_rate", self.rate), kwargs.get("input_dim", 320)
        self.frame_shift = self.window / self.rate
        self.model = load(folder, kwargs)
        self.ready()

    def states(self, samples: list[np.ndarray]) -> tuple[list[Tensor], list[int]]:
        counts = [-(-len(s) // self.window) for s in samples]
        padded = torch.zeros(len(samples), max(counts) * self.window)
        for row, s in zip(padded, samples, strict=True):
            row[: len(s)] = torch.from_numpy(s)
        return [self.model(padded.view(len(samples), -1, self.window).to(self.device))], counts


def read_config(folder: Path) -> dict[str, Any]:
    """The checkpoint's config.json. Raises ConfError for what is not MingTok-Audio's, or not known of it."""
    path = folder / "config.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ConfError(f"{path}: can't be read ({e}); name MingTok-Audio's folder") from None
    kwargs = described.get("enc_kwargs") if isinstance(described, dict) else None
    if not isinstance(kwargs, dict) or not isinstance(kwargs.get("backbone"), dict):
        raise ConfError(f"{path}: has no enc_kwargs with a backbone; it is no MingTok-Audio checkpoint")
    window = kwargs.get("input_dim", 320)
    for place, key in ((described, "sample_rate"), (kwargs, "input_dim"), (kwargs, "latent_dim")):
        value = place.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise ConfError(f"{path}: {key} must be a whole number above 0, not {value!r}; copy the file again")
    if kwargs.get("hop_size", window) != window:
        raise ConfError(f"{path}: hop_size {kwargs['hop_size']} and input_dim {window} differ, which is not known here")
    for place in (described, kwargs):
        if place.get("patch_size", -1) not in (None, -1, 1):
            raise ConfError(
                f"{path}: patch_size {place['patch_size']} joins frames, not known here; pin a revision without"
            )
    return described


def load(folder: Path, kwargs: dict[str, Any]) -> Encoder:
    """The encoder in float32, from the checkpoint's safetensors alone. Raises ConfError."""
    weights: dict[str, Tensor] = {}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfError(f"{folder}: no *.safetensors in it; a pickle is not loaded")
    try:
        model = Encoder(kwargs)
        for path in files:
            with safe_open(path, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (not a dict)
                    if name.startswith(PREFIX):
                        weights[name.removeprefix(PREFIX)] = opened.get_tensor(name).float()
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except Exception as e:  # the library raises many kinds for a backbone that is none
        if out_of_memory(e):
            raise
        reason = f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"
        raise ConfError(f"{folder}: is no MingTok-Audio checkpoint ({reason})") from None
    wrong = [n for n in missing if not n.startswith(NEVER_CALLED)]
    wrong += [n for n in unexpected if not n.startswith(NEVER_CALLED)]
    if wrong:
        raise ConfError(f"{folder}: {PREFIX}{wrong[0]} ({len(wrong)} such) is missing or not known; another model's")
    return model
