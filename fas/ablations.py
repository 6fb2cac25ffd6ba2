"""Other heads than the paper's. Each takes the distilled tokens of every stream.

The first three are those that the paper compares FAS with (its Table 4); the mixture knows that words may lie; members
are several heads in one, experts several that were trained apart.

Published sizes at the paper's widths: without queries 0.82 M, Concat 1.22 M, Gated 1.65 M trainable parameters. The
first two are met to the digit; what Gated looks like is not published, and the one here is a reconstruction.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fas.model import FASConfig, FASHead, Fused, QueryFusion, Tokens


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

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        vectors = torch.cat([s.vectors for s in streams.values()], 1)
        mask = torch.cat([s.mask for s in streams.values()], 1)
        return Fused(self.classifier(mean_of(Tokens(vectors, mask, mask))))


class ConcatFusion(nn.Module):
    """Concat: each stream's mean side by side, MLP 2 d, d, C (1,217,543 parameters)."""

    def __init__(self, config: FASConfig):
        super().__init__()
        self.classifier = mlp([len(config.streams) * config.width, config.width, config.classes], config.dropout)

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        return Fused(self.classifier(torch.cat([mean_of(s) for s in streams.values()], 1)))


class GatedFusion(nn.Module):
    """Gated: z a + (1 - z) s, the gate z = sigmoid(W [a, s]) for each dimension (Arevalo et al. 2017), MLP d, d, C."""

    def __init__(self, config: FASConfig):
        super().__init__()
        if len(config.streams) != 2:
            raise ValueError(f"the gated fusion takes two streams, not {len(config.streams)}")
        self.gate = nn.Linear(2 * config.width, config.width)
        self.classifier = mlp([config.width, config.width, config.classes], config.dropout)

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        first, second = (mean_of(s) for s in streams.values())
        gate = self.gate(torch.cat([first, second], 1)).sigmoid()
        return Fused(self.classifier(gate * first + (1 - gate) * second))



class StatisticsFusion(nn.Module):
    """Statistics pooling (Snyder et al. 2018): mean and deviation over the tokens of all streams, one linear map."""

    def __init__(self, config: FASConfig):
        super().__init__()
        self.norm = nn.LayerNorm(2 * config.width)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.width, config.classes))

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        vectors = torch.cat([s.vectors for s in streams.values()], 1)
        mask = torch.cat([s.mask for s in streams.values()], 1)
        mean = mean_of(Tokens(vectors, mask, mask))
        variance = mean_of(Tokens((vectors - mean[:, None]).square(), mask, mask))
        return Fused(self.classifier(self.norm(torch.cat([mean, (variance + 1e-5).sqrt()], 1))))


