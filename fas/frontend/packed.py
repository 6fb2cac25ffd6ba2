"""Linear layers on the CPU with weights that oneDNN has packed once, as torch.compile's CPU backend has them.

nn.Linear gives its product to the BLAS library, which packs the weights in every call: with a decoder's few rows these
take half of the time. How they round depends on the number of rows, so they are for words, where that does not matter,
and not for frames, which must not depend on what they are batched with.
"""

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """(..., in) -> (..., out), both float32: what `linear` gives, to evaluate; its own weights can be dropped."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def pack(model: nn.Module) -> None:
    """Pack all linear layers of a model on the CPU, where torch has oneDNN; it must call them, not read the weights."""
    if not torch.backends.mkldnn.is_available():
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, PackedLinear(child))
