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
import sys
from pathlib import Path

from fas import cli, frontend, stamp
from fas.errors import ConfError, FetchError
from fas.features import stage

LOADERS = {"ssl": frontend.load_ssl_conf, "whisper": frontend.load_whisper_conf, "text": frontend.load_text_conf}


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
        stage.learn(settings, args.conf, args.text, args.sets, args.out)
        return
    data, inputs = stage.read_inputs(args.stage, settings, args.data, args.text, args.model)
    if args.action == "job":
        from fas.features import extract
        from fas.frontend.build import build

        try:
            encoder = build(settings, args.model, allow_pipes=args.allow_pipes)
        except (ConfError, FetchError) as e:
            raise type(e)(f"{args.conf}: {e}") from None
        extract.run_job(encoder, settings, data, args.out, args.job, inputs)
    elif args.action == "merge":
        from fas.features import extract

        extract.merge(settings, data, args.out, args.jobs, inputs, args.conf)
    elif stamp.is_whole(args.out, inputs):
        stamp.log(f"{args.out}: whole ({len(data)} utterances), nothing to do")
    else:
        sys.exit(3)


if __name__ == "__main__":
    cli.main(run)
