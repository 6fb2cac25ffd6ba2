#!/usr/bin/env python3
"""CREMA-D (Cao et al. 2014, doi 10.1109/TAFFC.2014.2336244), English, 91 actors in disjoint splits.

local/crema_d.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/crema_d holds AudioWAV/ACTOR_SENTENCE_EMO_LEVEL.wav (1001_DFA_ANG_XX.wav). The label is the emotion that the
actor was asked for. A clone without Git LFS has text files of 130 bytes in place of audio: run `git lfs pull`.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance


def crema_d(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    for path in releases.audio_files(folder, "AudioWAV/*", corpus):
        fields = path.stem.split("_")
        if len(fields) != 4 or not fields[0].isdigit():
            yield releases.wrong(path, "not a CREMA-D name (ACTOR_SENTENCE_EMO_LEVEL); remove it from the folder")
            continue
        actor, sentence, emotion, _ = fields
        yield Utterance(
            **corpora.ids("crema_d", actor, path.stem),
            wav=path,
            emotion=emotion,
            text=corpus.sentences.get(sentence, ""),
        )


if __name__ == "__main__":
    prepare.main("crema_d", crema_d, __doc__)
