#!/usr/bin/env python3
"""ESD, the Emotional Speech Dataset (Zhou et al. 2022, doi 10.1016/j.specom.2021.11.006), Mandarin and English.

local/esd.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/esd holds 0001 .. 0020 (0001 to 0010 speak Mandarin), each with SPEAKER.txt (name TAB words TAB emotion, some
with spaces for tabs, in UTF-8, UTF-16, GBK or Windows-1252) and Angry, Happy, Neutral, Sad, Surprise with
SPEAKER_NNNNNN.wav, in the older release in folders train, evaluation and test. Where there are none the same split
follows from the numbers: of each 350 the first 20 are evaluation, the next 30 test.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance

FOLDERS = {"train": "train", "evaluation": "dev", "test": "test"}


def transcripts(path: Path, language: str) -> dict[str, str]:
    """Name -> words."""
    # gb2312 has none of Windows-1252's quotes, so English in either is told apart
    encodings = ("gb18030",) if language == "zh" else ("gb2312", "cp1252")
    words = {}
    for line in releases.read_text(path, *encodings).splitlines():
        name, _, rest = line.replace("\t", " ").strip().partition(" ")
        words[name] = rest.strip().rpartition(" ")[0]
    return words


def esd(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances by speaker and file."""
    wavs = releases.audio_files(folder, "00[0-2][0-9]/**/*", corpus)
    words: dict[str, dict[str, str]] = {}
    for path in wavs:
        speaker, _, number = path.stem.partition("_")
        inner = path.relative_to(folder).parts[1:-1]
        if path.relative_to(folder).parts[0] != speaker or not number.isdigit() or not 1 <= len(inner) <= 2:
            yield releases.wrong(path, "not ESD's SPEAKER/EMOTION/[SPLIT/]SPEAKER_NNNNNN.wav; remove it")
            continue
        if inner[1:] and inner[1] not in FOLDERS:
            yield releases.wrong(path, f"the folder {inner[1]!r} is none of train, evaluation and test")
            continue
        language = "zh" if speaker <= "0010" else "en"
        if speaker not in words:
            words[speaker] = transcripts(folder / speaker / f"{speaker}.txt", language)
        place = (int(number) - 1) % 350
        yield Utterance(
            **corpora.ids("esd", speaker, path.stem),
            wav=path,
            emotion=inner[0],
            language=language,
            text=words[speaker].get(path.stem, ""),
            split=FOLDERS[inner[1]] if inner[1:] else "dev" if place < 20 else "test" if place < 50 else "train",
        )


if __name__ == "__main__":
    prepare.main("esd", esd, __doc__)
