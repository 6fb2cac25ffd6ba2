"""An audio encoder of transformers as it lies in a folder: its extractor and model, or what is wrong with them."""

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from fas.errors import ConfError
from fas.frontend import out_of_memory
from fas.frontend.hf_latents import LATENTS

LFS = b"version https://git-lfs.github.com/"  # how Git's pointer to a large file begins
ALLOWED = (
    "kind: transformers takes encoders alone (WavLM, HuBERT, wav2vec 2.0, ...), codecs and ClapModel; "
    "Whisper is kind: whisper"
)
UNUSED = ("masked_spec_embed", "num_batches_tracked")  # weights that frames don't need, and some checkpoints lack


def load(folder: Path) -> tuple[Any, nn.Module]:
    """The feature extractor and the model of a checkpoint in float32. Raises ConfError for what can't be one."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what is missing is an error below
    local = {"local_files_only": True, "trust_remote_code": False}
    complain_of_missing(folder, "model")
    complain_of_broken(folder)
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        if config.model_type == "clap_audio_model":
            raise ConfError(f"model {folder}: is CLAP's audio tower alone; save the whole ClapModel; {ALLOWED}")
        extractor = AutoFeatureExtractor.from_pretrained(folder, **local)
        model, found = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True, **local
        )
    except ConfError:
        raise
    except pickle.UnpicklingError as e:
        raise ConfError(f"model {folder}: holds a pickle of more than weights; not loaded ({line(e)})") from None
    except ImportError as e:
        raise ConfError(
            f"model {folder}: its config.json asks for what isn't installed ({line(e)}); take the checkpoint that is "
            "not quantized, and leave attn_implementation out of its config.json"
        ) from None
    except Exception as e:  # the library raises many kinds, of several libraries
        if out_of_memory(e):
            raise
        raise ConfError(f"model {folder}: is no checkpoint of transformers' audio encoders ({line(e)})") from None
    part = LATENTS[config.model_type].part if config.model_type in LATENTS else ""
    missing = [k for k in found["missing_keys"] if k.startswith(part) and not k.endswith(UNUSED)]
    if missing:
        raise ConfError(
            f"model {folder}: config.json names {type(model).__name__}, whose {missing[0]} ({len(missing)} such) is "
            "not in its weights: they are of another model"
        )
    own = [k.removeprefix(f"{model.base_model_prefix}.") for k in found["unexpected_keys"]]  # beside a head it stays
    if above := _above(model, [k for k in own if k.startswith(part)]):
        raise ConfError(
            f"model {folder}: its weights have {above}, and the layers of config.json end before it; copy both from "
            "where the model came from (layer: chooses one below the last)"
        )
    rate = getattr(extractor, "sampling_rate", "missing")
    if isinstance(rate, bool) or not isinstance(rate, int) or rate <= 0:
        raise ConfError(
            f"model {folder}: sampling_rate of its preprocessor_config.json is {rate!r}, not a number of Hz; copy it "
            "from where the model came from, if that is an audio encoder"
        )
    _complain_of_kind(folder, model, extractor)
    return extractor, model


def _complain_of_kind(folder: Path, model: nn.Module, extractor: Any) -> None:
    """Models that are no encoder of what the extractor makes. Raises ConfError."""
    heard = model.audio_model if model.config.model_type == "clap" else model
    what = None
    if getattr(model.config, "is_encoder_decoder", False):
        what = f"{type(model).__name__} is an encoder with a decoder"
    elif heard.main_input_name not in extractor.model_input_names:
        what = (
            f"{type(heard).__name__} takes {heard.main_input_name}, and {type(extractor).__name__} of its "
            f"preprocessor_config.json makes {', '.join(extractor.model_input_names)}"
        )
    if what:
        raise ConfError(f"model {folder}: {what}; {ALLOWED}")


def complain_of_missing(folder: Path, key: str) -> None:
    """A checkpoint has config.json and what describes its extractor. Raises ConfError that names the conf's key."""
    needed = ["config.json"]
    if not _describes_extractor(folder / "processor_config.json"):
        needed.append("preprocessor_config.json")
    for name in needed:
        try:
            json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ConfError(
                f"{key} {folder}: {name} is missing or no JSON; copy it from where the model came from"
            ) from None


def complain_of_broken(folder: Path) -> None:
    """Weights that were not copied whole. Raises ConfError that names the file."""
    for path in sorted(p for end in ("*.json", "*.safetensors", "*.bin") for p in folder.glob(end)):
        with path.open("rb") as f:
            if f.read(len(LFS)) == LFS:
                raise ConfError(f"{path}: looks like a Git LFS pointer, not the file; run `git lfs pull` where it is")
        if path.suffix == ".safetensors":
            try:
                with safe_open(path, "pt"):
                    pass
            except (SafetensorError, OSError) as e:
                raise ConfError(f"{path}: is cut off, or no safetensors file ({line(e)}); copy it again") from None


def _describes_extractor(path: Path) -> bool:
    """Whether it is a processor's as transformers 5 saves it, with the extractor within and no file beside it."""
    try:
        return "feature_extractor" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False  # not there, or not read by the library either


def _above(model: nn.Module, unexpected: list[str]) -> str | None:
    """Weights of a layer behind the last of a list of the model's; heads, which nobody calls, are no list's."""
    lists = {name: len(m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    for key in sorted(unexpected):
        for match in re.finditer(r"\.(\d+)\.", key):
            if int(match[1]) >= lists.get(key[: match.start()], math.inf):
                return key
    return None


def line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
