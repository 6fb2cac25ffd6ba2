"""What a head is trained by: cross-entropy, and for a head that keeps its sides apart that of each side alone."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fas.model import Fused


@dataclass
class Targets:
    """What is known of a batch.

    labels: numbers (B,), or shares (B, C) of soft ones; allowed: (B, C) the labels that the corpus of each has;
    words: (B,) the emotion of the words by utt2sem, -1 where nobody knows; word_weights: (C,) of the emotions of words.
    """

    labels: Tensor
    allowed: Tensor
    words: Tensor
    word_weights: Tensor


def loss_of(logits: Tensor, labels: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """(B,) cross-entropy of logits (B, C), labels (B,) or shares (B, C), over the labels allowed (B, C) each utterance.

    A label that a corpus does not have is left out of its utterances' softmax: that nobody was given it says nothing.
    smoothing: share of the target that is spread evenly over the allowed labels (Szegedy et al. 2016).
    """
    likelihood = logits.masked_fill(~allowed, -torch.inf).log_softmax(-1).masked_fill(~allowed, 0)
    chosen = labels * likelihood if labels.ndim == 2 else likelihood.gather(1, labels[:, None])
    loss = -chosen.sum(1)
    if smoothing:
        even = -likelihood.sum(1) / allowed.sum(1)
        loss = (1 - smoothing) * loss + smoothing * even
    return loss


def loss_of_head(said: Fused, targets: Targets, smoothing: float, sides: float) -> Tensor:
    """(B,) loss of a head; of several members the mean.

    sides: the share of it that is each side's alone, the words' by their own emotion; the rest is that of the answer.
    """
    if said.members:
        return torch.stack([loss_of_head(m, targets, smoothing, sides) for m in said.members]).mean(0)
    loss = loss_of(said.logits.float(), targets.labels, targets.allowed, smoothing)
    if said.sides is None or not sides:
        return loss
    voice, words = (x.float() for x in said.sides)
    alone = loss_of(voice, targets.labels, targets.allowed, smoothing)
    emotion = targets.words[said.source]
    alone = alone + cross_entropy(words, emotion, targets.word_weights, ignore_index=-1, reduction="none")
    return (1 - sides) * loss + sides * alone
