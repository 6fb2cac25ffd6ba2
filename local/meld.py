#!/usr/bin/env python3
"""MELD (Poria et al. 2019, ACL, P19-1050), English, with its own train, dev and test sets.

local/meld.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/meld holds MELD.Raw.tar.gz and the archives inside it unpacked, at any depth: train_sent_emo.csv,
dev_sent_emo.csv, test_sent_emo.csv, and diaD_uttU.mp4 in train_splits, dev_splits_complete and
output_repeated_splits_test. Clips that no table names are passed over; the broken, missing and wrongly cut ones that
users of MELD report are dropped by the conf.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import audio, corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

CLIPS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


def meld(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of the tables."""
    if not any(p.name.endswith("_sent_emo.csv") for p in audio.files_below(folder)):
        raise corpus.missing(f"{folder}: no train_sent_emo.csv")
    for split, clips in CLIPS.items():
        clips = releases.find(folder, clips)
        # an older release is in Windows-1252
        for _, row in releases.read_rows(releases.find(folder, f"{split}_sent_emo.csv"), COLUMNS, "cp1252"):
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            yield Utterance(
                **corpora.ids("meld", row["Speaker"], f"{split}_{name}"),
                wav=clips / f"{name}.mp4",
                emotion=row["Emotion"],
                text=row["Utterance"],
                split=split,
            )


if __name__ == "__main__":
    prepare.main("meld", meld, __doc__)
