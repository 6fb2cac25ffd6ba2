"""The head: the published sizes, masks for every length, the equations."""

import pytest
import torch
from torch import nn

from fas.ablations import FUSIONS, ConcatFusion, GatedFusion, MeanFusion
from fas.model import FASConfig, FASHead, QueryAttention, Stream, distil, lengths_to_mask, patchify

PAPER = FASConfig({"acoustic": Stream(64, 5, 8), "semantic": Stream(1280, 5, 16)})


@pytest.mark.parametrize(
    ("fusion", "published"),
    [(None, 3_451_911), (MeanFusion, 822_279), (ConcatFusion, 1_217_543), (GatedFusion, 1_480_199)],
)
def test_number_of_parameters(fusion: type[nn.Module] | None, published: int) -> None:
    """Table 4 of the paper: 3.45 M, without queries 0.82 M, Concat 1.22 M; Gated (1.65 M) is a reconstruction."""
    model = FASHead(PAPER, fusion(PAPER) if fusion else None)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == published


@pytest.mark.parametrize("fusion", FUSIONS.values())
@pytest.mark.parametrize("choice", ["norm", "uniform"])
@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 39, 40, 41, 100])
def test_padding_never_changes_a_result(length: int, choice: str, fusion: type[nn.Module]) -> None:
    torch.manual_seed(0)
    config = FASConfig({"a": Stream(6, 5, 8), "b": Stream(3, 1, 0.3)}, width=16, heads=2, choice=choice)
    model = FASHead(config, fusion(config)).eval()
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


def test_patchify_all_is_mean_and_deviation() -> None:
    frames = torch.randn(2, 9, 3, dtype=torch.float64)
    frames[1, 4:] = 1e6  # beyond its length
    tokens, lengths = patchify(frames, torch.tensor([9, 4]), "all")
    assert tokens.shape == (2, 1, 6) and lengths.tolist() == [1, 1]
    for token, own in zip(tokens, (frames[0], frames[1, :4]), strict=True):
        torch.testing.assert_close(token[0], torch.cat([own.mean(0), own.std(0, correction=0)]))


def test_top_k_keeps_the_largest_norms_within_the_length() -> None:
    tokens = torch.tensor([[[1.0], [-5.0], [3.0], [100.0]]])
    kept = distil(tokens, torch.tensor([3]), 2)
    assert sorted(kept.vectors.flatten().tolist()) == [-5.0, 3.0] and kept.mask.all()
    assert sorted(kept.index.flatten().tolist()) == [1, 2]
    kept = distil(tokens, torch.tensor([1]), 2)
    assert kept.vectors[kept.mask].flatten().tolist() == [1.0]
    kept = distil(tokens, torch.tensor([3]), 0.5)
    assert kept.mask.sum() == 2


