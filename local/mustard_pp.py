#!/usr/bin/env python3
"""MUStARD++ (Ray et al. 2022, LREC, 2022.lrec-1.756), English, sarcasm in sitcoms: what is meant against what is said.

local/mustard_pp.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/mustard_pp holds mustard++_text.csv (SCENE, KEY, SENTENCE, SPEAKER, SHOW, Sarcasm, Implicit_Emotion,
Explicit_Emotion; rows without Sarcasm are context) and final_utterance_videos/SCENE_u.mp4. The implicit emotion is the
label, the explicit one that of the words (utt2sem).
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

COLUMNS = ("SCENE", "SENTENCE", "SPEAKER", "SHOW", "Sarcasm", "Implicit_Emotion", "Explicit_Emotion")


def mustard_pp(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of the table."""
    if not (folder / "mustard++_text.csv").is_file():
        raise corpus.missing(f"{folder}: no mustard++_text.csv")
    videos = releases.find(folder, "final_utterance_videos")
    for _, row in releases.read_rows(folder / "mustard++_text.csv", COLUMNS, "cp1252"):
        if not row["Sarcasm"].strip():
            continue
        name = f"{row['SCENE'].strip()}_u"  # not KEY: in the row of 1_S11E03_067 that holds an emotion
        yield Utterance(
            # PERSON stands for many people, so a speaker is one of a show
            **corpora.ids("mustard_pp", f"{row['SHOW'].strip()}_{row['SPEAKER'].strip()}", name),
            wav=videos / f"{name}.mp4",
            emotion=row["Implicit_Emotion"].strip(),
            words_emotion=row["Explicit_Emotion"].strip(),
            text=row["SENTENCE"],
        )


if __name__ == "__main__":
    prepare.main("mustard_pp", mustard_pp, __doc__)
