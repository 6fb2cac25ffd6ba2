"""The head: the published sizes, masks for every length, the equations."""

import pytest
import torch

from fas.model import FAS, FASConfig, Stream, patchify, top_k

PAPER = FASConfig({"acoustic": Stream(64, 5, 8), "semantic": Stream(1280, 5, 16)})


def test_published_number_of_parameters() -> None:
    trainable = sum(p.numel() for p in FAS(PAPER).parameters() if p.requires_grad)
    assert trainable == 3_451_911


@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 39, 40, 41, 100])
def test_padding_never_changes_a_result(length: int) -> None:
    torch.manual_seed(0)
    model = FAS(FASConfig({"a": Stream(6, 5, 8), "b": Stream(3, 1, None)}, width=16, heads=2)).eval()
    frames = {"a": torch.randn(1, length, 6), "b": torch.randn(1, length, 3)}
    lengths = {"a": torch.tensor([length]), "b": torch.tensor([length])}
    alone = model(frames, lengths)
    padded = {n: torch.cat([f, torch.full((1, 60, f.shape[2]), 1e3)], 1) for n, f in frames.items()}
    others = {n: torch.cat([p, torch.randn(2, length + 60, p.shape[2])]) for n, p in padded.items()}
    longer = {n: torch.tensor([length, 3, length + 60]) for n in frames}
    assert torch.allclose(model(others, longer)[0], alone[0], atol=1e-5)


def test_patchify_is_the_mean_over_frames() -> None:
    frames = torch.arange(7.0)[None, :, None]
    tokens, lengths = patchify(frames, torch.tensor([7]), 5)
    assert tokens.flatten().tolist() == [2.0, 5.5] and lengths.tolist() == [2]


def test_top_k_keeps_the_largest_norms_within_the_length() -> None:
    tokens = torch.tensor([[[1.0], [-5.0], [3.0], [100.0]]])
    kept, mask = top_k(tokens, torch.tensor([3]), 2)
    assert sorted(kept.flatten().tolist()) == [-5.0, 3.0] and mask.all()
    kept, mask = top_k(tokens, torch.tensor([1]), 2)
    assert mask.sum() == 1 and kept[mask].item() == 1.0


def test_hidden_stream_has_no_influence_in_training() -> None:
    torch.manual_seed(0)
    streams = {"a": Stream(4), "b": Stream(4)}
    model = FAS(FASConfig(streams, width=16, heads=2, dropout=0.0, stream_dropout={"b": 1.0})).train()
    lengths = {n: torch.tensor([10, 10]) for n in streams}
    a = torch.randn(2, 10, 4)
    first = model({"a": a, "b": torch.randn(2, 10, 4)}, lengths)
    second = model({"a": a, "b": torch.randn(2, 10, 4)}, lengths)
    assert torch.equal(first, second)
    model.eval()
    assert not torch.equal(first, model({"a": a, "b": torch.randn(2, 10, 4)}, lengths))
