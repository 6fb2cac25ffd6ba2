#!/usr/bin/env python3
"""CaFE (Gournay et al. 2018, doi 10.5281/zenodo.1478764), Canadian French, 12 actors, over EmoBox's three folds.

local/cafe.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/cafe holds AA-E-I-S.wav at any depth: actor (odd numbers are men), emotion's first letter in French, intensity,
sentence. The file's name decides and not its folder's, whose accents some unzip programs garble. The release's 192 kHz
parts (.aiff) are passed over.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases, splits
from fas.data.corpora import Corpus, Utterance


def cafe(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    fold_of = splits.read_folds("cafe")
    for path in releases.audio_files(folder, "**/*", corpus):
        fields = path.stem.split("-")
        if len(fields) != 4 or not fields[0].isdigit() or fields[3] not in corpus.sentences:
            yield releases.wrong(path, "not a CaFE name (AA-E-I-S); remove it from the folder")
            continue
        actor, emotion, _, sentence = fields
        yield Utterance(
            **corpora.ids("cafe", actor, path.stem),
            wav=path,
            emotion=emotion,
            text=corpus.sentences[sentence],
            sex="mf"[int(actor) % 2 == 0],
            fold=fold_of(actor),
        )


if __name__ == "__main__":
    prepare.main("cafe", cafe, __doc__)
