"""Half the bits and int8 in each kind of encoder, on the processor: near to float32, and not it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import MingTokConf, S3PRLConf, WhisperBlockConf, precision
from fas.frontend.mingtok import MingTokFrontend
from fas.frontend.s3prl import S3PRLFrontend
from fas.frontend.whisper import WhisperFrontend
from tests.frontend import small as checkpoints


def of(frontend: object, data: DataDir) -> dict[str, np.ndarray]:
    return {u: e["."] for batch in frontend.batches(data) for u, e in zip(batch, frontend.encode(batch), strict=True)}


def test_every_kind_takes_it(small: DataDir, tmp_path: Path) -> None:
    hubert = str(checkpoints.transformers_checkpoint("hubert", tmp_path / "hubert"))
    mingtok = str(checkpoints.mingtok_checkpoint(tmp_path / "mingtok"))
    whisper = str(checkpoints.whisper_checkpoint(tmp_path / "whisper.pt"))
    for make, settings, conf in (
        (S3PRLFrontend, {"upstream": "hf_hubert_custom", "ckpt": hubert, "layer": 2}, S3PRLConf),
        (MingTokFrontend, {"model": mingtok}, MingTokConf),
        (WhisperFrontend, {"model": whisper, "layer": [1, 2]}, WhisperBlockConf),
    ):
        exact = of(make(conf(**settings, dtype="float32"), "cpu"), small)
        for chosen in ("bfloat16", "int8"):
            found = of(make(conf(**settings, dtype="float32", precision=chosen), "cpu"), small)
            for utt, frames in found.items():
                assert frames.shape == exact[utt].shape and frames.dtype == np.float32
                assert 0 < np.abs(frames - exact[utt]).mean() < 0.1 * np.abs(exact[utt]).mean()
        if make is not WhisperFrontend:  # which has batches of one length anyway
            found = of(make(conf(**settings, dtype="float32", batch_seconds=6), "cpu"), small)
            for utt, frames in found.items():
                assert np.abs(frames - exact[utt]).max() < 1e-5 * np.abs(exact[utt]).max()


def test_frames_in_int8_do_not_depend_on_the_batch(small: DataDir, tmp_path: Path) -> None:
    whisper = str(checkpoints.whisper_checkpoint(tmp_path / "whisper.pt"))
    made = WhisperFrontend(WhisperBlockConf(whisper, -1, precision="int8"), "cpu")
    together = of(made, small)
    for utt in small.utts:
        assert np.array_equal(of(made, small.subset(lambda u, only=utt: u == only))[utt], together[utt])


def test_a_strided_convolution_as_windows() -> None:
    torch.manual_seed(0)
    for size, step, length in ((3, 2, 50), (2, 2, 51), (10, 5, 77)):
        conv = torch.nn.Conv1d(8, 6, size, step)
        x = torch.randn(2, 8, length)
        torch.testing.assert_close(precision.Windows(conv)(x), conv(x))


def test_numbers_beyond_float16_are_named(small: DataDir, tmp_path: Path) -> None:
    made = MingTokFrontend(MingTokConf(str(checkpoints.mingtok_checkpoint(tmp_path / "mingtok"))), "cpu")
    with torch.no_grad():
        made.model.fc3.weight.mul_(1e8)
    with pytest.raises(ConfError, match=r"utterance 'spk0_0': frames beyond .* set dtype: float32"):
        of(made, small)


def test_a_gpu_has_no_int8() -> None:
    with pytest.raises(ConfError, match="int8 is for processors"):
        precision.choose("int8", "hubert", "cuda")
    assert precision.choose(None, "hubert", "cpu") == "float32"
    assert [precision.of_gpu(f) for f in ("hf_hubert_custom", "wavlm_large", "mingtok", "xcodec2", "fbank")] == [
        "float16", "float16", "bfloat16", "float32", "float32",
    ]  # fmt: skip
