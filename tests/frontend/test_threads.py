"""Equal bits: frames depend neither on the number of threads nor on what they are batched with."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from whisper.model import ModelDimensions, Whisper

from fas import threads
from fas.frontend import TransformersConf, weights
from fas.frontend.hf_audio import TransformersFrontend
from fas.frontend.neural import noise
from fas.frontend.whisper_encoder import encode, log_mel
from tests.conftest import ROOT

COUNTS = (1, 2, 3)  # threads
SECONDS = range(1, 31)  # every length that Whisper's frontend pads to


def same_in_any_number(make: Callable[[], Tensor], counts: tuple[int, ...] = COUNTS) -> None:
    """A function gives the same bits in each of so many threads."""
    before, made = torch.get_num_threads(), []
    try:
        for count in counts:
            torch.set_num_threads(count)
            made.append(make())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(made[0], other) for other in made[1:])


def random_whisper(width: int) -> Whisper:
    """One encoder block of random weights; Whisper tiny is 384 wide, base 512, large 1280."""
    torch.manual_seed(0)
    heads = width // 64
    return Whisper(ModelDimensions(80, 1500, width, heads, 1, 100, 8, width, heads, 1)).eval()


def test_mkl_is_strict_here() -> None:
    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")
    assert threads.strict()


@pytest.mark.parametrize(
    ("width", "seconds"), [(384, SECONDS), (512, (*SECONDS[:10], 15, 20, 30)), (1280, (1, 2, 3, 7))]
)
def test_whisper(width: int, seconds: tuple[int, ...]) -> None:
    """An utterance alone, as one of two and, where it is short, of five."""
    model = random_whisper(width)
    for length in seconds:
        mel = torch.randn(5 if length < 6 else 2, 80, 100 * length)
        for size in {1, 2, len(mel)}:
            same_in_any_number(lambda some=mel[:size]: encode(model, some, {1})[1], COUNTS[: 3 if length < 6 else 2])
        alone, two, more = (encode(model, mel[:size], {1})[1] for size in (1, 2, len(mel)))
        assert torch.equal(alone[0], two[0]) and torch.equal(two, more[:2]), f"{length} s"


def test_log_mel() -> None:
    model = random_whisper(384)
    samples = torch.randn(16000 * 29).numpy()
    for length in SECONDS:
        same_in_any_number(lambda n=length: log_mel(model, samples[: n * 16000 - 77], n, "cpu"))


def test_self_supervised_encoder() -> None:
    """Two layers of HuBERT base's width behind its convolutions, one utterance at a time as s3prl's frontend has it."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    model = weights.fold(HubertModel(HubertConfig(num_hidden_layers=2))).eval()
    for length in (1600, 16000, 31999, 80001, 130000):
        wave = torch.randn(1, length)
        with torch.inference_mode():
            same_in_any_number(lambda w=wave: model(w).last_hidden_state)


@pytest.mark.parametrize(("width", "count"), [(32, 1), (512, 2)])
def test_small_encoders_leave_the_second_thread_to_decoders(width: int, count: int, tmp_path: Path) -> None:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    sizes = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    convolution = {"conv_dim": (8,), "conv_kernel": (400,), "conv_stride": (320,), "num_conv_pos_embedding_groups": 4}
    config = HubertConfig(**sizes, **convolution)
    HubertModel(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    frontend, seen = TransformersFrontend(TransformersConf(str(tmp_path)), "cpu"), []
    frontend.model.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        frontend.frames([noise(0.5, 16000)])
        assert seen == [count] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("before", "value", "said"),
    [
        ("", None, ""),
        ("import torch; torch.ones(9, 9) @ torch.ones(9, 9)", None, "torch had multiplied before fas was imported"),
        ("", "COMPATIBLE", "MKL_CBWR is COMPATIBLE: the last digits"),
    ],
)
def test_what_comes_too_late_is_told(before: str, value: str | None, said: str) -> None:
    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")
    environment = {k: v for k, v in os.environ.items() if k != "MKL_CBWR"} | ({"MKL_CBWR": value} if value else {})
    code = f"{before}\nfrom fas import threads\nprint(threads.strict(), threads.strict())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.stdout == f"{not said} {not said}\n", done.stderr
    assert done.stderr.count(said or "MKL") == bool(said)
