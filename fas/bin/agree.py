"""How far the listeners of fas annotate agree, and the data directory that their answers make.

fas agree FOLDER writes FOLDER/AGREEMENT.md, FOLDER/agreement.json, and FOLDER/data/<corpus>: what was clearly heard,
with its labels (utt2emo from the voice, utt2sem from the words where they were judged), utt2emo_soft (the share of each
emotion), utt2people (every answer), and `dropped`, what falls out and why.
"""

import argparse
from pathlib import Path

from fas import cli
from fas.errors import ConfError


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of fas annotate")
    parser.add_argument("--answers", type=int, default=2, help="answers that an utterance needs (%(default)s)")
    says = "share of its answers that one label needs, can't tell counted (%(default)s)"
    parser.add_argument("--share", type=float, default=0.5, help=says)
    parser.add_argument("--clarity", type=float, default=1, help="mean clarity that it needs, 1 to 5 (%(default)s)")
    says = "take what was heard for the label, where another emotion was meant; else such an utterance falls out"
    parser.add_argument("--relabel", action="store_true", help=says)
    args = parser.parse_args()
    if not (args.answers >= 1 and 0 <= args.share <= 1 and 1 <= args.clarity <= 5):
        raise ConfError("--answers is 1 or more, --share 0 to 1, --clarity 1 to 5")
    from fas.listening import agree

    agree.agree(args.folder, agree.Rule(args.answers, args.share, args.clarity, args.relabel))
    print((args.folder / "AGREEMENT.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    cli.main(run)