@pytest.mark.parametrize(("length", "k"), [(10, 3), (7, 7), (5, 8), (100, 16)])
def test_uniform_choice_is_evenly_spaced(length: int, k: int) -> None:
    kept = distil(torch.randn(1, 120, 4), torch.tensor([length]), k, "uniform")
    places = sorted(kept.index[kept.mask].tolist())
    assert len(places) == min(k, length) and places[-1] < length
    gaps = [b - a for a, b in zip([-1, *places], places, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_random_choice_differs_from_draw_to_draw() -> None:
    tokens, lengths = torch.randn(1, 50, 4), torch.tensor([40])
    drawn = [distil(tokens, lengths, 5, "random") for _ in range(8)]
    assert len({tuple(sorted(d.index[0].tolist())) for d in drawn}) > 1
    assert all(d.index.max() < 40 and d.mask.all() for d in drawn)


def test_attention_sums_to_one_and_spares_padding() -> None:
    torch.manual_seed(0)
    model = FASHead(FASConfig({"a": Stream(4, 1, 3), "b": Stream(4, 1)}, width=16, heads=2)).eval()
    lengths = {"a": torch.tensor([2, 6]), "b": torch.tensor([5, 1])}
    patches = {n: torch.randn(int(le.sum()), 4) for n, le in lengths.items()}
    said, streams = model.judge(patches, lengths)
    attention = said.attention
    assert torch.allclose(said.logits, model.fuse(patches, lengths), atol=1e-5)
    assert said.conflict is None  # this head does not state it
    assert torch.allclose(attention.sum(1), torch.ones(2), atol=1e-5)
    mask = torch.cat([s.mask for s in streams.values()], 1)
    assert (attention[~mask] == 0).all() and mask.sum(1).tolist() == [2 + 5, 3 + 1]


def test_query_attention_is_multihead_attention() -> None:
    torch.manual_seed(0)
    plain = nn.MultiheadAttention(16, 4, batch_first=True)
    ours = QueryAttention(16, 4)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(plain.state_dict())
    queries, tokens, mask = torch.randn(3, 16), torch.randn(2, 7, 16), lengths_to_mask(torch.tensor([7, 2]), 7)
    attended, attention = ours(queries, tokens, mask)
    expected, shares = plain(queries.expand(2, -1, -1), tokens, tokens, key_padding_mask=~mask)
    assert torch.allclose(attended, expected, atol=1e-5) and torch.allclose(attention, shares.mean(1), atol=1e-5)


def test_query_attention_drops_as_multihead_attention_does() -> None:
    """With dropout the shares of a head no longer sum to one, nor does the values' bias count as one."""
    torch.manual_seed(0)
    ours = QueryAttention(4, 1, 0.5)
    nn.init.zeros_(ours.in_proj_weight)
    with torch.no_grad():
        ours.in_proj_bias.fill_(1.0)
        ours.out_proj.weight.copy_(torch.eye(4))
    attended, _ = ours(torch.zeros(1, 4), torch.randn(200, 2, 4), torch.ones(200, 2, dtype=torch.bool))
    assert set(attended[:, 0, 0].tolist()) == {0.0, 1.0, 2.0}  # of two shares of a half, each lost or doubled


def test_hidden_stream_has_no_influence_in_training() -> None:
    torch.manual_seed(0)
    streams = {"a": Stream(4), "b": Stream(4)}
    model = FASHead(FASConfig(streams, width=16, heads=2, dropout=0.0, stream_dropout={"b": 1.0})).train()
    lengths = {n: torch.tensor([10, 10]) for n in streams}
    a = torch.randn(2, 10, 4)
    first = model({"a": a, "b": torch.randn(2, 10, 4)}, lengths)
    second = model({"a": a, "b": torch.randn(2, 10, 4)}, lengths)
    assert torch.equal(first, second)
    model.eval()
    assert not torch.equal(first, model({"a": a, "b": torch.randn(2, 10, 4)}, lengths))


def test_swapped_stream_comes_from_another_utterance_in_training() -> None:
    torch.manual_seed(0)
    streams = {"a": Stream(4, 1), "b": Stream(4, 1)}
    model = FASHead(FASConfig(streams, width=16, heads=2, dropout=0.0, stream_swap={"b": 1.0})).train()
    lengths = {"a": torch.full((32,), 5), "b": torch.arange(1, 33)}
    patches = {n: torch.randn(int(le.sum()), 4) for n, le in lengths.items()}
    tokens, plain = model.tokens(patches, lengths), model.eval().tokens(patches, lengths)
    assert torch.equal(tokens["a"].vectors, plain["a"].vectors)
    given = tokens["b"].mask.sum(1)
    assert sorted(given.tolist()) == list(range(1, 33)) and (given != lengths["b"]).sum() > 24
    for i, length in enumerate(given.tolist()):
        assert torch.equal(tokens["b"].vectors[i], plain["b"].vectors[length - 1])


def test_cmn_takes_the_mean_of_the_utterance_out() -> None:
    torch.manual_seed(0)
    model = FASHead(FASConfig({"a": Stream(4, 5, cmn=True)}, width=16, heads=2)).eval()
    frames, lengths = torch.randn(2, 30, 4), torch.tensor([30, 15])
    shifted = frames + torch.tensor([3.0, -1.0, 0.0, 7.0])
    assert torch.allclose(model({"a": frames}, {"a": lengths}), model({"a": shifted}, {"a": lengths}), atol=1e-4)
