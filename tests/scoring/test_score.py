"""What a head states of conflicts goes from it into the hyp file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fas.data.datadir import DataDir
from fas.model import FASConfig, FASHead, Stream
from fas.scoring import analysis, score, stage
from fas.training.dataset import Batch

STREAMS = {"acoustic": Stream(6), "semantic": Stream(4, 1)}


class Doubting(FASHead):
    """States how far its first stream's mean is above 0."""

    def conflict(self, patches: dict[str, torch.Tensor], lengths: dict[str, torch.Tensor]) -> torch.Tensor:
        assert not self.training
        return patches["acoustic"].mean().sigmoid().expand(len(lengths["acoustic"]))


class Silent(FASHead):
    def conflict(self, patches: dict[str, torch.Tensor], lengths: dict[str, torch.Tensor]) -> None:
        return None


def utterance() -> Batch:
    torch.manual_seed(1)
    patches = {name: torch.randn(9, s.dim) for name, s in STREAMS.items()}
    return Batch(patches, dict.fromkeys(STREAMS, torch.tensor([9])), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("kind", [Doubting, Silent, FASHead])
def test_a_head_that_states_a_conflict_is_asked(kind: type[FASHead]) -> None:
    head = kind(FASConfig(STREAMS, classes=3, width=16, heads=2)).eval()
    one = utterance()
    posteriors, kept, conflict = score.predict_one(head, one)
    assert posteriors.shape == (3,) and set(kept) == set(STREAMS)
    expected = float(one.patches["acoustic"].mean().sigmoid())
    assert conflict == (pytest.approx(expected) if kind is Doubting else None)


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
