#!/usr/bin/env python3
"""EmotionTalk (Sun et al. 2025, arXiv 2505.23018), Mandarin dialogues: the emotion of the voice and that of the words.

local/emotiontalk.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/emotiontalk holds, at any depth, audio.csv (file_name, emotion: the voice, heard alone), transcription.csv
(name, emotion, chinese: the words, read alone, with marks such as [over/]) and
G00009/G00009_42/G00009_42_14/G00009_42_14_024.wav. The first gives utt2emo, the second utt2sem: where they differ,
people said one thing in the voice of another. The speaker is `speaker_id` of the JSON file beside the audio; without
one, dialogue and speaker as the name has them (42_14).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import DataError

DEV, TEST = {"G00001", "G00012"}, {"G00003", "G00015"}  # the release's own split
MARK = re.compile(r"\[[^\]]*\]")


def emotiontalk(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of audio.csv. Raises DataError for words or audio that are missing."""
    if not any(folder.rglob("audio.csv")):
        raise corpus.missing(f"{folder}: no audio.csv")
    words = {}
    for where, row in releases.read_rows(releases.find(folder, "transcription.csv"), ("name", "emotion", "chinese")):
        stem = PurePosixPath(row["name"].removesuffix(".wav")).name
        if stem in words:
            raise DataError([f"{where}: {stem!r} stands in another row too; keep one"])
        words[stem] = row
    sounds = {p.stem: p for suffix in releases.AUDIO_SUFFIXES for p in folder.rglob(f"G*{suffix}")}
    for where, row in releases.read_rows(releases.find(folder, "audio.csv"), ("file_name", "emotion")):
        name = PurePosixPath(row["file_name"])
        fields = name.stem.split("_")
        if len(fields) != 4:
            yield releases.wrong(Path(where), f"{row['file_name']!r} is no name of EmotionTalk (G00009_42_14_024.wav)")
            continue
        if name.stem not in words:
            yield releases.wrong(Path(where), f"{name.stem!r} is not in transcription.csv; take both of one release")
            continue
        wav = sounds.get(name.stem, folder / name)
        group = fields[0]
        yield Utterance(
            **corpora.ids("emotiontalk", speaker_of(wav, f"{fields[1]}_{fields[2]}"), name.stem),
            wav=wav,
            emotion=row["emotion"].strip(),
            words_emotion=words[name.stem]["emotion"].strip(),
            text=MARK.sub(" ", words[name.stem]["chinese"]),
            split="dev" if group in DEV else "test" if group in TEST else "train",
        )


def speaker_of(wav: Path, otherwise: str) -> str:
    """`speaker_id` of the JSON file beside the audio. Raises DataError for one that has none."""
    path = wav.with_suffix(".json")
    if not path.is_file():
        return otherwise
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["speaker_id"])
    except (ValueError, KeyError, TypeError) as e:
        raise DataError([f"{path}: no speaker_id in it ({e}); it belongs to the release"]) from None


if __name__ == "__main__":
    prepare.main("emotiontalk", emotiontalk, __doc__)
