"""Encoders of transformers: frames are those of the library's own call on small checkpoints written here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel

from fas import threads
from fas.errors import ConfError, FetchError
from fas.frontend import TransformersConf
from fas.frontend import precision as precisions
from fas.frontend.hf_audio import TransformersFrontend
from tests.frontend import small

pytestmark = pytest.mark.usefixtures("no_network")
Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = small.transformers_checkpoint(name, tmp_path_factory.mktemp("ckpt") / name)
        return made[name]

    return make


def frontend(folder: Path, **settings: object) -> TransformersFrontend:
    return TransformersFrontend(TransformersConf(str(folder), dtype="float32", **settings), "cpu")


@pytest.mark.parametrize("name", [*small.SPEECH, "sew_d", "hubert_large", "w2v_bert", "wav2vec2_adapter"])
def test_hidden_states_are_those_of_the_library(name: str, checkpoint: Checkpoint) -> None:
    folder, sound = checkpoint(name), small.sound(0.9)
    model, extractor = AutoModel.from_pretrained(folder).eval(), AutoFeatureExtractor.from_pretrained(folder)
    with torch.no_grad(), threads.one():  # in more, last bits are others
        inputs = extractor(sound, sampling_rate=16_000, return_tensors="pt")
        hidden = model(**inputs, output_hidden_states=True).hidden_states
    for layer, expected in (
        (None, hidden[-1]),
        (1, hidden[1]),
        ([0, -1], torch.cat([hidden[0], hidden[-1]], -1)),
        ("mean", torch.stack(hidden).mean(0)),
    ):
        made = frontend(folder, layer=layer)
        with threads.one():
            assert torch.equal(made.frames([sound])[0], expected[0])
        assert abs(made.frame_shift - (0.04 if name.startswith("sew") else 0.02)) < 1e-9
        assert abs(len(made.frames([small.sound(4)])[0]) - 4 / made.frame_shift) < 2


def own_call(name: str, model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """(T, D) by the library's own documented call."""
    if name == "xcodec2":
        return model.encode(**inputs, output_latents=True).latents[0].T
    if name == "vibevoice":
        return model.encode(inputs["input_values"], sample=False).latents[0]
    if name == "mimi":
        return model.encoder(inputs["input_values"]).latents[0].T
    if name == "clap":
        return model.audio_model(**inputs).last_hidden_state[0].flatten(0, 0).permute(2, 1, 0).flatten(1)
    return model.encoder(inputs["input_values"])[0].T


@pytest.mark.parametrize(
    ("name", "rate", "a_second"),
    [("xcodec2", 16_000, 50), ("vibevoice", 24_000, 7.5), ("mimi", 24_000, 12.5), ("encodec", 24_000, 75),
     ("dac", 16_000, 31.25), ("clap", 48_000, 3.2)],
)  # fmt: skip
def test_latents_are_those_of_the_library(name: str, rate: int, a_second: float, checkpoint: Checkpoint) -> None:
    folder, sound = checkpoint(name), small.sound(1.7, rate)
    made = frontend(folder, output="latents")
    assert made.rate == rate and abs(1 / made.frame_shift - a_second) < 1e-6 and not made.together
    model, extractor = AutoModel.from_pretrained(folder).eval(), AutoFeatureExtractor.from_pretrained(folder)
    with torch.no_grad(), threads.one():  # as `frames` takes an encoder of this size
        expected = own_call(name, model, extractor(sound, sampling_rate=rate, return_tensors="pt"))
    found = made.frames([sound])[0]
    if name == "clap":  # of the 10 s that the library repeats it to
        expected = expected[: int(np.ceil(1.7 * a_second))]
    assert torch.equal(found, expected)
    assert torch.equal(found, made.frames([sound])[0])  # nothing is drawn
    assert found.std() > 0 and abs(len(found) - 1.7 * a_second) <= 2


def test_clap_hears_long_sound_in_windows_and_draws_nothing(checkpoint: Checkpoint) -> None:
    made, sound = frontend(checkpoint("clap"), output="latents"), small.sound(12.5, 48_000)
    found = made.frames([sound])[0]
    assert len(found) == 32 + 8  # of 12.5 s at 3.2 a second
    assert torch.equal(found, made.frames([sound])[0])
    assert torch.equal(found[:32], made.frames([sound[:480_000]])[0])


