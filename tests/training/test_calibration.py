"""The mixture in training: losses of its sides, and its calibration by the dev set."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fas.ablations import fusion_of
from fas.errors import ConfError
from fas.model import FASConfig, FASHead, Fused, Stream
from fas.training import calibration, confs, train
from fas.training.dataset import Batch
from fas.training.losses import Targets, loss_of, loss_of_head

N, C = 300, 7


def dev(agree: float, heard: float = 1.0) -> SimpleNamespace:
    """Utterances whose two streams each name an emotion: the voice's rightly in 60 %, the words' in `heard`.

    agree: share of utterances whose words have the voice's emotion; the others have any other one.
    """
    drawn = np.random.default_rng(0)
    voice = drawn.integers(C, size=N)
    words = np.where(drawn.random(N) < agree, voice, (voice + drawn.integers(1, C, size=N)) % C)
    said = [np.where(drawn.random(N) < p, x, drawn.integers(C, size=N)) for p, x in ((0.6, voice), (heard, words))]
    patches = {n: torch.eye(C)[torch.from_numpy(x)] for n, x in zip(("voice", "words"), said, strict=True)}
    lengths = {n: torch.ones(N, dtype=torch.long) for n in patches}
    batch = Batch(patches, lengths, torch.from_numpy(voice))
    return SimpleNamespace(
        references=voice, words=words, allowed=np.ones((N, C), bool), batches=lambda _: iter([batch]), batch=batch
    )


class Says(torch.nn.Module):
    """A side that is as sure as can be of the emotion that its tokens name."""

    def forward(self, streams: dict) -> Fused:
        (stream,) = streams.values()
        return Fused(8 * stream.vectors[:, 0])


def mixture(members: int = 1) -> FASHead:
    config = FASConfig({"voice": Stream(C, 1), "words": Stream(C, 1)}, width=C, heads=1, members=members)
    model = FASHead(config, fusion_of("mixture", config))
    for projection in model.project.values():
        projection.weight.data = torch.eye(C).repeat(members, 1)
        projection.bias.data.zero_()
    for one in model.fusion.heads if members > 1 else [model.fusion]:
        one.voice = one.words = Says()
    return model


def right(model: FASHead, data: SimpleNamespace) -> float:
    said = model.fuse(data.batch.patches, data.batch.lengths).argmax(1)
    return float((said == data.batch.labels).double().mean())


@pytest.mark.parametrize("members", [1, 2])
def test_words_that_agree_are_trusted_and_others_are_not(members: int) -> None:
    """The share of agreement and the certainty of each side come from dev, and the answer is never below the voice."""
    found = {}
    for agree, heard in ((0.9, 1.0), (0.4, 1.0), (1 / 7, 1.0), (0.9, 0.0)):
        model, data = mixture(members), dev(agree, heard)
        calibration.fit(model, data, "cpu")
        one = model.fusion.heads[-1] if members > 1 else model.fusion
        found[agree, heard] = right(model, data)
        if heard:
            assert one.balance[2].sigmoid().item() == pytest.approx(agree, abs=0.1)
            assert one.balance[0] < -0.5  # a voice that is right in two of three is less sure than it said
        assert not one.balance.requires_grad
    voice = float((data.batch.patches["voice"].argmax(1) == data.batch.labels).double().mean())
    assert found[0.9, 1.0] > 0.85 and found[0.4, 1.0] > voice - 0.01
    assert found[1 / 7, 1.0] == pytest.approx(voice, abs=0.02) and found[0.9, 0.0] == pytest.approx(voice, abs=0.02)


def test_a_head_without_sides_has_no_balance() -> None:
    model = FASHead(FASConfig({"voice": Stream(C, 1)}, width=8, heads=2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    calibration.fit(model, dev(0.5), "cpu")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_each_side_is_taught_its_own_emotion() -> None:
    """The words' is that of the utterance that they were taken from; where nobody knows it they are not taught."""
    torch.manual_seed(0)
    logits, voice, words = (torch.randn(3, C) for _ in range(3))
    said = Fused(logits, None, (voice, words), torch.tensor([0.2, 0.9, 0.5]), torch.tensor([1, 0, 2]))
    weights = torch.arange(1.0, C + 1)
    allowed = torch.ones(3, C, dtype=torch.bool)
    targets = Targets(torch.tensor([3, 4, 5]), allowed, torch.tensor([2, 3, -1]), weights)
    whole = loss_of(logits, targets.labels, allowed, 0.1)
    assert torch.equal(loss_of_head(said, targets, 0.1, 0.0), whole)
    of_words = -words.log_softmax(1)[[0, 1], [3, 2]] * weights[[3, 2]]
    alone = loss_of(voice, targets.labels, allowed, 0.1) + torch.cat([of_words, torch.zeros(1)])
    for share in (0.3, 1.0):
        expected = (1 - share) * whole + share * alone
        assert torch.allclose(loss_of_head(said, targets, 0.1, share), expected, atol=1e-5)
        members = Fused(logits, members=(said, said._replace(logits=-logits)))
        other = loss_of_head(said._replace(logits=-logits), targets, 0.1, share)
        assert torch.allclose(loss_of_head(members, targets, 0.1, share), (expected + other) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("fusion: mixture\nmixup: 0.2\n", "mixup is 0 for the mixture"),
        ("fusion: mixture\nsides: 1.5\n", "sides must be"),
        ("sides: 0.5\n", "sides is for fusion mixture"),
        ("fusion: mixture\nstreams: {a: {feats: ssl}}\n", "fusion mixture takes two streams, not 1"),
        ("members: 0\n", "members must be"),
    ],
)
def test_what_a_mixture_can_t_be_is_named(tmp_path: Path, more: str, says: str) -> None:
    streams = "" if "streams" in more else "streams: {a: {feats: ssl}, b: {feats: text}}\n"
    (tmp_path / "x.yaml").write_text(streams + more)
    with pytest.raises(ConfError, match=rf"x\.yaml.*{says}"):
        confs.load_conf(tmp_path / "x.yaml")


def test_words_that_nobody_knows_the_emotion_of_teach_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("streams: {a: {feats: ssl}, b: {feats: text}}\nfusion: mixture\nsides: 1.0\n")
    settings = confs.load_conf(tmp_path / "x.yaml")
    with pytest.raises(ConfError, match=r"sides: 1\.0 needs utt2sem of training utterances"):
        train.train(settings, SimpleNamespace(words=np.full(3, -1)), SimpleNamespace(), tmp_path, 1, {})
