"""The FAS fusion head: patchify, distil, let a few queries attend, classify (arXiv 2601.04564, Section 3).

Two (or any number of) frozen encoders have turned an utterance into streams of frames. This file holds all that
is learned on top of them. At the paper's widths the head has 3,451,911 parameters.

Shapes: B utterances, T frames, N tokens, D width of a stream's frame, d model width, Q queries, C classes.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Stream:
    """One named input of the head.

    dim: width D of a frame; patch: frames averaged into one token (s of Eq. 1); tokens: the budget K of Eq. 3, or
    None to keep every token.
    """

    dim: int
    patch: int = 5
    tokens: int | None = None


@dataclass(frozen=True)
class FASConfig:
    """Sizes of the head. The defaults are those of the paper's Table 3.

    channel_dropout: share of a stream's dimensions that an utterance loses in training; stream_dropout: share of
    utterances that lose a stream.
    """

    streams: dict[str, Stream]
    classes: int = 7
    width: int = 512
    queries: int = 2
    heads: int = 8
    dropout: float = 0.4
    channel_dropout: float = 0.0
    stream_dropout: dict[str, float] = field(default_factory=dict)


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) mask, True where a position is within the utterance."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def patchify(frames: Tensor, lengths: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Mean over each run of `patch` frames (Eq. 1, before its projection); the last run may be shorter.

    frames (B, T, D), lengths (B,) -> tokens (B, ceil(T / patch), D) and their lengths (B,).
    Frames beyond an utterance's length never count, and padding tokens are zero.
    """
    if patch == 1:
        return frames, lengths
    batch, size, dim = frames.shape
    tokens = -(-size // patch)
    valid = lengths_to_mask(lengths, size).unsqueeze(-1).to(frames.dtype)
    frames = nn.functional.pad(frames * valid, (0, 0, 0, tokens * patch - size))
    valid = nn.functional.pad(valid, (0, 0, 0, tokens * patch - size))
    total = frames.view(batch, tokens, patch, dim).sum(2)
    count = valid.view(batch, tokens, patch, 1).sum(2)
    return total / count.clamp(min=1), -(-lengths // patch)


def top_k(tokens: Tensor, lengths: Tensor, k: int | None) -> tuple[Tensor, Tensor]:
    """Keep the k tokens of largest L2 norm (Eq. 2-3), fewer where the utterance has fewer.

    tokens (B, N, d), lengths (B,) -> kept tokens (B, min(k, N), d) and their mask (B, min(k, N)).
    """
    mask = lengths_to_mask(lengths, tokens.shape[1])
    if k is None or k >= tokens.shape[1]:
        return tokens, mask
    scores = tokens.norm(dim=-1).masked_fill(~mask, -torch.inf)
    index = scores.topk(k, dim=1).indices
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])), mask.gather(1, index)


class FAS(nn.Module):
    """Learnable queries over the distilled tokens of all streams, then an MLP (Eq. 1-4)."""

    def __init__(self, config: FASConfig):
        super().__init__()
        self.config = config
        d, q = config.width, config.queries
        self.mean = nn.ParameterDict({n: _constant(torch.zeros(s.dim)) for n, s in config.streams.items()})
        self.scale = nn.ParameterDict({n: _constant(torch.ones(s.dim)) for n, s in config.streams.items()})
        self.project = nn.ModuleDict({n: nn.Linear(s.dim, d) for n, s in config.streams.items()})
        self.queries = nn.Parameter(torch.randn(q, d) * d**-0.5)
        self.norm_tokens = nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, config.heads, dropout=config.dropout, batch_first=True)
        self.norm_attention = nn.LayerNorm(d)
        self.feed_forward = nn.Sequential(
            nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(2 * d, d)
        )
        self.norm_feed_forward = nn.LayerNorm(d)
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(q * d, d),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(d, d // 2),
            nn.GELU(),
            nn.Linear(d // 2, config.classes),
        )

    def set_statistics(self, name: str, mean: Tensor, std: Tensor) -> None:
        """Standardise the stream `name` by these statistics of the training set, each (D,)."""
        self.mean[name].copy_(mean)
        self.scale[name].copy_(1 / std.clamp(min=1e-5))

    def forward(self, frames: dict[str, Tensor], lengths: dict[str, Tensor]) -> Tensor:
        """Frames (B, T, D) and lengths (B,) of each stream -> logits (B, C)."""
        patches = {n: patchify(frames[n], lengths[n], s.patch) for n, s in self.config.streams.items()}
        return self.fuse({n: p for n, (p, _) in patches.items()}, {n: le for n, (_, le) in patches.items()})

    def fuse(
        self, patches: dict[str, Tensor], lengths: dict[str, Tensor], mix: tuple[float, Tensor] | None = None
    ) -> Tensor:
        """What follows patchify: (B, N, D) patches and (B,) lengths of each stream -> logits (B, C).

        mix: weight and permutation (B,) of mixup between utterances, token by token (Zhang et al. 2018), in training.
        """
        kept, masks = [], []
        for name, stream in self.config.streams.items():
            standard = (patches[name] - self.mean[name]) * self.scale[name]
            tokens, length = self.project[name](self._drop_channels(standard)), lengths[name]
            if mix is not None:
                weight, other = mix
                tokens = tokens * lengths_to_mask(length, tokens.shape[1]).unsqueeze(-1)
                tokens, length = weight * tokens + (1 - weight) * tokens[other], torch.maximum(length, length[other])
            tokens, mask = top_k(tokens, length, stream.tokens)
            kept.append(tokens)
            masks.append(mask & self._present(name, mask))
        tokens, mask = self.norm_tokens(torch.cat(kept, 1)), torch.cat(masks, 1)
        queries = self.queries.expand(len(tokens), -1, -1)
        attended, _ = self.attention(queries, tokens, tokens, key_padding_mask=~mask, need_weights=False)
        hidden = self.norm_attention(queries + attended)
        hidden = self.norm_feed_forward(hidden + self.feed_forward(hidden))
        return self.classifier(hidden.flatten(1))

    def _drop_channels(self, patches: Tensor) -> Tensor:
        """Dropout of whole feature dimensions of an utterance, the same in all of its patches, in training."""
        if not self.training or not self.config.channel_dropout:
            return patches
        keep = torch.empty_like(patches[:, :1]).bernoulli_(1 - self.config.channel_dropout)
        return patches * keep / (1 - self.config.channel_dropout)

    def _present(self, name: str, mask: Tensor) -> Tensor:
        """(B, 1), False for the utterances that this stream is hidden from in this training step."""
        rate = self.config.stream_dropout.get(name, 0.0) if self.training else 0.0
        return torch.rand(len(mask), 1, device=mask.device) >= rate


def _constant(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