class MixtureFusion(nn.Module):
    """The words have the voice's emotion with probability a, and else any other one, all alike.

    With p(e | voice) of the first stream and p(w | words) of the second, each side by itself:

        p(words | e) = a p_w(e) + (1 - a) (1 - p_w(e)) / (C - 1)        (up to a factor that is the same for every e)
        p(e | voice, words) = p_v(e) p(words | e) / sum of it over all emotions
        P(conflict | voice, words) = 1 - sum_e p_v(e) a p_w(e) / sum_e p_v(e) p(words | e)

    So words that are not there (hidden, or p_w even) leave the voice's posterior as it is. Each side has a temperature
    (Guo et al. 2017); they and a are `balance`, as logarithms and log-odds, which fas.training.calibration fits on the
    dev set: how far a side can be trusted is not to be seen on the voices and lines that it learned from.

    parts: heads of the voice and heads of the words that were trained apart, in place of the sides.
    """

    def __init__(self, config: FASConfig, parts: tuple[list[FASHead], list[FASHead]] | None = None):
        super().__init__()
        if parts:
            self.voice, self.words = (Experts(heads) for heads in parts)
            self.of_words = tuple(name for head in parts[1] for name in head.config.streams)
        elif len(config.streams) == 2:
            self.voice, self.words = StatisticsFusion(config), StatisticsFusion(config)
            self.of_words = tuple(config.streams)[1:]
        else:
            raise ValueError(f"the mixture takes two streams, voice and words, not {len(config.streams)}")
        self.balance = nn.Parameter(torch.tensor([0.0, 0.0, 0.0]), requires_grad=False)

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        voice = {n: s for n, s in streams.items() if n not in self.of_words}
        words = {n: streams[n] for n in self.of_words}
        there = torch.stack([s.mask.any(1, keepdim=True) for s in words.values()]).any(0)
        readable = {n: s._replace(mask=s.mask | ~there) for n, s in words.items()}  # a softmax over none is no number
        sides = self.voice(voice).logits, self.words(readable).logits * there
        logits, conflict = self.join(*sides)
        return Fused(logits, None, sides, conflict, words[self.of_words[0]].source)

    def join(self, voice: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of both sides -> logits (B, C) of the mixture, and P(conflict) (B,)."""
        voice, words = (x.float() * t.exp() for x, t in zip((voice, words), self.balance, strict=False))
        of_voice, of_words, a = voice.softmax(-1), words.softmax(-1), self.balance[2].sigmoid()
        same = a * of_words
        likelihood = same + (1 - a) * (1 - of_words) / (voice.shape[1] - 1)
        conflict = 1 - (of_voice * same).sum(1) / (of_voice * likelihood).sum(1)
        return voice.log_softmax(-1) + likelihood.clamp(min=1e-12).log(), conflict


class Experts(nn.Module):
    """Heads that were trained apart, each on streams of its own: the mean of their log posteriors (Hinton 2002)."""

    def __init__(self, heads: list[FASHead]):
        super().__init__()
        self.heads = nn.ModuleList(head.fusion for head in heads)
        self.streams = [tuple(head.config.streams) for head in heads]

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        said = [
            head({name: streams[name] for name in own}).logits.log_softmax(-1)
            for head, own in zip(self.heads, self.streams, strict=True)
        ]
        return Fused(torch.stack(said).mean(0))


class LinearFusion(nn.Module):
    """The yardstick as a head: one token of each stream (patch: all), projected to the classes, and their sum."""

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        return Fused(sum(mean_of(s) for s in streams.values()))


class Members(nn.Module):
    """Several heads, each on its own part of the projected tokens; posteriors, attention and P(conflict) are averaged.

    They share what training draws (swapped and hidden streams) and which tokens a budget keeps, and differ in their
    first weights and in their own dropout.
    """

    def __init__(self, fusion: Callable[[FASConfig], nn.Module], config: FASConfig):
        super().__init__()
        one = dataclasses.replace(config, members=1)
        self.heads = nn.ModuleList(fusion(one) for _ in range(config.members))

    def forward(self, streams: dict[str, Tokens]) -> Fused:
        parts = {name: s.vectors.chunk(len(self.heads), -1) for name, s in streams.items()}
        said = tuple(
            head({name: s._replace(vectors=parts[name][i]) for name, s in streams.items()})
            for i, head in enumerate(self.heads)
        )
        logits = torch.stack([s.logits.log_softmax(-1) for s in said]).logsumexp(0) - math.log(len(said))
        attention, conflict = (
            None if values[0] is None else torch.stack(values).mean(0)
            for values in ([s.attention for s in said], [s.conflict for s in said])
        )
        return Fused(logits, attention, conflict=conflict, members=said)


FUSIONS = {
    "queries": QueryFusion,
    "mean": MeanFusion,
    "concat": ConcatFusion,
    "gated": GatedFusion,
    "statistics": StatisticsFusion,
    "mixture": MixtureFusion,
}


def fusion_of(name: str, config: FASConfig) -> nn.Module:
    """The fusion of this name, or as many of them as the config has members."""
    return FUSIONS[name](config) if config.members == 1 else Members(FUSIONS[name], config)
