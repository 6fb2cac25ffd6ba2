"""Checkpoints of transformers that were cut off, edited or mixed up are errors that say what to do."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from fas.errors import ConfError
from fas.frontend import TransformersConf, digest
from fas.frontend.hf_audio import TransformersFrontend
from tests.frontend import small

pytestmark = pytest.mark.usefixtures("no_network")
Copy = Callable[[str], Path]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of its own of a small checkpoint."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = small.transformers_checkpoint(name, tmp_path_factory.mktemp("ckpt") / name)
        return Path(shutil.copytree(made[name], tmp_path_factory.mktemp("copy") / name))

    return make


def edit(folder: Path, file: str = "preprocessor_config.json", **values: object) -> Path:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def load(folder: Path, output: str = "hidden", **settings: object) -> TransformersFrontend:
    return TransformersFrontend(TransformersConf(str(folder), output=output, dtype="float32", **settings), "cpu")


def test_a_checkpoint_of_something_else(copy: Copy) -> None:
    other = copy("hubert")
    described = json.loads((other / "config.json").read_text())
    for key, value, says in (
        ("num_hidden_layers", 4, r"are of another model"),
        ("model_type", "bert", r"BertModel.* are of another model"),
        ("model_type", "nothing", "is no checkpoint of transformers' audio encoders"),
        ("hidden_size", 64, "is no checkpoint of transformers' audio encoders"),
    ):
        (other / "config.json").write_text(json.dumps(described | {key: value}))
        with pytest.raises(ConfError, match=says):
            load(other)
    (other / "config.json").write_text(json.dumps(described))
    (other / "model.safetensors").unlink()
    with pytest.raises(ConfError, match=str(other)):
        load(other)
    (other / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": print}))
    with pytest.raises(ConfError, match="pickle"):
        load(other)
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing"):
        load(other)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("encodec", {"sampling_rate": 16_000}, r"sampling_rate is 16000 in preprocessor_config.* and 24000 in config"),
        ("mimi", {"sampling_rate": 16_000}, "sampling_rate is 16000 in"),
        ("xcodec2", {"sampling_rate": 24_000}, "sampling_rate is 24000 in"),
        ("dac", {"sampling_rate": 44_100}, "sampling_rate is 44100 in"),
        ("vibevoice", {"sampling_rate": 16_000}, r"claims 7\.5 frames a second and gives 5 frames of 1 s, 15 of 3 s"),
        ("encodec", {"chunk_length_s": 1.0, "overlap": 0.01}, "takes stereo or chunks"),
        ("encodec", {"feature_size": 2}, "takes stereo or chunks"),
        ("clap", {"nb_max_samples": 240_000, "max_length_s": 5}, "nb_max_samples 240000 .* set 480000"),
    ],
)
def test_an_extractor_of_another_model(name: str, values: dict, says: str, copy: Copy) -> None:
    with pytest.raises(ConfError, match=says):
        load(edit(copy(name), **values), "latents")


@pytest.mark.parametrize("name", ["hubert", "encodec"])
def test_weights_of_layers_that_the_conf_lacks(name: str, copy: Copy) -> None:
    """Heads of a model that was tuned are let through."""
    folder, latents = copy(name), "latents" if name in small.CODECS else "hidden"
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"lm_head.weight": torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"})
    load(folder, latents)
    last = next(k for k in sorted(weights) if re.match(r"encoder\.layers\.\d+\.", k))
    above = re.sub(r"\d+", "16", last, count=1)
    save_file(weights | {above: weights[last].clone()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfError, match=rf"its weights have {re.escape(above)}, and the layers of config\.json end"):
        load(folder, latents)


@pytest.mark.parametrize("head", [False, True])
def test_fewer_layers_than_weights(head: bool, copy: Copy) -> None:
    folder = copy("hubert")
    if head:
        t.HubertForCTC(t.HubertConfig(**small.WAV2VEC2, vocab_size=4)).save_pretrained(folder)
        load(folder)
    with pytest.raises(ConfError, match=r"its weights have encoder\.layers\.2\."):
        load(edit(folder, "config.json", num_hidden_layers=2))


def test_a_processor_of_transformers_5_has_the_extractor_within(copy: Copy) -> None:
    folder, sound = copy("hubert"), small.sound(0.5)
    expected = load(folder).frames([sound])[0]
    alone = folder / "preprocessor_config.json"
    both = folder / "processor_config.json"
    both.write_text(json.dumps({"feature_extractor": json.loads(alone.read_text()), "processor_class": "P"}))
    alone.unlink()
    assert torch.equal(load(folder).frames([sound])[0], expected)
    identity = digest(TransformersConf(str(folder)))
    edit(folder, both.name, feature_extractor={"feature_extractor_type": "Wav2Vec2FeatureExtractor"})
    assert digest(TransformersConf(str(folder))) != identity
    both.write_text(json.dumps({"processor_class": "P"}))
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, r"asks for what isn't installed .* not quantized"),
        ("_attn_implementation", "flash_attention_2", "leave attn_implementation out"),
        ("conv_stride", [5, 2, 2], "is no checkpoint of transformers' audio encoders .*conv"),
    ],
)
def test_a_conf_that_the_library_refuses(key: str, value: object, says: str, copy: Copy) -> None:
    with pytest.raises(ConfError, match=says):
        load(edit(copy("hubert"), "config.json", **{key: value}))


@pytest.mark.parametrize("rate", ["16000", None, 0, 16_000.5])
def test_a_rate_that_is_none(rate: object, copy: Copy) -> None:
    with pytest.raises(ConfError, match=rf"sampling_rate of its preprocessor_config\.json is {rate!r}, not a number"):
        load(edit(copy("hubert"), sampling_rate=rate))


def test_weights_that_were_not_copied_whole(copy: Copy) -> None:
    weights = copy("hubert") / "model.safetensors"
    whole = weights.read_bytes()
    for content, says in (
        (whole[: len(whole) // 2], "is cut off"),
        (b"", "is cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "looks like a Git LFS pointer"),
    ):
        weights.write_bytes(content)
        with pytest.raises(ConfError, match=rf"model\.safetensors: {says}"):
            load(weights.parent)


def whisper() -> tuple[object, object]:
    sizes = {f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("attention_heads", "ffn_dim")}
    config = t.WhisperConfig(d_model=32, encoder_layers=1, decoder_layers=1, **sizes)
    return t.WhisperModel(config), t.WhisperFeatureExtractor()


def xcodec() -> tuple[object, object]:
    acoustic = t.DacConfig(encoder_hidden_size=4, decoder_hidden_size=64, codebook_size=16)
    semantic = t.HubertConfig(**small.WAV2VEC2)
    config = t.XcodecConfig(acoustic_model_config=acoustic, semantic_model_config=semantic)
    return t.XcodecModel(config), t.DacFeatureExtractor()


def bert() -> tuple[object, object]:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return t.BertModel(t.BertConfig(vocab_size=8, **sizes)), t.Wav2Vec2FeatureExtractor()


def clap_alone() -> tuple[object, object]:
    sizes = {"patch_embeds_hidden_size": 8, "depths": [1] * 4, "num_attention_heads": [1, 1, 2, 2], "hidden_size": 64}
    return t.ClapAudioModel(t.ClapAudioConfig(**sizes)), t.ClapFeatureExtractor()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (whisper, "WhisperModel is an encoder with a decoder; .* Whisper is kind: whisper"),
        (xcodec, r"XcodecModel gives no frames of what DacFeatureExtractor makes of audio \(RuntimeError.* takes enc"),
        (bert, "BertModel takes input_ids, and Wav2Vec2FeatureExtractor .* makes input_values"),
        (clap_alone, "is CLAP's audio tower alone; save the whole ClapModel"),
    ],
)
def test_a_model_that_is_no_encoder_of_frames(make: Callable, says: str, tmp_path: Path) -> None:
    for part in make():
        part.save_pretrained(tmp_path)
    for output in ("hidden", "latents") if make is whisper else ("hidden",):
        with pytest.raises(ConfError, match=says):
            load(tmp_path, output)


def test_an_extractor_of_another_family(copy: Copy) -> None:
    with pytest.raises(ConfError, match=r"HubertModel takes input_values, and WhisperFeatureExtractor .* makes input"):
        load(edit(copy("hubert"), feature_extractor_type="WhisperFeatureExtractor"))
