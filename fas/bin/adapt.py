"""A model for one's own recordings, without labels: its input statistics are measured on them.

fas adapt [--model DIR] --out DIR2 a.wav folder data/x     files, folders of files, data directories
The more the recordings differ from acted speech in a studio, in microphone, room, language or speaker, the more it
gains; it needs some minutes of the speech that the model is for, of all kinds that are to come.
"""

import argparse
import sys
from pathlib import Path

from fas import cli, stamp
from fas.apply import box


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    box.add_model(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the adapted model to")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one, else cpu")
    parser.add_argument("inputs", nargs="+", metavar="RECORDING")
    args = parser.parse_args()
    from fas.apply import adapt
    from fas.apply.export import check_out
    from fas.apply.predict import FAS

    check_out(args.out, "adapted")  # before minutes are spent
    model = FAS.load(box.chosen(args.model), args.device)
    recordings = adapt.Recordings(args.inputs)
    minutes = adapt.measure(model, recordings)
    adapt.write(model, args.out, minutes, recordings.count)
    stamp.log(f"{args.out}: adapted to {recordings.count} recordings, {minutes:.1f} minutes of speech")
    if minutes < adapt.ENOUGH:
        stamp.log(f"{adapt.ENOUGH:g} minutes would be better")
    if recordings.failed:
        sys.exit(f"error: {recordings.failed} of the inputs could not be used; they are named above")


if __name__ == "__main__":
    cli.main(run)
