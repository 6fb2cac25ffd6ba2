"""A head as an ONNX graph, for programs without torch, and its check against torch.

Inputs, for each stream NAME of the model: NAME, float32 frames (B, T, D), padded at the end; NAME_lengths, int64 (B,),
each from 1 to T. Outputs: posteriors, float32 (B, C), in the order of the file `labels`; of a head that states it also
conflict, float32 (B,), the probability that tone and words have different emotions. B and the T of each stream are
free.
"""

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fas.errors import ConfError
from fas.model import FASHead, Fused, Stream, Tokens, lengths_to_mask, patchify

TOLERANCE = 1e-4  # of a posterior, and of P(conflict)
OPSET = 17


class Padded(nn.Module):
    """FASHead.forward and softmax, without what an exporter would fix to the example's sizes.

    Nothing is packed, and tokens beyond a budget are masked instead of left out, which is the same to every fusion.
    """

    def __init__(self, head: FASHead):
        super().__init__()
        self.head = copy.deepcopy(head).eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Frames (B, T, D) and lengths (B,) of one stream after the other -> posteriors (B, C); P(conflict) (B,)."""
        head, made = self.head, {}
        streams = head.config.streams.items()
        for (name, stream), frames, lengths in zip(streams, inputs[::2], inputs[1::2], strict=True):
            patches, length = patchify(frames, lengths, stream.patch)
            if stream.cmn:
                patches = patches - patches.sum(1, keepdim=True) / length[:, None, None]
            tokens = head.project[name]((patches - head.mean[name]) * head.scale[name])
            made[name] = Tokens(tokens, kept(tokens, length, stream.tokens, head.config.choice), length)
        return answers(head.fusion(made))


def answers(said: Fused) -> tuple[Tensor, ...]:
    """Posteriors (B, C), and P(conflict) (B,) where the head states it."""
    return (said.logits.softmax(-1),) if said.conflict is None else (said.logits.softmax(-1), said.conflict)


def kept(tokens: Tensor, length: Tensor, budget: int | float | None, choice: str) -> Tensor:
    """(B, N) mask of the tokens (B, N, d) that fas.model.distil keeps, by norm or evenly spaced."""
    size = tokens.shape[1]
    mask = lengths_to_mask(length, size)
    if budget is None:
        return mask
    most = length.clamp(max=budget) if isinstance(budget, int) else (length * budget).ceil().long()
    if choice == "uniform":
        place = torch.arange(size)
        return mask & ((place + 1) * most[:, None] // length[:, None] > place * most[:, None] // length[:, None])
    order = tokens.norm(dim=-1).masked_fill(~mask, -torch.inf).argsort(1, descending=True)
    return torch.zeros_like(mask).scatter(1, order, lengths_to_mask(most, size))


def write(head: FASHead, path: Path) -> None:
    """Write the graph and check it; a random choice of tokens can't be one. Raises ConfError if not equal to torch."""
    inputs, free = {}, {}
    for name, stream in head.config.streams.items():
        inputs |= {name: torch.randn(3, 47, stream.frame_dim), f"{name}_lengths": torch.tensor([47, 12, 3])}
        free |= {name: {0: "batch", 1: f"{name}_frames"}, f"{name}_lengths": {0: "batch"}}
    padded = Padded(head)
    with torch.inference_mode(), warnings.catch_warnings():
        outputs = ["posteriors", "conflict"][: len(padded(*inputs.values()))]
        warnings.simplefilter("ignore")  # the exporter by tracing is called old; the other takes half a minute
        torch.onnx.export(
            padded,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=free | {name: {0: "batch"} for name in outputs},
            opset_version=OPSET,
            dynamo=False,
        )
    check(head, path)


@torch.inference_mode()
def check(head: FASHead, path: Path) -> None:
    """Compare with torch, from one frame on, around every patch and budget, alone and padded in a batch.

    Raises ConfError where an answer differs by more than TOLERANCE.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    chance = torch.Generator().manual_seed(0)
    for longest in sorted({1, 2, 299} | {n for s in head.config.streams.values() for n in edges(s)}):
        for batch in (1, 3):
            frames, lengths = {}, {}
            for name, stream in head.config.streams.items():
                own = torch.randint(1, longest + 1, (batch,), generator=chance)
                own[0] = longest
                lengths[name] = own
                dim = stream.frame_dim
                standard = torch.randn(batch, longest, dim, generator=chance)
                frames[name] = head.mean[name][:dim] + standard / head.scale[name][:dim]
            expected = answers(head.judge(*head.patch(frames, lengths))[0])
            inputs = {n: x.numpy() for n, x in frames.items()} | {f"{n}_lengths": x.numpy() for n, x in lengths.items()}
            given = session.run(None, inputs)
            apart = max(float(np.abs(g - e.numpy()).max()) for g, e in zip(given, expected, strict=True))
            if not apart <= TOLERANCE:
                raise ConfError(
                    f"{path}: not equal to torch: an answer of {batch} utterances of up to {longest} frames is "
                    f"{apart:.2g} apart; report this with conf.yaml of the model"
                )


def edges(stream: Stream) -> set[int]:
    """Numbers of frames on both sides of where a stream's last patch is full and its budget is spent."""
    patches = {1, stream.tokens} if isinstance(stream.tokens, int) else {1}
    return {max(1, p * (1 if stream.patch == "all" else stream.patch) + i) for p in patches for i in (-1, 0, 1)}
