"""Padded batches whose rows have the frames that each utterance has alone, as far as a model can be brought to it.

Attention and position convolutions of wav2vec 2.0 and its kin take a mask. The group norm behind the first convolution
of their base sizes does not: it normalises each channel over time, and would hear the padding.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Rows:
    """How many samples of each row of the batch in work are an utterance's, and how a first convolution counts them."""

    def __init__(self, window: int, step: int):
        self.window, self.step = window, step
        self.samples: list[int] = []

    @contextlib.contextmanager
    def of(self, samples: list[int]) -> Iterator[None]:
        self.samples = samples
        try:
            yield
        finally:
            self.samples = []


class MaskedGroupNorm(nn.Module):
    """A group norm of one channel a group; in a padded batch, mean and variance are those of each row's utterance."""

    def __init__(self, norm: nn.GroupNorm, rows: Rows):
        super().__init__()
        self.norm, self.rows = norm, rows

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> the same shape."""
        if len(self.rows.samples) < 2:
            return self.norm(x)
        lengths = torch.tensor(self.rows.samples, device=x.device)
        frames = ((lengths - self.rows.window) // self.rows.step + 1)[:, None, None]
        mask = torch.arange(x.shape[-1], device=x.device) < frames
        y = x.float() * mask
        mean = y.sum(-1, keepdim=True) / frames
        variance = ((y - mean).square() * mask).sum(-1, keepdim=True) / frames
        y = (y - mean) * torch.rsqrt(variance + self.norm.eps)
        return (y * self.norm.weight[:, None] + self.norm.bias[:, None]).to(x.dtype)


def mask_norms(model: nn.Module) -> Rows:
    """Put masks around such norms of a model; what says how long the rows are."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv1d) and m.in_channels == 1), None)
    rows = Rows(first.kernel_size[0], first.stride[0]) if first else Rows(1, 1)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm) and child.num_groups == child.num_channels:
                setattr(parent, name, MaskedGroupNorm(child, rows))
    return rows
