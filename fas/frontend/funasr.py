"""Frames of emotion2vec (arXiv 2312.15185) through FunASR, which is in no environment but one that a conf asks for."""

import contextlib
import importlib.util
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import torch
import yaml

from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, FunASRConf, fetch
from fas.frontend.loader import Loader

ROOT = Path(__file__).resolve().parents[2]
HOP = 320  # samples a frame
SHORTEST = 1600  # samples
FILES = ("*.yaml", "*.pt", "*.txt")  # of a checkpoint, beside *.json
UNUSED = re.compile(r"proj\.|modality_encoders\.AUDIO\.decoder\.|.*_ema")  # weights that no frame needs
LAYERS = re.compile(r"[\d\s()\[\],+*]+")  # a list of convolutions; FunASR evaluates it


class FunASRFrontend:
    """Just FunASR's own call, an utterance at a time, in float32."""

    frame_shift = HOP / audio.SAMPLE_RATE

    def __init__(self, settings: FunASRConf, device: str, allow_pipes: bool = False):
        if importlib.util.find_spec("funasr") is None:
            raise ConfError(
                f"kind: funasr: FunASR is not installed in {sys.executable}; make an environment of your own with "
                f"{ROOT}/requirements.txt in it, there python -m uv pip install --no-deps -r "
                f"{ROOT}/requirements-funasr.txt, and set FAS_PYTHON to its python"
            )
        self.settings, self.allow_pipes = settings, allow_pipes
        self.model = load(fetch.model_folder(settings.model, settings.revision, FILES), device)

    def batches(self, data: DataDir) -> list[list[str]]:
        self.audio = Loader(data, self.settings, self.allow_pipes)
        return [[utt] for utt in data.utts]

    def encode(self, batch: list[str]) -> list[Encoded]:
        made: list[Encoded] = []
        for utt in batch:
            samples = self.audio(utt)
            samples = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
            with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
                asked = {"granularity": "frame", "extract_embedding": True, "disable_pbar": True}
                said = self.model.generate(input=[samples], fs=audio.SAMPLE_RATE, **asked)
            made.append({".": said[0]["feats"].astype(self.settings.dtype)})
        return made


def load(folder: Path, device: str) -> object:
    """FunASR's AutoModel of an emotion2vec folder. Raises ConfError for one that is none, or lacks weights."""
    described = read_config(folder)
    with contextlib.redirect_stdout(sys.stderr):
        from funasr import AutoModel

        try:
            stored = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
            model = AutoModel(
                model=str(folder), hub="hf", disable_update=True, disable_pbar=True, log_level="ERROR", device=device,
                ncpu=torch.get_num_threads(), ignore_init_mismatch=False,
            )  # fmt: skip
        except pickle.UnpicklingError:
            raise ConfError(f"{folder}/model.pt: holds a pickle of more than weights, which is not loaded") from None
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, AssertionError) as e:
            said = " ".join(str(e).split())[:300]
            raise ConfError(f"{folder}: FunASR can't load {described['model']} ({said}); copy it again") from None
    for key in ("state_dict", "model_state_dict", "model"):
        stored = stored.get(key, stored)
    missing = [n for n in model.model.state_dict() if n not in stored and not UNUSED.match(n)]
    if missing:
        raise ConfError(f"{folder}/model.pt: {missing[0]} ({len(missing)} such) is missing; weights of another model")
    return model


def read_config(folder: Path) -> dict:
    """The checkpoint's config.yaml. Raises ConfError for another model than emotion2vec."""
    path = folder / "config.yaml"
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        layers = described["model_conf"]["modalities"]["audio"]["feature_encoder_spec"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as e:
        raise ConfError(f"{path}: is no emotion2vec checkpoint of FunASR ({type(e).__name__}: {e})") from None
    if described.get("model") != "Emotion2vec":
        raise ConfError(f"{path}: is of {described.get('model')!r}; kind: funasr takes Emotion2vec alone")
    if not LAYERS.fullmatch(layers):
        raise ConfError(f"{path}: feature_encoder_spec is no list of convolutions: {layers[:60]!r}; not loaded")
    return described
