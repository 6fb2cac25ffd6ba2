"""A page on this machine where people record the lines of a conflict set, whose conf says `synthesiser: people`.

fas record --conf SET.yaml CORPORA, then open http://127.0.0.1:8000. Once all is recorded, local/conflict_set.py makes
the set of it; until then it says what is missing. Browsers give the microphone to pages of their own machine and of
https alone.
"""

import argparse
import os
from pathlib import Path

from fas import cli


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, required=True, help="as of local/conflict_set.py; --seed and --utts too")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--utts", type=int, help="(all)")
    cli.add_address(parser)
    parser.add_argument("corpora", type=Path, metavar="CORPORA")
    args = parser.parse_args()
    from fas.listening import record
    from fas.synthesis import make

    made = make.planned(args.conf, Path(os.path.abspath(args.corpora)), args.seed, args.utts)
    cli.serve(record.app(made, cli.hosts(args)), args, f"{len(made.utterances)} lines; ")


if __name__ == "__main__":
    cli.main(run)