@pytest.mark.parametrize("name", ["hubert", "wavlm_large", "unispeech_sat", "w2v_bert", "wav2vec2_adapter"])
def test_a_padded_batch_has_the_frames_of_its_utterances(name: str, checkpoint: Checkpoint) -> None:
    made = frontend(checkpoint(name), batch_seconds=8)
    sounds = [small.sound(s, seed=i) for i, s in enumerate((0.3, 1.111, 2.2, 0.05))]
    for together, sound in zip(made.frames(sounds), sounds, strict=True):
        alone = made.frames([sound])[0]
        assert together.shape == alone.shape
        assert float((together - alone).abs().max() / alone.abs().max()) < 1e-5


def test_a_pass_that_is_too_large_is_halved(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, whose memory here takes two utterances."""
    made, passes = frontend(checkpoint("hubert"), batch_seconds=100), []
    sounds = {f"u{i}": small.sound(0.2 + 0.1 * i, seed=i) for i in range(5)}
    expected = {u: made.frames([s])[0] for u, s in sounds.items()}
    plain = made.frames

    def limited(samples: list[np.ndarray]) -> list[torch.Tensor]:
        if len(samples) > 2:
            raise MemoryError
        passes.append(len(samples))
        return plain(samples)

    monkeypatch.setattr(made, "frames", limited)
    made.audio = sounds.__getitem__
    order = ["u3", "u0", "u4", "u1", "u2"]
    for utt, found in zip(order, made.encode(order), strict=True):
        assert found["."].shape == expected[utt].shape
        np.testing.assert_allclose(found["."], expected[utt], atol=1e-4)
    assert passes == [2, 1, 2] and made.seconds < 2


def test_an_encoder_that_hears_padding_takes_no_batch(checkpoint: Checkpoint) -> None:
    for name in ("data2vec-audio", "sew"):
        with pytest.raises(ConfError, match=f"{name} takes one utterance at a time"):
            frontend(checkpoint(name.removesuffix("-audio")), batch_seconds=8)


def test_precision(checkpoint: Checkpoint) -> None:
    """Half the bits and int8 come near to float32, and are not it."""
    folder, sound = checkpoint("hubert_large"), small.sound(1.5)
    exact = frontend(folder).frames([sound])[0]
    for precision in ("bfloat16", "int8"):
        made = frontend(folder, precision=precision)
        assert made.precision == precision
        off = (made.frames([sound])[0].float() - exact).abs()
        assert 0 < float(off.mean() / exact.abs().mean()) < 0.1


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_what_goes_in_is_made_in_float32(precision: str, checkpoint: Checkpoint) -> None:
    """XCodec2's extractor is torch's own, whose logarithms of powers half the bits don't hold."""
    made, sound = frontend(checkpoint("xcodec2"), output="latents", precision=precision), small.sound(0.5)
    exact = frontend(checkpoint("xcodec2"), output="latents")
    with precisions.autocast(precision, "cpu"):
        inputs = made._extract(sound)
    for key, expected in exact._extract(sound).items():
        assert torch.equal(inputs[key], expected)
    found = made.frames([sound])[0]
    assert found.shape == exact.frames([sound])[0].shape and torch.isfinite(found).all()


def test_what_a_checkpoint_can_not_give(checkpoint: Checkpoint, tmp_path: Path) -> None:
    hubert, dac = checkpoint("hubert"), checkpoint("dac")
    for folder, settings, says in (
        (hubert, {"output": "latents"}, "hubert is no codec"),
        (dac, {"output": "hidden"}, "set output: latents"),
        (hubert, {"sample_rate": 24_000}, r"sample_rate 24000: .* takes 16000 Hz alone"),
        (hubert, {"layer": 4}, r"layer 4: .* layers 0 to 3"),
        (hubert, {"layer": "first"}, "layer 'first'"),
        (hubert, {"revision": "main"}, "revision main: .* is a folder"),
        (tmp_path / "nowhere", {}, "no such folder"),
        ("../hubert", {}, "no such folder"),
    ):
        with pytest.raises(ConfError, match=says):
            frontend(folder, **settings)
    with pytest.raises(FetchError, match="at revision abc: could not be fetched"):
        frontend("someone/some-encoder", revision="abc")
