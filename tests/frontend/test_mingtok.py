"""MingTok-Audio's encoder: the mean of its posterior, by the published steps, on a small checkpoint in its format."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import linear, pad

from fas.errors import ConfError
from fas.frontend import MingTokConf
from fas.frontend.mingtok import MingTokFrontend
from tests.frontend import small

pytestmark = pytest.mark.usefixtures("no_network")


def frontend(folder: Path, **settings: object) -> MingTokFrontend:
    return MingTokFrontend(MingTokConf(str(folder), dtype="float32", **settings), "cpu")


def by_hand(folder: Path, sound: torch.Tensor) -> torch.Tensor:
    """(T, 64): padded to whole frames, fc1, fc2, Qwen2, fc3, of whose 128 channels the first half is the mean."""
    from transformers import Qwen2Config, Qwen2Model

    weights = {k.removeprefix("encoder."): v for k, v in load_file(folder / "model.safetensors").items()}
    qwen = Qwen2Model(Qwen2Config(**small.MINGTOK["backbone"])).eval()
    qwen.load_state_dict({k.removeprefix("encoder."): v for k, v in weights.items() if k.startswith("encoder.")})
    frames = pad(sound, (0, -len(sound) % 320)).reshape(1, -1, 320)
    with torch.no_grad():
        hidden = linear(linear(frames, weights["fc1.weight"]), weights["fc2.weight"], weights["fc2.bias"])
        hidden = qwen(inputs_embeds=hidden).last_hidden_state
        return linear(hidden, weights["fc3.weight"], weights["fc3.bias"])[0, :, :64]


def test_frames_are_the_means(tmp_path: Path) -> None:
    folder = small.mingtok_checkpoint(tmp_path / "mingtok")
    made, sound = frontend(folder), small.sound(1.01)
    found = made.frames([sound])[0]
    assert found.shape == (51, 64) and made.frame_shift == 0.02
    assert torch.equal(found, by_hand(folder, torch.from_numpy(sound)))
    assert torch.equal(found, made.frames([sound])[0])


def test_a_batch_needs_no_mask(tmp_path: Path) -> None:
    made = frontend(small.mingtok_checkpoint(tmp_path / "mingtok"), batch_seconds=10)
    sounds = [small.sound(s, seed=i) for i, s in enumerate((0.4, 1.3, 2.111))]
    for together, sound in zip(made.frames(sounds), sounds, strict=True):
        alone = made.frames([sound])[0]
        assert float((together - alone).abs().max() / alone.abs().max()) < 1e-5


def test_the_rate_is_the_checkpoints(tmp_path: Path) -> None:
    made = frontend(small.mingtok_checkpoint(tmp_path / "mingtok", sample_rate=44_100))
    assert made.rate == 44_100 and abs(made.frame_shift - 320 / 44_100) < 1e-12
    assert len(made.frames([small.sound(1, 44_100)])[0]) == 138


def test_another_folder(tmp_path: Path) -> None:
    folder = small.mingtok_checkpoint(tmp_path / "mingtok")
    described = json.loads((folder / "config.json").read_text())
    kwargs = described["enc_kwargs"]
    for wrong, says in (
        ({"model_type": "hubert"}, "no enc_kwargs"),
        (described | {"patch_size": 4}, "patch_size 4 joins frames"),
        ({"enc_kwargs": kwargs | {"hop_size": 160}}, "hop_size 160 and input_dim 320 differ"),
        ({"enc_kwargs": kwargs | {"latent_dim": 32}}, "is no MingTok-Audio checkpoint .*fc3"),
        ({"enc_kwargs": kwargs | {"backbone": kwargs["backbone"] | {"num_hidden_layers": 3}}}, "another model's"),
    ):
        (folder / "config.json").write_text(json.dumps(wrong))
        with pytest.raises(ConfError, match=says):
            frontend(folder)
    (folder / "config.json").write_text(json.dumps(described))
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "fc2" not in k}, folder / "model.safetensors")
    with pytest.raises(ConfError, match=r"encoder\.fc2\.weight .* is missing"):
        frontend(folder)
    (folder / "model.safetensors").rename(folder / "model.pt")
    with pytest.raises(ConfError, match=r"no \*\.safetensors in it; a pickle is not loaded"):
        frontend(folder)
    with pytest.raises(ConfError, match="no such folder"):
        frontend(tmp_path / "nowhere")


def edited(folder: Path, **backbone: object) -> Path:
    """A checkpoint whose config.json says something else of its backbone."""
    kwargs = small.MINGTOK | {"backbone": small.MINGTOK["backbone"] | backbone}
    return small.mingtok_checkpoint(folder, enc_kwargs=kwargs)


def test_what_its_training_set_is_ours_to_choose(tmp_path: Path) -> None:
    sound = small.sound(0.5)
    expected = frontend(small.mingtok_checkpoint(tmp_path / "plain")).frames([sound])[0]
    theirs = {"_attn_implementation": "flash_attention_2", "attn_implementation": "flash_attention_2"}
    made = frontend(edited(tmp_path / "edited", use_cache=True, **theirs))
    assert torch.equal(made.frames([sound])[0], expected)


def test_wrong_types(tmp_path: Path) -> None:
    for key, value in (("sample_rate", "16000"), ("sample_rate", None), ("sample_rate", 0), ("sample_rate", True)):
        with pytest.raises(ConfError, match=rf"config\.json: sample_rate must be a whole number .*, not {value!r}"):
            frontend(small.mingtok_checkpoint(tmp_path / "m", **{key: value}))
    with pytest.raises(ConfError, match="input_dim must be a whole number above 0, not '320'"):
        frontend(small.mingtok_checkpoint(tmp_path / "m", enc_kwargs=small.MINGTOK | {"input_dim": "320"}))
    for key, value in (("num_attention_heads", 0), ("num_attention_heads", 3), ("hidden_act", "nope")):
        with pytest.raises(ConfError, match="is no MingTok-Audio checkpoint"):
            frontend(edited(tmp_path / "m", **{key: value}))
    (tmp_path / "m/config.json").write_text("[1]")
    with pytest.raises(ConfError, match="has no enc_kwargs"):
        frontend(tmp_path / "m")
