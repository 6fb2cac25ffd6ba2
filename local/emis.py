#!/usr/bin/env python3
"""EMIS (arXiv 2510.25054), synthetic English: the words' emotion and the voice's fully crossed, by three synthesisers.

local/emis.py [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

CORPORA/emis holds SENTENCE_WORDS_VOICE_SPEAKER_SYNTHESISER.wav at any depth: the sentence, the emotion of its words,
that of the voice, the speaker who was imitated, the synthesiser.
A speaker of each synthesiser counts as a voice of its own.
"""

from collections.abc import Iterator
from pathlib import Path

from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance


def emis(folder: Path, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances in the order of their files."""
    for path in releases.audio_files(folder, "**/*", corpus):
        fields = path.stem.rsplit("_", 4)  # a sentence's name may hold underscores
        if len(fields) != 5 or not all(fields):
            yield releases.wrong(path, "not an EMIS name (SENTENCE_WORDS_VOICE_SPEAKER_SYNTHESISER); remove it")
            continue
        sentence, words, voice, speaker, synthesiser = fields
        yield Utterance(
            **corpora.ids("emis", f"{synthesiser}_{speaker}", f"{sentence}_{words}_{voice}"),
            wav=path,
            emotion=voice.lower(),
            words_emotion=words.lower(),
        )


if __name__ == "__main__":
    prepare.main("emis", emis, __doc__)
