#!/usr/bin/env python3
"""Berlin EmoDB (Burkhardt et al. 2005, Interspeech), German, over EmoBox's five folds.

local/emodb.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/emodb holds wav/SSTTTEV.wav: speaker, text, emotion's first letter in German, version. EmoBox's folds are by
utterance and share speakers.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases, splits
from fas.data.corpora import Corpus, Utterance

MEN = ("03", "10", "11", "12", "15")  # of the ten speakers


def emodb(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    fold_of = splits.read_folds("emodb")
    for path in releases.audio_files(folder, "wav/*", corpus):
        name = path.stem
        if len(name) != 7 or not name[:2].isdigit():
            yield releases.wrong(path, "not an EmoDB name (SSTTTEV); remove it from the folder")
            continue
        yield Utterance(
            **corpora.ids("emodb", name[:2], name, joint="_"),  # two digits: any joint keeps speakers together
            wav=path,
            emotion=name[5],
            text=corpus.sentences.get(name[2:5], ""),
            sex="m" if name[:2] in MEN else "f",
            fold=fold_of(name),
        )


if __name__ == "__main__":
    prepare.main("emodb", emodb, __doc__)
