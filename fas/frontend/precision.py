"""The numbers that an encoder computes in: float32, autocast to half the bits, or int8 on processors.

float32 is the default on processors. On GPUs it is what a family of encoders is known to bear: float16 for those that
were trained in it, bfloat16 for those that were trained in that, float32 for codecs, whose quantisers turn a small
difference into another code.
"""

import contextlib
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fas import stamp
from fas.errors import ConfError

FLOAT16 = ("hubert", "wav2vec2", "wavlm", "data2vec", "unispeech", "xls", "distilhubert", "sew", "whisper")


def of_gpu(family: str) -> str:
    """The precision for a family of encoders (model type, or s3prl's name of an upstream) on a GPU."""
    if family == "mingtok":
        return "bfloat16"
    return "float16" if family.removeprefix("hf_").startswith(FLOAT16) else "float32"


def choose(asked: str | None, family: str, device: str) -> str:
    """The conf's precision, or the default of the device. Raises ConfError for one that the device doesn't have."""
    cpu = device == "cpu"
    chosen = asked or ("float32" if cpu else of_gpu(family))
    if chosen == "int8" and not cpu:
        raise ConfError("precision: int8 is for processors; set float16 or bfloat16, or run with --device cpu")
    slow = {"bfloat16": not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())}
    if cpu and slow.get(chosen, chosen == "float16"):
        stamp.log(f"precision: {chosen} is slower than float32 on this processor, which has no arithmetic for it")
    return chosen


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager:
    """The context of a forward pass; nothing for float32 and int8."""
    if precision not in ("float16", "bfloat16"):
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=getattr(torch, precision))


class Windows(nn.Module):
    """A strided convolution without padding as one linear layer over windows, so that it, too, can be quantised."""

    def __init__(self, conv: nn.Conv1d):
        super().__init__()
        self.size, self.step = conv.kernel_size[0], conv.stride[0]
        self.linear = nn.Linear(conv.in_channels * self.size, conv.out_channels, conv.bias is not None)
        self.linear.weight.data = conv.weight.data.permute(0, 2, 1).flatten(1).contiguous()
        if conv.bias is not None:
            self.linear.bias.data = conv.bias.data

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, out, T')."""
        x = x.transpose(1, 2).contiguous()
        rows, length, width = x.shape
        windows = x.as_strided(
            (rows, (length - self.size) // self.step + 1, self.size * width), (length * width, self.step * width, 1)
        )
        return self.linear(windows).transpose(1, 2)


def to_int8(model: nn.Module, run: Callable[[], object]) -> nn.Module:
    """Quantise the linear layers and strided convolutions that `run` calls, in place where it can.

    Weights per output channel once, activations per utterance. A layer whose weights are read and not called
    (s3prl's attention does so) stays as it is.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is not nn.Linear and type(child).__name__ == "Linear" and isinstance(child, nn.Linear):
                setattr(parent, name, plain(child))  # openai-whisper has a class of its own
    called: set[nn.Module] = set()
    hooks = [m.register_forward_hook(lambda m, *_: called.add(m)) for m in model.modules() if _quantisable(m)]
    run()
    for hook in hooks:
        hook.remove()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child in called and isinstance(child, nn.Conv1d):
                setattr(parent, name, Windows(child))
                called.add(getattr(parent, name).linear)
    torch.backends.quantized.engine = "onednn" if torch.cpu._is_vnni_supported() else "x86"
    names = {n: torch.ao.quantization.per_channel_dynamic_qconfig for n, m in model.named_modules() if m in called}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, names, dtype=torch.qint8, inplace=True)


def plain(linear: nn.Linear) -> nn.Linear:
    """The same weights in torch's own class."""
    made = nn.Linear(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
    made.weight, made.bias = linear.weight, linear.bias
    return made.eval()


def _quantisable(module: nn.Module) -> bool:
    """A plain linear layer, or a plain convolution of several channels that steps over its input without padding."""
    if type(module) is nn.Linear:
        return True
    return (
        type(module) is nn.Conv1d
        and (module.groups, module.padding, module.dilation) == (1, (0,), (1,))
        and module.stride[0] > 1
        and module.in_channels > 1
    )
