"""A checkpoint of one's own through s3prl: what is broken or another's is named, and nothing of it is run or drawn."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fas.errors import ConfError, FetchError
from fas.frontend import S3PRLConf, fetch
from fas.frontend.s3prl import S3PRLFrontend, load_upstream

pytestmark = pytest.mark.usefixtures("no_lookup")


def edited(folder: Path, to: Path, config: dict[str, object], without: str = "-") -> str:
    """A copy of a transformers checkpoint with other values in its config.json and fewer weights."""
    shutil.copytree(folder, to)
    described = json.loads((to / "config.json").read_text()) | config
    (to / "config.json").write_text(json.dumps(described))
    kept = {k: v for k, v in load_file(to / "model.safetensors").items() if without not in k}
    save_file(kept, to / "model.safetensors", metadata={"format": "pt"})
    return str(to)


@pytest.mark.parametrize(
    ("config", "without", "says"),
    [
        ({}, "layers.1.", r"its weights lack encoder\.layers\.1\..* such\)"),
        ({"num_hidden_layers": 5}, "-", r"its weights lack encoder\.layers\.3\..* such\)"),
        ({"num_hidden_layers": 2}, "-", r"its weights have encoder\.layers\.2\..* such\)"),
    ],
)
def test_weights_that_a_checkpoint_lacks_are_not_drawn(
    config: dict[str, object], without: str, says: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    ckpt = edited(checkpoints["hf_hubert_custom"], tmp_path / "hubert", config, without)
    with pytest.raises(ConfError, match=rf"ckpt {ckpt}: {says}"):
        load_upstream("hf_hubert_custom", ckpt)


def test_a_checkpoint_in_half_precision_is_heard_in_full(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    ckpt = Path(edited(checkpoints["hf_hubert_custom"], tmp_path / "half", {"dtype": "float16"}))
    weights = {k: v.half() for k, v in load_file(ckpt / "model.safetensors").items()}
    save_file(weights, ckpt / "model.safetensors", metadata={"format": "pt"})
    frames = S3PRLFrontend(S3PRLConf("hf_hubert_custom", ckpt=str(ckpt)), "cpu").frames([np.ones(8000, np.float32)])
    assert frames[0].dtype == torch.float32


def test_a_weight_that_no_frame_needs_may_be_missing(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    load_upstream("hf_hubert_custom", edited(checkpoints["hf_hubert_custom"], tmp_path / "h", {}, "masked_spec_embed"))


def test_an_upstream_that_lets_missing_weights_pass_is_held_to_them(tmp_path: Path) -> None:
    """CPC's; HuBERT's and WavLM's are strict by themselves."""
    from s3prl.upstream.cpc.cpc_default_config import get_default_cpc_config
    from s3prl.upstream.cpc.feature_loader import getAR, getEncoder
    from s3prl.upstream.cpc.model import CPCModel

    config = get_default_cpc_config()
    config.hiddenEncoder = config.hiddenGar = 8
    weights = CPCModel(getEncoder(config), getAR(config)).state_dict()
    torch.save({"config": vars(config), "weights": weights}, tmp_path / "cpc.pt")
    load_upstream("cpc_local", str(tmp_path / "cpc.pt"))
    weights.popitem()
    torch.save({"config": vars(config), "weights": weights}, tmp_path / "cpc.pt")
    with pytest.raises(ConfError, match=r"cpc\.pt: its weights lack gAR.* \(1 such\)"):
        load_upstream("cpc_local", str(tmp_path / "cpc.pt"))


def test_a_relative_folder_that_is_not_there_is_looked_up_by_its_own_name_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "_snapshot", lambda name, *_: asked.append(name) or Path("/nowhere").stat())
    with pytest.raises(FetchError, match=r"ckpt models/none: could not be fetched .* no such folder is here"):
        load_upstream("hf_hubert_custom", "models/none")
    assert asked == ["models/none"]


def test_a_checkpoint_by_hub_name_is_loaded_from_where_it_was_fetched_to(
    monkeypatch: pytest.MonkeyPatch, checkpoints: dict[str, Path]
) -> None:
    monkeypatch.setattr(fetch, "_snapshot", lambda *_: checkpoints["hf_hubert_custom"])
    load_upstream("hf_hubert_custom", "owner/name")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("wavlm_local", b"", "EOFError"),
        ("wavlm_local", pickle.dumps(print), "a pickle of more than weights, which is not loaded"),
        ("wavlm_local", {"cfg": {}, "model": {}}, "Error.* in loading state_dict for WavLM"),
        ("hubert_local", {"cfg": {}, "model": {}}, "the required key: task_cfg is missing"),
    ],
)
def test_files_of_something_else(name: str, content: bytes | dict, says: str, tmp_path: Path) -> None:
    ckpt = tmp_path / "my.pt"
    ckpt.write_bytes(content) if isinstance(content, bytes) else torch.save(content, ckpt)
    with pytest.raises(ConfError, match=rf"^ckpt {ckpt}: upstream {name} can't load it \(.*{says}.*\); copy it again"):
        load_upstream(name, str(ckpt))


def test_folders_of_something_else(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    hubert = checkpoints["hf_hubert_custom"]
    wider = edited(hubert, tmp_path / "wider", {"intermediate_size": 64})
    with pytest.raises(ConfError, match=rf"^ckpt {wider}: .*other sizes than its config\.json says"):
        load_upstream("hf_hubert_custom", wider)
    cut, pickled = (Path(edited(hubert, tmp_path / name, {})) for name in ("cut", "pickled"))
    os.truncate(cut / "model.safetensors", 9000)
    with pytest.raises(ConfError, match=rf"^ckpt {cut}: .*can't load it \(SafetensorError: .*; copy it again"):
        load_upstream("hf_hubert_custom", str(cut))
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(ConfError, match=rf"^ckpt {pickled}: .*pickle of more than weights"):
        load_upstream("hf_hubert_custom", str(pickled))


class Harm:
    """Makes a folder, in the working one, when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("name", ["wavlm_local", "tera_local", "distiller_local"])
def test_no_code_of_a_checkpoint_is_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"Config": Harm()}, tmp_path / "my.pt")
    with pytest.raises(ConfError, match="a pickle of more than weights, which is not loaded"):
        load_upstream(name, str(tmp_path / "my.pt"))
    assert not (tmp_path / "harm").exists() and "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_a_processor_of_transformers_5_has_the_extractor_within(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(checkpoints["hf_hubert_custom"], tmp_path / "hubert"))
    described = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": described | {"padding_value": 0.5}}))
    assert load_upstream("hf_hubert_custom", str(folder)).extracter.padding_value == 0.5
