"""What a head states of conflicts goes from it into the hyp file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fas.ablations import fusion_of
from fas.data.datadir import DataDir
from fas.model import FASConfig, FASHead, Stream
from fas.scoring import analysis, score, stage
from fas.training.confs import TrainConf
from fas.training.dataset import Batch

STREAMS = {"acoustic": Stream(6), "semantic": Stream(4, 1)}


def head(fusion: str, members: int = 1) -> FASHead:
    torch.manual_seed(2)
    config = FASConfig(STREAMS, classes=3, width=16, heads=2, members=members)
    return FASHead(config, fusion_of(fusion, config)).eval()


def utterance() -> Batch:
    torch.manual_seed(1)
    patches = {name: torch.randn(9, s.dim) for name, s in STREAMS.items()}
    return Batch(patches, dict.fromkeys(STREAMS, torch.tensor([9])), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("fusion", ["queries", "mixture", "concat"])
def test_a_head_that_states_a_conflict_is_asked(fusion: str, members: int) -> None:
    made, one = head(fusion, members), utterance()
    posteriors, kept, conflict = score.predict_one(made, one)
    assert posteriors.shape == (3,) and set(kept) == (set(STREAMS) if fusion == "queries" else set())
    with torch.inference_mode():
        stated = made.judge(one.patches, one.lengths)[0].conflict
    assert conflict == (pytest.approx(stated.item()) if fusion == "mixture" else None)


@pytest.mark.parametrize("members", [1, 2])
def test_where_no_words_were_heard_the_voice_answers(members: int) -> None:
    """A mixture is not given the marks of beginning and end; other heads are, as in training."""
    streams = {"acoustic": {"feats": "ssl"}, "semantic": {"feats": "text", "patch": 1}}
    made, one = head("mixture", members), utterance()
    hushed = score.hush(one, TrainConf(streams, fusion="mixture"))
    posteriors, _, conflict = score.predict_one(made, hushed)
    with torch.inference_mode():
        said, _ = made.judge(one.patches, one.lengths)
        voices = [m.sides[0].double().softmax(-1)[0] for m in said.members or [said]]
    np.testing.assert_allclose(posteriors, torch.stack(voices).mean(0), atol=1e-6)
    assert np.isfinite(conflict)
    assert score.hush(one, TrainConf(streams)) is one


def test_the_column_comes_last_and_labels_are_the_posteriors(tmp_path: Path) -> None:
    data = SimpleNamespace(utts=["a", "b"], references=np.array([0, 1]))
    posteriors = np.array([[0.2, 0.3], [0.9, 0.1]])
    result = {"confusion": [[0, 1], [1, 0]], "accuracy": 0.0, "set": "x", "transductive": False}
    score.write(tmp_path, data, posteriors, np.array([0.97, np.nan]), ["angry", "sad"], result)
    assert (tmp_path / "hyp").read_text().splitlines() == [
        "# utt ref label angry sad P(conflict)",
        "a angry sad 0.400000 0.600000 0.970000",
        "b sad angry 0.900000 0.100000 nan",
    ]
    assert analysis.read_hyp(tmp_path / "hyp").given.tolist() == [1, 0]
    score.write(tmp_path, data, posteriors, None, ["angry", "sad"], result)
    assert "P(conflict)" not in (tmp_path / "hyp").read_text()


def test_a_set_s_result_says_how_well_its_conflicts_are_found(small: DataDir, tmp_path: Path) -> None:
    utts = small.utts
    small.utt2sem = dict(zip(utts, ["angry", "sad", "sad", "happy", "happy", "angry"], strict=True))
    small.write(tmp_path / "known")
    said = {u: 0.1 + 0.8 * (small.utt2emo[u] != small.utt2sem[u]) for u in utts}
    found = stage.found_conflicts(tmp_path / "known", 3, said)
    assert (found["conflicts"], found["congruent"], found["seeds"]) == (3, 3, [3])
    assert found["auc"]["mean"] == 1 and "curve" not in found
    assert stage.found_conflicts(tmp_path / "data", 3, said) is None
