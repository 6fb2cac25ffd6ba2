#!/usr/bin/env python3
"""IEMOCAP (Busso et al. 2008, doi 10.1007/s10579-008-9076-6), English, one session left out in each of five folds.

local/iemocap.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/iemocap holds Session1 .. Session5, each with
  dialog/EmoEvaluation/SesNNX_*.txt   [start - end] TAB utterance TAB label TAB [valence, activation, dominance], and
                                      below it a line for each annotator; the label is what most of them agree on,
                                      xxx where they don't and oth for another emotion
  dialog/transcriptions/SesNNX_*.txt  utterance [start-end]: words
  sentences/wav/SesNNX_*/utterance.wav, or, in a session without sentences, dialog/wav/SesNNX_*.wav, the whole
                                      dialogues, of which utterances are cut by the times in the label files
The X of a dialogue is whose markers were recorded; who speaks is the letter of the utterance's last field.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import DataError

LABEL = re.compile(r"\[([\d.]+) *- *([\d.]+)\]\t(Ses0(\d)\w+_([FM])\w+)\t(\w+)\t")
WORDS = re.compile(r"(Ses0\d\w+) \[[\d.]+-[\d.]+\]: *(.*)")


def iemocap(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of the label files. Raises DataError for a dialogue without its words or its labels."""
    evaluations = sorted(folder.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
    if not evaluations:
        raise corpus.missing(f"{folder}: no label files in Session*/dialog/EmoEvaluation")
    for path in evaluations:
        session = path.parents[2]
        words = dict(WORDS.findall(releases.read_text(session / "dialog" / "transcriptions" / path.name, "cp1252")))
        found = LABEL.findall(releases.read_text(path, "cp1252"))
        if not found:
            raise DataError([f"{path}: no line [start - end], utterance, label; is it an IEMOCAP label file?"])
        whole = not (session / "sentences" / "wav").is_dir() and (session / "dialog" / "wav").is_dir()
        for start, end, name, number, letter, label in found:
            dialogue = name.rpartition("_")[0]
            alone = session / "sentences" / "wav" / dialogue / f"{name}.wav"
            yield Utterance(
                **corpora.ids("iemocap", f"Ses0{number}{letter}", name),
                wav=session / "dialog" / "wav" / f"{dialogue}.wav" if whole else alone,
                start=float(start) if whole else 0.0,
                end=float(end) if whole else 0.0,
                emotion=label,
                text=words.get(name, ""),
                sex=letter.lower(),
                fold=int(number),
            )


if __name__ == "__main__":
    prepare.main("iemocap", iemocap, __doc__)
