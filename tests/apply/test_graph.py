"""The head as an ONNX graph, in onnxruntime, against torch."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from torch import Tensor

from fas import FAS
from fas.ablations import fusion_of
from fas.apply import export, graph
from fas.data import datadir
from fas.errors import ConfError
from fas.model import FASConfig, FASHead, Stream

HEADS = {
    "queries": {"a": Stream(12, 5, 8, cmn=True), "b": Stream(6, 3, 0.3), "c": Stream(4, 1)},
    "uniform": {"a": Stream(12, 5, 8), "b": Stream(6, 2, 0.5, cmn=True)},
    "mean": {"a": Stream(12, 5, 3)},
    "concat": {"a": Stream(12, 5, 8), "b": Stream(6, 1, 4), "c": Stream(4, 4)},
    "gated": {"a": Stream(12, 5, 8, cmn=True), "b": Stream(6, 1, 0.7)},
    "statistics": {"a": Stream(12, 5), "b": Stream(6, 2, 4)},
    "mixture": {"a": Stream(12, 5), "b": Stream(6, 1, 16)},
    "members": {"a": Stream(12, 5, 8), "b": Stream(6, 1)},
    "pooled": {"a": Stream(24, "all"), "b": Stream(6, 1, 16)},
}


def made(kind: str) -> FASHead:
    torch.manual_seed(1)
    choice = "uniform" if kind == "uniform" else "norm"
    config = FASConfig(HEADS[kind], width=16, heads=4, choice=choice, members=3 if kind == "members" else 1)
    name = {"uniform": "queries", "members": "mixture", "pooled": "mixture"}.get(kind, kind)
    head = FASHead(config, fusion_of(name, config)).eval()
    for name, stream in config.streams.items():
        head.set_statistics(name, torch.randn(stream.dim), torch.rand(stream.dim) + 0.5)
    return head


def ask(path: Path, frames: dict[str, Tensor], lengths: dict[str, Tensor], what: str = "posteriors") -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {n: x.numpy() for n, x in frames.items()} | {f"{n}_lengths": x.numpy() for n, x in lengths.items()}
    return session.run([what], inputs)[0]


@pytest.mark.parametrize("kind", HEADS)
def test_every_length_in_any_batch(kind: str, tmp_path: Path) -> None:
    head, path = made(kind), tmp_path / "model.onnx"
    graph.write(head, path)
    streams = head.config.streams
    lengths = {n: torch.arange(1, 90)[torch.randperm(89)] for n in streams}  # streams of one utterance differ too
    frames = {n: 100 * torch.randn(89, 89, s.frame_dim) for n, s in streams.items()}  # beyond a length too: never heard
    together = ask(path, frames, lengths)
    with torch.inference_mode():
        np.testing.assert_allclose(together, head(frames, lengths).softmax(-1), atol=1e-5)
    for i in range(0, 89, 8):
        one = {n: le[i : i + 1] for n, le in lengths.items()}
        alone = ask(path, {n: x[i : i + 1, : int(one[n])] for n, x in frames.items()}, one)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


def test_a_graph_states_the_conflict_of_a_head_that_does(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for kind, stated in (("members", True), ("mixture", True), ("pooled", True), ("gated", False)):
        head = made(kind)
        graph.write(head, path)
        names = [o.name for o in onnxruntime.InferenceSession(path).get_outputs()]
        assert names == (["posteriors", "conflict"] if stated else ["posteriors"])
        if stated:
            frames = {n: torch.randn(4, 30, s.frame_dim) for n, s in head.config.streams.items()}
            lengths = {n: torch.tensor([1, 7, 29, 30]) for n in frames}
            with torch.inference_mode():
                expected = head.judge(*head.patch(frames, lengths))[0].conflict
            np.testing.assert_allclose(ask(path, frames, lengths, "conflict"), expected, atol=1e-5)


def test_a_graph_that_is_not_the_head_is_refused(tmp_path: Path) -> None:
    head = made("queries")
    graph.write(head, tmp_path / "model.onnx")
    head.config.streams["a"] = Stream(12, 5, 7, cmn=True)  # a budget of one token less
    with pytest.raises(ConfError, match=r"model\.onnx: not equal to torch: an answer of . utterances"):
        graph.check(head, tmp_path / "model.onnx")


def test_an_exported_model_has_one(exported: tuple[Path, Path]) -> None:
    """Of real speech, and with what the recipe gives but for its float16 patches."""
    model = FAS.load(exported[1], "cpu")
    data = datadir.read(exported[0] / "data/case_mini/dev")
    data = data.subset(set(data.utts[:4]).__contains__)
    said = {p.name: p for p in model.predict_set(data)}
    heads = {".": (model.head, model.settings)} | model.companions
    for utt, encoded in model._encode(data).items():
        for folder, (head, settings) in heads.items():
            frames = {n: torch.from_numpy(encoded[s["feats"]]).float()[None] for n, s in settings.streams.items()}
            lengths = {n: torch.tensor([x.shape[1]]) for n, x in frames.items()}
            given = ask(exported[1] / folder / "model.onnx", frames, lengths)
            with torch.inference_mode():
                np.testing.assert_allclose(given, head(frames, lengths).softmax(-1), atol=1e-5)
            recipe = said[utt] if folder == "." else getattr(said[utt], folder)
            np.testing.assert_allclose(given[0], list(recipe.posteriors.values()), atol=5e-3)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("choice", "random", "which no graph can"), ("norm", "speaker", "all utterances of a speaker")],
)
def test_what_no_graph_can_do_is_refused(
    exported: tuple[Path, Path], tmp_path: Path, key: str, value: str, says: str
) -> None:
    training = next((exported[0] / "exp").glob("fas-*")) / "seed1"
    (tmp_path / "training").mkdir()
    for name in ("best.pt", "labels"):
        (tmp_path / "training" / name).symlink_to(training / name)
    described = yaml.safe_load((training / "conf.yaml").read_text()) | {key: value}
    (tmp_path / "training/conf.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(ConfError, match=says):
        export.export(tmp_path / "training", tmp_path / "out", {})
    assert not (tmp_path / "out").exists()
