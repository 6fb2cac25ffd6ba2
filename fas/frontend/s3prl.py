"""Frames of a self-supervised speech encoder, through s3prl's hub."""

import argparse
import contextlib
import difflib
import importlib
import importlib.util
import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fas.errors import ConfError, FetchError
from fas.frontend import S3PRLConf, fetch, out_of_memory
from fas.frontend.hf_checkpoint import UNUSED, complain_of_missing
from fas.frontend.neural import NeuralFrontend

RECEPTIVE, HOP = 400, 320  # samples that a frame of wav2vec 2.0 and its kin sees, and steps
OWN = ("_local", "_custom", "_url")  # upstreams that take a checkpoint; the others pass one over in silence


class S3PRLFrontend(NeuralFrontend):
    """Frames that are just those of s3prl called directly."""

    def __init__(self, settings: S3PRLConf, device: str, allow_pipes: bool = False):
        super().__init__(settings, device, allow_pipes)
        self.layer, self.family = settings.layer, settings.upstream
        self.model = load_upstream(settings.upstream, settings.ckpt)
        self.frame_shift = self.model.get_downsample_rates("hidden_states") / self.rate
        self.ready()

    def states(self, samples: list[np.ndarray]) -> tuple[list[torch.Tensor], list[int]]:
        hidden = self.model([torch.from_numpy(s).to(self.device) for s in samples])["hidden_states"]
        if len(samples) == 1:
            return hidden, [hidden[0].shape[1]]
        return hidden, [(len(s) - RECEPTIVE) // HOP + 1 for s in samples]


def load_upstream(name: str, ckpt: str | None) -> torch.nn.Module:
    """An upstream by its name in s3prl.hub; ckpt for *_local, *_custom and *_url ones.

    A checkpoint that lies on disk is the only thing touched: the hubs are switched off while it loads.
    Raises ConfError for an unknown name, and for a checkpoint that is missing or not complete, and FetchError.
    """
    if ckpt is not None and not name.endswith(OWN):
        raise ConfError(f"upstream {name!r} has weights of its own; leave ckpt out, or take a ..._local or ..._custom")
    remote = name.endswith("_url") or (ckpt or "").startswith(("http://", "https://"))
    local = ckpt is not None and (name.startswith("hf_") or not remote)
    if local:
        ckpt = str(_local(name, ckpt))
    with _alone(local), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        from s3prl.util.download import set_dir

        set_dir(fetch.cache() / "s3prl")
        make = find_upstream(name)
        if name.endswith(OWN) and ckpt is None:
            raise ConfError(f"upstream {name!r} needs a ckpt in its conf: the path (or URL) of your checkpoint")
        try:
            with torch.serialization.safe_globals([argparse.Namespace]), _strict(ckpt):
                made = make(**({} if ckpt is None else {"ckpt": ckpt}))
            if name.startswith("hf_"):
                made.model = _whole(type(made.model), ckpt)
            return made
        except ConfError:
            raise
        except Exception as e:  # s3prl's upstreams raise many kinds
            if out_of_memory(e) or (ckpt is None and not isinstance(e, OSError)):
                raise
            if local:
                raise ConfError(
                    f"ckpt {ckpt}: upstream {name} can't load it ({_reason(e)}); copy it again from where it came "
                    "from, or name its own upstream"
                ) from None
            raise ConfError(
                f"upstream {name!r}: its weights could not be had ({_reason(e)}); where no hub answers, name your own "
                "copy (upstream: ..._local or ..._custom with ckpt:), or use fbank, mfcc or kind: whisper"
            ) from e


def _reason(error: Exception) -> str:
    """In short, without the advice of torch and transformers to load what they refused."""
    if isinstance(error, pickle.UnpicklingError):
        return "a pickle of more than weights, which is not loaded"
    text = " ".join(str(error).split())
    if "ignore_mismatched_sizes" in text:
        return "its weights have other sizes than its config.json says"
    return f"{type(error).__name__}: {text[:300]}".rstrip(": ")


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


def _local(name: str, ckpt: str) -> Path:
    """The file of a checkpoint; for hf_* upstreams the folder, or that of the hub's OWNER/NAME, fetched.

    Raises ConfError, FetchError.
    """
    if not name.startswith("hf_"):
        path = Path(ckpt).expanduser()
        if not path.is_file():
            raise ConfError(f"ckpt {path}: no such file, which upstream {name} takes; nothing else was looked up")
        return path
    try:
        folder = fetch.model_folder(ckpt, None)
    except (ConfError, FetchError) as e:
        raise type(e)(f"ckpt {str(e).removeprefix('model ')}") from None
    complain_of_missing(folder, "ckpt")  # without an extractor's settings s3prl would take another model's
    return folder


def _whole(kind: type, ckpt: str) -> nn.Module:
    """The transformers model of a checkpoint once more, in float32 and with word of what it lacks. Raises ConfError."""
    model, found = kind.from_pretrained(ckpt, dtype=torch.float32, output_loading_info=True)
    _nothing_missing(ckpt, [k for k in found["missing_keys"] if not k.endswith(UNUSED)])
    above = sorted(k for k in found["unexpected_keys"] if re.search(r"\bencoder\.layers\.\d", k))
    if above:
        raise ConfError(
            f"ckpt {ckpt}: its weights have {above[0]} ({len(above)} such), for which its model has no place: "
            "num_hidden_layers of its config.json is another's, or the upstream; copy the checkpoint again"
        )
    return model


def _nothing_missing(ckpt: str, missing: list[str]) -> None:
    if missing:
        raise ConfError(
            f"ckpt {ckpt}: its weights lack {min(missing)} ({len(missing)} such): they are of another model, or not "
            "all there; copy the checkpoint again"
        )


@contextlib.contextmanager
def _strict(ckpt: str | None) -> Iterator[None]:
    """What a checkpoint lacks is an error for those upstreams, too, that tell torch to let it pass."""
    plain = nn.Module.load_state_dict

    def load(self: nn.Module, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        found = plain(self, state_dict, strict, assign)
        _nothing_missing(ckpt, found.missing_keys)
        return found

    if ckpt is not None:
        nn.Module.load_state_dict = load
    try:
        yield
    finally:
        nn.Module.load_state_dict = plain


@contextlib.contextmanager
def _alone(on: bool) -> Iterator[None]:
    """Hold HuggingFace's clients off the network, and torch to weights for upstreams (TERA's) that load any pickle."""
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")}
    if on:
        os.environ.update(dict.fromkeys(before, "1"))
        import huggingface_hub.constants

        huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        if on:
            huggingface_hub.constants.HF_HUB_OFFLINE = before["HF_HUB_OFFLINE"] == "1"
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
