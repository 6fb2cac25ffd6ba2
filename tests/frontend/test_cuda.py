"""Encoders of frames on a GPU: batches with masks, half the bits, and its memory; skipped aloud where there is none.

Needs torch, transformers, numpy and pytest alone:
    python -m pytest --noconftest tests/frontend/test_cuda.py
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fas.data.datadir import DataDir
from fas.frontend import MingTokConf, TransformersConf, neural
from fas.frontend.hf_audio import TransformersFrontend
from fas.frontend.mingtok import MingTokFrontend
from tests.frontend import small

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
SECONDS = (0.05, 0.3, 0.31, 1.0, 1.7, 2.2, 2.21, 3.9)
Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("ckpt") / name
            made[name] = (
                small.mingtok_checkpoint(folder) if name == "mingtok" else small.transformers_checkpoint(name, folder)
            )
        return made[name]

    return make


def build(folder: Path, device: str, **settings: object) -> neural.NeuralFrontend:
    if folder.name == "mingtok":
        return MingTokFrontend(MingTokConf(str(folder), dtype="float32", **settings), device)
    return TransformersFrontend(TransformersConf(str(folder), dtype="float32", **settings), device)


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference by the largest value; infinity where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float((found.float().cpu() - expected.float().cpu()).abs().max() / expected.float().cpu().abs().max())


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 products without TensorFloat-32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("name", ["hubert", "hubert_large", "wavlm", "wavlm_large", "w2v_bert", "mingtok"])
def test_a_batch_on_the_gpu_has_the_frames_of_the_processor(name: str, checkpoint: Checkpoint, exact: None) -> None:
    gpu = build(checkpoint(name), "cuda", precision="float32")
    cpu = build(checkpoint(name), "cpu")
    assert gpu.together
    sounds = [small.sound(s, gpu.rate, seed=i) for i, s in enumerate(SECONDS)]
    for together, sound in zip(gpu.frames(sounds), sounds, strict=True):
        assert together.device.type == "cuda"
        assert off(together, gpu.frames([sound])[0]) < 1e-4
        assert off(together, cpu.frames([sound])[0]) < 1e-3


@pytest.mark.parametrize("name", ["data2vec", "encodec"])
def test_what_can_not_be_batched_is_encoded_alone(name: str, checkpoint: Checkpoint) -> None:
    gpu = build(checkpoint(name), "cuda", output="latents" if name in small.CODECS else "hidden")
    assert not gpu.together
    assert gpu.precision == ("float32" if name in small.CODECS else "float16")
    assert gpu.batches(sounds_of({"a": 1.0, "b": 2.0})) == [["a"], ["b"]]


def test_precision_of_each_family(checkpoint: Checkpoint) -> None:
    for name, default in (("hubert_large", "float16"), ("mingtok", "bfloat16")):
        exact = build(checkpoint(name), "cuda", precision="float32").frames([small.sound(2)])[0]
        assert build(checkpoint(name), "cuda").precision == default
        for precision in ("float16", "bfloat16"):
            found = build(checkpoint(name), "cuda", precision=precision).frames([small.sound(2)])[0]
            assert 0 < off(found, exact) < 0.1
            assert torch.isfinite(found).all()


def sounds_of(seconds: dict[str, float]) -> DataDir:
    """A set that names no files."""
    return DataDir("", {u: "" for u in seconds}, {u: u for u in seconds}, {}, dict(seconds))


class Sounds:
    """In the place of the loader: an utterance's sound by its name."""

    def __init__(self, seconds: dict[str, float]):
        self.made = {u: small.sound(s, seed=i) for i, (u, s) in enumerate(seconds.items())}

    def __call__(self, utt: str) -> np.ndarray:
        return self.made[utt]


def test_passes_fill_the_memory_and_halve_when_it_is_out(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, exact: None
) -> None:
    seconds = {f"u{i:02}": 0.5 + 0.13 * i for i in range(24)}
    made = build(checkpoint("hubert"), "cuda", precision="float32")
    batches = made.batches(sounds_of(seconds))
    assert [u for batch in batches for u in batch] == sorted(seconds, key=seconds.get)
    made.audio = Sounds(seconds)
    expected = {u: made.frames([made.audio(u)])[0] for u in seconds}
    passes: list[int] = []
    plain = made.frames

    def limited(samples: list[np.ndarray]) -> list[torch.Tensor]:
        """A GPU that takes three utterances at a time."""
        if len(samples) > 3:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")  # really out of memory
        passes.append(len(samples))
        return plain(samples)

    monkeypatch.setattr(made, "frames", limited)
    made.seconds = 1000.0
    found = dict(zip(batches[0], made.encode(batches[0]), strict=True))
    assert max(passes) == 3 and made.seconds < 20
    for utt, frames in found.items():
        assert off(torch.from_numpy(frames["."]), expected[utt]) < 1e-4


def test_what_the_memory_takes_is_found_once(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    made = build(checkpoint("hubert"), "cuda")
    seconds = {f"u{i}": 1.0 + i for i in range(4)}
    batches = made.batches(sounds_of(seconds))
    made.audio = Sounds(seconds)
    made.encode(batches[0])
    found = made.seconds
    assert found is not None and neural.FIRST <= found <= neural.MOST
    made.encode(batches[0])
    assert made.seconds == found and capsys.readouterr().err.count("passes of up to") == 1
