"""Confs of a grid: every combination of the values of some keys, on top of one conf.

python -m fas.bin.grid --base conf/fas.yaml --out exp/budgets/conf ka:streams.acoustic.tokens=4,8
    ks:streams.semantic.tokens=8,16
writes OUT/fas_ka4_ks8.yaml and so on, and prints their names, separated by spaces.
"""

import argparse
import itertools
import os
from pathlib import Path
from typing import Any

import yaml

from fas import cli, conf, stamp
from fas.errors import ConfError


def parse(axis: str) -> tuple[str, list[str], list[Any]]:
    """ "ka:streams.acoustic.tokens=4,8" -> ("ka", ["streams", "acoustic", "tokens"], [4, 8]). Raises ConfError."""
    name, colon, rest = axis.partition(":")
    key, equals, values = rest.partition("=")
    if not (name and colon and key and equals and values):
        raise ConfError(f"{axis}: must be NAME:KEY.KEY=VALUE,VALUE")
    return name, key.split("."), [yaml.safe_load(v) for v in values.split(",")]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("axes", nargs="+", metavar="NAME:KEY=VALUES")
    args = parser.parse_args()
    conf.load(args.base)
    axes = [parse(axis) for axis in args.axes]
    made = []
    for point in itertools.product(*(values for _, _, values in axes)):
        values: dict[str, Any] = {"base": os.path.relpath(args.base, args.out)}
        for (_, keys, _), value in zip(axes, point, strict=True):
            inner = values
            for key in keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[keys[-1]] = value
        parts = [f"{name}{'all' if v is None else v}" for (name, _, _), v in zip(axes, point, strict=True)]
        path = args.out / f"{'_'.join([args.base.stem, *parts])}.yaml"
        with stamp.write_aside(path) as f:
            yaml.safe_dump(values, f, sort_keys=False)
        made.append(str(path))
    print(" ".join(made))


if __name__ == "__main__":
    cli.main(run)
