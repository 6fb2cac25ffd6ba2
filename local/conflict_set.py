#!/usr/bin/env python3
"""Make a conflict set, lines that carry one emotion spoken in another, and its data directories.

local/conflict_set.py --conf SET.yaml [--seed N] [--nj N] [--utts N] [--skip-bad true] CORPORA DATADIR

Writes CORPORA/<name>/{wav, metadata.tsv, README.md} and DATADIR/<name> with a subset for each part of the plan, utt2sem
being the emotion of the words. Stopped, it goes on where it was; what can't be spoken is tried again and listed in
CORPORA/<name>/failures.tsv. local/case_mini/set.yaml is an example, docs/conflict_set.md says more.
"""

import argparse
import os
from pathlib import Path

from fas import cli
from fas.data import prepare
from fas.synthesis import make


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, required=True, help="the set's lines, plan, voices and synthesiser")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another plan (%(default)s)")
    parser.add_argument("--nj", type=int, default=2, help="utterances spoken at once (%(default)s)")
    parser.add_argument("--utts", type=int, help="keep so many, in proportion over parts and emotions (default all)")
    prepare.add_skip_bad(parser)
    parser.add_argument("corpora", type=Path, metavar="CORPORA")
    parser.add_argument("datadir", type=Path, metavar="DATADIR")
    args = parser.parse_args()
    if args.nj < 1:
        parser.error(f"--nj {args.nj}: give 1 or more")
    made = make.planned(args.conf, Path(os.path.abspath(args.corpora)), args.seed, args.utts)
    make.make(made, args.nj)
    make.write_data(made, args.datadir / made.settings.name, args.skip_bad == "true")


if __name__ == "__main__":
    cli.main(run)
