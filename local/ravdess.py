#!/usr/bin/env python3
"""RAVDESS speech (Livingstone & Russo 2018, doi 10.1371/journal.pone.0196391), English, over EmoBox's six folds.

local/ravdess.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/ravdess holds Actor_NN/MM-CC-EE-II-SS-RR-AA.wav: modality, channel, emotion, intensity, statement, repetition,
actor (odd numbers are men). Song (second field 02) and video (first field not 03) are passed over.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases, splits
from fas.data.corpora import Corpus, Utterance


def ravdess(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    fold_of = splits.read_folds("ravdess")
    for path in releases.audio_files(folder, "**/Actor_*/*", corpus):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[4] not in corpus.sentences or not fields[6].isdigit():
            yield releases.wrong(path, "not a RAVDESS name (MM-CC-EE-II-SS-RR-AA); remove it from the folder")
            continue
        if fields[:2] != ["03", "01"]:
            continue
        actor = fields[6]
        yield Utterance(
            **corpora.ids("ravdess", actor, path.stem, joint="_"),  # two digits: any joint keeps speakers together
            wav=path,
            emotion=fields[2],
            text=corpus.sentences[fields[4]],
            sex="mf"[int(actor) % 2 == 0],
            fold=fold_of(actor),
        )


if __name__ == "__main__":
    prepare.main("ravdess", ravdess, __doc__)
