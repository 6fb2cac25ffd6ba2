"""An audio encoder of transformers as it lies in a folder: its extractor and model, or what is wrong with them."""

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fas.errors import ConfError
from fas.frontend.hf_latents import LATENTS

UNUSED = ("masked_spec_embed", "num_batches_tracked")  # weights that frames don't need, and some checkpoints lack


def load(folder: Path) -> tuple[Any, nn.Module]:
    """The feature extractor and the model of a checkpoint in float32. Raises ConfError for what can't be one."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what is missing is an error below
    local = {"local_files_only": True, "trust_remote_code": False}
    complain_of_missing(folder, "model")
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        extractor = AutoFeatureExtractor.from_pretrained(folder, **local)
        model, found = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True, **local
        )
    except pickle.UnpicklingError as e:
        raise ConfError(f"model {folder}: holds a pickle of more than weights; not loaded ({_line(e)})") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as e:
        raise ConfError(f"model {folder}: is no checkpoint of transformers' audio encoders ({_line(e)})") from None
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
    if not hasattr(extractor, "sampling_rate"):
        raise ConfError(f"model {folder}: is no audio encoder (its preprocessor_config.json has no sampling_rate)")
    return extractor, model


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


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
