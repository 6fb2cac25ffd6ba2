#!/usr/bin/env python3
"""MER2024's labelled part (Lian et al. 2024, doi 10.1145/3689092.3689959), Mandarin.

local/mer2024.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/mer2024 holds label-disdim.csv (name, discrete, valence), label-transcription.csv (name, chinese, ...) and
video-labeled/NAME.mp4. Speakers are not named: each utterance counts as one.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance


def mer2024(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of the label file."""
    if not (folder / "label-disdim.csv").is_file():
        raise corpus.missing(f"{folder}: no label-disdim.csv")
    transcripts = releases.read_rows(folder / "label-transcription.csv", ("name", "chinese"), "gb18030")
    words = {row["name"]: row["chinese"] for _, row in transcripts}
    for _, row in releases.read_rows(folder / "label-disdim.csv", ("name", "discrete"), "gb18030"):
        yield Utterance(
            **corpora.ids("mer2024", row["name"], row["name"]),
            wav=folder / "video-labeled" / f"{row['name']}.mp4",
            emotion=row["discrete"].strip(),
            text=words.get(row["name"], ""),
        )


if __name__ == "__main__":
    prepare.main("mer2024", mer2024, __doc__)
