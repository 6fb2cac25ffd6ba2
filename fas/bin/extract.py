"""One encoder over one set: SSL or Whisper frames, transcripts, or token vectors of transcripts.

python -m fas.bin.extract {ssl,whisper,text} check --conf C --data DATA --out OUT     exit 0 when OUT is whole, else 3
python -m fas.bin.extract {ssl,whisper,text} job   --conf C --data DATA/splitN/J --out OUT --job J
    [--allow-pipes]
python -m fas.bin.extract {ssl,whisper,text} merge --conf C --data DATA --out OUT --jobs N
python -m fas.bin.extract text learn --conf C --text FOLDER --out MODEL DATA...  the SentencePiece model of `kind: spm`
    from the transcripts FOLDER/<set>/text of the training sets DATA
Text reads --text FILE, the transcripts of the whole set, and, for `kind: spm`, --model MODEL.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from fas import cli, frontend, stamp
from fas.data import audio, datadir, tables
from fas.errors import ConfError, DataError

LOADERS = {"ssl": frontend.load_ssl_conf, "whisper": frontend.load_whisper_conf, "text": frontend.load_text_conf}


def build(
    settings: Any, model: Path | None, device: str | None = None, allow_pipes: bool = False
) -> frontend.Frontend:
    """The frontend of a conf; imports only what it needs. device: cuda or cpu, cuda where there is one if None."""
    if isinstance(settings, frontend.SPMTextConf):
        from fas.frontend.spm_text import SPMTextFrontend

        return SPMTextFrontend(settings, model)
    import torch

    from fas import threads

    threads.strict()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(settings, frontend.S3PRLConf):
        from fas.frontend.s3prl import S3PRLFrontend

        return S3PRLFrontend(settings, device, allow_pipes)
    if isinstance(settings, frontend.HFTextConf):
        from fas.frontend.hf_text import HFTextFrontend

        return HFTextFrontend(settings, device)
    from fas.frontend.whisper import WhisperFrontend

    return WhisperFrontend(settings, device, allow_pipes)


def read_inputs(args: argparse.Namespace, settings: Any) -> tuple[datadir.DataDir, dict[str, str]]:
    """The set, with transcripts where they are asked for, and the digests that the outputs depend on."""
    data = datadir.read(args.data)
    inputs = {"configuration": frontend.digest(settings)}
    if args.stage == "text":
        text = tables.read_table(args.text, empty_ok=True)
        if missing := sorted(data.wav.keys() - text.keys()):
            raise DataError([f"{args.text}: utterance {u!r} has no transcript; run stage 2" for u in missing])
        data.text = {u: text[u] for u in data.utts}
        inputs["transcripts"] = stamp.digest_all(f"{u} {data.text[u]}" for u in data.utts)
        if args.model:
            inputs["SentencePiece model"] = stamp.digest(stamp.digest_file(args.model / "spm.model"))
    else:
        missing = [
            f"{args.data}: {u!r}: {p}: {audio.NO_FILE}"
            for u, p in data.wav.items()
            if not audio.is_pipe(p) and not os.path.isfile(p)
        ]
        if missing:
            raise DataError(missing)
        inputs["audio"] = data.fingerprint()
        if args.stage == "whisper":
            inputs["languages"] = stamp.digest_all(f"{u} {data.utt2lang.get(u)}" for u in data.utts)
    return data, inputs


def learn(args: argparse.Namespace, settings: Any) -> None:
    if not isinstance(settings, frontend.SPMTextConf):
        return
    sentences = []
    for directory in args.sets:
        transcripts = args.text / datadir.home(directory).name / "text"
        if not transcripts.exists():
            raise DataError([f"{transcripts}: is missing; run stage 2 first"])
        table = tables.read_table(transcripts, empty_ok=True)
        sentences += [table[u] for u in datadir.read(directory).utts]
    inputs = {"configuration": frontend.digest(settings), "transcripts": stamp.digest_all(sentences)}
    if stamp.is_whole(args.out, inputs):
        return
    from fas.frontend import spm_text

    try:
        spm_text.train(settings, sentences, args.out)
    except (ValueError, RuntimeError) as e:
        raise ConfError(f"{args.conf}: {e}") from None
    stamp.mark_whole(args.out, inputs, ["spm.model", "vectors.npy"])


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=LOADERS)
    parser.add_argument("action", choices=("check", "job", "merge", "learn"))
    parser.add_argument("--conf", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--job", type=int)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--allow-pipes", action="store_true", help="run the commands that stand in wav.scp")
    parser.add_argument("sets", type=Path, nargs="*", help="training sets to learn from")
    args = parser.parse_intermixed_args()
    settings = LOADERS[args.stage](args.conf)
    if args.action == "learn":
        learn(args, settings)
        return
    data, inputs = read_inputs(args, settings)
    if args.action == "check":
        if not stamp.is_whole(args.out, inputs):
            sys.exit(3)
        stamp.log(f"{args.out}: whole ({len(data)} utterances), nothing to do")
        return
    from fas.features import extract

    if args.action == "merge":
        extract.merge(settings, data, args.out, args.jobs, inputs, args.conf)
    else:
        made = build(settings, args.model, allow_pipes=args.allow_pipes)
        extract.run_job(made, settings, data, args.out, args.job, inputs)


if __name__ == "__main__":
    cli.main(run)
