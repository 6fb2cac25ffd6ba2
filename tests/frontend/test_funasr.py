"""emotion2vec through FunASR, which is in no environment of the tests; skipped aloud where it is missing.

uv pip install --no-deps -r requirements-funasr.txt, into an environment of its own, makes it run.
"""

import importlib.util
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import FunASRConf, funasr
from tests.frontend import small as checkpoints

installed = importlib.util.find_spec("funasr") is not None
needed = pytest.mark.skipif(not installed, reason="FunASR is not installed: see requirements-funasr.txt")


def test_without_it_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfError, match=r"FunASR is not installed in .*an environment of your own") as told:
        funasr.FunASRFrontend(FunASRConf(str(tmp_path)), "cpu")
    files = [Path(p) for p in re.findall(r"\S+\.txt", str(told.value))]
    assert len(files) == 2 and all(p.is_absolute() and p.exists() for p in files)


@needed
def test_frames_are_funasrs(small: DataDir, tmp_path: Path) -> None:
    from funasr import AutoModel

    from fas.data import audio

    folder = checkpoints.emotion2vec_checkpoint(tmp_path / "emotion2vec")
    made = funasr.FunASRFrontend(FunASRConf(str(folder), dtype="float32"), "cpu")
    threads = torch.get_num_threads()
    model = AutoModel(model=str(folder), hub="hf", disable_update=True, device="cpu", disable_pbar=True, ncpu=threads)
    for batch in made.batches(small):
        sound = audio.read(small.wav[batch[0]])
        said = model.generate(input=[sound], fs=16_000, granularity="frame", extract_embedding=True)
        found = made.encode(batch)[0]["."]
        assert np.array_equal(found, said[0]["feats"])
        assert len(found) == (len(sound) - 400) // 320 + 1


@needed
def test_another_folder(tmp_path: Path) -> None:
    folder = checkpoints.emotion2vec_checkpoint(tmp_path / "emotion2vec")
    described = yaml.safe_load((folder / "config.yaml").read_text())
    audio = described["model_conf"]["modalities"]["audio"]
    evil = described | {"model_conf": described["model_conf"] | {"modalities": {"audio": audio | {
        "feature_encoder_spec": "__import__('os').system('touch x')"}}}}  # fmt: skip
    for wrong, says in (
        ({"model": "SenseVoice"}, "is no emotion2vec checkpoint"),
        (described | {"model": "Paraformer"}, "takes Emotion2vec alone"),
        (evil, "is no list of convolutions"),
        (described | {"model_conf": described["model_conf"] | {"depth": 3}}, "weights of another model"),
        (described | {"model_conf": described["model_conf"] | {"mlp_ratio": 3.0}}, "FunASR can't load"),
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump(wrong))
        with pytest.raises(ConfError, match=says):
            funasr.load(folder, "cpu")
    (folder / "config.yaml").write_text(yaml.safe_dump(described))
    (folder / "model.pt").write_bytes(pickle.dumps(print))
    with pytest.raises(ConfError, match="pickle"):
        funasr.load(folder, "cpu")
