"""What holds when several corpora are trained on together: label masks, weights, statistics of each corpus."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fas.data import tables
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.features import ark
from fas.training import checkpoint, confs, logreg, losses, train
from fas.training.dataset import Dataset, Source

LABELS = ["angry", "happy", "sad"]


def corpus(root: Path, name: str, emotions: list[str], size: int, shift: float = 0.0, scale: float = 1.0) -> Path:
    """A data directory and its features: the class shifts one of four dimensions, the corpus all of them."""
    random = np.random.default_rng(len(name))
    data = DataDir(name, {}, {}, {}, {}, emotions)
    out = root / "dump" / name
    out.mkdir(parents=True)
    lines, counts = {}, {}
    with (out / "feats.1.ark").open("wb") as f:
        for i in range(size):
            utt, label = f"{name}{i % 2}-{i:03}", emotions[i % len(emotions)]
            frames = random.normal(0, 1, (random.integers(5, 20), 4)) + 3 * np.eye(4)[LABELS.index(label)]
            lines[utt] = f"{f.name}:{ark.append(f, utt, (frames * scale + shift).astype(np.float16))}"
            counts[utt] = str(len(frames))
            data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = "/none", f"{name}{i % 2}", 1.0
            data.utt2emo[utt] = label
    tables.write_table(out / "feats.scp", lines)
    tables.write_table(out / "utt2num_frames", counts)
    data.write(root / "data" / name)
    return root / "data" / name


@pytest.fixture
def dirs(tmp_path: Path) -> list[Path]:
    """one has no sad; three is three times as large and lies elsewhere."""
    first = corpus(tmp_path, "one", LABELS[:2], 20)
    return [first, corpus(tmp_path, "three", LABELS, 60, shift=40.0, scale=5.0)]


def both(dirs: list[Path], norm: str = "global") -> Dataset:
    return Dataset(dirs, {"acoustic": Source(dirs[0].parents[1] / "dump")}, LABELS, norm)


def test_labels_that_a_corpus_lacks_are_no_evidence(dirs: list[Path]) -> None:
    data = both(dirs)
    for utt, allowed in zip(data.utts, data.allowed, strict=True):
        assert allowed.tolist() == [True, True, utt.startswith("three")]
    logits = torch.tensor([[1.0, 0.0, 9.0], [1.0, 0.0, 9.0]], requires_grad=True)
    allowed = torch.tensor([[True, True, False], [True, True, True]])
    loss = losses.loss_of(logits, torch.tensor([0, 0]), allowed, 0.0)
    assert loss[0].item() == pytest.approx(np.log(1 + np.exp(-1)), abs=1e-6)
    assert loss[1].item() == pytest.approx(np.log(np.exp(1) + 1 + np.exp(9)) - 1, abs=1e-5)
    loss.sum().backward()
    assert logits.grad[0, 2] == 0 and logits.grad[1, 2] > 0.9


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_all_labels_are_allowed_it_is_the_cross_entropy(smoothing: float) -> None:
    logits, labels = torch.randn(8, 5, dtype=torch.float64), torch.randint(5, (8,))
    mine = losses.loss_of(logits, labels, torch.ones(8, 5, dtype=torch.bool), smoothing).mean()
    torch.testing.assert_close(mine, torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_smoothing_is_spread_over_the_allowed_labels() -> None:
    logits = torch.randn(1, 5, dtype=torch.float64)
    allowed = torch.tensor([[True, False, True, True, False]])
    mine = losses.loss_of(logits, torch.tensor([2]), allowed, 0.2)[0]
    few = torch.nn.functional.cross_entropy(logits[:, [0, 2, 3]], torch.tensor([1]), label_smoothing=0.2)
    torch.testing.assert_close(mine, few)


def test_balanced_corpora_weigh_the_same(dirs: list[Path]) -> None:
    data = both(dirs)
    weights = data.weights("corpus")
    small = np.array([u.startswith("one") for u in data.utts])
    assert weights[small].sum() == pytest.approx(weights[~small].sum()) and weights.mean() == pytest.approx(1)


@pytest.mark.parametrize("labels", [LABELS, ["angry", "disgust", "happy", "sad"]])  # nobody was given disgust
def test_balanced_labels_weigh_the_same(dirs: list[Path], labels: list[str]) -> None:
    data = Dataset(dirs, {"acoustic": Source(dirs[0].parents[1] / "dump")}, labels)
    weights = data.weights("label")
    sums = [weights[data.references == labels.index(e)].sum() for e in LABELS]
    assert sums == pytest.approx([len(data) / 3] * 3) and weights.mean() == pytest.approx(1)
    assert (data.weights("none") == 1).all()


@pytest.mark.parametrize("balance", ["none", "corpus", "label"])
def test_the_yardstick_is_balanced_too(dirs: list[Path], tmp_path: Path, balance: str) -> None:
    data = both(dirs)
    logreg.train(settings(tmp_path, f"system: logreg\nbalance: {balance}\n"), data, data, tmp_path)
    said = logreg.posteriors(checkpoint.load(tmp_path / "best.pt")["state"], data)
    weights = data.weights(balance)
    shares = np.bincount(data.references, weights) / len(data)  # which a fitted bias meets in the mean of posteriors
    assert (weights[:, None] * said).mean(0) == pytest.approx(shares, abs=1e-3)
    assert len(set(shares.round(3))) == (1 if balance == "label" else 2)


def test_statistics_of_each_corpus(dirs: list[Path]) -> None:
    data = both(dirs, "corpus")
    batch = data.batch(np.arange(len(data)))
    own = np.repeat(data.corpus_of, batch.lengths["acoustic"])
    for number in range(2):
        patches = batch.patches["acoustic"][own == number]
        assert patches.mean(0).abs().max() < 1e-3 and (patches.std(0) - 1).abs().max() < 1e-2
    moments = data.moments()
    for number in range(2):
        assert np.abs(moments[data.corpus_of == number].mean(0)).max() < 1e-6


@pytest.mark.parametrize("norm", ["global", "corpus"])
def test_patch_all_is_what_the_yardstick_hears(dirs: list[Path], norm: str) -> None:
    data = Dataset(dirs, {"acoustic": Source(dirs[0].parents[1] / "dump", patch="all")}, LABELS, norm)
    batch = data.batch(np.arange(len(data)))
    assert data.dim("acoustic") == 8 and (batch.lengths["acoustic"] == 1).all()
    np.testing.assert_allclose(batch.patches["acoustic"], both(dirs, norm).moments(), rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("fusion: mean\nstreams: {acoustic: {feats: ssl, patch: all, cmn: true}}\n", "which cmn takes out"),
        ("streams: {acoustic: {feats: ssl, patch: all}}\n", "no tokens to attend to: take fusion mean, concat"),
        ("streams: {acoustic: {feats: ssl, patch: 0}}\n", "patch must be greater than 0 or 'all', not 0"),
    ],
)
def test_what_patch_all_does_not_go_with(tmp_path: Path, more: str, says: str) -> None:
    (tmp_path / "conf.yaml").write_text(more)
    with pytest.raises(ConfError, match=says):
        confs.load_conf(tmp_path / "conf.yaml")


def settings(tmp_path: Path, more: str) -> confs.TrainConf:
    text = "streams: {acoustic: {feats: ssl}}\nwidth: 16\nheads: 2\nbatch: 16\nlr: 1.0e-2\nepochs: 4\nkeep: last\n"
    (tmp_path / "conf.yaml").write_text(text + more)
    return confs.load_conf(tmp_path / "conf.yaml")


@pytest.mark.parametrize("more", ["", "balance: corpus\n", "mixup: 0.4\nlabel_smoothing: 0.1\n", "norm: corpus\n"])
def test_a_head_learns_from_both(dirs: list[Path], tmp_path: Path, more: str) -> None:
    made = settings(tmp_path, more)
    data = both(dirs, made.norm)
    (tmp_path / "exp").mkdir()
    row = train.train(made, data, data, tmp_path / "exp", 1, {})
    assert row["dev_accuracy"] > 0.8 and np.isfinite(row["train_loss"])


def test_statistics_of_its_own_bring_an_unseen_corpus_home(dirs: list[Path], tmp_path: Path) -> None:
    """Trained on one, tested on the one that lies elsewhere."""
    (tmp_path / "exp").mkdir()
    made = settings(tmp_path, "norm: corpus\n")
    source = {"acoustic": Source(tmp_path / "dump")}
    trained, unseen = (Dataset([d], source, LABELS, "corpus") for d in dirs)
    row = train.train(made, trained, unseen, tmp_path / "exp", 1, {})
    assert row["dev_accuracy"] > 0.5  # of three labels it was taught two
    (tmp_path / "plain").mkdir()
    trained, unseen = (Dataset([d], source, LABELS) for d in dirs)
    plain = train.train(settings(tmp_path, ""), trained, unseen, tmp_path / "plain", 1, {})
    assert plain["dev_accuracy"] < row["dev_accuracy"] - 0.1


def test_what_is_none_of_the_choices_is_named(tmp_path: Path) -> None:
    for more in ("norm: room\n", "balance: speaker\n"):
        with pytest.raises(ConfError, match=f"{more.partition(':')[0]} must be"):
            settings(tmp_path, more)
