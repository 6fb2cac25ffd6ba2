"""SSL features through real s3prl, on small checkpoints written here and on fbank: nothing is fetched."""

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fas import threads
from fas.bin import extract
from fas.data import audio, tables
from fas.data.datadir import DataDir
from fas.errors import ConfError, FetchError
from fas.features import ark
from fas.frontend import S3PRLConf, fetch
from fas.frontend.s3prl import S3PRLFrontend, load_upstream
from tests.conftest import ROOT, run

pytestmark = pytest.mark.usefixtures("no_network")
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16, 16, 16, 16, 16, 16),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up elsewhere is a failure."""
    import socket

    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"the network was touched: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Upstream name -> small random checkpoint in that upstream's own format."""
    from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig
    from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = tmp_path_factory.mktemp("ckpt")
    torch.manual_seed(0)
    made = {}
    for name, model in {
        "hf_hubert_custom": HubertModel(HubertConfig(**SIZES)),
        "hf_wav2vec2_custom": Wav2Vec2Model(Wav2Vec2Config(**SIZES)),
    }.items():
        model.save_pretrained(folder / name)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / name)
        made[name] = folder / name
    cfg = {
        "extractor_mode": "default",
        "encoder_layers": 2,
        "encoder_embed_dim": 32,
        "encoder_ffn_embed_dim": 48,
        "encoder_attention_heads": 2,
        "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
        "conv_pos": 16,
        "conv_pos_groups": 2,
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "normalize": True,
    }
    torch.save({"cfg": cfg, "model": WavLM(WavLMConfig(cfg)).state_dict()}, folder / "wavlm.pt")
    made["wavlm_local"] = folder / "wavlm.pt"
    return made


@pytest.mark.parametrize("name", ["fbank", "hf_hubert_custom", "hf_wav2vec2_custom", "wavlm_local"])
@pytest.mark.parametrize("layer", [-1, 0, "mean", [0, -1]])
def test_frames_are_those_of_s3prl_called_directly(
    name: str, layer: object, checkpoints: dict[str, Path], small: DataDir
) -> None:
    """In one thread: in more, s3prl's own last bits are others."""
    import s3prl.hub

    if name == "fbank" and layer != -1:
        layer = 0
    ckpt = str(checkpoints[name]) if name in checkpoints else None
    frontend = S3PRLFrontend(S3PRLConf(name, ckpt=ckpt, layer=layer, dtype="float32"), "cpu")
    frontend.batches(small)
    direct = getattr(s3prl.hub, name)(**({"ckpt": ckpt} if ckpt else {})).eval()
    for utt in small.utts:
        with torch.no_grad(), threads.one():
            hidden = direct([torch.from_numpy(audio.read(small.wav[utt]))])["hidden_states"]
        expected = {
            "mean": lambda h=hidden: torch.stack(list(h)).mean(0),
            "[0, -1]": lambda h=hidden: torch.cat([h[0], h[-1]], -1),
        }.get(str(layer), lambda h=hidden: h[layer])()[0]
        assert np.array_equal(frontend.encode([utt])[0]["."], expected.numpy())


@pytest.mark.parametrize("name", ["hf_hubert_custom", "wavlm_local"])
def test_layers_above_the_one_asked_for_are_not_computed(name: str, checkpoints: dict[str, Path]) -> None:
    confs = (S3PRLConf(name, ckpt=str(checkpoints[name]), layer=layer) for layer in (-1, 0))
    whole, cut = (sum(p.numel() for p in S3PRLFrontend(c, "cpu").model.parameters()) for c in confs)
    assert cut < whole


def test_jobs_and_arks(small: DataDir, tmp_path: Path, checkpoints: dict[str, Path], python_path: None) -> None:
    conf = tmp_path / "hubert.yaml"
    conf.write_text(f"kind: s3prl\nupstream: hf_hubert_custom\nckpt: {checkpoints['hf_hubert_custom']}\nlayer: 2\n")
    env = os.environ | {"FAS_PYTHON": sys.executable}
    out = tmp_path / "out"
    command = ["bash", ROOT / "steps/extract_ssl.sh", "--nj", "2", "--conf", conf, tmp_path / "data", out]
    done = run(*command, env=env)
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("feats.*.ark"))) == 2
    assert list(tables.read_table(out / "feats.scp")) == small.utts
    settings = S3PRLConf("hf_hubert_custom", ckpt=str(checkpoints["hf_hubert_custom"]), layer=2)
    frontend = S3PRLFrontend(settings, "cpu")
    frontend.batches(small)
    counts = tables.read_table(out / "utt2num_frames")
    with ark.Reader(out / "feats.scp") as reader:
        for utt in small.utts:
            direct = frontend.encode([utt])[0]["."]
            assert reader[utt].dtype == np.float16 and len(direct) == int(counts[utt])
            np.testing.assert_array_equal(reader[utt], direct.astype(np.float16))

    again = run(*command, env=env)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    check = [sys.executable, "-m", "fas.bin.extract", "ssl", "check", "--data", tmp_path / "data", "--out", out]
    changed = Path(small.wav["spk0_0"])
    whole = changed.read_bytes()
    changed.write_bytes(whole + b"\0\0")
    done = run(*check, "--conf", conf)
    assert done.returncode == 3 and "changed audio" in done.stderr
    conf.write_text(conf.read_text().replace("layer: 2", "layer: 1"))
    done = run(*check, "--conf", conf)
    assert done.returncode == 3 and "configuration" in done.stderr


def test_a_layer_that_is_not_there_names_the_conf(
    small: DataDir, tmp_path: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "my.yaml"
    conf.write_text(f"kind: s3prl\nupstream: hf_hubert_custom\nckpt: {checkpoints['hf_hubert_custom']}\nlayer: 5\n")
    arguments = ["--conf", conf, "--data", tmp_path / "data", "--out", tmp_path / "out", "--job", "1"]
    monkeypatch.setattr(sys, "argv", ["extract", "ssl", "job", *map(str, arguments)])
    with pytest.raises(ConfError, match=rf"^{conf}: layer 5: the encoder has layers 0 to 3"):
        extract.run()


def test_errors_name_the_cure(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ConfError, match=r"near: .*wavlm"):
        load_upstream("wavlm_larg", None)
    with pytest.raises(ConfError, match="upstream 'hubert_base' has weights of its own; leave ckpt out"):
        load_upstream("hubert_base", str(checkpoints["wavlm_local"]))
    with pytest.raises(ConfError, match="needs a ckpt"):
        load_upstream("hf_hubert_custom", None)
    with pytest.raises(ConfError, match=r"ckpt .*nowhere: no such folder.*nothing was looked up"):
        load_upstream("hf_hubert_custom", str(tmp_path / "nowhere"))
    for path in (str(tmp_path / "nowhere.pt"), "models/wavlm.pt", str(tmp_path)):
        with pytest.raises(ConfError, match=rf"ckpt {path}: no such file, .*nothing else was looked up"):
            load_upstream("wavlm_local", path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/config.json").write_text("{}")
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing"):
        load_upstream("hf_hubert_custom", str(tmp_path / "bare"))
    (tmp_path / "bare/preprocessor_config.json").write_text("{")
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing or no JSON"):
        load_upstream("hf_hubert_custom", str(tmp_path / "bare"))


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
