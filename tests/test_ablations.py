"""The heads beside the paper's: what a mixture and its members promise."""

import pytest
import torch

from fas.ablations import Members, MixtureFusion, StatisticsFusion, fusion_of
from fas.model import FASConfig, FASHead, Stream, Tokens

CONFIG = FASConfig({"voice": Stream(6, 1), "words": Stream(4, 1)}, width=16, heads=2)
LENGTHS = {"voice": torch.tensor([3, 9, 5]), "words": torch.tensor([2, 1, 7])}


def inputs(seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Packed patches and lengths of three utterances."""
    drawn = torch.Generator().manual_seed(seed)
    return {n: torch.randn(int(LENGTHS[n].sum()), s.dim, generator=drawn) for n, s in CONFIG.streams.items()}, LENGTHS


def head(config: FASConfig = CONFIG, balance: tuple[float, ...] = (0.3, -0.2, 0.7)) -> FASHead:
    torch.manual_seed(1)
    made = FASHead(config, fusion_of("mixture", config)).eval()
    for mixture in made.fusion.heads if isinstance(made.fusion, Members) else [made.fusion]:
        mixture.balance.copy_(torch.tensor(balance))
    return made


def test_the_mixture_is_its_equations() -> None:
    """Bayes, by the table of all pairs of emotions: p(w | e) is a where w = e, else (1 - a) / (C - 1)."""
    said, _ = head().judge(*inputs())
    voice, words = ((x * t).softmax(-1) for x, t in zip(said.sides, torch.tensor([0.3, -0.2]).exp(), strict=True))
    a = torch.tensor(0.7).sigmoid()
    given = torch.where(torch.eye(7, dtype=torch.bool), a, (1 - a) / 6)
    joint = voice[:, :, None] * given * words[:, None, :]
    joint = joint / joint.sum((1, 2), keepdim=True)
    assert torch.allclose(said.logits.softmax(-1), joint.sum(2), atol=1e-6)
    assert torch.allclose(said.conflict, 1 - joint.diagonal(dim1=1, dim2=2).sum(1), atol=1e-6)
    assert ((said.conflict > 0) & (said.conflict < 1)).all()


@pytest.mark.parametrize("a", [-20.0, -1.0, 3.0, 20.0])
def test_words_that_are_not_there_leave_the_voice_alone(a: float) -> None:
    model = head(balance=(0.0, 0.0, a))
    streams = model.tokens(*inputs())
    words = streams["words"]
    hidden = words._replace(mask=words.mask & torch.tensor([[False], [True], [False]]))
    with_words, without = model.fusion(streams), model.fusion(streams | {"words": hidden})
    voice = without.sides[0].softmax(-1)
    assert torch.allclose(without.logits.softmax(-1)[[0, 2]], voice[[0, 2]], atol=1e-6)
    assert torch.allclose(without.logits[1], with_words.logits[1], atol=1e-5)
    assert without.logits.isfinite().all() and without.conflict.isfinite().all()


def test_words_are_followed_as_far_as_they_agree() -> None:
    """a near 1: the product of both sides; a of chance, 1 / C: the voice; a near 0: what the words say is it not."""
    mixture = head().fusion
    voice, words = torch.tensor([[1.0, 0.9, 0, 0, 0, 0, 0]]), torch.tensor([[0.0, 9.0, 0, 0, 0, 0, 0]])
    for a, label, conflict in ((0.99, 1, 0.02), (1 / 7, 0, 0.75), (0.01, 0, 0.99)):
        mixture.balance.copy_(torch.tensor([0.0, 0.0, torch.logit(torch.tensor(a)).item()]))
        logits, stated = mixture.join(voice, words)
        assert logits.argmax() == label and stated.item() == pytest.approx(conflict, abs=0.12)
        if a == 1 / 7:
            assert torch.allclose(logits.softmax(-1), voice.softmax(-1), atol=1e-5)


def test_both_sides_learn_and_neither_hears_the_other() -> None:
    model = head().train()
    said, _ = model.judge(*inputs())
    said.logits[:, 0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    patches, lengths = inputs()
    other, _ = inputs(5)
    model.eval()
    first, _ = model.judge(patches, lengths)
    second, _ = model.judge({"voice": patches["voice"], "words": other["words"]}, lengths)
    assert torch.equal(first.sides[0], second.sides[0]) and not torch.equal(first.sides[1], second.sides[1])


def test_the_mixture_says_whose_words_it_heard() -> None:
    config = FASConfig(CONFIG.streams, width=16, heads=2, dropout=0.0, stream_swap={"words": 1.0})
    torch.manual_seed(2)
    model = head(config).train()
    said, _ = model.judge(*inputs())
    plain, _ = model.eval().judge(*inputs())
    assert torch.allclose(said.sides[1], plain.sides[1][said.source], atol=1e-5)
    assert torch.allclose(said.sides[0], plain.sides[0], atol=1e-5)


@pytest.mark.parametrize("fusion", ["queries", "concat", "mixture"])
def test_members_are_averaged(fusion: str) -> None:
    """Each member is the head that one has by itself with that part of the projection."""
    torch.manual_seed(3)
    config = FASConfig(CONFIG.streams, width=16, heads=2, members=3)
    model = FASHead(config, fusion_of(fusion, config)).eval()
    said, _ = model.judge(*inputs())
    alone = []
    for i, one in enumerate(model.fusion.heads):
        single = FASHead(FASConfig(CONFIG.streams, width=16, heads=2), one).eval()
        for name, projection in model.project.items():
            rows = slice(16 * i, 16 * (i + 1))
            single.project[name].weight.data = projection.weight.data[rows]
            single.project[name].bias.data = projection.bias.data[rows]
        alone.append(single.judge(*inputs())[0])
    mean = torch.stack([x.logits.softmax(-1) for x in alone]).mean(0)
    assert torch.allclose(said.logits.softmax(-1), mean, atol=1e-6)
    assert (mean - alone[0].logits.softmax(-1)).abs().max() > 1e-3
    for what in ("attention", "conflict"):
        values = [getattr(x, what) for x in alone]
        assert (getattr(said, what) is None) == (values[0] is None)
        if values[0] is not None:
            assert torch.allclose(getattr(said, what), torch.stack(values).mean(0), atol=1e-6)


def test_statistics_are_those_of_the_tokens_within() -> None:
    torch.manual_seed(4)
    fusion = StatisticsFusion(FASConfig({"a": Stream(4)}, width=8)).eval()
    vectors, mask = torch.randn(2, 6, 8), torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    said = fusion({"a": Tokens(vectors, mask, mask)}).logits[0]
    own = vectors[0, :4]
    expected = torch.cat([own.mean(0), (own.var(0, correction=0) + 1e-5).sqrt()])
    assert torch.allclose(said, fusion.classifier(fusion.norm(expected)), atol=1e-5)


def test_the_mixture_takes_two_streams() -> None:
    with pytest.raises(ValueError, match="two streams, voice and words, not 1"):
        MixtureFusion(FASConfig({"a": Stream(4)}))
