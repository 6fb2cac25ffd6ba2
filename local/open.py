#!/usr/bin/env python3
"""Speakers of each corpus to train on, to choose by, and never heard: local/open.py DATADIR NAME...

Writes DATADIR/<name>/open/{train,dev,test}: of the speakers in the order of their names, within each sex where the data
directory knows it (spk2gender), the last are tested, a sixth of them and two at least, and those before them are the
dev set, a tenth and two at least. A corpus of fewer than six speakers is trained on alone.
"""

import argparse
from pathlib import Path

from fas import cli
from fas.data import datadir
from fas.data.tables import read_table

FEWEST = 6  # speakers of a corpus that is divided


def divide(speakers: list[str], gender: dict[str, str]) -> dict[str, str]:
    """Speaker -> train, dev or test."""
    part = dict.fromkeys(speakers, "train")
    if len(speakers) < FEWEST:
        return part
    by_gender: dict[str, list[str]] = {}
    for speaker in sorted(speakers):
        by_gender.setdefault(gender.get(speaker, ""), []).append(speaker)
    lists = list(by_gender.values())
    wanted = ["test"] * max(2, len(speakers) // 6) + ["dev"] * max(2, len(speakers) // 10)
    for place, name in enumerate(wanted):
        left = [own for own in lists if own]
        part[left[place % len(left)].pop()] = name
    return part


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datadir", type=Path, metavar="DATADIR")
    parser.add_argument("names", nargs="+", metavar="NAME")
    args = parser.parse_args()
    for name in args.names:
        data = datadir.read(args.datadir / name)
        listed = args.datadir / name / "spk2gender"
        gender = read_table(listed) if listed.exists() else {}
        part = divide(sorted(set(data.utt2spk.values())), gender)
        for which in sorted(set(part.values())):
            own = [u for u in data.utts if part[data.utt2spk[u]] == which]
            data.take(own).write(args.datadir / name / "open" / which)


if __name__ == "__main__":
    cli.main(run)
