#!/usr/bin/env python3
"""The embedded corpus as data directories: local/case_data.py [--skip-bad true] CORPUS DATADIR/case_mini.

CORPUS is the folder that local/case_mini.py made; writes the whole corpus and its subsets
{train,dev,test_congruent,test_conflict}, with utt2sem, the emotion of the words.
"""

import argparse
from pathlib import Path

from fas import cli
from fas.data import prepare, releases
from fas.data.datadir import EMOTIONS


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    prepare.add_skip_bad(parser)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    pairs = list(releases.case_mini(args.corpus))
    split_of = {u.utt: split for split, u in pairs}
    skip_bad = args.skip_bad == "true"
    data, dropped = prepare.make("case_mini", (u for _, u in pairs), list(EMOTIONS), skip_bad=skip_bad)
    prepare.write(data, dropped, args.out)
    for split in sorted(set(split_of.values())):
        data.subset(lambda u, s=split: split_of[u] == s).write(args.out / split)


if __name__ == "__main__":
    cli.main(run)
