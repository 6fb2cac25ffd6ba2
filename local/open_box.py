#!/usr/bin/env python3
"""Does the model in the box do what its card says? local/open_box.py [--files 40] [--seed 1] DATADIR NAME...

Draws recordings of speakers that were never trained on, DATADIR/<name>/open/test of local/open.py, gives their files to
`fas predict` without --model, and counts, by corpus and by sex (spk2gender) too. The card's accuracy of the sets that
they are of must lie in the interval (Wilson, 95 %) of what was counted; the exit status is 1 where it does not.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from fas import cli
from fas.apply import box
from fas.data import datadir
from fas.data.tables import read_table
from fas.errors import DataError


class File(NamedTuple):
    """One recording: its corpus, the sex of its speaker (empty where that is not known), path and emotion."""

    corpus: str
    sex: str
    path: str
    emotion: str


def recordings(directory: Path) -> list[File]:
    """All of a data directory."""
    data, listed = datadir.read(directory), directory / "spk2gender"
    sexes = read_table(listed) if listed.exists() else {}
    return [File(data.corpus, sexes.get(data.utt2spk[u], ""), data.wav[u], data.utt2emo[u]) for u in data.utts]


def claims(card: str, tests: dict[str, list[File]]) -> dict[str, float]:
    """Corpus -> the share right that the card's table has for its open test. Raises DataError for other speakers."""
    made, problems = {}, []
    for name, files in tests.items():
        found = re.search(rf"\| {name}-open-test \| [^|]+ \| (\d+) \| ([\d.]+) \|", card)
        if found is None:
            problems.append(f"the card of the model in the box has no figure on {name}-open-test")
        elif int(found[1]) != len(files):
            says = f"{len(files)} recordings, the card's has {found[1]}: it divides the speakers otherwise"
            problems.append(f"{name}/open/test: {says}, so that the model may have been trained on some of these")
        else:
            made[name] = float(found[2]) / 100
    if problems:
        raise DataError(problems)
    return made


def row(name: str, right: list[bool], claim: list[float]) -> tuple[str, bool]:
    """A line of the table, and whether the claim is within the interval of what was counted."""
    share = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    low, high, said = 100 * share.low, 100 * share.high, 100 * float(np.mean(claim))
    counted = f"{sum(right)} of {len(right)} | {100 * np.mean(right):.1f} | {low:.1f} to {high:.1f}"
    return f"| {name} | {counted} | {said:.1f} |", low <= said <= high


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("datadir", type=Path, metavar="DATADIR")
    parser.add_argument("names", nargs="+", metavar="NAME")
    args = parser.parse_args()
    tests = {name: recordings(args.datadir / name / "open/test") for name in args.names}
    claimed = claims((box.FOLDER / "README.md").read_text(encoding="utf-8"), tests)
    every = [file for files in tests.values() for file in files]
    drawn = [every[i] for i in sorted(np.random.default_rng(args.seed).permutation(len(every))[: args.files])]
    command = [sys.executable, "-m", "fas", "predict", "--format", "json", *(file.path for file in drawn)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.splitlines()
    right = [json.loads(line)["label"] == file.emotion for file, line in zip(drawn, said, strict=True)]
    groups = defaultdict(list)
    for i, file in enumerate(drawn):
        for group in ("all", file.corpus, *((f"{file.corpus}, {file.sex}",) if file.sex else ())):
            groups[group].append(i)
    print("| files | right | % | interval | card % |\n|---|---|---|---|---|")
    for group in sorted(groups):
        line, within = row(group, [right[i] for i in groups[group]], [claimed[drawn[i].corpus] for i in groups[group]])
        print(line)
        if group == "all" and not within:
            sys.exit("the card's figure is not within the interval")


if __name__ == "__main__":
    cli.main(run)
