#!/usr/bin/env python3
"""CMU-MOSEI (Zadeh et al. 2018, ACL, P18-1208), English, with its standard folds.

local/mosei.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/mosei holds what the folder Raw of CMU_MOSEI.zip holds, and two files of the CMU-MultimodalSDK beside it:
  Videos/Segmented/Combined/VIDEO_N.mp4
  Transcript/Segmented/Combined/VIDEO.txt   VIDEO___N___start___end___words, seconds
  CMU_MOSEI_Labels.csd                      HDF5: All Labels/data/VIDEO/{features (n, 7), intervals (n, 2) in seconds};
                                            sentiment, happy, sad, anger, surprise, disgust, fear
  cmu_mosei_std_folds.py                    lists of videos, read as data and never run
A label's N is that of the transcript with the same interval. The label is the strongest emotion above 0, `none` where
all are 0 and `tie` where two are the strongest. Videos of which the release has no clip are dropped, as their intervals
are often wrong (SDK issues 227 and 278). Speakers are not named: each video counts as one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import DataError

EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
FOLDS = {"standard_train_fold": "train", "standard_valid_fold": "dev", "standard_test_fold": "test"}


def splits(path: Path) -> dict[str, str]:
    """Video -> split, from the lists that the SDK's file assigns. Raises DataError when it does not have all three."""
    try:
        assigned = [s for s in ast.parse(releases.read_text(path)).body if isinstance(s, ast.Assign)]
        lists = {ast.unparse(s.targets[0]): s.value for s in assigned}
        return {video: split for name, split in FOLDS.items() for video in ast.literal_eval(lists[name])}
    except (SyntaxError, ValueError, KeyError) as e:
        raise DataError([f"{path}: is not the SDK's list of standard folds ({e})"]) from None


def strongest(intensities: list[float]) -> str:
    """The label of six intensities."""
    top = max(intensities)
    if top <= 0:
        return "none"
    return "tie" if intensities.count(top) > 1 else EMOTIONS[intensities.index(top)]


def labels(path: Path) -> Iterator[tuple[str, list[list[float]], list[list[float]]]]:
    """Videos in order, each with the rows of its features and intervals. Raises DataError for another file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            for video, group in sorted(file["All Labels/data"].items()):
                yield video, group["features"][:].tolist(), group["intervals"][:].tolist()
    except (OSError, KeyError) as e:
        raise DataError([f"{path}: is not CMU-MOSEI's label file ({e}); fetch it again"]) from None


def clips_of(path: Path) -> dict[tuple[float, float], tuple[str, str]]:
    """Interval, to the hundredth of a second -> number and words. Raises DataError for a line of another form."""
    found = {}
    for number, line in enumerate(releases.read_text(path, "cp1252").splitlines(), 1):
        try:
            _, clip, start, end, words = line.split("___", 4)
            found[round(float(start), 2), round(float(end), 2)] = (clip, words)
        except ValueError:
            raise DataError([f"{path}:{number}: is not VIDEO___N___start___end___words"]) from None
    return found


def mosei(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Labelled utterances, by video; labels without a clip or a fold are marked for the conf to drop."""
    combined = folder / "Videos" / "Segmented" / "Combined"
    suffixes = (".mp4", *releases.AUDIO_SUFFIXES)
    cut = {path.stem.rpartition("_")[0] for path in combined.glob("*") if path.suffix.lower() in suffixes}
    if not cut:
        raise corpus.missing(f"{combined}: no clips")
    split_of = splits(folder / "cmu_mosei_std_folds.py")
    for video, features, intervals in labels(folder / "CMU_MOSEI_Labels.csd"):
        clips = clips_of(folder / "Transcript" / "Segmented" / "Combined" / f"{video}.txt") if video in cut else {}
        for i, (start, end) in enumerate(intervals):
            clip, words = clips.get((round(start, 2), round(end, 2)), ("", ""))
            name = f"{video}_{clip or f'label{i}'}"
            no_label = "outside" if video not in split_of else "uncut" if video not in cut else "" if clip else "lost"
            yield Utterance(
                **corpora.ids("mosei", video, name),
                wav=combined / f"{name}.mp4",
                emotion=no_label or strongest(features[i][1:7]),
                text=words,
                split=split_of.get(video, ""),
            )


if __name__ == "__main__":
    prepare.main("mosei", mosei, __doc__)
