"""Stages 1 to 3: what an encoder's outputs over a set depend on, and what is learned before one can run."""

import os
from pathlib import Path
from typing import Any

from fas import frontend, stamp
from fas.data import audio, datadir, tables
from fas.errors import ConfError, DataError


def read_inputs(
    stage: str, settings: Any, directory: Path, transcripts: Path | None, model: Path | None
) -> tuple[datadir.DataDir, dict[str, str]]:
    """The set, with transcripts where they are asked for, and the digests that the outputs depend on.

    model: the SentencePiece model of an encoder that has one.
    """
    data = datadir.read(directory)
    inputs = {"configuration": frontend.digest(settings)}
    if stage == "text":
        text = tables.read_table(transcripts, empty_ok=True)
        if missing := sorted(data.wav.keys() - text.keys()):
            raise DataError([f"{transcripts}: utterance {u!r} has no transcript; run stage 2" for u in missing])
        data.text = {u: text[u] for u in data.utts}
        inputs["transcripts"] = stamp.digest_all(f"{u} {data.text[u]}" for u in data.utts)
        if model:
            inputs["SentencePiece model"] = stamp.digest(stamp.digest_file(model / "spm.model"))
    else:
        if data.written:
            raise DataError([f"{directory}: is text alone (no wav.scp), which stages 3 and 4 take, and no audio stage"])
        missing = [
            f"{directory}: {u!r}: {p}: {audio.NO_FILE}"
            for u, p in data.wav.items()
            if not audio.is_pipe(p) and not os.path.isfile(p)
        ]
        if missing:
            raise DataError(missing)
        inputs["audio"] = data.fingerprint()
        if stage == "whisper":
            inputs["languages"] = stamp.digest_all(f"{u} {data.utt2lang.get(u)}" for u in data.utts)
    return data, inputs


def learn(settings: Any, conf_file: Path, texts: Path, sets: list[Path], out: Path) -> None:
    """The SentencePiece model of `kind: spm` from the transcripts texts/<set>/text of the training sets."""
    if not isinstance(settings, frontend.SPMTextConf):
        return
    sentences = []
    for directory in sets:
        data = datadir.read(directory)
        transcripts = texts / datadir.home(directory).name / "text"
        if not data.written:
            if not transcripts.exists():
                raise DataError([f"{transcripts}: is missing; run stage 2 first"])
            data.text = tables.read_table(transcripts, empty_ok=True)
        sentences += [data.text[u] for u in data.utts]
    inputs = {"configuration": frontend.digest(settings), "transcripts": stamp.digest_all(sentences)}
    if stamp.is_whole(out, inputs):
        return
    from fas.frontend import spm_text

    try:
        spm_text.train(settings, sentences, out)
    except (ValueError, RuntimeError) as e:
        raise ConfError(f"{conf_file}: {e}") from None
    stamp.mark_whole(out, inputs, ["spm.model", "vectors.npy"])
