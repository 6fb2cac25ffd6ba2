"""The FAS head: patchify, distil, let a few queries attend, classify (arXiv 2601.04564, Section 3).

Two (or any number of) frozen encoders have turned an utterance into streams of frames. This file holds all that
is learned on top of them. At the paper's widths the head has 3,451,911 parameters. `fusion` puts another head in the
place of the queries: those that the paper compares with, and others (fas/ablations.py).

Shapes: B utterances, T frames, N tokens, M tokens of all utterances of a batch together, D width of a stream's frame,
d model width, Q queries, C classes.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Patch = int | Literal["all"]


@dataclass(frozen=True)
class Stream:
    """One named input of the head.

    dim: width D of a token before its projection; patch: frames averaged into one token (s of Eq. 1), or all, which
    makes one token of the mean and the deviation over the whole utterance; tokens: the budget of Eq. 3, a number K, a
    share of the utterance's tokens, or None to keep every token; cmn: the mean over the utterance is taken out of
    its patches (as cepstral mean normalisation does), which leaves what changes in it and not what stays, the corpus's
    sound among that.
    """

    dim: int
    patch: Patch = 5
    tokens: int | float | None = None
    cmn: bool = False

    @property
    def frame_dim(self) -> int:
        """Width of a frame."""
        return self.dim // 2 if self.patch == "all" else self.dim


@dataclass(frozen=True)
class FASConfig:
    """Sizes of the head. The defaults are those of the paper's Table 3.

    choice: which tokens a budget keeps, those of largest norm (Eq. 2), uniform (evenly spaced) or random;
    members: heads that are trained together and averaged, each with a projection of its own (fas/ablations.py);
    In training only: channel_dropout, the share of a stream's dimensions that an utterance loses; stream_dropout, the
    share of utterances that lose a stream; stream_swap, the share of utterances that are given another one's stream,
    which makes conflicts out of speech that has none.
    """

    streams: dict[str, Stream]
    classes: int = 7
    width: int = 512
    queries: int = 2
    heads: int = 8
    dropout: float = 0.4
    choice: str = "norm"
    members: int = 1
    channel_dropout: float = 0.0
    stream_dropout: dict[str, float] = field(default_factory=dict)
    stream_swap: dict[str, float] = field(default_factory=dict)


class Tokens(NamedTuple):
    """Distilled tokens of one stream: vectors (B, K, d), their mask (B, K), their places in the utterance (B, K).

    source: (B,) the utterances that they come from, in training other ones where stream_swap took them.
    """

    vectors: Tensor
    mask: Tensor
    index: Tensor
    source: Tensor | None = None


class Fused(NamedTuple):
    """What a fusion makes of the tokens of all streams: logits (B, C), and for those heads that have them:

    attention: (B, N) of each token, stream after stream, the mean over queries and heads; sides: logits (B, C) of the
    voice alone and of the words alone; conflict: (B,) the probability that their emotions differ; source: (B,) the
    utterances that the words come from; members: what each of several heads made.
    """

    logits: Tensor
    attention: Tensor | None = None
    sides: tuple[Tensor, Tensor] | None = None
    conflict: Tensor | None = None
    source: Tensor | None = None
    members: "tuple[Fused, ...]" = ()


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) mask, True where a position is within the utterance."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def patchify(frames: Tensor, lengths: Tensor, patch: Patch) -> tuple[Tensor, Tensor]:
    """Mean over each run of `patch` frames (Eq. 1, before its projection); the last run may be shorter.

    frames (B, T, D), lengths (B,) -> tokens (B, ceil(T / patch), D) and their lengths (B,).
    Frames beyond an utterance's length never count, and padding tokens are zero.
    patch all: one token (B, 1, 2 D), mean and standard deviation of the utterance (statistics pooling, Snyder et al.
    2018), which is what a logistic regression is given.
    """
    batch, size, dim = frames.shape
    valid = lengths_to_mask(lengths, size).unsqueeze(-1).to(frames.dtype)
    if patch == "all":
        count = lengths.clamp(min=1)[:, None, None]
        mean = (frames * valid).sum(1, keepdim=True) / count
        variance = ((frames - mean) * valid).square().sum(1, keepdim=True) / count
        return torch.cat([mean, variance.sqrt()], -1), lengths.clamp(max=1)
    if patch == 1:
        return frames * valid, lengths
    tokens = (size + patch - 1) // patch
    frames = nn.functional.pad(frames * valid, (0, 0, 0, tokens * patch - size))
    valid = nn.functional.pad(valid, (0, 0, 0, tokens * patch - size))
    total = frames.view(batch, tokens, patch, dim).sum(2)
    count = valid.view(batch, tokens, patch, 1).sum(2)
    return total / count.clamp(min=1), (lengths + patch - 1) // patch


def distil(tokens: Tensor, lengths: Tensor, budget: int | float | None, choice: str = "norm") -> Tokens:
    """Keep a budget of tokens (Eq. 2-3): of largest L2 norm, evenly spaced, or at random; all where they are fewer.

    tokens (B, N, d), lengths (B,) -> Tokens, in order of choice.
    """
    size = tokens.shape[1]
    mask = lengths_to_mask(lengths, size)
    place = torch.arange(size, device=tokens.device).expand(len(tokens), -1)
    if budget is None or (isinstance(budget, int) and budget >= size):
        return Tokens(tokens, mask, place)
    kept = lengths.clamp(max=budget) if isinstance(budget, int) else (lengths * budget).ceil().long()
    if choice == "uniform":  # token n stands first where floor((n + 1) k / length) steps up
        scores = ((place + 1) * kept[:, None] // lengths[:, None] - place * kept[:, None] // lengths[:, None]).float()
    else:
        scores = tokens.norm(dim=-1) if choice == "norm" else torch.rand(mask.shape, device=tokens.device)
    most = int(kept.max())
    index = scores.masked_fill(~mask, -torch.inf).topk(most, dim=1).indices
    vectors = tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
    return Tokens(vectors, lengths_to_mask(kept, most), index)


class QueryAttention(nn.MultiheadAttention):
    """Multi-head cross-attention (Vaswani et al. 2017) of a few learnable queries, in the order that costs least.

    q (W_k x) = (W_k^T q) x and sum_n a_n W_v x_n = W_v sum_n a_n x_n: the queries are taken into the tokens' space, and
    what each head gathered there becomes its value, which spares every token its key and value. The parameters and,
    up to rounding, the results are nn.MultiheadAttention's; the keys' bias is the same for every token and falls out
    of the softmax.
    """

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """queries (Q, d), tokens (B, N, d), mask (B, N) -> attended (B, Q, d), attention (B, N), mean over Q and H."""
        h, c, q = self.num_heads, self.head_dim, len(queries)
        of_query, of_key, of_value = self.in_proj_weight.unflatten(0, (3, h, c))
        query_bias, _, value_bias = self.in_proj_bias.unflatten(0, (3, h, c))
        heads = (torch.einsum("qd,hcd->hqc", queries, of_query) + query_bias[:, None]) * c**-0.5
        probes = torch.einsum("hqc,hcd->hqd", heads, of_key).flatten(0, 1)
        scores = nn.functional.linear(tokens, probes).masked_fill(~mask[:, :, None], -torch.inf)
        attention = scores.softmax(1)  # (B, N, H Q)
        dropped = nn.functional.dropout(attention, self.dropout, self.training)
        gathered = (dropped.transpose(1, 2) @ tokens).unflatten(1, (h, q))
        share = dropped.sum(1).unflatten(1, (h, q))[..., None]  # 1 but for dropout
        values = torch.einsum("bhqd,hcd->bqhc", gathered, of_value) + (share * value_bias[:, None]).transpose(1, 2)
        return self.out_proj(values.flatten(2)), attention.mean(2)


class QueryFusion(nn.Module):
    """Q learnable queries cross-attend to the tokens of all streams (Eq. 4), then an MLP over the flattened queries."""

    def __init__(self, config: FASConfig):
        super().__init__()
        d, q = config.width, config.queries
        self.queries = nn.Parameter(torch.randn(q, d) * d**-0.5)
        self.norm_tokens = nn.LayerNorm(d)
        self.attention = QueryAttention(d, config.heads, config.dropout)
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

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        tokens = self.norm_tokens(torch.cat([s.vectors for s in streams.values()], 1))
        mask = torch.cat([s.mask for s in streams.values()], 1)
        attended, attention = self.attention(self.queries, tokens, mask)
        hidden = self.norm_attention(self.queries + attended)
        hidden = self.norm_feed_forward(hidden + self.feed_forward(hidden))
        return Fused(self.classifier(hidden.flatten(1)), attention)


class FASHead(nn.Module):
    """Each stream standardised, projected to the model's width and distilled; then the fusion (Eq. 1-4)."""

    def __init__(self, config: FASConfig, fusion: nn.Module | None = None):
        super().__init__()
        self.config = config
        self.mean = nn.ParameterDict({n: _constant(torch.zeros(s.dim)) for n, s in config.streams.items()})
        self.scale = nn.ParameterDict({n: _constant(torch.ones(s.dim)) for n, s in config.streams.items()})
        self.project = nn.ModuleDict(
            {n: nn.Linear(s.dim, config.members * config.width) for n, s in config.streams.items()}
        )
        self.fusion = fusion or QueryFusion(config)

    def set_statistics(self, name: str, mean: Tensor, std: Tensor) -> None:
        """Standardise the stream `name` by these statistics of the training set, each (D,)."""
        self.mean[name].copy_(mean)
        self.scale[name].copy_(1 / std.clamp(min=1e-5))

    def forward(self, frames: dict[str, Tensor], lengths: dict[str, Tensor]) -> Tensor:
        """Frames (B, T, D) and lengths (B,) of each stream -> logits (B, C)."""
        return self.fuse(*self.patch(frames, lengths))

    def patch(
        self, frames: dict[str, Tensor], lengths: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Patchify and cmn: frames (B, T, D) and lengths (B,) of each stream -> what `fuse` and `judge` take."""
        patches, tokens = {}, {}
        for name, stream in self.config.streams.items():
            padded, tokens[name] = patchify(frames[name], lengths[name], stream.patch)
            if stream.cmn:
                padded = padded - padded.sum(1, keepdim=True) / tokens[name][:, None, None]
            patches[name] = padded[lengths_to_mask(tokens[name], padded.shape[1])]
        return patches, tokens

    def fuse(
        self, patches: dict[str, Tensor], lengths: dict[str, Tensor], mix: tuple[float, Tensor] | None = None
    ) -> Tensor:
        """What follows patchify and cmn: packed patches (M, D), utterance behind utterance, and lengths (B,) -> (B, C).

        mix: weight and permutation (B,) of mixup between utterances, token by token (Zhang et al. 2018), in training.
        """
        return self.judge(patches, lengths, mix)[0].logits

    def judge(
        self, patches: dict[str, Tensor], lengths: dict[str, Tensor], mix: tuple[float, Tensor] | None = None
    ) -> tuple[Fused, dict[str, Tokens]]:
        """All that the fusion says, and the kept tokens of each stream, of what `fuse` takes."""
        streams = self.tokens(patches, lengths, mix)
        return self.fusion(streams), streams

    def tokens(
        self, patches: dict[str, Tensor], lengths: dict[str, Tensor], mix: tuple[float, Tensor] | None = None
    ) -> dict[str, Tokens]:
        """The distilled tokens of each stream, from packed patches (M, D) and lengths (B,)."""
        made = {}
        for name, stream in self.config.streams.items():
            length = lengths[name]
            standard = (patches[name] - self.mean[name]).mul_(self._channel_scale(name, length))
            projected = self.project[name](standard)
            tokens = projected.new_zeros(len(length), int(length.max()), projected.shape[-1])
            tokens[lengths_to_mask(length, tokens.shape[1])] = projected
            tokens, length, source = self._swap(name, tokens, length)
            if mix is not None:
                weight, other = mix
                tokens, length = weight * tokens + (1 - weight) * tokens[other], torch.maximum(length, length[other])
            kept = distil(tokens, length, stream.tokens, self.config.choice)
            made[name] = kept._replace(mask=kept.mask & self._present(name, kept.mask), source=source)
        return made

    def _channel_scale(self, name: str, length: Tensor) -> Tensor:
        """(D,) scale of a stream; in training (M, D), 0 for whole dimensions of an utterance (channel_dropout)."""
        scale, rate = self.scale[name], self.config.channel_dropout
        if not self.training or not rate:
            return scale
        keep = torch.rand(len(length), len(scale), device=scale.device) >= rate
        return (keep * (scale / (1 - rate))).repeat_interleave(length, 0)

    def _swap(self, name: str, tokens: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """This stream of a share of the utterances taken from others of the batch, in training; and from which."""
        rate = self.config.stream_swap.get(name, 0.0) if self.training else 0.0
        own = torch.arange(len(length), device=length.device)
        if not rate:
            return tokens, length, own
        source = torch.where(torch.rand(len(length), device=length.device) < rate, own[torch.randperm(len(own))], own)
        return tokens[source], length[source], source

    def _present(self, name: str, mask: Tensor) -> Tensor:
        """(B, 1), False for the utterances that this stream is hidden from in this training step."""
        rate = self.config.stream_dropout.get(name, 0.0) if self.training else 0.0
        return torch.rand(len(mask), 1, device=mask.device) >= rate


def _constant(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
