"""The fusions that the paper compares FAS with (its Table 4). Each takes the distilled tokens of every stream.

Published sizes at the paper's widths: without queries 0.82 M, Concat 1.22 M, Gated 1.65 M trainable parameters. The
first two are met to the digit; what Gated looks like is not published, and the one here is a reconstruction.
"""

import itertools

import torch
from torch import Tensor, nn

from fas.model import FASConfig, Tokens


def mean_of(stream: Tokens) -> Tensor:
    """(B, d) mean over the tokens of a stream; zero where the stream is hidden."""
    weight = stream.mask.unsqueeze(-1).to(stream.vectors.dtype)
    return (stream.vectors * weight).sum(1) / weight.sum(1).clamp(min=1)


def mlp(widths: list[int], dropout: float) -> nn.Sequential:
    """Linear maps with GELU and dropout between."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(widths):
        layers += [nn.Dropout(dropout), nn.Linear(size, following), nn.GELU()]
    return nn.Sequential(*layers[:-1])


class MeanFusion(nn.Module):
    """FAS without queries: the mean over the kept tokens of all streams, MLP d, d/2, C (822,279 parameters)."""

    def __init__(self, config: FASConfig):
        super().__init__()
        self.classifier = mlp([config.width, config.width // 2, config.classes], config.dropout)

    def forward(self, streams: dict[str, Tokens]) -> tuple[Tensor, None]:
        vectors = torch.cat([s.vectors for s in streams.values()], 1)
        mask = torch.cat([s.mask for s in streams.values()], 1)
        return self.classifier(mean_of(Tokens(vectors, mask, mask))), None


class ConcatFusion(nn.Module):
    """Concat: each stream's mean side by side, MLP 2 d, d, C (1,217,543 parameters)."""

    def __init__(self, config: FASConfig):
        super().__init__()
        self.classifier = mlp([len(config.streams) * config.width, config.width, config.classes], config.dropout)

    def forward(self, streams: dict[str, Tokens]) -> tuple[Tensor, None]:
        return self.classifier(torch.cat([mean_of(s) for s in streams.values()], 1)), None


class GatedFusion(nn.Module):
    """Gated: z a + (1 - z) s, the gate z = sigmoid(W [a, s]) for each dimension (Arevalo et al. 2017), MLP d, d, C."""

    def __init__(self, config: FASConfig):
        super().__init__()
        if len(config.streams) != 2:
            raise ValueError(f"the gated fusion takes two streams, not {len(config.streams)}")
        self.gate = nn.Linear(2 * config.width, config.width)
        self.classifier = mlp([config.width, config.width, config.classes], config.dropout)

    def forward(self, streams: dict[str, Tokens]) -> tuple[Tensor, None]:
        first, second = (mean_of(s) for s in streams.values())
        gate = self.gate(torch.cat([first, second], 1)).sigmoid()
        return self.classifier(gate * first + (1 - gate) * second), None


FUSIONS = {"mean": MeanFusion, "concat": ConcatFusion, "gated": GatedFusion}
