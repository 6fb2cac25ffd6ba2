#!/usr/bin/env python3
"""SAVEE (Haq & Jackson 2010), English, one of four men left out in each of four folds, as in EmoBox.

local/savee.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/savee holds AudioData/{DC,JE,JK,KL}/a01.wav: a letter or two of the emotion and a number.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

SPEAKERS = ("DC", "JE", "JK", "KL")


def savee(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    for fold, speaker in enumerate(SPEAKERS, 1):
        for path in releases.audio_files(folder, f"AudioData/{speaker}/*", corpus):
            yield Utterance(
                **corpora.ids("savee", speaker, path.stem),
                wav=path,
                emotion=path.stem.rstrip("0123456789"),
                fold=fold,
            )


if __name__ == "__main__":
    prepare.main("savee", savee, __doc__)
