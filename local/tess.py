#!/usr/bin/env python3
"""TESS, the Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2010, doi 10.5683/SP2/E8H2MF), English, 2 actresses.

local/tess.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/tess holds ACTRESS_WORD_EMOTION.wav (OAF_back_angry.wav) at any depth. The file's name decides and not its
folder's, of which the release spells some in its own way (OAF_Pleasant_surprise, YAF_pleasant_surprised).
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

ACTRESSES = {"OAF": 1, "OA": 1, "YAF": 2}  # OA: the release has one file of that name, OA_bite_neutral.wav


def tess(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    for path in releases.audio_files(folder, "**/*", corpus):
        fields = path.stem.split("_", 2)
        if len(fields) != 3 or fields[0] not in ACTRESSES:
            yield releases.wrong(path, "not a TESS name (ACTRESS_WORD_EMOTION); remove it from the folder")
            continue
        actress, word, emotion = fields
        yield Utterance(
            **corpora.ids("tess", "OAF" if actress == "OA" else actress, path.stem),
            wav=path,
            emotion=emotion.lower(),
            text=f"Say the word {word}",
            sex="f",
            fold=ACTRESSES[actress],
        )


if __name__ == "__main__":
    prepare.main("tess", tess, __doc__)
