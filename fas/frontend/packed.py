"""Linear layers on the CPU with weights that oneDNN has packed once, as torch.compile's CPU backend has them.

nn.Linear gives its product to the BLAS library, which packs the weights in every call: against it these take some nine
tenths of the time on the thousands of frames of an encoder, and half of it on a decoder's few rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4


class PackedLinear(nn.Module):
    """(..., in) -> (..., out), both float32: what `linear` gives, to evaluate; its own weights can be dropped."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def pack(model: nn.Module, probe: Callable[[], Tensor]) -> None:
    """Pack the linear layers that `probe` calls, if what it returns stays the same within TOLERANCE of its largest.

    Some models read a layer's weights instead of calling it: those stay.
    """
    if not torch.backends.mkldnn.is_available():
        return
    called: set[nn.Module] = set()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    hooks = [m.register_forward_hook(lambda module, *_: called.add(module)) for m in linear]
    expected = probe()
    for hook in hooks:
        hook.remove()
    places = [(m, name, child) for m in model.modules() for name, child in m.named_children() if child in called]
    try:
        for parent, name, child in places:
            setattr(parent, name, PackedLinear(child))
        off = (probe() - expected).abs().max()
        same = bool(off <= TOLERANCE * expected.abs().max())
    except (RuntimeError, TypeError, AttributeError):
        same = False
    if not same:
        for parent, name, child in places:
            setattr(parent, name, child)
