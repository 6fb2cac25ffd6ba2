"""GoEmotions: comments that nobody spoke, as a data directory of text, and which systems take it."""

from pathlib import Path

import pytest

from fas.data import datadir
from fas.errors import DataError
from fas.training import inputs
from tests.data.conftest import Prepare, table

LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


def comments(root: Path, train: str = "") -> None:
    folder = root / "goemotions"
    folder.mkdir()
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    lines = [f"So it goes, {i}.\t{i % 7}\tt{i}" for i in range(70)]
    (folder / "train.tsv").write_text("\n".join([*lines, "Both at once.\t3,6\tboth", train]) + "\n")
    for split in ("dev", "test"):
        (folder / f"{split}.tsv").write_text("".join(f"Well,  {e}.\t{i}\t{split}{i}\n" for i, e in enumerate(LABELS)))


def test_comments_are_a_data_directory_of_text(root: Path, prepare: Prepare) -> None:
    comments(root)
    data = datadir.read(prepare("goemotions", "--most", 5))
    assert data.written and len(data) == 7 * (5 + 1 + 1) and data.emotions == list(datadir.EMOTIONS)
    assert not (data.path / "wav.scp").exists() and not any("both" in u for u in data.utts)
    assert [len(datadir.read(data.path / part)) for part in ("train", "dev", "test")] == [35, 7, 7]
    assert table(data.path / "dev/text")["goemotionsdev3-dev3"] == "Well, joy."
    assert table(data.path / "utt2emo")["goemotionst10-t10"] == "happy"


@pytest.mark.parametrize(
    ("line", "says"), [("no tabs", r"train.tsv:72: is not text"), ("x\t9\tt99", "72: is not"), ("x\t1\tt1", "twice")]
)
def test_what_is_wrong_with_a_line_is_named(root: Path, prepare: Prepare, line: str, says: str) -> None:
    comments(root, line)
    with pytest.raises(SystemExit, match=says):
        prepare("goemotions")


def test_a_system_that_hears_is_told_that_nobody_spoke(root: Path, prepare: Prepare) -> None:
    """Stage 1 passes such a set over, so `run stage 1 first` would lead in a circle."""
    comments(root)
    path = prepare("goemotions") / "train"
    for kind in ("ssl", "whisper/last"):
        with pytest.raises(DataError, match=r"goemotions/train: was written and never spoken.*systems of text alone"):
            inputs.data_digest({"voice": {"feats": kind}}, {}, [path])
    with pytest.raises(DataError, match="run stage 3 first"):
        inputs.data_digest({"words": {"feats": "text"}}, {"text": root / "dump"}, [path])
