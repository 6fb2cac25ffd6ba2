"""A trained model as a folder that stands alone, for fas predict, fas demo, and a model hub.

fas export --model exp/fas/seed1 --words exp/words/seed1 --voice exp/voice/seed1 --out model
The companions --words and --voice, systems on one stream trained beside it, tell the words' and the voice's emotion.
"""

import argparse
from pathlib import Path

from fas import cli, stamp


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of one training, exp/.../seedS")
    parser.add_argument("--words", type=Path, help="training of the system on the words alone")
    parser.add_argument("--voice", type=Path, help="training of the system on the voice alone")
    parser.add_argument("--small", action="store_true", help="weights in half precision, without graphs for ONNX")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args()
    from fas.apply import export

    companions = {name: folder for name in ("words", "voice") if (folder := getattr(args, name))}
    export.export(args.model, args.out, companions, args.small)
    stamp.log(f"{args.out}: exported; try  fas predict --model {args.out} a.wav")


if __name__ == "__main__":
    cli.main(run)
