"""Calibration of a mixture: how far each of its sides is to be trusted, by the dev set."""

import torch
from torch import Tensor, nn

from fas import threads
from fas.ablations import Members, MixtureFusion
from fas.model import FASHead
from fas.training.dataset import Dataset
from fas.training.losses import loss_of

STRENGTH = 0.01  # of the pull towards temperatures of 1 and a = 1/2, per squared logarithm


@torch.inference_mode()
def _sides(model: FASHead, mixtures: list[MixtureFusion], dev_set: Dataset, device: str) -> list[tuple[Tensor, Tensor]]:
    """Logits (utterances, C) of voice and words of each mixture, in float64."""
    model.eval()
    made: list[list[tuple[Tensor, Tensor]]] = [[] for _ in mixtures]
    for part in dev_set.batches(256):
        part = part.to(device)
        said, _ = model.judge(part.patches, part.lengths)
        for own, member in zip(made, said.members or [said], strict=True):
            own.append(member.sides)
    return [tuple(torch.cat(x).double() for x in zip(*own, strict=True)) for own in made]


@threads.one()  # sums whose order follows the threads
def fit(model: FASHead, dev_set: Dataset, device: str) -> None:
    """Set the temperatures of both sides and the share of agreement, `MixtureFusion.balance`; other heads stay.

    They are those of the lowest cross-entropy on the dev set, whose voices and lines were not learned from; three
    numbers for each member.
    """
    fusion = model.fusion
    mixtures = [m for m in (fusion.heads if isinstance(fusion, Members) else [fusion]) if isinstance(m, MixtureFusion)]
    if not mixtures:
        return
    labels = torch.from_numpy(dev_set.references).to(device)
    allowed = torch.from_numpy(dev_set.allowed).to(device)
    for mixture, sides in zip(mixtures, _sides(model, mixtures, dev_set, device), strict=True):
        mixture.balance = nn.Parameter(torch.zeros(3, device=device))
        optimizer = torch.optim.LBFGS([mixture.balance], max_iter=100, line_search_fn="strong_wolfe")

        def loss(mixture: MixtureFusion = mixture, sides: tuple[Tensor, Tensor] = sides) -> Tensor:
            mixture.balance.grad = None
            logits, _ = mixture.join(*(x.clone() for x in sides))
            made = loss_of(logits, labels, allowed, 0.0).mean() + STRENGTH * mixture.balance.square().sum()
            made.backward()
            return made

        optimizer.step(loss)
        mixture.balance.requires_grad_(False)
