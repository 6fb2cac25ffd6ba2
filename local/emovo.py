#!/usr/bin/env python3
"""EMOVO (Costantini et al. 2014, LREC), Italian, one of six actors left out in each of six folds, as in EmoBox.

local/emovo.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/emovo holds f1 f2 f3 m1 m2 m3 with EMO-ACTOR-SENTENCE.wav (dis-f1-b1.wav), at any depth. EMO is dis gio neu pau
rab sor tri. EmoBox's folds may be numbered differently; their mean is the same.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

ACTORS = ("f1", "f2", "f3", "m1", "m2", "m3")


def emovo(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    for path in releases.audio_files(folder, "**/*", corpus):
        fields = path.stem.split("-")
        if len(fields) != 3 or fields[1] not in ACTORS:
            yield releases.wrong(path, "not an EMOVO name (EMO-ACTOR-SENTENCE); remove it from the folder")
            continue
        emotion, actor, sentence = fields
        yield Utterance(
            **corpora.ids("emovo", actor, path.stem),
            wav=path,
            emotion=emotion,
            text=corpus.sentences.get(sentence, ""),
            sex=actor[0],
            fold=ACTORS.index(actor) + 1,
        )


if __name__ == "__main__":
    prepare.main("emovo", emovo, __doc__)
