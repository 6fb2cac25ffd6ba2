"""Frames of a self-supervised speech encoder, through s3prl's hub."""

import argparse
import contextlib
import difflib
import importlib
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, S3PRLConf, fetch, load_audio, weights

SHORTEST = 1600  # samples (0.1 s): convolutional encoders give no frame at all below some 25 ms


class S3PRLFrontend:
    """One utterance at a time, so that frames are just those of s3prl called directly."""

    def __init__(self, settings: S3PRLConf, device: str, allow_pipes: bool = False):
        self.settings, self.device, self.allow_pipes, self.layer = settings, device, allow_pipes, settings.layer
        self.model = weights.fold(load_upstream(settings.upstream, settings.ckpt)).to(device).eval()
        if self.layer != "mean":
            self._leave_out_upper_layers()

    def batches(self, data: DataDir) -> list[list[str]]:
        self.wav = data.wav
        return [[utt] for utt in data.utts]

    @torch.inference_mode()
    def frames(self, samples: np.ndarray) -> torch.Tensor:
        """(samples,) float32 at 16 kHz -> (T, D) float32 of the conf's layer."""
        samples = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        hidden = self.model([torch.from_numpy(samples).to(self.device)])["hidden_states"]
        return choose_layer(hidden, self.layer)[0]

    def encode(self, batch: list[str]) -> list[Encoded]:
        made = []
        for utt in batch:
            samples = load_audio(utt, self.wav[utt], self.settings, self.allow_pipes)
            made.append({".": self.frames(samples).cpu().numpy().astype(self.settings.dtype)})
        return made

    @torch.inference_mode()
    def _leave_out_upper_layers(self) -> None:
        """Take away the transformer layers that no frame of the conf needs, if frames then stay the same to the bit."""
        stacks = [
            m for n, m in self.model.named_modules() if n.endswith("encoder.layers") and isinstance(m, nn.ModuleList)
        ]
        if len(stacks) != 1:
            return
        noise = np.random.default_rng(0).normal(0, 0.1, SHORTEST).astype(np.float32)
        hidden = self.model([torch.from_numpy(noise).to(self.device)])["hidden_states"]
        expected = choose_layer(hidden, self.layer)[0]
        chosen = self.layer if isinstance(self.layer, list) else [self.layer]
        counted = [i % len(hidden) for i in chosen]
        above = list(stacks[0][max(counted) + 1 :])  # the layer behind may normalise what it is given: it stays
        if len(hidden) != len(stacks[0]) + 1 or not above:
            return
        before, self.layer = self.layer, counted
        del stacks[0][max(counted) + 1 :]
        if not torch.equal(self.frames(noise), expected):
            stacks[0].extend(above)
            self.layer = before


def choose_layer(hidden: list[torch.Tensor], layer: object) -> torch.Tensor:
    """Hidden states, each (B, T, D) -> one layer, the mean of all, or a list of layers side by side (B, T, n * D)."""
    if layer == "mean":
        return torch.stack(list(hidden)).mean(0)
    chosen = layer if isinstance(layer, list) else [layer]
    for index in chosen:
        if isinstance(index, bool) or not isinstance(index, int) or not -len(hidden) <= index < len(hidden):
            raise ConfError(f"layer {index!r}: the upstream has layers 0 to {len(hidden) - 1}, -1 the last, or mean")
    return torch.cat([hidden[i] for i in chosen], dim=-1)


def load_upstream(name: str, ckpt: str | None) -> torch.nn.Module:
    """An upstream by its name in s3prl.hub; ckpt for *_local, *_custom and *_url ones.

    A checkpoint that lies on disk is the only thing touched: the hubs are switched off while it loads.
    Raises ConfError for an unknown name, and for a checkpoint that is missing or not complete.
    """
    local = ckpt is not None and not name.endswith("_url") and _names_a_path(ckpt)
    if local:
        _check_local(name, Path(ckpt).expanduser())
        ckpt = str(Path(ckpt).expanduser())
    with _offline(local), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        from s3prl.util.download import set_dir

        set_dir(fetch.cache() / "s3prl")
        make = find_upstream(name)
        if name.endswith(("_local", "_custom", "_url")) and ckpt is None:
            raise ConfError(f"upstream {name!r} needs a ckpt in its conf: the path (or URL) of your checkpoint")
        try:
            with torch.serialization.safe_globals([argparse.Namespace]):
                return make(**({} if ckpt is None else {"ckpt": ckpt}))
        except OSError as e:
            reason = str(e).splitlines()[0]
            raise ConfError(
                f"upstream {name!r}: its weights could not be had ({reason}); where no hub answers, name your own copy "
                "(upstream: ..._local or ..._custom with ckpt:), or use fbank, mfcc or kind: whisper"
            ) from e


def find_upstream(name: str) -> Callable[..., nn.Module]:
    """An upstream's entry in s3prl's hub, by importing just the module that defines it: all of them take 10 s.

    Raises ConfError for a name that the hub does not have.
    """
    hub = Path(importlib.util.find_spec("s3prl.hub").origin)
    for module in reversed(re.findall(r"^from (s3prl\S+) import", hub.read_text(), re.M)):  # the last one holds
        file = hub.parents[1].joinpath(*module.split(".")).with_suffix(".py")
        if re.search(rf"^def {re.escape(name)}\(", file.read_text(), re.M):
            return getattr(importlib.import_module(module), name)
    import s3prl.hub

    names = [n for n in dir(s3prl.hub) if not n.startswith("_") and callable(getattr(s3prl.hub, n))]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=5)
        raise ConfError(f"upstream {name!r} is not in s3prl's hub of {len(names)}; near: {', '.join(near) or '-'}")
    return getattr(s3prl.hub, name)


def _names_a_path(ckpt: str) -> bool:
    return ckpt.startswith(("/", ".", "~")) or Path(ckpt).exists()


def _check_local(name: str, path: Path) -> None:
    if not path.exists():
        raise ConfError(f"ckpt {path}: no such file or folder; nothing else was looked up")
    if name.startswith("hf_"):
        for needed in ("config.json", "preprocessor_config.json"):
            if not (path / needed).is_file():
                raise ConfError(f"ckpt {path}: {needed} is missing; copy it from where the model came from")


@contextlib.contextmanager
def _offline(on: bool) -> Iterator[None]:
    """Hold HuggingFace's clients off the network."""
    before = os.environ.get("HF_HUB_OFFLINE")
    if on:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import huggingface_hub.constants

        huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        if on:
            huggingface_hub.constants.HF_HUB_OFFLINE = before == "1"
            os.environ.pop("HF_HUB_OFFLINE")
            if before is not None:
                os.environ["HF_HUB_OFFLINE"] = before
